package secret_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	jsonv2 "github.com/go-json-experiment/json"

	"pointsman/host/secret"
)

const canary = "canary-7d1f0c55e2"

// TestValuePrintsNothing sends a Value through every way by which values become text.
func TestValuePrintsNothing(t *testing.T) {
	v := stored(t, canary)
	type outer struct {
		Name  string
		Token secret.Value
		inner struct{ token secret.Value }
		ptr   *secret.Value
		any   any
	}
	o := outer{Name: "x", Token: v, ptr: &v, any: v}
	o.inner.token = v
	values := map[string]any{
		"value": v, "pointer": &v, "slice": []secret.Value{v}, "array": [1]secret.Value{v}, "map": map[string]secret.Value{"k": v},
		"struct": o, "pointer to struct": &o, "any": []any{v, o}, "error": fmt.Errorf("login: %v %w", v, errors.New("x")),
	}
	for name, x := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%o", "%b", "%c", "%U", "%e", "%t", "%T", "%p", "%10.3v", "%w", "%z"} {
			refuseLeak(t, name+" "+verb, fmt.Sprintf(verb, x))
		}
		if text, err := json.Marshal(x); err == nil {
			refuseLeak(t, name+" json", string(text))
		}
		if text, err := jsonv2.Marshal(x); err == nil {
			refuseLeak(t, name+" json v2", string(text))
		}
		if text, err := xml.Marshal(x); err == nil {
			refuseLeak(t, name+" xml", string(text))
		}
		var b bytes.Buffer
		slog.New(slog.NewTextHandler(&b, nil)).Info("m", "x", x, slog.Group("g", "y", x))
		slog.New(slog.NewJSONHandler(&b, nil)).Info("m", "x", x, slog.Group("g", "y", x))
		refuseLeak(t, name+" slog", b.String())
	}
}

func TestValueSaysWhatItIs(t *testing.T) {
	v := stored(t, canary)
	tests := []struct{ name, got, want string }{
		{"v", fmt.Sprintf("%v", v), "[secret]"},
		{"#v", fmt.Sprintf("%#v", v), "[secret]"},
		{"x", fmt.Sprintf("%x", v), "[secret]"},
		{"in a struct", fmt.Sprintf("%+v", struct{ Token secret.Value }{v}), "{Token:[secret]}"},
		{"in a map", fmt.Sprint(map[string]secret.Value{"a": v}), "map[a:[secret]]"},
		{"in a slice", fmt.Sprintf("%#v", []secret.Value{v}), "[]secret.Value{[secret]}"},
		{"String", v.String(), "[secret]"},
		{"exposed", string(v.Expose()), canary},
		{"zero exposed", string(secret.Value{}.Expose()), ""},
		{"zero", fmt.Sprint(secret.Value{}), "[secret]"},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, tt.got, tt.want)
		}
	}
	text, err := json.Marshal(map[string]any{"token": v})
	if err != nil || string(text) != `{"token":"[secret]"}` {
		t.Errorf("json: got %s, %v", text, err)
	}
}

func TestExposeCopies(t *testing.T) {
	v := stored(t, canary)
	clear(v.Expose())
	if got := string(v.Expose()); got != canary {
		t.Errorf("after clearing what Expose returned: %q, want %q", got, canary)
	}
}

func refuseLeak(t *testing.T, where, text string) {
	t.Helper()
	lower := strings.ToLower(text)
	for _, form := range []string{canary, fmt.Sprintf("%x", canary), fmt.Sprintf("% x", canary), strings.Trim(fmt.Sprint([]byte(canary)), "[]")} {
		if strings.Contains(lower, form) {
			t.Errorf("%s leaks: %s", where, text)
		}
	}
}

func stored(t *testing.T, plain string) secret.Value {
	t.Helper()
	s := open(t, t.TempDir(), keyring(t))
	if err := s.Set("token", []byte(plain)); err != nil {
		t.Fatal(err)
	}
	v, err := s.Get("token")
	if err != nil {
		t.Fatal(err)
	}
	return v
}
