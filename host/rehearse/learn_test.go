package rehearse_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pointsman/host/rehearse"
	"pointsman/pdk/pdktest"
)

// TestGeneralise: first what must not become a template, since a grant that is too wide is
// seen by nobody.
func TestGeneralise(t *testing.T) {
	get := func(paths ...string) (all [][2]string) {
		for _, p := range paths {
			all = append(all, [2]string{"GET", p})
		}
		return all
	}
	tests := []struct {
		name, input string
		requests    [][2]string
		want        []string
	}{
		{"one request", `{}`, get("/contacts/501"), []string{"GET /contacts/501"}},
		{"two words", `{}`, get("/contacts/search", "/contacts/recent"), []string{"GET /contacts/recent", "GET /contacts/search"}},
		{"a word and an id", `{}`, get("/contacts/search", "/contacts/501"), []string{"GET /contacts/501", "GET /contacts/search"}},
		{"two versions", `{}`, get("/v1/contacts", "/v2/contacts"), []string{"GET /v1/contacts", "GET /v2/contacts"}},
		{"two versions with dots", `{}`, get("/data/v62.0/query", "/data/v61.0/query"), []string{"GET /data/v61.0/query", "GET /data/v62.0/query"}},
		{"two methods", `{}`, [][2]string{{"GET", "/contacts/501"}, {"DELETE", "/contacts/502"}}, []string{"DELETE /contacts/502", "GET /contacts/501"}},
		{"two lengths", `{}`, get("/contacts/501", "/contacts/502/notes"), []string{"GET /contacts/501", "GET /contacts/502/notes"}},
		{"two that differ twice", `{}`, get("/a1/x/501", "/a2/x/502"), []string{"GET /a1/x/501", "GET /a2/x/502"}},
		{"a name of a member", `{"contacts": 1}`, get("/contacts/x"), []string{"GET /contacts/x"}},

		{"two ids", `{}`, get("/contacts/501", "/contacts/502", "/contacts/503"), []string{"GET /contacts/{id}"}},
		{"a value of the input", `{"customer": {"number": "C-1"}}`, get("/contacts/C-1"), []string{"GET /contacts/{number}"}},
		{"a number of the input", `{"id": 501}`, get("/contacts/501"), []string{"GET /contacts/{id}"}},
		{"a value that was escaped", `{"id": "a b"}`, get("/contacts/a%20b"), []string{"GET /contacts/{id}"}},
		{"an element of the input", `{"ids": ["x", "y"]}`, get("/contacts/x", "/contacts/y"), []string{"GET /contacts/{ids}"}},
		{"a value twice", `{"id": "x"}`, get("/a/x/b/x"), []string{"GET /a/{id}/b/{id2}"}},
		{"a value and an id", `{"id": "x"}`, get("/a/x", "/a/17"), []string{"GET /a/{id}"}},
		{"names that are none of a template", `{"$ id!": "x"}`, get("/a/x"), []string{"GET /a/{id}"}},
		{"the root", `{}`, get("/"), []string{"GET /"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, rehearse.Generalise(tt.input, tt.requests...)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestSmallestView: the view holds what changes something and nothing else.
func TestSmallestView(t *testing.T) {
	const doc = `{"id":"1","name":{"given":"A","family":"H"},"orders":[{"n":1,"at":"x"}],"none":[],"a b":null,"email":"e"}`
	needs := func(words ...string) func(func(string) string) bool {
		return func(show func(string) string) bool {
			shown := show(doc)
			for _, w := range words {
				if !strings.Contains(shown, w) {
					return false
				}
			}
			return true
		}
	}
	tests := []struct {
		name      string
		docs      []string
		test      func(func(string) string) bool
		view, why string
	}{
		{"nothing", []string{doc}, needs(), "", ""},
		{"a member", []string{doc}, needs(`"id"`), "id", ""},
		{"a member of a member", []string{doc}, needs(`"family"`), "name.family", ""},
		{"a member of elements", []string{doc}, needs(`"n":1`), "orders[].n", ""},
		{"several", []string{doc}, needs(`"e"`, `"at"`, `"given"`), "email,name.given,orders[].at", ""},
		{"an array that is empty", []string{doc}, needs(`"none"`), "none[]", ""},
		{"a name that is no word", []string{doc}, needs(`"a b"`), `"a b"`, ""},
		{"one of two", []string{doc}, func(show func(string) string) bool {
			return strings.Contains(show(doc), `"id"`) || strings.Contains(show(doc), `"email"`)
		}, "id", ""},
		{"an array that is empty elsewhere", []string{doc, `{"orders":[]}`}, needs(`"n":1`), "orders[].n", ""},
		{"a document that is empty", []string{doc, `{}`}, needs(`"id"`), "id", ""},
		{"the form", []string{"{ }"}, func(show func(string) string) bool { return show("{ }") == "{ }" }, "", "its form"},
		{"no JSON", []string{"<p>"}, func(show func(string) string) bool { return show("<p>") == "<p>" }, "", "not JSON"},
		{"a number", []string{"1"}, needs(), "", "neither an object nor an array"},
		{"too many", []string{`{"x` + strings.Repeat(`":1,"x`, 3) + `":1}`, many(501)}, needs(), "", "more than 500"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			view, why, err := rehearse.Smallest(context.Background(), tt.docs, tt.test)
			if err != nil {
				t.Fatal(err)
			}
			view = strings.ReplaceAll(view, ", ", ",")
			if tt.why == "" && (view != tt.view || why != "") || tt.why != "" && !strings.Contains(why, tt.why) {
				t.Errorf("view %q (%s), want %q (%s)", view, why, tt.view, tt.why)
			}
		})
	}
}

func many(n int) string {
	var b strings.Builder
	b.WriteString("{")
	for i := range n {
		if i > 0 {
			b.WriteString(",")
		}
		b.WriteString(`"x` + strings.Repeat("y", i) + `":1`)
	}
	return b.String() + "}"
}

func TestPointersAreThoseOfThePDK(t *testing.T) {
	for _, id := range []string{"C-1", "a b", "é", strings.Repeat("x", 255)} {
		if got, want := rehearse.PointerTo("customer", id), pdktest.Pointer("customer", id); got != want {
			t.Errorf("%q: %s, want %s", id, got, want)
		}
	}
}
