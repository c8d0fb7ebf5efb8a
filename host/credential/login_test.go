package credential_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"pointsman/host/credential"
)

const password = `canary-pass"word/0123456789`

func till() credential.Login {
	return credential.Login{
		Fields: []credential.LoginField{{Name: "user", Text: "shop"}, {Name: "password", Secret: "password"}},
		Token:  "/session/id", Spot: credential.Spot{As: "header", Name: "X-Session"},
	}
}

func TestLoginRefuses(t *testing.T) {
	tests := []struct {
		name string
		edit func(*credential.Login)
	}{
		{"nowhere", func(c *credential.Login) { c.Spot = credential.Spot{} }},
		{"as a password", func(c *credential.Login) { c.Spot = credential.Spot{As: "basic"} }},
		{"no field", func(c *credential.Login) { c.Fields = nil }},
		{"no secret", func(c *credential.Login) { c.Fields = c.Fields[:1] }},
		{"a field without a name", func(c *credential.Login) { c.Fields[0].Name = "" }},
		{"a field twice", func(c *credential.Login) { c.Fields[0].Name = "password" }},
		{"a field that is both", func(c *credential.Login) { c.Fields[1].Text = "x" }},
		{"no pointer", func(c *credential.Login) { c.Token = "" }},
		{"a pointer of another sort", func(c *credential.Login) { c.Token = "session.id" }},
		{"a pointer with a bad escape", func(c *credential.Login) { c.Token = "/a~2" }},
		{"no such secret", func(c *credential.Login) { c.Fields[1].Secret = "absent" }},
		{"negative lifetime", func(c *credential.Login) { c.Lifetime = -1 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := till()
			tt.edit(&c)
			if _, err := credential.NewLogin(c, credential.Parts{Secret: newVault("password", password).open}); err == nil {
				t.Error("taken")
			}
		})
	}
}

func TestLogin(t *testing.T) {
	tests := []struct {
		name           string
		form           bool
		pointer        string
		answer         string
		spot           credential.Spot
		sent           string
		header, placed string
	}{
		{"JSON and a header", false, "/session/id", `{"session":{"id":"s-1","x":[]}}`, credential.Spot{As: "header", Name: "X-Session"},
			`application/json {"password":"canary-pass\"word/0123456789","user":"shop"}`, "X-Session", "s-1"},
		{"form and a cookie", true, "/0/s~1x~0", ` [ {"s/x~": "s-1"} ] `, credential.Spot{As: "cookie", Name: "SID"},
			`application/x-www-form-urlencoded password=canary-pass%22word%2F0123456789&user=shop`, "Cookie", "SID=s-1"},
		{"a number as a bearer token", false, "/t", `{"t": 12345678901234567890 }`, credential.Spot{As: "bearer"},
			`application/json {"password":"canary-pass\"word/0123456789","user":"shop"}`, "Authorization", "Bearer 12345678901234567890"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var sent string
			w := newWorld(t, nil, func(rw http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				sent = r.Header.Get("Content-Type") + " " + string(body)
				answer(201, tt.answer)(rw, r)
			}, "password", password)
			c := till()
			c.Form, c.Token, c.Spot = tt.form, tt.pointer, tt.spot
			s, err := credential.NewLogin(c, w.parts)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			req, forms := place(t, s, request(t, "GET", "/x", ""), "")
			if got := req.Header.Get(tt.header); got != tt.placed {
				t.Errorf("placed %s, want %s", got, tt.placed)
			}
			if sent != tt.sent {
				t.Errorf("sent %s, want %s", sent, tt.sent)
			}
			if !has(forms, password) || !s.Owns("header", tt.header) {
				t.Errorf("forms %q; owned %v", forms, s.Owns("header", tt.header))
			}
			w.move(6 * time.Minute) // nobody says how long it is good
			if place(t, s, request(t, "GET", "/x", ""), ""); w.asked() != 2 {
				t.Errorf("%d logins, want another after the lifetime", w.asked())
			}
			used, err := s.Place(t.Context(), request(t, "GET", "/x", ""), nil)
			if err != nil {
				t.Fatal(err)
			}
			w.move(11 * time.Second)
			if !s.Refused(used) {
				t.Error("a refused session is not replaced")
			}
			if place(t, s, request(t, "GET", "/x", ""), ""); w.asked() != 3 {
				t.Errorf("%d logins, want another after a refusal", w.asked())
			}
		})
	}
}

func TestLoginAnswers(t *testing.T) {
	tests := []struct {
		name, body string
		status     int
		log        string
	}{
		{"a page", "<html>canary", 200, "not the JSON"},
		{"nothing there", `{"session":{}}`, 200, "no text or number"},
		{"another shape", `{"session":"canary"}`, 200, "no text or number"},
		{"an object", `{"session":{"id":{"canary":1}}}`, 200, "no text or number"},
		{"true", `{"session":{"id":true}}`, 200, "no text or number"},
		{"a list", `{"session":[{"id":"canary"}]}`, 200, "no text or number"},
		{"two of it", `{"session":{"id":"canary","id":"b"}}`, 200, "not the JSON"},
		{"header injection", `{"session":{"id":"canary\r\nX-Admin: 1"}}`, 200, "cannot be placed"},
		{"empty", `{"session":{"id":""}}`, 200, "cannot be placed"},
		{"refused", `{"error":"canary"}`, 401, "status 401"},
		{"refused with a word that is not its to say", `{"error":"invalid_grant"}`, 403, "status 403"},
		{"down", ``, 502, "status 502"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil, answer(tt.status, tt.body), "password", password)
			s, err := credential.NewLogin(till(), w.parts)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			_, err = s.Place(t.Context(), request(t, "GET", "/x", ""), nil)
			refusedWith(t, err, w.log.String(), "canary", password, "invalid_grant")
			if !strings.Contains(w.log.String(), tt.log) {
				t.Errorf("log %s, want %q", w.log.String(), tt.log)
			}
		})
	}
}
