package view_test

import (
	"slices"
	"strings"
	"testing"

	"pointsman/host/view"
)

func TestZeroViewShowsNothing(t *testing.T) {
	var v view.View
	if !v.None() || v.All() || v.Paths() != nil || v.Overlaps(view.All()) || v.Covers(parse(t, "id")) || v.String() != "" {
		t.Errorf("the zero view shows something: %v", v)
	}
	if w := view.All().Intersect(v); !w.None() {
		t.Errorf("all and nothing show %v", w)
	}
}

func TestPaths(t *testing.T) {
	tests := []struct{ name, paths, want string }{
		{"sorted", "b a[] a.c", "a.c a[] b"},
		{"twice", "a a", "a"},
		{"one below another", "a.b a[].c a", "a"},
		{"one above another", "a a.b a[].c", "a"},
		{"quotes that need not be", `"a"."b-c"`, "a.b-c"},
		{"quotes that must be", `"a.b"."2"[]."\u00e9"."\u202e"`, `"a.b"."2"[]."é"."\u202e"`},
		{"array first", "[][].a [].b", "[].b [][].a"},
		{"none", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := parse(t, strings.Fields(tt.paths)...)
			if got := strings.Join(v.Paths(), " "); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if again := parse(t, v.Paths()...); !slices.Equal(again.Paths(), v.Paths()) {
				t.Errorf("parsed again they are %s", again)
			}
		})
	}
}

func TestSets(t *testing.T) {
	tests := []struct {
		name, v, w       string
		union, intersect string
		covers, overlaps bool
	}{
		{"the same", "a b", "a b", "a b", "a b", true, true},
		{"apart", "a", "b", "a b", "", false, false},
		{"above", "a", "a.b", "a", "a.b", true, true},
		{"below", "a.b", "a", "a", "a.b", false, true},
		{"siblings", "a.b", "a.c", "a.b a.c", "", false, false},
		{"array and its elements", "a", "a[]", "a", "a[]", true, true},
		{"elements and a member of them", "a[]", "a[].b", "a[]", "a[].b", true, true},
		{"array and object", "a[].b", "a.b", "a.b a[].b", "", false, false},
		{"partly", "a b.c", "b d", "a b d", "b.c", false, true},
		{"all", "all", "a", "all", "a", true, true},
		{"not all", "a", "all", "all", "a", false, true},
		{"all of all", "all", "all", "all", "all", true, true},
		{"nothing", "a", "", "a", "", true, false},
		{"of nothing", "", "a", "a", "", false, false},
		{"nothing of nothing", "", "", "", "", true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v, w := parseAll(t, tt.v), parseAll(t, tt.w)
			if got := v.Union(w); words(got) != tt.union {
				t.Errorf("union %s, want %s", got, tt.union)
			}
			if got := v.Intersect(w); words(got) != tt.intersect {
				t.Errorf("intersection %s, want %s", got, tt.intersect)
			}
			if got := v.Covers(w); got != tt.covers {
				t.Errorf("covers: %v, want %v", got, tt.covers)
			}
			if v.Overlaps(w) != tt.overlaps || w.Overlaps(v) != tt.overlaps {
				t.Errorf("overlaps: %v and %v, want %v", v.Overlaps(w), w.Overlaps(v), tt.overlaps)
			}
			if words(v) != tt.v || words(w) != tt.w {
				t.Errorf("they became %s and %s", v, w)
			}
		})
	}
}

func parseAll(t *testing.T, words string) view.View {
	t.Helper()
	if words == "all" {
		return view.All()
	}
	return parse(t, strings.Fields(words)...)
}

func words(v view.View) string { return strings.ReplaceAll(v.String(), ", ", " ") }

func TestLabels(t *testing.T) {
	labels, err := view.ParseLabels(map[string][]string{
		"pii.contact":  {"email", "phones[]", "address"},
		"pii.identity": {"name", "owner.name"},
		"loyalty":      {"cards[].balance"},
		"unused":       {},
	})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, view, want string }{
		{"nothing", "", ""},
		{"nothing labelled", "id tier owner.id cards[].number", ""},
		{"the field", "id email", "pii.contact"},
		{"above it", "owner", "pii.identity"},
		{"below it", "address.geo.lat", "pii.contact"},
		{"in its elements", "phones[].number", "pii.contact"},
		{"the array", "cards", "loyalty"},
		{"its elements", "cards[]", "loyalty"},
		{"several", "email owner.name cards[].balance", "loyalty, pii.contact, pii.identity"},
		{"all", "all", "loyalty, pii.contact, pii.identity"},
		{"an array where none was expected", "[].email", "pii.contact"},
		{"an array on the way", "owner[].name", "pii.identity"},
		{"none where one was expected", "cards.balance", "loyalty"},
		{"every element of the document", "[]", "loyalty, pii.contact, pii.identity"},
		{"the name elsewhere", "owner.email", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := labels.Of(parseAll(t, tt.view)).String(); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
	if _, err := view.ParseLabels(map[string][]string{"pii": {"a", "b["}}); err == nil || !strings.Contains(err.Error(), `label pii: path "b[": byte 1`) {
		t.Errorf("got %v", err)
	}
	var none view.Labels
	if !none.Of(view.All()).Empty() {
		t.Error("the zero labels label something")
	}
}
