package credential

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Login says how a session value is got by one POST to a back end that knows no OAuth2.
type Login struct {
	Form     bool // the fields are sent as a form; otherwise as a JSON object of texts
	Fields   []LoginField
	Token    string        // JSON pointer (RFC 6901) to the session value in the answer
	Lifetime time.Duration // the longest that a session is used; 0 means 5 minutes
	Spot     Spot          // bearer, header, query, path or cookie
}

// LoginField is one field: a text, or the secret of a name.
type LoginField struct{ Name, Text, Secret string }

// login is a checked Login.
type login struct {
	Login
	parts Parts
}

// NewLogin checks c and returns a placement for it, which the caller closes. Secrets are
// opened once, so that one that is missing is found now; nothing is fetched.
func NewLogin(c Login, p Parts) (*Session, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	l := &login{c, p.filled()}
	for _, name := range l.secrets() {
		plain, err := l.parts.open(name)
		if err != nil {
			return nil, err
		}
		clear(plain)
	}
	source := newSource(l.parts, c.Spot, c.Lifetime)
	source.obtain, source.inputs = l.obtain, func() [sha256.Size]byte { return l.parts.digest(l.secrets()) }
	return &Session{source, c.Spot}, nil
}

func (c Login) check() error {
	if err := c.Spot.check(); err != nil {
		return err
	}
	var names []string
	for _, f := range c.Fields {
		if f.Name == "" || slices.Contains(names, f.Name) || (f.Text == "") == (f.Secret == "") {
			return errors.New("a field of a login has a name of its own, and a text or a secret")
		}
		names = append(names, f.Name)
	}
	switch {
	case c.Spot.As == "basic":
		return errors.New("a session is no user and password")
	case !slices.ContainsFunc(c.Fields, func(f LoginField) bool { return f.Secret != "" }):
		return errors.New("a login needs a secret")
	case !validPointer(c.Token):
		return errors.New("the token is a JSON pointer such as /session/id")
	case c.Lifetime < 0:
		return errors.New("a lifetime cannot be negative")
	}
	return nil
}

// validPointer reports whether s is a pointer (RFC 6901) to something within a document.
func validPointer(s string) bool {
	return strings.HasPrefix(s, "/") && jsontext.Pointer(s).IsValid()
}

func (c Login) secrets() []string {
	var names []string
	for _, f := range c.Fields {
		if f.Secret != "" {
			names = append(names, f.Secret)
		}
	}
	return names
}

// obtain logs in.
func (l *login) obtain(ctx context.Context) (*grant, *failure) {
	fields := map[string]string{}
	var spent [][]byte
	for _, f := range l.Fields {
		fields[f.Name] = f.Text
		if f.Secret == "" {
			continue
		}
		plain, old, err := l.parts.openAll(f.Secret)
		if err != nil {
			return nil, &failure{words: "a secret is not available", cause: err}
		}
		spent = append(append(spent, plain), old...)
		fields[f.Name] = string(plain)
	}
	r, failed := l.request(fields)
	if failed != nil {
		return nil, failed
	}
	defer clear(r.Body)
	answer, err := l.parts.Fetch(ctx, r)
	if err != nil {
		return nil, &failure{words: "the login was not reached or did not answer", cause: err}
	}
	if answer.Status < 200 || answer.Status > 299 {
		f := refusalOf(answer.Status, answer.After, "")
		f.words = "the login refused: " + f.words
		return nil, f
	}
	value, err := readPointer(answer.Body, l.Token)
	if err != nil {
		return nil, &failure{words: "the login's answer", cause: err}
	}
	return &grant{value: value, spent: spent}, nil
}

func (l *login) request(fields map[string]string) (Request, *failure) {
	if l.Form {
		form := url.Values{}
		for name, value := range fields {
			form.Set(name, value)
		}
		return Request{"application/x-www-form-urlencoded", []byte(form.Encode())}, nil
	}
	body, err := json.Marshal(fields, json.Deterministic(true))
	if err != nil { // whose words may quote a value
		return Request{}, &failure{words: "a field of the login is not UTF-8"}
	}
	return Request{"application/json", body}, nil
}

// readPointer returns the text or number at a pointer. Its error repeats nothing of the body.
func readPointer(body []byte, pointer string) ([]byte, error) {
	if err := checkJSON(body); err != nil {
		return nil, err
	}
	at := jsontext.Value(body)
	for name := range jsontext.Pointer(pointer).Tokens() {
		var object map[string]jsontext.Value
		var list []jsontext.Value
		switch at.Kind() {
		case '{':
			if err := json.Unmarshal(at, &object); err != nil {
				return nil, errAnswer
			}
			at = object[name]
		case '[':
			i, ok := position(name)
			if err := json.Unmarshal(at, &list); err != nil || !ok || i >= len(list) {
				return nil, errPointer
			}
			at = list[i]
		default:
			return nil, errPointer
		}
	}
	switch at.Kind() {
	case '"':
		var text string
		if err := json.Unmarshal(at, &text); err != nil {
			return nil, errAnswer
		}
		return []byte(text), nil
	case '0':
		return []byte(strings.TrimSpace(string(at))), nil
	}
	return nil, errPointer
}

var errPointer = errors.New("there is no text or number where the session value should be")

// position reads the index of RFC 6901 §4: no sign, no leading zero.
func position(s string) (int, bool) {
	if s == "" || len(s) > 5 || s != "0" && s[0] == '0' {
		return 0, false
	}
	n := 0
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	return n, true
}
