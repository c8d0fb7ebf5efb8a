// Package plugins_test checks what all plugins of this folder promise in their plugin.yaml.
package plugins_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pointsman/host/manifest"
	"pointsman/host/wasm"
	"pointsman/pdk"
	"pointsman/pdk/pdktest"
)

var wasmexport = regexp.MustCompile(`(?m)^//go:wasmexport (\w+)$`)

func TestAboutMatchesExports(t *testing.T) {
	forEach(t, func(t *testing.T, dir string, about *manifest.About) {
		if about.Name != dir {
			t.Errorf("name is %q, the folder %q", about.Name, dir)
		}
		source, err := os.ReadFile(filepath.Join(dir, "main.go"))
		if err != nil {
			t.Fatal(err)
		}
		var exports []string
		for _, m := range wasmexport.FindAllSubmatch(source, -1) {
			if name := string(m[1]); name != "pointsman_warm" { // for the host, not for routes
				exports = append(exports, name)
			}
		}
		slices.Sort(exports)
		if functions := slices.Sorted(maps.Keys(about.Functions)); !slices.Equal(exports, functions) {
			t.Errorf("main.go exports %v, plugin.yaml has %v", exports, functions)
		}
	})
}

// Every exchange in testdata stays within wants and the schemas.
func TestExchangesKeepToAbout(t *testing.T) {
	forEach(t, func(t *testing.T, dir string, about *manifest.About) {
		files, err := pdktest.ReadFiles(filepath.Join(dir, "testdata"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			for _, ex := range f.Script {
				if !wanted(about.Wants, *ex.Want) {
					t.Errorf("%s: %s %s %s is not within wants", f.Path, ex.Want.Method, ex.Want.Backend, ex.Want.Path)
				}
			}
			if f.Response == nil {
				continue
			}
			function := about.Functions[f.Function]
			if why := fits(t, function.Input, f.Input); why != "" {
				t.Errorf("%s: input%s", f.Path, why)
			}
			if why := fits(t, function.Output, f.Response); why != "" {
				t.Errorf("%s: response%s", f.Path, why)
			}
		}
	})
}

// abi is what every module built with the PDK may import, powers apart: whole modules, and
// functions.
var abi = []string{
	"wasi_snapshot_preview1",
	"pointsman:rt.input_length", "pointsman:rt.input_read", "pointsman:rt.output_write", "pointsman:rt.error_write",
}

func TestModulesImportNoMoreThanTheyWant(t *testing.T) {
	if testing.Short() {
		t.Skip("builds every plugin")
	}
	forEach(t, func(t *testing.T, dir string, about *manifest.About) {
		out := filepath.Join(t.TempDir(), "plugin.wasm")
		build := exec.Command("go", "build", "-trimpath", "-buildmode=c-shared", "-o", out, "./"+dir)
		build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=wasip1", "GOARCH=wasm")
		if text, err := build.CombinedOutput(); err != nil {
			t.Fatalf("go build: %v\n%s", err, text)
		}
		module, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		info, err := wasm.Inspect(module)
		if err != nil {
			t.Fatal(err)
		}
		if !info.HasNames {
			t.Error("it has no name section: a trap could not name functions")
		}
		got, want := map[string]bool{}, map[string]bool{}
		for _, i := range info.Imports {
			if name := i.Module + "." + i.Name; !slices.Contains(abi, i.Module) && !slices.Contains(abi, name) {
				got[name] = true
			}
		}
		request := "pointsman:http.request"
		if about.Wants.Parcel != nil {
			request = "pointsman:http.fetch"
			want["pointsman:rt.reply_read"] = true
			maps.DeleteFunc(got, func(name string, _ bool) bool { return strings.HasPrefix(name, "pointsman:parcel.") })
		}
		if len(about.Wants.HTTP) > 0 {
			want[request], want["pointsman:rt.reply_read"] = true, true
		}
		if len(about.Wants.SQL) > 0 {
			want["pointsman:sql.query"], want["pointsman:rt.reply_read"] = true, true
		}
		if about.Wants.Log != nil {
			want["pointsman:log.write"] = true
		}
		if slices.ContainsFunc(info.Exports, func(e wasm.Export) bool { return e.Name == "pointsman_warm" }) {
			want["pointsman:rt.kept"] = true // a word of the host's, not a power
		}
		if !maps.Equal(got, want) {
			t.Errorf("it imports %v, its wants need %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
		}
		for name := range about.Functions {
			if !slices.ContainsFunc(info.Exports, func(e wasm.Export) bool { return e.Name == name }) {
				t.Errorf("it does not export %s", name)
			}
		}
	})
}

func forEach(t *testing.T, check func(t *testing.T, dir string, about *manifest.About)) {
	t.Helper()
	paths, err := filepath.Glob("*/plugin.yaml")
	if err != nil || len(paths) < 4 {
		t.Fatalf("found %d plugins, %v", len(paths), err)
	}
	for _, p := range paths {
		t.Run(filepath.Dir(p), func(t *testing.T) {
			text, err := os.ReadFile(p)
			if err != nil {
				t.Fatal(err)
			}
			about, faults := manifest.ParseAbout(p, text)
			if len(faults) > 0 {
				t.Fatal(faults)
			}
			check(t, filepath.Dir(p), about)
		})
	}
}

func wanted(wants manifest.Wants, r pdk.Request) bool {
	if r.Method == "QUERY" {
		return slices.ContainsFunc(wants.SQL, func(w manifest.SQLWant) bool {
			return w.Backend == r.Backend && slices.Contains(w.Statements, r.Path)
		})
	}
	i := slices.IndexFunc(wants.HTTP, func(w manifest.HTTPWant) bool { return w.Backend == r.Backend })
	if i < 0 {
		return false
	}
	w := wants.HTTP[i]
	listed := func(names []string, fields []pdk.Field) bool {
		return !slices.ContainsFunc(fields, func(f pdk.Field) bool {
			return !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, f.Name) })
		})
	}
	allowed := slices.ContainsFunc(w.Allow, func(rule string) bool {
		want, got := strings.Split(rule, "/"), strings.Split(r.Method+" "+r.Path, "/")
		return slices.EqualFunc(want, got, func(w, g string) bool { return w == g || strings.HasPrefix(w, "{") && g != "" })
	})
	return allowed && listed(w.Query, r.Query) && listed(w.Headers, r.Header)
}

// schema is the part of JSON Schema that plugin.yaml files here use.
type schema struct {
	Type       any               `json:"type"`
	Const      any               `json:"const"`
	Pattern    string            `json:"pattern"`
	Required   []string          `json:"required"`
	Properties map[string]schema `json:"properties"`
	Closed     *bool             `json:"additionalProperties"`
	Items      *schema           `json:"items"`
	MaxItems   int               `json:"maxItems"`
	// Annotations.
	Format      string `json:"format"`
	Description string `json:"description"`
}

// fits says where text does not fit the schema, or "".
func fits(t *testing.T, definition, text []byte) string {
	t.Helper()
	var s schema
	d := json.NewDecoder(bytes.NewReader(definition))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		t.Fatalf("schema: %v", err)
	}
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return s.misfit(v)
}

func (s schema) misfit(v any) string {
	if s.Const != nil && s.Const != v {
		return " has another value than the schema's const"
	}
	if s.Type != nil && !slices.Contains(types(s.Type), typeOf(v)) {
		return " is of type " + typeOf(v)
	}
	switch v := v.(type) {
	case string:
		if s.Pattern != "" && !regexp.MustCompile(s.Pattern).MatchString(v) {
			return " does not match " + s.Pattern
		}
	case []any:
		if s.MaxItems > 0 && len(v) > s.MaxItems {
			return " is too long"
		}
		for _, item := range v {
			if s.Items == nil {
				break
			}
			if why := s.Items.misfit(item); why != "" {
				return "[]" + why
			}
		}
	case map[string]any:
		for _, name := range s.Required {
			if _, ok := v[name]; !ok {
				return " lacks " + name
			}
		}
		for name, value := range v {
			property, ok := s.Properties[name]
			if !ok && s.Closed != nil && !*s.Closed {
				return " has " + name + ", which the schema does not"
			}
			if why := property.misfit(value); why != "" {
				return "." + name + why
			}
		}
	}
	return ""
}

func types(t any) []string {
	if list, ok := t.([]any); ok {
		var names []string
		for _, n := range list {
			names = append(names, n.(string))
		}
		return names
	}
	return []string{t.(string)}
}

func typeOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case float64:
		return "number"
	case string:
		return "string"
	case []any:
		return "array"
	}
	return "object"
}
