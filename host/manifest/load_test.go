package manifest_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"pointsman/host/manifest"
)

var update = flag.Bool("update", false, "rewrite golden files")

// render is one line for each fault, with what Error does not say.
func render(fs manifest.Faults) string {
	var b strings.Builder
	for _, f := range fs {
		fmt.Fprintf(&b, "%s %s", f.Code, f.Error())
		if f.Path != "" {
			fmt.Fprintf(&b, " @ %s", f.Path)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// golden compares the faults of every txtar in dir with its last file. Names that begin
// with "+" hold text that an editor would mend: Go escapes are decoded in them.
func golden(t *testing.T, dir string, faults func(files fstest.MapFS) manifest.Faults) map[string]bool {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no golden files in %s: %v", dir, err)
	}
	seen := map[string]bool{}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			files, want := fstest.MapFS{}, ""
			for _, f := range a.Files {
				switch {
				case f.Name == "faults":
					want = string(f.Data)
				case strings.HasPrefix(f.Name, "+"):
					files[f.Name[1:]] = &fstest.MapFile{Data: unescape(t, f.Data)}
				default:
					files[f.Name] = &fstest.MapFile{Data: f.Data}
				}
			}
			got := faults(files)
			for _, f := range got {
				seen[f.Code] = true
			}
			if *update {
				a.Files = slices.DeleteFunc(a.Files, func(f txtar.File) bool { return f.Name == "faults" })
				a.Files = append(a.Files, txtar.File{Name: "faults", Data: []byte(render(got))})
				if err := os.WriteFile(name, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, render(got)); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
	return seen
}

func unescape(t *testing.T, text []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	for line := range strings.Lines(string(text)) {
		s := strings.NewReplacer(`\t`, "\t", `\r`, "\r", `\0`, "\x00", `\xff`, "\xff", `\xfe`, "\xfe", `\ufeff`, "\ufeff", `\u202e`, "\u202e").Replace(line)
		out.WriteString(s)
	}
	return out.Bytes()
}

func TestFaults(t *testing.T) {
	seen := golden(t, "testdata/faults", func(files fstest.MapFS) manifest.Faults {
		set, faults := manifest.Load(files)
		if faults.HasErrors() != (set == nil) {
			t.Errorf("set is %v beside %d faults", set, len(faults))
		}
		return faults
	})
	for code := range golden(t, "testdata/about-faults", func(files fstest.MapFS) manifest.Faults {
		about, faults := manifest.ParseAbout("plugin.yaml", files["plugin.yaml"].Data)
		if faults.HasErrors() != (about == nil) {
			t.Errorf("about is %v beside %d faults", about, len(faults))
		}
		return faults
	}) {
		seen[code] = true
	}
	// These need more than files of a few lines; tests of their own bring them about.
	for _, code := range []string{"PM1001", "PM1002", "PM1003", "PM1017"} {
		seen[code] = true
	}
	for _, c := range manifest.Codes() {
		if !seen[c.ID] {
			t.Errorf("no golden file has a fault with code %s (%s)", c.ID, c.Title)
		}
	}
}

func TestCodes(t *testing.T) {
	last := ""
	for _, c := range manifest.Codes() {
		if c.ID <= last || len(c.Title) == 0 || len(c.Explanation) < 20 {
			t.Errorf("code %+v after %s", c, last)
		}
		last = c.ID
		if got, ok := manifest.Explain(c.ID); !ok || got != c {
			t.Errorf("Explain(%q) = %v, %v", c.ID, got, ok)
		}
	}
	if _, ok := manifest.Explain("PM9999"); ok {
		t.Error("PM9999 is explained")
	}
}

func loadValid(t *testing.T) *manifest.Set {
	t.Helper()
	set, faults := manifest.Load(os.DirFS("testdata/valid"))
	if len(faults) > 0 {
		t.Fatalf("valid set has faults:\n%s", render(faults))
	}
	return set
}

func TestLoadValid(t *testing.T) {
	set := loadValid(t)
	var names []string
	for _, d := range set.Documents() {
		names = append(names, d.Kind+" "+d.Name)
	}
	want := []string{"Backend acme-crm", "Backend customer-store", "Backend loyalty", "Backend notes", "Backend shop", "Domain basket", "Domain customer",
		"Plugin crm-contact", "Plugin loyalty-balance", "Plugin merge", "Plugin shop-orders",
		"Route customer-profile", "Route customer-search", "Issuer acme-login", "Issuer partners",
		"Consumer call-centre", "Consumer web-partner", "Consumer web-shop", "Consumer web-till", "Gateway edge"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("documents (-want +got):\n%s", diff)
	}

	crm := set.Backends[0]
	if got, want := crm.Pos.String(), "backends.yaml:4:18"; got != want {
		t.Errorf("position %s, want %s", got, want)
	}
	if got, want := crm.HTTP.Limits, (manifest.HTTPLimits{Time: 2 * time.Second, Bytes: 1 << 20, Concurrent: 64}); got != want {
		t.Errorf("limits %+v, want %+v", got, want)
	}
	plugin := set.Plugins[0]
	if got, want := string(plugin.Grants["http"]), `[{"allow":["GET /v2/contacts","GET /v2/contacts/{id}"],"as":"crm","backend":"acme-crm","clear":["pii.contact"],"headers":["Square-Version"],"query":["email"],"view":["address.city","id","tier"]}]`; got != want {
		t.Errorf("grant of http\n got %s\nwant %s", got, want)
	}
	if got := string(plugin.Grants["log"]); got != "{}" {
		t.Errorf("grant of log %s", got)
	}
	var grants []manifest.HTTPGrant
	if err := json.Unmarshal(plugin.Grants["http"], &grants); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(plugin.HTTPGrants, grants); diff != "" {
		t.Errorf("the two forms of a grant differ:\n%s", diff)
	}
	if got := set.Plugins[1].HTTPGrants[0].As; got != "loyalty" {
		t.Errorf("as defaults to %q", got)
	}

	route := set.Routes[0]
	if route.Method != "GET" || route.Path != "/v1/customers/{customer}" || route.Deadline != 800*time.Millisecond {
		t.Errorf("route %s %s %s", route.Method, route.Path, route.Deadline)
	}
	if p := route.Params["customer"]; !p.Required || p.In != manifest.InPath || p.MaxLength != 300 {
		t.Errorf("param %+v", p)
	}
	if p := set.Routes[1].Params["email"]; p.MaxLength != manifest.DefaultMaxLength {
		t.Errorf("maxLength defaults to %d", p.MaxLength)
	}
	if got := set.Routes[1].Deadline; got != manifest.DefaultDeadline {
		t.Errorf("deadline defaults to %s", got)
	}
	var steps []string
	for _, s := range route.Steps {
		steps = append(steps, s.Name+":"+s.OnError)
	}
	if diff := cmp.Diff([]string{"crm:fail", "loyalty:omit", "orders:omit", "profile:omit"}, steps); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	if got, want := flat(route.Steps[2].With), `{customer:${params.customer},limit:${params.limit},ratio:1.10,big:12345678901234567890,note:"costs ${5}",flags:[true,null,"no"]}`; got != want {
		t.Errorf("with\n got %s\nwant %s", got, want)
	}
	if c := set.Consumers[0]; c.Sector != "call-centre" || !c.APIKey || c.Rate != nil {
		t.Errorf("consumer %+v", c)
	}
	if c := set.Consumers[2]; c.Sector != "shop" || c.Rate == nil || c.Rate.PerSecond() != 200 {
		t.Errorf("consumer %+v", c)
	}
}

// flat writes a value through its exported parts only.
func flat(v manifest.Value) string {
	var parts []string
	switch v.Kind {
	case manifest.ValueLiteral:
		return string(v.Literal)
	case manifest.ValueRef:
		return v.Ref.String()
	case manifest.ValueArray:
		for _, i := range v.Items {
			parts = append(parts, flat(i))
		}
		return "[" + strings.Join(parts, ",") + "]"
	case manifest.ValueObject:
		for _, f := range v.Fields {
			parts = append(parts, f.Name+":"+flat(f.Value))
		}
		return "{" + strings.Join(parts, ",") + "}"
	}
	return "nothing"
}

// canonicalFiles is a set as files, one for each document.
func canonicalFiles(set *manifest.Set) fstest.MapFS {
	files := fstest.MapFS{}
	for i, d := range set.Documents() {
		files[fmt.Sprintf("%05d.yaml", i)] = &fstest.MapFile{Data: d.JSON}
	}
	return files
}

func TestDigest(t *testing.T) {
	set := loadValid(t)
	again, faults := manifest.Load(canonicalFiles(set))
	if len(faults) > 0 {
		t.Fatalf("canonical form has faults:\n%s", render(faults))
	}
	if set.Digest() != again.Digest() {
		t.Error("canonical form has another digest")
	}

	read := func(name string) string {
		b, err := fs.ReadFile(os.DirFS("testdata/valid"), name)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	all := []string{read("backends.yaml"), read("plugins/plugins.yml"), read("routes.yaml"), read("consumers.yaml"), read("door.yaml")}
	load := func(texts []string, change ...string) string {
		t.Helper()
		whole := strings.NewReplacer(change...).Replace(strings.Join(texts, "\n---\n"))
		set, faults := manifest.Load(fstest.MapFS{"all.yml": &fstest.MapFile{Data: []byte(whole)}})
		if faults.HasErrors() {
			t.Fatal(render(faults))
		}
		return set.Digest()
	}
	same := []struct {
		name   string
		change []string
	}{
		{"layout", nil},
		{"comment", []string{"# Systems behind us.", "# Three."}},
		{"key order", []string{"{secret: shop-key, as: query, name: key}", "{name: key, as: query, secret: shop-key}"}},
		{"list order", []string{"scopes: [profile.search, profile.read]", "scopes: [profile.read, profile.search]"}},
		{"quotes", []string{"region: eu", `"region": 'eu'`}},
		{"unit", []string{"deadline: 300ms", "deadline: 300ms", "bytes: 65536", "bytes: 64KiB", "time: 2s", "time: 2000ms"}},
		{"written default", []string{"required: true}\n    loyalty", "required: true, onError: fail}\n    loyalty"}},
	}
	slices.Reverse(all)
	for _, tt := range same {
		t.Run("same after change of "+tt.name, func(t *testing.T) {
			if got, want := load(all, tt.change...), set.Digest(); got != want {
				t.Errorf("digest %s, want %s", got, want)
			}
		})
	}
	different := []struct {
		name   string
		change []string
	}{
		{"digits of a number", []string{"ratio: 1.10", "ratio: 1.1"}},
		{"type of a literal", []string{"ratio: 1.10", `ratio: "1.10"`}},
		{"escape", []string{"costs $${5}", "costs $${6}"}},
		{"entry", []string{"query: [customer, limit]", "query: [customer]"}},
		{"item order", []string{`["${crm}", "${loyalty}"`, `["${loyalty}", "${crm}"`}},
		{"deadline", []string{"deadline: 300ms", "deadline: 301ms"}},
	}
	for _, tt := range different {
		t.Run("other after change of "+tt.name, func(t *testing.T) {
			if load(all, tt.change...) == set.Digest() {
				t.Error("digest is the same")
			}
		})
	}
}
