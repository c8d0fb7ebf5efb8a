package rehearse_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"pointsman/host/manifest"
	"pointsman/host/rehearse"
)

// TestCompareViews: fields that are granted and not needed, and needed and not granted.
func TestCompareViews(t *testing.T) {
	all, none := manifest.Paths{All: true}, manifest.Paths{}
	list := func(paths ...string) manifest.Paths { return manifest.Paths{List: paths} }
	tests := []struct {
		name            string
		granted, needed manifest.Paths
		wide, narrow    []string
	}{
		{"the same", list("a", "b[].c"), list("a", "b[].c"), nil, nil},
		{"all of which all is needed", all, all, nil, nil},
		{"all of which little is needed", all, list("a"), []string{"w view all (needed: 1 of its fields)"}, nil},
		{"nothing of which nothing is needed", none, none, nil, nil},
		{"nothing of which something is needed", none, list("a", "b"), nil, []string{"w view a", "w view b"}},
		{"a list of which all is needed", list("a"), all, nil, []string{"w view all"}},
		{"a field too much", list("a", "b"), list("a"), []string{"w view b"}, nil},
		{"a field too little", list("a"), list("a", "b"), nil, []string{"w view b"}},
		{"what is above a field", list("a"), list("a.b"), nil, nil},
		{"what is below a field", list("a.b"), list("a"), nil, []string{"w view a"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wide, narrow := rehearse.CompareViews("w", tt.granted, tt.needed)
			if diff := cmp.Diff(tt.wide, wide) + cmp.Diff(tt.narrow, narrow); diff != "" {
				t.Error(diff)
			}
		})
	}
}
