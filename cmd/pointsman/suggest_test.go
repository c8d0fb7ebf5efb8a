package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pointsman/cmd/backends/sim"
)

// TestSuggestFromARunningBroker: what a broker refused comes back as the line that would allow
// it, and what it never lent is named. What only the request held is in neither.
func TestSuggestFromARunningBroker(t *testing.T) {
	ca, err := sim.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	tg := &target{}
	tg.answer(contact)
	manifests := strings.NewReplacer("TARGET", listen(t, tg, ca), "      - {function: prober.spin, view: all}\n", "").Replace(callManifests)
	r := startBroker(t, ca, setup{manifests: manifests, modules: buildPlugins(t), consumers: []string{"shop"}})
	for _, function := range []string{"prober.spin", "prober.spin", "prober.canary-of-a-name", "prober.fetch"} {
		r.asked(t, "/v1/ask", "function", function)
	}
	suggest := func() string {
		t.Helper()
		code, out, errs := command("suggest", filepath.Join(r.dir, "manifests"), "--modules", buildPlugins(t), "--data", r.data())
		if code != exitOK {
			t.Fatalf("exit code %d: %s", code, errs)
		}
		return out
	}
	out := suggest()
	for _, want := range []string{
		"#   call.function prober.spin (2 times)\n",
		"#   plugin asker can use call prober.spin\n",
		"kind: Plugin\nmetadata: {name: asker}\nspec:\n  grants:\n    call:\n      - function: prober.spin\n",
		"#   plugin asker: call.function (once): neither its grant nor its author names what it asked for\n",
		" plugin asker has not used\n#   call clerk.say\n#   call prober.crash\n",
		" plugin clerk has used nothing that it was granted\n#   http target GET /allowed\n",
		" plugin prober has not used\n#   http target GET /allowed/{id}\n",
		" plugin silent has used nothing that it was granted\n#   call prober.fetch\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say\n%s\nit says\n%s", want, out)
		}
	}
	if strings.Contains(out, "canary") {
		t.Errorf("it holds what only a request held:\n%s", out)
	}
	if got := r.get("shop", "/v1/silent"); got.status == http.StatusOK {
		t.Errorf("got %v of a plugin that is not cleared for what it was told", got)
	}
	if out := suggest(); strings.Contains(out, "plugin silent has") {
		t.Errorf("a call that was allowed counts as none:\n%s", out)
	}
	path := filepath.Join(r.dir, "manifests", "all.yaml")
	if err := os.WriteFile(path, []byte(strings.Replace(manifests, `allow: ["GET /allowed/{id}", "GET /allowed"], view`, `allow: ["GET /allowed"], view`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := suggest(); !strings.Contains(out, "plugin prober: its grants are not those that it was approved for on ") || strings.Contains(out, "plugin prober has") {
		t.Errorf("of grants that were never deployed it says\n%s", out)
	}
}
