package pdktest_test

import (
	"strings"
	"testing"

	"pointsman/pdk"
	"pointsman/pdk/pdktest"
)

// TestRecordedCalls: a function of another plugin answers what is recorded, an output or the
// code of a failure; what asks for something else fails the test.
func TestRecordedCalls(t *testing.T) {
	const file = "-- call --\nask\n{\"id\": \"1\"}\n-- request --\nCALL crm get\n\n{\"id\": \"1\"}\n-- reply --\nREPLY\n-- response --\n{}\n"
	ask := func(id string) pdk.Function {
		return pdk.Handler(func(h *pdk.Host, _ getInput) (answer, error) {
			return pdk.Call[getInput, answer](h, "crm.get", getInput{id})
		})
	}
	for reply, want := range map[string]string{
		"200\n\n{\"name\": \"Ann\"}\n": `{"name":"Ann"}`,
		"404\n":                        "not_found: crm.get failed: not_found",
		"refused {\"code\":\"denied\",\"message\":\"no\"}\n": "denied: no",
	} {
		f := read(t, strings.Replace(file, "REPLY\n", reply, 1))
		h := pdktest.NewHost(t, f.Script...)
		got, err := ask("1")(h.Guest(), f.Input)
		if err != nil {
			got = []byte(err.Error())
		}
		if string(got) != want {
			t.Errorf("%q: got %s, want %s", reply, got, want)
		}
	}
	other := &watched{TB: t}
	f := read(t, strings.Replace(file, "REPLY\n", "200\n\n{}\n", 1))
	if _, err := ask("2")(pdktest.NewHost(other, f.Script...).Guest(), f.Input); err != nil || !other.failed {
		t.Errorf("%v, and a call with another input does not fail the test", err)
	}
}

// watched notes that a test would have failed.
type watched struct {
	testing.TB
	failed bool
}

func (w *watched) Errorf(string, ...any) { w.failed = true }
