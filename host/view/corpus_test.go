package view_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"pointsman/host/view"
)

const shared = "../../../shared/" // beside the project's root

// stricter are the texts of the suite that are JSON and that we refuse, and why.
var stricter = map[string]string{
	"y_object_duplicated_key.json":           "twice",
	"y_object_duplicated_key_and_value.json": "twice",
}

func TestJSONTestSuite(t *testing.T) {
	files, _ := filepath.Glob(shared + "corpus/JSONTestSuite/test_*/*.json")
	if len(files) == 0 {
		t.Skip("JSONTestSuite is not beside the project")
	}
	accepted := 0
	for _, file := range files {
		name := filepath.Base(file)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		out, _, err := view.All().Append(nil, text)
		if err == nil {
			accepted++
			if !json.Valid(text) || !jsontext.Value(text).IsValid() || !jsontext.Value(out).IsValid() {
				t.Errorf("%s is accepted, and not by others", name)
			}
		}
		switch why, ours := stricter[name]; {
		case ours && (err == nil || !strings.Contains(err.Error(), why)):
			t.Errorf("%s: got %v, want an error with %q", name, err, why)
		case !ours && strings.HasPrefix(name, "y_") && err != nil:
			t.Errorf("%s is refused: %v", name, err)
		case strings.HasPrefix(name, "n_") && err == nil:
			t.Errorf("%s is accepted", name)
		}
	}
	if len(files) < 300 || accepted < 90 {
		t.Errorf("%d of %d files were accepted, which cannot be all of them", accepted, len(files))
	}
}

// What the vectors want refused for its form is refused; what they want refused for its
// meaning is for whoever knows the fields.
func TestHostileVectors(t *testing.T) {
	file, err := os.Open(shared + "vectors/json-hostile.jsonl")
	if err != nil {
		t.Skip("the vectors are not beside the project")
	}
	defer file.Close()
	var wide strings.Builder
	for i := range 1_000_000 {
		fmt.Fprintf(&wide, `,"k%d":0`, i)
	}
	generated := map[string]string{
		"deep-10k":     strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001),
		"wide-1M-keys": "{" + wide.String()[1:] + "}",
		"big-string":   `{"a":"` + strings.Repeat("a", 32<<20) + `"}`,
	}
	form := map[string]bool{"trailing": true, "lone-surrogate": true, "bom": true, "deep-10k": true, "wide-1M-keys": true}
	seen := 0
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var vector struct{ ID, Doc, Gen string }
		if err := json.Unmarshal(lines.Bytes(), &vector); err != nil {
			t.Fatal(err)
		}
		text := vector.Doc
		if vector.Gen != "" {
			text = generated[vector.ID]
		}
		if text == "" {
			t.Errorf("%s: no document", vector.ID)
		}
		out, _, err := view.All().Append(nil, []byte(text))
		if refused := err != nil; refused != form[vector.ID] {
			t.Errorf("%s: got %v, want it refused: %v", vector.ID, err, form[vector.ID])
		}
		if err == nil && string(out) != text {
			t.Errorf("%s: %.100q became %.100q", vector.ID, text, out)
		}
		if form[vector.ID] {
			seen++
		}
	}
	if seen != len(form) {
		t.Errorf("%d vectors were read, want %d", seen, len(form))
	}
}
