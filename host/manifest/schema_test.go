package manifest_test

import (
	"bytes"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"

	"pointsman/host/manifest"
)

func TestSchemasGolden(t *testing.T) {
	var names []string
	for name, text := range manifest.Schemas() {
		file := filepath.Join("schema", name+".json")
		names = append(names, file)
		if *update {
			if err := os.WriteFile(file, text, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(text)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
	slices.Sort(names)
	onDisk, err := filepath.Glob("schema/*.json")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(onDisk, names); diff != "" {
		t.Errorf("files in schema (-on disk +published):\n%s", diff)
	}
}

func compile(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(manifest.Schemas()[name]))
	if err != nil {
		t.Fatal(err)
	}
	if got := doc.(map[string]any)["$schema"]; got != "http://json-schema.org/draft-07/schema#" {
		t.Fatalf("$schema is %v", got)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("urn:"+name, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("urn:" + name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// asJSON decodes every document of a YAML text as an editor would, into what
// jsonschema validates.
func asJSON(t *testing.T, text []byte) []any {
	t.Helper()
	var out []any
	d := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var v any
		err := d.Decode(&v)
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, doc)
	}
}

func TestSamplesMatchSchema(t *testing.T) {
	all := compile(t, "pointsman")
	root := os.DirFS("testdata/valid")
	n := 0
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		for _, doc := range asJSON(t, text) {
			n++
			kind := strings.ToLower(doc.(map[string]any)["kind"].(string))
			for _, s := range []*jsonschema.Schema{all, compile(t, kind)} {
				if err := s.Validate(doc); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
		return nil
	})
	if err != nil || n != 20 {
		t.Errorf("validated %d documents, error %v", n, err)
	}
	for _, d := range loadValid(t).Documents() {
		if err := all.Validate(asJSON(t, d.JSON)[0]); err != nil {
			t.Errorf("canonical %s %s: %v", d.Kind, d.Name, err)
		}
	}
	about, err := os.ReadFile("testdata/about/salesforce.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := compile(t, "pluginabout").Validate(asJSON(t, about)[0]); err != nil {
		t.Error(err)
	}
}

// closed calls f with a copy of doc for every mapping in it, with one key more there. Maps
// whose keys are the document's own choice are left out.
func closed(doc any, path string, f func(at string, add func())) {
	switch v := doc.(type) {
	case map[string]any:
		base := path[strings.LastIndex(path, ".")+1:]
		free := slices.Contains([]string{"params", "steps", "config", "functions", "views", "pointers", "labels", "statements", "choices", "order", "map", "claims"}, base) || strings.Contains(path, ".with") || strings.Contains(path, ".answer") || strings.HasSuffix(path, ".input") || strings.HasSuffix(path, ".output")
		if strings.Contains(path, ".input.") || strings.Contains(path, ".output.") {
			return
		}
		if !free {
			f(path, func() { v["zzz"] = "x" })
			delete(v, "zzz")
		}
		for k, c := range v {
			closed(c, path+"."+k, f)
		}
	case []any:
		for _, c := range v {
			closed(c, path, f)
		}
	}
}

func TestSchemaAndDecoderRefuseUnknownKeys(t *testing.T) {
	all, about := compile(t, "pointsman"), compile(t, "pluginabout")
	tried := 0
	for _, d := range loadValid(t).Documents() {
		doc := asJSON(t, d.JSON)[0]
		closed(doc, d.Kind, func(at string, add func()) {
			tried++
			add()
			text, err := json.Marshal(doc)
			if err != nil {
				t.Fatal(err)
			}
			if all.Validate(doc) == nil {
				t.Errorf("schema takes an unknown key in %s", at)
			}
			_, faults := manifest.Load(fstest.MapFS{"a.yaml": &fstest.MapFile{Data: text}})
			if !slices.ContainsFunc(faults, func(f manifest.Fault) bool { return f.Code == "PM2001" }) {
				t.Errorf("decoder takes an unknown key in %s", at)
			}
		})
	}
	text, err := os.ReadFile("testdata/about/salesforce.yaml")
	if err != nil {
		t.Fatal(err)
	}
	doc := asJSON(t, text)[0]
	closed(doc, "about", func(at string, add func()) {
		tried++
		add()
		text, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		if about.Validate(doc) == nil {
			t.Errorf("schema takes an unknown key in %s", at)
		}
		_, faults := manifest.ParseAbout("plugin.yaml", text)
		if !slices.ContainsFunc(faults, func(f manifest.Fault) bool { return f.Code == "PM2001" }) {
			t.Errorf("decoder takes an unknown key in %s", at)
		}
	})
	if tried < 70 {
		t.Errorf("only %d mappings were tried", tried)
	}
}

func TestParseAbout(t *testing.T) {
	text, err := os.ReadFile("testdata/about/salesforce.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got, faults := manifest.ParseAbout("plugin.yaml", text)
	if len(faults) > 0 {
		t.Fatal(render(faults))
	}
	want := &manifest.About{
		Name: "salesforce", Version: "0.1.0", Description: "Reads accounts and contacts.",
		Functions: map[string]manifest.Function{
			"get": {
				Summary: "One contact",
				Input:   json.RawMessage(`{"$schema":"http://json-schema.org/draft-07/schema#","additionalProperties":false,"properties":{"id":{"pattern":"^[0-9A-Za-z]{15,18}$","type":"string"}},"required":["id"],"type":"object"}`),
				Output:  json.RawMessage(`{"$defs":{"id":{"type":"string"}},"properties":{"balance":{"multipleOf":0.010,"type":"number"},"id":{"$ref":"#/$defs/id"}},"type":"object"}`),
			},
			"find_all": {Input: json.RawMessage(`{}`), Output: json.RawMessage(`{"type":"array"}`)},
		},
		Wants: manifest.Wants{
			HTTP: []manifest.HTTPWant{{Backend: "salesforce", Allow: []string{"GET /x/{id}"}, Query: []string{"q"}, Headers: []string{"Sforce-Call-Options"}, Reason: "reads contacts"}},
			Log:  &manifest.LogWant{Reason: "says what it skipped"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("about (-want +got):\n%s", diff)
	}
}
