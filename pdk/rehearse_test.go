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
