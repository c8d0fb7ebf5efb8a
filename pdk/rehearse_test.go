package pdk_test

import (
	"strings"
	"testing"

	"pointsman/pdk"
)

const exchange = `What this is about.
-- call --
get
{"id":"a-1"}
-- request --
GET crm /a/a-1
-- reply --
200
content-type: application/json
x-two: a: b

{"name":"one"}
-- reply --
404

-- response --
{"name":"one"}
`

type rehearsed struct {
	ids      []string
	statuses []int
	names    []string
}

func (p *rehearsed) get(h *pdk.Host, in struct {
	ID string `json:"id"`
}) (string, error) {
	p.ids = append(p.ids, in.ID)
	h.Log(pdk.Info, "rehearsing")
	for range 2 {
		reply, err := h.Do(pdk.Request{Backend: "crm", Path: "/a/a-1"})
		if err != nil {
			return "", err
		}
		p.statuses = append(p.statuses, reply.Status)
		p.names = append(p.names, string(reply.Body)+reply.Get("X-Two"))
	}
	return "done", nil
}

func TestRehearse(t *testing.T) {
	var p rehearsed
	if err := pdk.Rehearse(pdk.Handler(p.get), exchange); err != nil {
		t.Fatal(err)
	}
	if len(p.ids) != 2 || p.ids[0] != "a-1" || p.ids[1] != "a-1" {
		t.Errorf("ran with %q, want it twice with a-1", p.ids)
	}
	if len(p.statuses) != 4 || p.statuses[0] != 200 || p.statuses[1] != 404 || p.statuses[2] != 200 {
		t.Errorf("replies %v, want those of the file in each run", p.statuses)
	}
	if want := `{"name":"one"}a: b`; p.names[0] != want {
		t.Errorf("got %q, want %q", p.names[0], want)
	}
}

func TestRehearseRefuses(t *testing.T) {
	var p rehearsed
	tests := []struct{ name, exchange, want string }{
		{"empty", "", "no section call"},
		{"no call", "-- reply --\n200\n", "no section call"},
		{"no status", strings.Replace(exchange, "404", "much", 1), "status"},
		{"too few replies", strings.Replace(exchange, "-- reply --\n404", "-- gone --\n404", 1), "no more replies"},
		{"another input", strings.Replace(exchange, `"id"`, `"no"`, 1), "does not take"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := pdk.Rehearse(pdk.Handler(p.get), tt.exchange); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// TestRehearseCalls: a function of another plugin answers what is recorded, in turn with back
// ends; where no call is recorded, null.
func TestRehearseCalls(t *testing.T) {
	const both = "-- call --\nask\n{}\n-- request --\nGET crm /a\n-- reply --\n200\n\n{}\n-- request --\nCALL crm get\n\n{}\n-- reply --\n200\n\n{\"name\":\"one\"}\n"
	for exchange, want := range map[string]string{both: "one", strings.Replace(both, "CALL crm get", "GET crm /b", 1): ""} {
		got := "nobody"
		err := pdk.Rehearse(pdk.Handler(func(h *pdk.Host, _ struct{}) (string, error) {
			if _, err := h.Do(pdk.Request{Backend: "crm", Path: "/a"}); err != nil {
				return "", err
			}
			out, err := pdk.Call[struct{}, struct {
				Name string `json:"name"`
			}](h, "crm.get", struct{}{})
			got = out.Name
			return got, err
		}), exchange)
		if err != nil || got != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
}
