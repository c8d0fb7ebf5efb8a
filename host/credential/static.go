package credential

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Static says how a secret is sent as it is.
type Static struct {
	Secret string // name of the secret
	Spot   Spot
	// User is whose password the secret is, for basic; empty means that the secret is
	// "user:password".
	User string
	// Form encodes user and password as RFC 6749 §2.3.1 asks of an OAuth client.
	Form bool
}

// StaticPlacement places a secret as it is. Safe for concurrent use.
type StaticPlacement struct {
	conf  Static
	parts Parts
}

// NewStatic checks c and returns a placement for it. The secret is opened once, so that
// one that is missing or cannot be placed is found now.
func NewStatic(c Static, p Parts) (*StaticPlacement, error) {
	if err := c.Spot.check(); err != nil {
		return nil, err
	}
	if c.Spot.As != "basic" && (c.User != "" || c.Form) || c.Form && c.User == "" {
		return nil, errors.New("a user belongs to as: basic")
	}
	if !c.Form && (strings.Contains(c.User, ":") || !printable(c.User)) { // Form encodes them
		return nil, errors.New("the user has a colon or something other than printable ASCII")
	}
	s := &StaticPlacement{c, p.filled()}
	value, forms, err := s.value()
	wipe(append(forms, value)...)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// value returns what is placed, and all that is to be looked for besides. Both are the
// caller's to wipe, with an error too.
func (s *StaticPlacement) value() (value []byte, forms [][]byte, err error) {
	value, forms, err = s.parts.openAll(s.conf.Secret)
	if err != nil {
		return nil, nil, err
	}
	switch {
	case s.conf.Spot.As == "basic" && s.conf.User != "":
		forms = append(forms, value)
		value = s.pair(value)
	case s.conf.Spot.As == "basic":
		if !bytes.Contains(value, []byte(":")) {
			err = errors.New(`a basic credential is "user:password"`)
		}
		for _, pair := range append([][]byte{value}, forms...) { // passwords by themselves, too
			_, password, _ := bytes.Cut(pair, []byte(":"))
			forms = append(forms, bytes.Clone(password))
		}
	}
	if err == nil {
		err = s.conf.Spot.fits(value)
	}
	if err != nil {
		err = fmt.Errorf("the secret %s: %w", s.conf.Secret, err)
	}
	return value, forms, err
}

func (s *StaticPlacement) pair(password []byte) []byte {
	if s.conf.Form {
		return []byte(url.QueryEscape(s.conf.User) + ":" + url.QueryEscape(string(password)))
	}
	return append([]byte(s.conf.User+":"), password...)
}

// Place implements egress.Placement.
func (s *StaticPlacement) Place(_ context.Context, req *http.Request, _ []byte) (Used, error) {
	value, forms, err := s.value()
	u := used(append([][]byte{value}, forms...))
	if err == nil {
		err = s.conf.Spot.put(req, s.conf.Spot.line(value))
	}
	if err == nil {
		return u, nil
	}
	u.Wipe()
	if value == nil {
		return nil, missing(err)
	}
	return nil, unfit(err)
}

// Current implements egress.Placement.
func (s *StaticPlacement) Current() Used {
	value, forms, err := s.value()
	if err != nil && value == nil {
		return nil
	}
	return used(append([][]byte{value}, forms...)) // one that cannot be placed may be known all the same
}

// Owns implements egress.Placement.
func (s *StaticPlacement) Owns(where, name string) bool { return s.conf.Spot.owns(where, name) }

// Refused implements egress.Placement. The secret is opened for each request: another try
// would send the same.
func (s *StaticPlacement) Refused(Used) bool { return false }
