package manifest_test

import (
	"strings"
	"testing"

	"pointsman/host/manifest"
)

func TestParseClaimsRefuses(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"nothing", "", "hold of everything"},
		{"an empty list", "[]", "entries"},
		{"a mapping", "{plugin: a, never: {sees: x.y}}", "expected a list"},
		{"two documents", "- {plugin: a, never: {sees: x.y}}\n---\n- {plugin: a, never: {sees: x.z}}", "one document"},
		{"an unknown key", "- {plugin: a, never: {see: x.y}}", `did you mean "sees"`},
		{"nobody is bound", "- {never: {sees: x.y}}", "one of plugin, consumer, backend and nobody"},
		{"two are bound", "- {plugin: a, consumer: b, never: {sees: x.y}}", "one of plugin, consumer, backend and nobody"},
		{"nothing is said", "- {plugin: a}", `"never" is missing`},
		{"nothing is said of never", "- {plugin: a, never: {}}", "one of sees and reaches"},
		{"two things are said", "- {plugin: a, never: {sees: x.y, reaches: backend x}}", "one of sees and reaches"},
		{"nobody and never", "- {nobody: {sees: x.y}, never: {sees: x.y}}", "nobody says itself"},
		{"a back end that reaches", "- {backend: a, never: {reaches: backend x}}", "reaches nothing"},
		{"an exception without a kind", "- {nobody: {except: [mail], sees: x.y}}", "a kind and a name"},
		{"an unknown kind", "- {plugin: a, never: {reaches: host x}}", "a kind and a name"},
		{"the same twice", "- {plugin: a, never: {sees: x.y}}\n- {plugin: a, never: {sees: x.y}}", "already"},
		{"a key twice", "- {plugin: a, plugin: b, never: {sees: x.y}}", "already"},
		{"an anchor", "- &a {plugin: a, never: {sees: x.y}}", "anchor"},
		{"too large", strings.Repeat("#\n", manifest.MaxFileBytes), "KiB"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, faults := manifest.ParseClaims("claims.yaml", []byte(tt.text))
			err := faults.Err()
			if err == nil || len(got) > 0 {
				t.Fatalf("took %v, want a refusal", got)
			}
			if !strings.Contains(faults.Error(), tt.want) {
				t.Errorf("faults %q do not say %q", faults.Error(), tt.want)
			}
		})
	}
}

func TestParseClaims(t *testing.T) {
	got, faults := manifest.ParseClaims("claims.yaml", []byte(`
- plugin: profile
  never: {sees: pii.contact}
  why: it puts together what it cannot read
- {consumer: till, never: {reaches: secret crm-token}}
- nobody: {except: [plugin mail, consumer web-shop], sees: crm.email}
`))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	var lines []string
	for _, c := range got {
		lines = append(lines, c.Pos.String()+" "+c.String())
	}
	want := "claims.yaml:2:3 plugin profile never sees pii.contact\n" +
		"claims.yaml:5:3 consumer till never reaches secret crm-token\n" +
		"claims.yaml:6:3 nobody sees crm.email except consumer web-shop, plugin mail"
	if text := strings.Join(lines, "\n"); text != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
	if got[0].Why == "" {
		t.Error("the reason is lost")
	}
}

// FuzzParseClaims: what is taken binds one or everybody, says one thing, and says it in one
// line; and nothing is taken beside a fault.
func FuzzParseClaims(f *testing.F) {
	f.Add([]byte("- {plugin: a, never: {sees: x.y}, why: because}\n- {nobody: {except: [log a], reaches: kv}}\n"))
	f.Add([]byte("- {backend: a, never: {reaches: secret x}}\n- plugin:\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		claims, faults := manifest.ParseClaims("claims.yaml", text)
		if faults.HasErrors() != (claims == nil) {
			t.Fatalf("%d claims with the faults %v", len(claims), faults)
		}
		for _, c := range claims {
			if (c.Sees == "") == (c.Reaches == "") || (c.Name == "") != (c.Kind == manifest.Nobody) || c.Pos.Line == 0 {
				t.Errorf("%+v is taken", c)
			}
			if strings.Contains(c.String(), "\n") && !strings.Contains(c.Sees, "\n") {
				t.Errorf("%q has more than one line", c)
			}
		}
	})
}
