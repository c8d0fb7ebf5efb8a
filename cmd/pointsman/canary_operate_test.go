package main

import (
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// operate is what an operator does while the broker serves.
func (o *oracleRun) operate(manifests string) {
	o.t.Helper()
	client := o.wiretap(o.private)
	defer client.CloseIdleConnections()
	echo := func(name string, want int) {
		o.t.Helper()
		got := o.call(client, "shop", targetOf("strict", "backend", name, "path", "/allowed/echo", "q", "x"), nil)
		if got.status != want {
			o.t.Errorf("%s: %v, want %d", name, got, want)
		}
	}
	// A rotated secret: the back end repeats both values, and neither is handed on.
	k := o.c.kinds[slices.IndexFunc(o.c.kinds, func(k *kind) bool { return k.name == "bearer" })]
	old, fresh := o.c.secrets["bearer"], o.c.mark("bearer, rotated", bearerSpecials)
	o.c.add(fresh, "bearer header Authorization")
	k.knows = func(r *http.Request) []string { return []string{old, fresh.text} }
	o.command(fresh.text, 0, "secret", "rotate", "bearer")
	echo("bearer", http.StatusOK)
	set := o.c.mark("header, set anew", anySpecials)
	o.c.add(set, "header header X-Api-Key")
	o.command(set.text, 0, "secret", "set", "header", "--json")
	k = o.c.kinds[slices.IndexFunc(o.c.kinds, func(k *kind) bool { return k.name == "header" })]
	k.knows = func(*http.Request) []string { return []string{set.text} } // a value that was set away is forgotten
	echo("header", http.StatusOK)
	spare := o.c.mark("spare", anySpecials)
	o.command(spare.text, 0, "secret", "set", "spare", "--expires", "90d")
	o.command("", 0, "secret", "revoke", "spare")
	onLine := o.c.mark("a secret on the command line", "")
	o.command("", exitRefused, "secret", "set", "spare", onLine.text)
	o.command(o.c.mark("a secret for no name", "").text, exitRefused, "secret", "set", "No Name")
	for _, args := range [][]string{{"secret", "list"}, {"secret", "check"}, {"secret", "keys", "list"}, {"audit", "verify"}} {
		o.command("", 0, args...)
		o.command("", 0, append(args, "--json")...)
	}
	o.newKey("till")
	o.call(client, "till", targetOf("scan"), nil)
	o.command("", 0, "validate", filepath.Join(o.dir, "manifests"), "--modules", o.modules)

	o.traffic([]string{"echo"}) // with sessions that were renewed

	// Each back end by itself; well, and behind TLS that is wrong.
	o.c.another()
	var group sync.WaitGroup
	names := make(chan string)
	for range 3 {
		group.Go(func() {
			for name := range names {
				args := []string{"backend", "check", name, "--manifests", filepath.Join(o.dir, "manifests")}
				if len(name)%2 == 0 {
					args = append(args, "--json")
				}
				o.command("", -1, args...)
			}
		})
	}
	for i, k := range o.c.kinds {
		names <- k.name
		if i%3 == 0 && k.name != "oauth-own" {
			names <- k.name + "-tls"
		}
	}
	close(names)
	group.Wait()
	o.c.another()

	// Deployments: refused ones, one that lacks a secret, and one that is well.
	for _, wrong := range []struct{ text, want string }{
		{strings.Replace(manifests, "scopes: [use]", "scopes: [use]\n  deadlin: 1s", 1), `unknown key \"deadlin\"`},
		{strings.Replace(manifests, "{secret: query,", "{secret: missing,", 1), "pointsman secret set missing"},
		{strings.Replace(manifests, "{hmac: {secret: hmac-raw, key: base64", "{hmac: {secret: hmac-raw, key: hex", 1), "hmac-raw is not hex"},
		{strings.Replace(manifests, "clientCertificate: {secret: certificate}", "clientCertificate: {secret: bearer}", 1), "not a PEM certificate"},
		{strings.Replace(manifests, "privateKeyJWT: {secret: oauth-jwt, alg: ES256}", "privateKeyJWT: {secret: bearer, alg: ES256}", 1), "PEM"},
		{strings.Replace(manifests, "{secret: pair, as: basic}", "{secret: query, as: bearer}", 1), "bearer token has no space"},
	} {
		if wrong.text == manifests {
			o.t.Errorf("nothing to replace for %s", wrong.want)
		}
		o.write("manifests/all.yaml", []byte(wrong.text))
		o.reload(wrong.want)
	}
	o.write("manifests/all.yaml", []byte(strings.Replace(manifests, "deadline: 500ms", "deadline: 400ms", 1)))
	o.reload(`release is live" release=2`)
	echo("query", http.StatusOK)
	echo("login-json", http.StatusOK)
	o.command("", 0, "secret", "revoke", "path")
	echo("path", http.StatusBadGateway) // what the guest made of it
	o.command(o.c.secrets["path"], 0, "secret", "set", "path")
	echo("path", http.StatusOK)
}
