package pointer

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"pointsman/host/broker"
)

// MintJSON is Mint for an id as it stands in a JSON document, and returns the pointer as a
// JSON string. An id is text or a whole number, of any length and never rounded; the number
// 7 and the text "7" are the same id. null and "" point at nothing and stay as they are.
// What is a pointer of this domain and sector already comes out as one of the current epoch,
// not as a pointer to a pointer. Anything else is a *broker.Error of kind Upstream, because
// the document is not the caller's, or what Mint says. It holds nothing of value.
func (i *Issuer) MintJSON(domain string, sector broker.Sector, value []byte) ([]byte, error) {
	id, err := idOf(value)
	if err == nil && id != "" {
		if strings.HasPrefix(id, word) {
			if inner, err := i.Resolve(domain, sector, id); err == nil {
				id = inner
			}
		}
		err = checkID(id)
	}
	if err != nil {
		return nil, &broker.Error{Kind: broker.Upstream, Err: fmt.Errorf("a pointer of domain %.80q: %w", domain, err)}
	}
	if id == "" {
		return value, nil
	}
	text, err := i.Mint(domain, sector, id)
	if err != nil {
		return nil, err
	}
	return []byte(`"` + text + `"`), nil // letters, digits, _ and - need no escapes
}

// idOf is the id that a JSON value stands for, "" for null.
func idOf(value []byte) (string, error) {
	v := jsontext.Value(bytes.TrimSpace(value))
	if !v.IsValid() {
		return "", errors.New("not a JSON value")
	}
	switch v.Kind() {
	case 'n':
		return "", nil
	case '"':
		id, err := jsontext.AppendUnquote(nil, v)
		if err != nil {
			return "", errors.New("not a JSON string")
		}
		return string(id), nil
	case '0':
		if bytes.ContainsAny(v, ".eE") {
			return "", errors.New("the number is not a whole one")
		}
		return string(v), nil
	}
	return "", errors.New("the value is neither text nor a whole number")
}
