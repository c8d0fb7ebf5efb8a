package broker

import (
	"errors"
	"fmt"
	"time"
)

// Kind says whose fault a failure is and what the caller can do about it. The zero value
// is Internal, which tells the caller nothing.
type Kind uint8

const (
	Internal        Kind = iota // ours; nothing is shown
	Invalid                     // the request is wrong; Detail says where
	Unauthenticated             // no valid credential
	NotFound                    // not there, or not for this caller
	NotAllowed                  // the method is not offered on this path
	TooLarge                    // the request exceeds a limit
	RateLimited                 // too many requests
	Unavailable                 // we cannot serve now; trying later may help
	Upstream                    // a back end that the answer needs failed
	UpstreamTimeout             // a back end that the answer needs was too slow
	Canceled                    // the caller went away
	Denied                      // a grant does not cover the use; seen by plugins and operators
	Spent                       // the caller was told of as many subjects as it may be; Detail says so
)

var kindNames = [...]string{"internal", "invalid", "unauthenticated", "not found", "not allowed",
	"too large", "rate limited", "unavailable", "upstream", "upstream timeout", "canceled", "denied", "spent"}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Error is a failure where the caller's fault or choice matters.
// Detail may be shown to the caller; Err never.
type Error struct {
	Kind   Kind
	Detail string
	Err    error
	After  time.Duration // RateLimited, Unavailable, Spent: when to try again; 0 when nobody knows
}

func (e *Error) Error() string {
	switch {
	case e.Err == nil:
		return e.Kind.String() + ": " + e.Detail
	case e.Detail == "":
		return e.Kind.String() + ": " + e.Err.Error()
	}
	return e.Kind.String() + ": " + e.Detail + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of the outermost Error in err's chain, Internal if there is none.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}
