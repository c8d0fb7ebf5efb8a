package manifest_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"pointsman/host/manifest"
)

// with loads one document and returns its faults, warnings left out.
func faultsOf(text string) manifest.Faults {
	_, faults := manifest.Load(fstest.MapFS{"a.yaml": &fstest.MapFile{Data: []byte(text)}})
	var out manifest.Faults
	for _, f := range faults {
		if f.Severity == manifest.SeverityError {
			out = append(out, f)
		}
	}
	return out
}

func check(t *testing.T, document, code string) {
	t.Helper()
	faults := faultsOf(document)
	switch {
	case code == "" && len(faults) > 0:
		t.Errorf("refused:\n%s", render(faults))
	case code != "" && (len(faults) != 1 || faults[0].Code != code):
		t.Errorf("got faults\n%swant one with code %s", render(faults), code)
	}
}

const head = "apiVersion: pointsman/v1\nmetadata: {name: a}\n"

func TestURL(t *testing.T) {
	tests := []struct{ url, code string }{
		{"https://crm.example", ""},
		{"https://crm", ""},
		{"https://xn--bcher-kva.example:8443/a/b.c~d", ""},
		{"https://8.8.8.8", ""},
		{"https://[2001:db8::1]:8443", ""},
		{"https://user@crm.example", "PM2014"},
		{"https://user:pw@crm.example", "PM2014"},
		{"https://@crm.example", "PM2014"},
		{"https://crm.example/", "PM2014"},
		{"https://crm.example/a/", "PM2014"},
		{"https://crm.example//a", "PM2014"},
		{"https://crm.example/../a", "PM2014"},
		{"https://crm.example/%2e%2e/a", "PM2014"},
		{"https://crm.example/a?b", "PM2014"},
		{"https://crm.example?", "PM2014"},
		{"https://crm.example#", "PM2014"},
		{"https://crm.example:443", "PM2014"},
		{"https://crm.example:", "PM2014"},
		{"https://crm.example:08443", "PM2014"},
		{"https://crm.example:65536", "PM2014"},
		{"https://CRM.example", "PM2014"},
		{"HTTPS://crm.example", "PM2014"},
		{"https://crm.example.", "PM2014"},
		{"https://bücher.example", "PM2014"},
		{"https://crm_x.example", "PM2014"},
		{"https://-crm.example", "PM2014"},
		{"https://", "PM2014"},
		{"https:crm.example", "PM2014"},
		{"//crm.example", "PM2014"},
		{"ftp://crm.example", "PM2014"},
		{"https://2130706433", "PM2014"},
		{"https://0x7f000001", "PM2014"},
		{"https://0177.0.0.1", "PM2014"},
		{"https://127.1", "PM2014"},
		{"https://127.0.0.0x1", "PM2014"},
		{"https://a.0x", "PM2014"},
		{"https://[::ffff:127.0.0.1]", "PM2014"},
		{"https://[fe80::1%25eth0]", "PM2014"},
		{"https://[2001:DB8::1]", "PM2014"},
		{"https://[2001:db8:0::1]", "PM2014"},
		{`https://crm.example\\@evil.example`, "PM2014"},
		{"https://crm.example/a b", "PM2014"},
		{"https://169.254.169.254", "PM2014"},
		{"https://[fe80::1]", "PM2014"},
		{"https://0.0.0.0", "PM2014"},
		{"https://[::]", "PM2014"},
		{"https://[::ffff:a9fe:a9fe]", "PM2014"},
		{"https://127.0.0.1", "PM3012"},
		{"https://[fd00::1]", "PM3012"},
		{"http://crm.example", "PM2025"},
	}
	for _, tt := range tests {
		t.Run(tt.url, func(t *testing.T) {
			check(t, head+"kind: Backend\nspec: {http: {url: \""+tt.url+"\"}}\n", tt.code)
		})
	}
	for _, f := range faultsOf(head + "kind: Backend\nspec: {http: {url: \"https://u:hunter2@x\", auth: {secret: hunter2!, as: bearer}}}\n") {
		if strings.Contains(f.Error(), "hunter2") {
			t.Errorf("a fault repeats a secret: %s", f)
		}
	}
}

func TestPrivate(t *testing.T) {
	tests := []struct{ prefix, code string }{
		{"10.0.0.0/8", ""}, {"10.1.2.3/32", ""}, {"fc00::/7", ""}, {"::1/128", ""},
		{"0.0.0.0/0", "PM2024"}, {"11.0.0.0/7", "PM2013"}, {"8.0.0.0/7", "PM2024"}, {"::/0", "PM2024"},
		{"10.0.0.1", "PM2013"}, {"10.0.0.1/8", "PM2013"}, {"10.0.0.0/33", "PM2013"}, {"10.0.0.0/08", "PM2013"}, {"10.0.0/8", "PM2013"},
		{"fe80::%eth0/64", "PM2013"}, {"::ffff:10.0.0.0/104", "PM2013"}, {"FC00::/7", "PM2013"}, {"localhost", "PM2013"},
	}
	for _, tt := range tests {
		t.Run(tt.prefix, func(t *testing.T) {
			check(t, head+"kind: Backend\nspec: {http: {url: https://a.example, private: [\""+tt.prefix+"\"]}}\n", tt.code)
		})
	}
}

func TestScalars(t *testing.T) {
	tests := []struct{ key, text, code string }{
		{"time", "10ms", ""}, {"time", "30s", ""}, {"time", `"2s"`, ""}, {"time", "30000ms", ""},
		{"time", "9ms", "PM2024"}, {"time", "31s", "PM2024"}, {"time", "99999999h", "PM2024"}, {"time", "999999999h", "PM2024"},
		{"time", "2", "PM2009"}, {"time", "02s", "PM2009"}, {"time", "-2s", "PM2009"}, {"time", "1m30s", "PM2009"}, {"time", "2S", "PM2009"}, {"time", "[]", "PM2003"},
		{"bytes", "1", ""}, {"bytes", "1048576", ""}, {"bytes", "8MiB", ""}, {"bytes", `"1KiB"`, ""},
		{"bytes", "9MiB", "PM2024"}, {"bytes", "999999999999GiB", "PM2024"}, {"bytes", "0", "PM2010"},
		{"bytes", "1e3", "PM2010"}, {"bytes", "0x10", "PM2010"}, {"bytes", "010", "PM2010"}, {"bytes", "1_000", "PM2010"}, {"bytes", "1.5MiB", "PM2010"}, {"bytes", "1M", "PM2010"},
		{"bytes", "99999999999999999999", "PM2010"},
		{"concurrent", "1", ""}, {"concurrent", "10000", ""}, {"concurrent", "10001", "PM2024"},
		{"concurrent", "0x10", "PM2012"}, {"concurrent", "010", "PM2012"}, {"concurrent", "1e1", "PM2012"}, {"concurrent", "+1", "PM2012"}, {"concurrent", "-1", "PM2012"}, {"concurrent", "99999999999999999999", "PM2012"}, {"concurrent", "", "PM2012"},
	}
	for _, tt := range tests {
		t.Run(tt.key+" "+tt.text, func(t *testing.T) {
			check(t, head+"kind: Backend\nspec: {http: {url: https://a.example, limits: {"+tt.key+": "+tt.text+"}}}\n", tt.code)
		})
	}
}

// Texts that YAML programs disagree about are refused without quotes and taken with them.
func TestAmbiguousTexts(t *testing.T) {
	for _, text := range []string{"null", "Null", "NULL", "~", "true", "True", "FALSE", "yes", "No", "on", "OFF",
		"0", "-1", "+1", "007", "0o17", "0x1f", "0b1", "1_000", "1.", ".5", "1.5", "1e3", "1E-3", ".inf", "-.INF", ".NaN",
		"1:30", "190:20:30.15", "2026-01-01", "2026-1-1", "2026-01-01 10:00:00", "2026-01-01T10:00:00Z", "="} {
		t.Run(text, func(t *testing.T) {
			document := head + "kind: Plugin\nspec:\n  module: {path: a.wasm}\n  config:\n    a: "
			check(t, document+text+"\n", "PM2004")
			check(t, document+`"`+text+"\"\n", "")
			check(t, document+"'"+text+"'\n", "")
		})
	}
	for _, text := range []string{"y", "nope", "1.2.3", "10.0.0.1", "0.1.0", "1h", "a: b", "2026", "v1", "1 2", "0xg", "-", "1-2"} {
		if text == "2026" || text == "a: b" || text == "-" {
			continue // a number, a mapping, a list
		}
		t.Run("plain "+text, func(t *testing.T) {
			check(t, head+"kind: Plugin\nspec:\n  module: {path: a.wasm}\n  config:\n    a: "+text+"\n", "")
		})
	}
}

func TestHeaderDenied(t *testing.T) {
	for _, name := range []string{"Accept", "Accept-Language", "Content-Type", "If-None-Match", "Idempotency-Key", "Square-Version", "X-Request-Id", "Prefer"} {
		if manifest.HeaderDenied(name) {
			t.Errorf("%s is denied", name)
		}
	}
	for _, name := range []string{"HOST", "x-http-method", "X-Method-Override", "X-Rewrite-URL", "X-Original-Host", "Forwarded", "X-Real-IP",
		"True-Client-IP", "CF-Connecting-IP", "X-Client-IP", "Proxy-Authenticate", "x_forwarded_for", "tracestate", "SEC-fetch-site"} {
		if !manifest.HeaderDenied(name) {
			t.Errorf("%s is not denied", name)
		}
	}
	text, err := os.ReadFile("../../../shared/vectors/header-deny.tsv")
	if err != nil {
		t.Skip("../../../shared/vectors/header-deny.tsv is not present")
	}
	rows := 0
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "" {
			continue
		}
		name, _, _ := strings.Cut(line, "\t")
		name = strings.ReplaceAll(strings.TrimSpace(name), "*", "Anything")
		rows++
		for _, spelling := range []string{name, strings.ToLower(name), strings.ToUpper(name)} {
			if !manifest.HeaderDenied(spelling) {
				t.Errorf("%s is not denied", spelling)
			}
			check(t, head+fmt.Sprintf("kind: Plugin\nspec: {module: {path: a.wasm}, grants: {http: [{backend: a, allow: [\"GET /\"], headers: [%q]}]}}\n---\n", spelling)+
				head+"kind: Backend\nspec: {http: {url: https://a.example}}\n", "PM2017")
		}
	}
	if rows < 20 {
		t.Errorf("only %d rows", rows)
	}
}

func TestReferences(t *testing.T) {
	route := func(with string) string {
		return head + "kind: Route\nspec:\n  path: GET /\n  params: {q: {in: query}}\n  scopes: [a]\n  steps:\n    s: {call: p.f}\n    t:\n      call: p.f\n      with: " + with +
			"\n  answer: [\"${s}\", \"${t}\"]\n  view: all\n---\napiVersion: pointsman/v1\nkind: Plugin\nmetadata: {name: p}\nspec: {module: {path: p.wasm}}\n"
	}
	tests := []struct{ with, want, code string }{
		{`${params.q}`, "${params.q}", ""},
		{`"${s}"`, "${s}", ""},
		{`'${s.a_b.0.C-d}'`, "${s.a_b.0.C-d}", ""},
		{`$${s}`, `"${s}"`, ""},
		{`$$${s}`, `"$${s}"`, ""},
		{`a $${b} $${c}`, `"a ${b} ${c}"`, ""},
		{`$`, `"$"`, ""},
		{`$$`, `"$$"`, ""},
		{`"$ {s}"`, `"$ {s}"`, ""},
		{`{"<>&": "<>&"}`, `{<>&:"<>&"}`, ""},
		{`-0.0e+10`, `-0.0e+10`, ""},
		{`x${s}`, "", "PM2021"},
		{`${s}x`, "", "PM2021"},
		{`${s}${s}`, "", "PM2021"},
		{`$${a}${s}`, "", "PM2021"},
		{`${}`, "", "PM2021"},
		{`"${s.}"`, "", "PM2021"},
		{`"${.s}"`, "", "PM2021"},
		{`"${s..a}"`, "", "PM2021"},
		{`"${s['a']}"`, "", "PM2021"},
		{`"${s | upper}"`, "", "PM2021"},
		{`"${s}\n"`, "", "PM2021"},
		{`"${s`, "", "PM1007"},
		{`${s.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a}`, "", "PM2021"},
		{`${params.x}`, "", "PM3004"},
		{`${x}`, "", "PM3004"},
		{`${t}`, "", "PM3005"},
	}
	for _, tt := range tests {
		t.Run(tt.with, func(t *testing.T) {
			if tt.code == "PM1007" {
				if faults := faultsOf(route(tt.with)); len(faults) == 0 || faults[0].Code != tt.code {
					t.Errorf("got faults\n%s", render(faults))
				}
				return
			}
			check(t, route(tt.with), tt.code)
			if tt.code != "" {
				return
			}
			set, _ := manifest.Load(fstest.MapFS{"a.yaml": &fstest.MapFile{Data: []byte(route(tt.with))}})
			if got := flat(set.Routes[0].Steps[1].With); got != tt.want {
				t.Errorf("value %s, want %s", got, tt.want)
			}
			again, faults := manifest.Load(canonicalFiles(set))
			if faults.HasErrors() {
				t.Fatalf("canonical form:\n%s", render(faults))
			}
			if got := flat(again.Routes[0].Steps[1].With); got != tt.want {
				t.Errorf("canonical value %s, want %s", got, tt.want)
			}
		})
	}
}
