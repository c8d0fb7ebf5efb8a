package view_test

import (
	"errors"
	"strings"
	"testing"

	"pointsman/host/view"
)

var errNo = errors.New("no")

func TestReplaceRefuses(t *testing.T) {
	tests := []struct{ name, view, text, put, why string }{
		{"no document", "id", `{"id":1`, `2`, "breaks off"},
		{"name twice after the value", "id", `{"id":1,"a":1,"a":2}`, `2`, "twice"},
		{"f says no", "id", `{"id":1}`, "error", "value at byte 6: no"},
		{"nothing put", "id", `{"id":1}`, ``, "replacement of the value at byte 6: JSON, byte 0: the text is empty"},
		{"a member put, too", "id", `{"id":1}`, `2,"admin":true`, "something follows"},
		{"no JSON put", "id", `{"id":1}`, `ptr_x`, "no value"},
		{"name twice put", "id", `{"id":1}`, `{"a":1,"a":1}`, "twice"},
		{"too deep together", strings.Repeat("[]", 60), strings.Repeat("[", 60) + "1" + strings.Repeat("]", 60), strings.Repeat("[", 5) + strings.Repeat("]", 5), "what the replacements make"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			called := false
			out, err := view.Replace([]byte(tt.text), parse(t, tt.view), func([]byte) ([]byte, error) {
				called = true
				if tt.put == "error" {
					return nil, errNo
				}
				return []byte(tt.put), nil
			})
			if err == nil || !strings.Contains(err.Error(), strings.ReplaceAll(tt.why, "\n", " ")) || out != nil {
				t.Errorf("got %s, %v, want an error with %q", out, err, tt.why)
			}
			if strings.Contains(tt.name, "document") && called {
				t.Error("f was called for what is no document")
			}
			if tt.put == "error" && !errors.Is(err, errNo) {
				t.Errorf("got %v, want f's error within", err)
			}
		})
	}
	if _, err := view.Find([]byte(`{"id":1,"id":2}`), view.All()); err == nil {
		t.Error("found something in what is no document")
	}
}

func TestFindAndReplace(t *testing.T) {
	tests := []struct{ name, view, text, found, replaced string }{
		{"a member", "id", `{"id": "a", "b":1}`, `"a"`, `{"id": <"a">, "b":1}`},
		{"nested and in arrays", "id orders[].customer", `{"orders":[{"customer":1,"x":[1]},{},{"customer":2}],"id":3}`, `1 2 3`, `{"orders":[{"customer":<1>,"x":[1]},{},{"customer":<2>}],"id":<3>}`},
		{"elements", "a[]", ` {"a":[1,[2],{"b":3}]} `, `1 [2] {"b":3}`, ` {"a":[<1>,<[2]>,<{"b":3}>]} `},
		{"the outer of two", "a a.b", `{"a":{"b":1}}`, `{"b":1}`, `{"a":<{"b":1}>}`},
		{"another shape", "a.b", `{"a":[{"b":1}],"b":2}`, ``, `{"a":[{"b":1}],"b":2}`},
		{"nothing there", "a", `{"b":2}`, ``, `{"b":2}`},
		{"escaped name", "id", `{"\u0069d":"\u0061"}`, `"\u0061"`, `{"\u0069d":<"\u0061">}`},
		{"no paths", "", `{"b":2}`, ``, `{"b":2}`},
		{"document", "all", ` {"b":2} `, `{"b":2}`, ` <{"b":2}> `},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			at := view.All()
			if tt.view != "all" {
				at = parse(t, strings.Fields(tt.view)...)
			}
			values, err := view.Find([]byte(tt.text), at)
			var found []string
			for _, v := range values {
				found = append(found, string(v))
			}
			if got := strings.Join(found, " "); err != nil || got != tt.found {
				t.Errorf("found %s, %v, want %s", got, err, tt.found)
			}
			out, err := view.Replace([]byte(tt.text), at, func(v []byte) ([]byte, error) {
				return []byte(` ["put",` + string(v) + "]\n"), nil
			})
			want := strings.NewReplacer("<", `["put",`, ">", "]").Replace(tt.replaced)
			if err != nil || string(out) != want {
				t.Errorf("got %s, %v, want %s", out, err, want)
			}
		})
	}
}
