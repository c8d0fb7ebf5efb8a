package deploy_test

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"pointsman/host/deploy"
	"pointsman/host/manifest"
)

const surveyed = `apiVersion: pointsman/v1
kind: Plugin
metadata: {name: p}
spec: {module: {path: p.wasm}}
`

// TestSurvey: a module that is missing is a warning, and its plugin one of which nothing is
// known; one that is there and is not what was meant is an error.
func TestSurvey(t *testing.T) {
	empty := "\x00asm\x01\x00\x00\x00"
	tests := []struct {
		name, manifests string
		module          *fstest.MapFile
		wantErr, warns  string
		known           bool
	}{
		{"missing", surveyed, nil, "", "counts as one that imports everything", false},
		{"no module", surveyed, &fstest.MapFile{Data: []byte("text")}, "p.wasm", "", false},
		{"a folder", surveyed, &fstest.MapFile{Mode: os.ModeDir}, "is not a file", "", false},
		{"not the pinned one", strings.Replace(surveyed, "p.wasm", `p.wasm, sha256: "`+strings.Repeat("0", 64)+`"`, 1), &fstest.MapFile{Data: []byte(empty)}, "not the pinned", "", false},
		{"no manifests", "kind: Nothing", nil, "Nothing", "", false},
		{"a module without imports", surveyed, &fstest.MapFile{Data: []byte(empty)}, "", "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			modules := fstest.MapFS{}
			if tt.module != nil {
				modules["p.wasm"] = tt.module
			}
			s, faults := deploy.NewSurvey(deploy.Source{Manifests: fstest.MapFS{"all.yaml": {Data: []byte(tt.manifests)}}, Modules: modules})
			text := ""
			for _, f := range faults {
				text += f.Error() + "\n"
			}
			if tt.wantErr != "" {
				if s != nil || !faults.HasErrors() || !strings.Contains(text, tt.wantErr) {
					t.Errorf("survey %v, faults %s, want %q", s, text, tt.wantErr)
				}
				return
			}
			if s == nil {
				t.Fatal(text)
			}
			if _, known := s.Modules["p"]; known != tt.known {
				t.Errorf("known: %v, want %v", known, tt.known)
			}
			if tt.warns != "" && !strings.Contains(text, tt.warns) {
				t.Errorf("it does not warn of %q: %s", tt.warns, text)
			}
			if _, err := s.Graph(); err != nil {
				t.Error(err)
			}
			for _, f := range faults {
				if f.Severity == manifest.SeverityError {
					t.Error(f)
				}
			}
		})
	}
}
