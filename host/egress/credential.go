package egress

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"pointsman/host/broker"
)

// maxCredential is the longest credential, in bytes: what common servers take for a header
// line. Access tokens that carry claims come to 4 KiB.
const maxCredential = 8 << 10

// placement is a checked Auth. A nil placement places nothing.
type placement struct {
	get  func() (Credential, error)
	as   string
	name string // of the header, canonical, or the query parameter
}

func newPlacement(a *Auth) (*placement, error) {
	if a == nil {
		return nil, nil
	}
	if a.Credential == nil {
		return nil, errors.New("auth: no credential")
	}
	p := &placement{get: a.Credential, as: a.As, name: a.Name}
	switch a.As {
	case "bearer", "basic":
		if a.Name != "" {
			return nil, fmt.Errorf("auth: %s goes into Authorization; it takes no name", a.As)
		}
		p.name = "Authorization"
	case "header":
		name := strings.ToLower(a.Name)
		if !headerName(name) || HostHeader(name) && name != "authorization" {
			return nil, errors.New("auth: name must be a header that can carry a credential")
		}
		p.name = http.CanonicalHeaderKey(name)
	case "query":
		if a.Name == "" || !plainText(a.Name) {
			return nil, errors.New("auth: name must be a query parameter")
		}
	default:
		return nil, errors.New("auth: as must be bearer, header, basic or query")
	}
	return p, nil
}

// owns reports whether the credential goes into the query parameter or header of that name.
func (p *placement) owns(where, name string) bool {
	if p == nil || (p.as == "query") != (where == "query") {
		return false
	}
	return strings.EqualFold(p.name, name)
}

// place opens the credential and puts it into req, which is final but for that. The
// result remembers what to look for in the answer; its owner wipes it.
func (p *placement) place(req *http.Request) (*used, error) {
	if p == nil {
		return nil, nil
	}
	c, err := p.get()
	if err != nil {
		return nil, &broker.Error{Kind: broker.Unavailable, Detail: "the back end's credential is not available", Err: err}
	}
	plain := c.Expose()
	u := &used{forms: [][]byte{plain}}
	if err := checkCredential(plain, p.as); err != nil {
		u.wipe()
		return nil, &broker.Error{Kind: broker.Unavailable, Detail: "the back end's credential cannot be used", Err: err}
	}
	switch p.as {
	case "bearer":
		req.Header.Set(p.name, "Bearer "+string(plain))
	case "header":
		req.Header.Set(p.name, string(plain))
	case "basic":
		pair := base64.StdEncoding.EncodeToString(plain)
		req.Header.Set(p.name, "Basic "+pair)
		_, password, _ := strings.Cut(string(plain), ":")
		u.forms = append(u.forms, []byte(password))
	case "query":
		var b strings.Builder
		if req.URL.RawQuery != "" {
			b.WriteString(req.URL.RawQuery + "&")
		}
		escape(&b, p.name)
		b.WriteByte('=')
		escape(&b, string(plain))
		req.URL.RawQuery = b.String()
	}
	return u, nil
}

// checkCredential refuses what would break out of its place. It says nothing of the bytes.
func checkCredential(plain []byte, as string) error {
	switch {
	case len(plain) == 0:
		return errors.New("the credential is empty")
	case len(plain) > maxCredential:
		return fmt.Errorf("the credential is longer than %d bytes", maxCredential)
	case !headerValue(string(plain)):
		return errors.New("the credential is not printable ASCII, or has a space or line end at its ends")
	case as == "bearer" && strings.Contains(string(plain), " "):
		return errors.New("a bearer token has no space")
	case as == "basic" && !strings.Contains(string(plain), ":"):
		return errors.New(`a basic credential is "user:password"`)
	}
	return nil
}

// used is the credential of one exchange. A nil used is none.
type used struct{ forms [][]byte }

func (u *used) wipe() {
	if u == nil {
		return
	}
	for _, f := range u.forms {
		clear(f)
	}
}

// redact takes the credential out of a, which must not be used after an error. The error is a *broker.Error.
func (u *used) redact(a *Answer) error {
	if u == nil {
		return nil
	}
	r := newRedactor(u.forms)
	var clean bool
	for i := range a.Header {
		value := []byte(a.Header[i].Value)
		if value, clean = r.redact(value); !clean {
			return &broker.Error{Kind: broker.Upstream, Detail: string(errRedaction)}
		}
		a.Header[i].Value = string(value)
	}
	if a.Body, clean = r.redact(a.Body); !clean {
		return &broker.Error{Kind: broker.Upstream, Detail: string(errRedaction)}
	}
	return nil
}
