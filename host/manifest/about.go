package manifest

import (
	"encoding/json"
	"fmt"
	"regexp"

	"go.yaml.in/yaml/v4"
)

// About is what a plugin's author says of it: the plugin.yaml that is embedded in the module.
type About struct {
	Name        string
	Version     string // MAJOR.MINOR.PATCH with an optional suffix
	Description string
	Functions   map[string]Function // by export name; at least one
	Wants       Wants
}

// Function is one function that routes can call.
type Function struct {
	Summary string
	Input   json.RawMessage // JSON Schema, compact; nil: anything
	Output  json.RawMessage // likewise
}

// ParseAbout reads the text of a plugin.yaml; name stands for the file in faults. It is as
// strict as Load and safe for text of strangers. The result is nil if the faults have errors.
func ParseAbout(name string, text []byte) (*About, Faults) {
	if len(text) > MaxFileBytes {
		return nil, Faults{fileFault(name, codeTooLarge, fmt.Sprintf("more than %d KiB", MaxFileBytes>>10))}
	}
	r := &reader{file: name}
	var about About
	docs := r.documents(text)
	switch {
	case len(docs) > 1:
		r.add(docs[1], "", codeLength, "", "a plugin.yaml has one document")
	case len(docs) == 0 && len(r.faults) == 0:
		r.addAt(0, 0, "", codeNone, "", "there is no document")
	}
	if len(docs) > 0 {
		r.inspect(docs[0], "", 1)
		about = aboutForm().read(r, docs[0], "")
	}
	r.faults.sort()
	if r.faults.HasErrors() {
		return nil, r.faults
	}
	return &about, r.faults
}

var releaseText = regexp.MustCompile(`^(?:0|[1-9][0-9]{0,8})\.(?:0|[1-9][0-9]{0,8})\.(?:0|[1-9][0-9]{0,8})(?:-[0-9A-Za-z][0-9A-Za-z.-]{0,40})?$`)

func aboutForm() form[About] {
	release := word("a version such as 1.4.0", schema{"pattern": releaseText.String()}, func(s string) (string, *problem) {
		if !releaseText.MatchString(s) {
			near := ""
			if len(s) > 1 && s[0] == 'v' && releaseText.MatchString(s[1:]) {
				near = s[1:]
			}
			return "", problemf(codeRelease, near, "expected a version such as 1.4.0, found %s", quote(s))
		}
		return s, nil
	}, itself)
	function := object(Function{}, nil,
		key("summary", free(200), "what it does, in one line", func(f *Function) *string { return &f.Summary }),
		key("input", jsonSchema(), "JSON Schema of what it takes", func(f *Function) *json.RawMessage { return &f.Input }),
		key("output", jsonSchema(), "JSON Schema of what it answers", func(f *Function) *json.RawMessage { return &f.Output }))
	return object(About{}, checkAbout,
		fixed[About]("apiVersion", codeVersion, APIVersion),
		fixed[About]("kind", codeKind, KindPluginAbout),
		required(key("name", name(plainName), "the plugin's name", func(a *About) *string { return &a.Name })),
		required(key("version", release, "MAJOR.MINOR.PATCH", func(a *About) *string { return &a.Version })),
		key("description", free(2000), "what the plugin is for", func(a *About) *string { return &a.Description }),
		required(key("functions", named(functionName, 100, function), "functions that routes can call", func(a *About) *map[string]Function { return &a.Functions })),
		key("wants", wantsForm(), "what the plugin needs to be granted", func(a *About) *Wants { return &a.Wants }))
}

func checkAbout(r *reader, n *yaml.Node, at string, a *About) {
	if functions := child(n, "functions"); functions.Kind == yaml.MappingNode && functions != n && len(a.Functions) == 0 {
		r.add(functions, join(at, "functions"), codeLength, "", "a plugin needs a function")
	}
}
