package pdk

import (
	"errors"
	"fmt"
	"time"

	"pointsman/pdk/wire"
)

// Code is the word for a kind of failure; the host maps it to what a consumer is told.
type Code = wire.Code

// The words. The seventh, rate_limited, is made by RateLimited, because it carries a time.
const (
	Config    = wire.Config    // the plugin's configuration cannot work
	Auth      = wire.Auth      // the back end refuses the credential
	NotFound  = wire.NotFound  // there is no such record
	Transient = wire.Transient // trying again later may help
	Permanent = wire.Permanent // trying again will not help
	Denied    = wire.Denied    // the grant does not cover it
)

// Error is a failure with a word. Its message is a sentence for the integrator: names and
// rules, never values, never what a back end said.
type Error = wire.Error

// Errorf returns an *Error. The arguments must not be upstream text or personal data: the
// message goes to logs.
func Errorf(code Code, format string, args ...any) error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// RateLimited returns the *Error of a back end that asks to wait. after is rounded down to
// milliseconds; 0 or less means that it did not say how long.
func RateLimited(after time.Duration) error {
	return &Error{
		Code:    wire.RateLimited,
		Message: "the back end asks to wait",
		AfterMS: max(after.Milliseconds(), 0),
	}
}

// CodeOf returns the word of err, Permanent if it has none, "" if err is nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	return asError(err).Code
}

// asError finds the Error in err's chain. An error without one may hold anything, so only
// its type is told.
func asError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok && e != nil && e.Code.Valid() {
		return e
	}
	return &Error{Code: Permanent, Message: fmt.Sprintf("the plugin returned an error without a code, of type %T", err)}
}
