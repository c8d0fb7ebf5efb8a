package capability_test

import (
	"strings"
	"testing"

	"pointsman/host/broker"
	"pointsman/host/capability"
)

func TestDecodeRefuses(t *testing.T) {
	tests := []struct {
		name, text string
		want       broker.Kind
	}{
		{"nothing", ``, broker.Invalid},
		{"name twice", `{"a":"x","a":"y"}`, broker.Invalid},
		{"name in capitals", `{"A":"x"}`, broker.Invalid},
		{"unknown name", `{"a":"x","b":"y"}`, broker.Invalid},
		{"behind the value", `{"a":"x"}{}`, broker.Invalid},
		{"byte order mark", "\ufeff{}", broker.Invalid},
		{"not UTF-8", "{\"a\":\"\xff\"}", broker.Invalid},
		{"lone surrogate", `{"a":"\ud800"}`, broker.Invalid},
		{"another type", `{"a":1}`, broker.Invalid},
		{"65 levels", strings.Repeat(`[`, 65) + strings.Repeat(`]`, 65), broker.Invalid},
		{"large", `{"a":"` + strings.Repeat("x", capability.MaxHead) + `"}`, broker.TooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := capability.Decode([]byte(tt.text), &struct {
				A string `json:"a"`
			}{})
			if kind := broker.KindOf(err); err == nil || kind != tt.want {
				t.Errorf("got %v, want a refusal as %v", err, tt.want)
			}
		})
	}
}

// TestDecodeDepth: brackets in strings do not count, 64 levels are allowed.
func TestDecodeDepth(t *testing.T) {
	for _, text := range []string{
		`"` + strings.Repeat(`[`, 100) + `\"` + strings.Repeat(`[`, 100) + `"`,
		strings.Repeat(`[`, 64) + strings.Repeat(`]`, 64),
		`[` + strings.Repeat(`[],`, 100) + `{}]`,
	} {
		var any any
		if err := capability.Decode([]byte(text), &any); err != nil {
			t.Errorf("%.30s: %v", text, err)
		}
	}
	var any any
	if err := capability.Decode([]byte(strings.Repeat(`[`, 65)+strings.Repeat(`]`, 65)), &any); err == nil {
		t.Error("65 levels were decoded, want a refusal")
	}
}
