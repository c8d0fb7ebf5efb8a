package pdk_test

import (
	"strings"
	"testing"
	"time"

	"pointsman/pdk"
	"pointsman/pdk/pdktest"
	"pointsman/pdk/wire"
)

// raw answers every request with the same bytes.
type raw []byte

func (r raw) Call(string, string, []byte) []byte { return r }

func TestDoBadReplies(t *testing.T) {
	tests := []struct {
		name, reply string
		want        wire.Error
	}{
		{"denied", string(wire.Failed(wire.Error{Code: wire.Denied, Message: "path"})), wire.Error{Code: wire.Denied, Message: "path"}},
		{"a word that is none", string(wire.Failed(wire.Error{Code: "canary"})), wire.Error{Code: wire.Permanent, Message: "the host's reply cannot be read"}},
		{"no reply", "", wire.Error{Code: wire.Permanent, Message: "the host's reply cannot be read"}},
		{"no frame", "\x00ab", wire.Error{Code: wire.Permanent, Message: "the host's reply cannot be read"}},
		{"no head", "\x00\x01\x00\x00\x00{", wire.Error{Code: wire.Permanent, Message: "the host's reply cannot be read"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := pdk.NewHost(raw(tt.reply)).Do(pdk.Request{Backend: "b", Path: "/"})
			if got := *wireError(t, err); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestDo(t *testing.T) {
	r := pdk.Request{
		Backend: "crm", Path: "/a", Body: []byte(`{"a":1}`),
		Query:  []pdk.Field{{Name: "q", Value: "x y"}, {Name: "q", Value: ""}},
		Header: []pdk.Field{{Name: "X-A", Value: "1"}},
	}
	host := pdktest.NewHost(t, pdktest.Exchange{Want: &r, Reply: pdk.Reply{Status: 404, Header: []pdk.Field{{Name: "x-b", Value: "2"}}, Body: []byte("gone")}})
	reply, err := host.Guest().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if reply.Status != 404 || string(reply.Body) != "gone" || reply.Get("X-B") != "2" || reply.Get("x-c") != "" {
		t.Errorf("got %+v", reply)
	}
	if got := host.Calls()[0].Method; got != "GET" {
		t.Errorf("no method was sent as %q, want GET", got)
	}
}

func TestReplyErr(t *testing.T) {
	tests := []struct {
		status int
		want   pdk.Code
	}{
		{401, pdk.Auth}, {403, pdk.Auth}, {404, pdk.NotFound}, {429, wire.RateLimited},
		{408, pdk.Transient}, {425, pdk.Transient}, {500, pdk.Transient}, {503, pdk.Transient}, {599, pdk.Transient},
		{400, pdk.Permanent}, {410, pdk.Permanent}, {302, pdk.Permanent}, {0, pdk.Permanent}, {600, pdk.Permanent},
		{200, ""}, {204, ""}, {299, ""},
	}
	for _, tt := range tests {
		r := pdk.Reply{Status: tt.status, Body: []byte("canary"), Header: []pdk.Field{{Name: "x", Value: "canary"}}}
		err := r.Err()
		if got := pdk.CodeOf(err); got != tt.want {
			t.Errorf("status %d: got %q, want %q", tt.status, got, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("status %d: %v holds what the back end wrote", tt.status, err)
		}
	}
}

func TestReplyJSON(t *testing.T) {
	tests := []struct {
		name   string
		status int
		body   string
		want   pdk.Code
	}{
		{"an error's body is not read", 500, `{"id":"x"}`, pdk.Transient},
		{"a page", 200, "<html>canary", pdk.Transient},
		{"torn", 200, `{"id":"canary`, pdk.Transient},
		{"nothing", 204, "", pdk.Transient},
		{"another type", 200, `{"id":{"canary":1}}`, pdk.Permanent},
		{"no number", 200, `{"n":"canary"}`, pdk.Permanent},
		{"good", 200, `{"id":"x","n":12345678901234567890,"more":1}`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var v struct {
				ID string `json:"id"`
				N  uint64 `json:"n"`
			}
			err := (&pdk.Reply{Status: tt.status, Body: []byte(tt.body)}).JSON(&v)
			if got := pdk.CodeOf(err); got != tt.want {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "canary") {
				t.Errorf("%v holds what the back end wrote", err)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	tests := []struct {
		value string
		want  time.Duration
	}{
		{"", 0}, {"soon", 0}, {"-5", 0}, {"1.5", 0}, {"99999999999999999999999", 0},
		{"Fri, 02 Jan 2026 03:04:00 GMT", 0}, // past
		{"Fri, 02 Jan 2026 03:04:35 GMT", 30 * time.Second},
		{"Sat, 02 Jan 2027 03:04:35 GMT", 24 * time.Hour},
		{"0", 0}, {"120", 2 * time.Minute}, {" 7 ", 7 * time.Second}, {"999999999", 24 * time.Hour},
	}
	for _, tt := range tests {
		r := pdk.Reply{Header: []pdk.Field{{Name: "Retry-After", Value: tt.value}}}
		if got := r.RetryAfter(now); got != tt.want {
			t.Errorf("%q: got %v, want %v", tt.value, got, tt.want)
		}
	}
}
