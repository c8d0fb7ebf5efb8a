package capability

import (
	"fmt"

	"github.com/go-json-experiment/json"

	"pointsman/host/broker"
)

const (
	// MaxHead is the largest JSON head of a request, in bytes: the query and header limits
	// of host/egress, with room for their quoting.
	MaxHead = 64 << 10
	// maxDepth is how deep JSON may be nested, SECURITY-RULES §2.6.
	maxDepth = 64
)

// Decode is how every capability reads what a guest or a grant says. It refuses duplicate,
// unknown and case-variant names, invalid UTF-8, anything behind the value, more than
// MaxHead bytes and more than 64 levels. The error is a *broker.Error of kind Invalid or
// TooLarge that repeats nothing of text.
func Decode(text []byte, into any) error {
	if len(text) > MaxHead {
		return &broker.Error{Kind: broker.TooLarge, Detail: fmt.Sprintf("the request is larger than %d bytes of JSON", MaxHead)}
	}
	if depth(text) > maxDepth {
		return &broker.Error{Kind: broker.Invalid, Detail: fmt.Sprintf("the request is nested deeper than %d levels", maxDepth)}
	}
	if err := json.Unmarshal(text, into, json.RejectUnknownMembers(true)); err != nil {
		return &broker.Error{Kind: broker.Invalid, Detail: "the request is not the JSON that this operation takes: " +
			"no unknown, repeated or differently cased names, nothing behind the value, valid UTF-8"}
	}
	return nil
}

// DecodeGrant is how every capability reads its grant, which may be larger than any request of
// a guest; form says in the error what one looks like. An empty grant decodes to nothing.
func DecodeGrant(grant []byte, into any, form string) error {
	if len(grant) == 0 {
		return nil
	}
	if err := json.Unmarshal(grant, into, json.RejectUnknownMembers(true)); err != nil {
		return fmt.Errorf("the grant is not %s: %w", form, err)
	}
	return nil
}

// depth is how deep text is nested, at least; it is exact for valid JSON.
func depth(text []byte) int {
	now, most, inString := 0, 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '[' || c == '{':
			now++
			most = max(most, now)
		case c == ']' || c == '}':
			now--
		}
	}
	return most
}
