package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"go.yaml.in/yaml/v4"
)

const (
	draft7    = "http://json-schema.org/draft-07/schema#"
	draft2020 = "https://json-schema.org/draft/2020-12/schema"
)

// Schemas returns draft-07 JSON Schemas, indented: one for each kind under its name in
// lower case, "pluginabout" for plugin.yaml, and "pointsman" for any document of a Set.
// They come from the same tables as the decoder; what a table cannot say in JSON Schema
// (a route's graph, a host's spelling) only the decoder checks.
func Schemas() map[string][]byte {
	parts := map[string]schema{
		KindBackend: backendForm().schema, KindDomain: domainForm().schema, KindPlugin: pluginForm().schema,
		KindRoute: routeForm().schema, KindIssuer: issuerForm().schema, KindConsumer: consumerForm().schema,
		KindGateway: gatewayForm().schema,
	}
	out := map[string][]byte{"pluginabout": published(KindPluginAbout, aboutForm().schema)}
	var cases []any
	for _, k := range kinds {
		out[strings.ToLower(k)] = published(k, parts[k])
		cases = append(cases, schema{
			"if":   schema{"required": []string{"kind"}, "properties": schema{"kind": schema{"const": k}}},
			"then": parts[k],
		})
	}
	out["pointsman"] = published("manifest", schema{
		"type": "object", "required": []string{"kind"},
		"properties": schema{"kind": schema{"enum": kinds}},
		"allOf":      cases,
	})
	return out
}

func published(title string, s schema) []byte {
	s = maps.Clone(s)
	s["$schema"], s["title"] = draft7, "Pointsman "+title
	var b bytes.Buffer
	if err := json.Indent(&b, marshal(s), "", "  "); err != nil {
		panic("manifest: schema is not JSON: " + err.Error()) // the tables are fixed; a test calls this
	}
	return append(b.Bytes(), '\n')
}

// jsonSchema is a JSON Schema that refers to nothing but itself.
func jsonSchema() form[json.RawMessage] {
	return form[json.RawMessage]{
		schema: schema{"type": "object"},
		read: func(r *reader, n *yaml.Node, at string) json.RawMessage {
			if !r.is(n, yaml.MappingNode, at, "a JSON Schema") {
				return nil
			}
			if mappings(n) > maxSubschemas {
				r.add(n, at, codeLength, "", "the schema has more than %d mappings", maxSubschemas)
				return nil
			}
			before := len(r.faults)
			v := r.value(n, at, false)
			if len(r.faults) > before {
				return nil
			}
			text := marshal(v.raw())
			if err := checkSchema(text); err != nil {
				r.schemaFault(n, at, err)
			}
			return text
		},
		write: func(raw json.RawMessage) any { return raw },
	}
}

// maxSubschemas bounds the mappings of one JSON Schema: the compiler's time grows with
// their square, 0.1 s for 2000.
const maxSubschemas = 2000

func mappings(n *yaml.Node) int {
	count := 0
	if n.Kind == yaml.MappingNode {
		count = 1
	}
	for _, c := range n.Content {
		count += mappings(c)
	}
	return count
}

// nothingElse refuses every document that a schema refers to: neither files nor network.
type nothingElse struct{}

var errElsewhere = errors.New("a schema cannot refer to another document")

func (nothingElse) Load(string) (any, error) { return nil, errElsewhere }

// checkSchema compiles text as a JSON Schema.
func checkSchema(text []byte) (err error) {
	defer func() {
		if p := recover(); p != nil { // text is a stranger's and the compiler is large
			err = fmt.Errorf("the schema cannot be compiled")
		}
	}()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	if o, ok := doc.(map[string]any); ok {
		if v, ok := o["$schema"]; ok && v != draft7 && v != strings.TrimSuffix(draft7, "#") && v != draft2020 {
			return fmt.Errorf("$schema must be %s or %s, or be left out", draft2020, draft7)
		}
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(nothingElse{})
	const self = "pointsman:function"
	if err := c.AddResource(self, doc); err != nil {
		return err
	}
	_, err = c.Compile(self)
	return err
}

// schemaFault reports what the schema compiler found, at the deepest node that it names.
func (r *reader) schemaFault(n *yaml.Node, at string, err error) {
	var invalid *jsonschema.SchemaValidationError
	var found *jsonschema.ValidationError
	if errors.As(err, &invalid) && errors.As(invalid.Err, &found) {
		for len(found.Causes) > 0 {
			found = found.Causes[0]
		}
		for _, step := range found.InstanceLocation {
			if n.Kind == yaml.SequenceNode {
				i, err := strconv.Atoi(step)
				if err != nil || i < 0 || i >= len(n.Content) {
					break
				}
				n, at = n.Content[i], index(at, i)
				continue
			}
			n, at = child(n, step), join(at, step)
		}
		r.add(n, at, codeSchema, "", "not a JSON Schema: %s", schemaReason(found))
		return
	}
	var load *jsonschema.LoadURLError
	if errors.As(err, &load) {
		r.add(n, at, codeSchema, "", "%s: %s", errElsewhere, quote(load.URL))
		return
	}
	r.add(n, at, codeSchema, "", "not a JSON Schema that can be used: %s", strings.ReplaceAll(err.Error(), "pointsman:function", ""))
}

// schemaReason is one failed keyword of the meta-schema as a sentence.
func schemaReason(e *jsonschema.ValidationError) string {
	switch k := e.ErrorKind.(type) {
	case *kind.Enum:
		words := make([]string, len(k.Want))
		for i, w := range k.Want {
			words[i] = fmt.Sprint(w)
		}
		slices.Sort(words)
		return "expected " + oneOf(words)
	case *kind.Type:
		return "expected " + oneOf(k.Want) + ", found " + k.Got
	}
	text := e.Error()
	if _, rest, ok := strings.Cut(text, "': "); ok && strings.HasPrefix(text, "at '") {
		return rest // the place is said already
	}
	return text
}
