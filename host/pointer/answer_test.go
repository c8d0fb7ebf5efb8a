package pointer_test

import (
	"strings"
	"testing"

	"pointsman/host/broker"
	"pointsman/host/pointer"
)

func TestMintJSONRefuses(t *testing.T) {
	i := issuer(t, keys(t), pointer.Domain{Name: "customer"})
	for _, value := range []string{
		"", "nothing", "true", "false", "{}", `{"id":"4711"}`, "[]", `["4711"]`, "1.5", "1.0", "1e3", "1E999", "-", "01", "NaN",
		`"`, `"4711`, `"4711" "4712"`, `"4711",`, `"\ud800"`, "\"\xff\"", `"` + strings.Repeat("x", 256) + `"`, strings.Repeat("9", 256), "\xff",
	} {
		got, err := i.MintJSON("customer", shop, []byte(value))
		if err == nil || got != nil || broker.KindOf(err) != broker.Upstream {
			t.Errorf("%.40s: got %s, %v, want an error of kind upstream", value, got, err)
		}
		if err != nil && strings.Contains(err.Error(), "4711") {
			t.Errorf("%.40s: the error holds the id: %v", value, err)
		}
	}
	if _, err := i.MintJSON("supplier", shop, []byte(`"4711"`)); broker.KindOf(err) != broker.Denied {
		t.Errorf("no such domain: %v", err)
	}
	if _, err := i.MintJSON("customer", "", []byte(`"4711"`)); broker.KindOf(err) != broker.Denied {
		t.Errorf("no sector: %v", err)
	}
}

func TestMintJSON(t *testing.T) {
	keyOf := keys(t)
	i := issuer(t, keyOf, pointer.Domain{Name: "customer", Epoch: 2, Accept: []int{1}}, pointer.Domain{Name: "supplier"})
	old := issuer(t, keyOf, pointer.Domain{Name: "customer"})
	quote := func(s string) string { return `"` + s + `"` }
	young := mint(t, i, "customer", shop, "4711")
	foreign, other := mint(t, i, "customer", bank, "4711"), mint(t, i, "supplier", shop, "4711")
	tests := []struct{ name, value, want string }{
		{"text", `"4711"`, quote(young)},
		{"text with escapes", `"\u0034711"`, quote(young)},
		{"a number", `4711`, quote(young)},
		{"spaces around", " 4711\n", quote(young)},
		{"a number of 40 digits", strings.Repeat("7", 40), quote(mint(t, i, "customer", shop, strings.Repeat("7", 40)))},
		{"a negative number", `-1`, quote(mint(t, i, "customer", shop, "-1"))},
		{"null", `null`, `null`},
		{"empty text", `""`, `""`},
		{"a pointer already", quote(young), quote(young)},
		{"a pointer of an accepted epoch", quote(mint(t, old, "customer", shop, "4711")), quote(young)},
		{"a pointer of another sector is an id like any other", quote(foreign), quote(mint(t, i, "customer", shop, foreign))},
		{"a pointer of another domain is", quote(other), quote(mint(t, i, "customer", shop, other))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := i.MintJSON("customer", shop, []byte(tt.value))
			if err != nil || string(got) != tt.want {
				t.Errorf("got %s, %v, want %s", got, err, tt.want)
			}
		})
	}
}
