package egress

import (
	"context"
	"net/http"
)

// Placement puts a back end's credential into requests. It belongs to the back end: a
// plugin cannot name it, see it, move it or ask for it. Safe for concurrent use.
// Package host/credential makes them.
type Placement interface {
	// Place puts the credential into req, which is final but for that; body is what
	// req.Body will send, so that a signature can cover it. used tells what to look for in
	// the answer; the caller wipes it. It is never nil without an error. The error is a
	// *broker.Error.
	Place(ctx context.Context, req *http.Request, body []byte) (used Used, err error)
	// Current tells what a request that was placed now would have to be searched for: a
	// secret may be replaced while an answer is on its way, and the back end know the new one
	// already. The caller wipes it. It waits for nothing; nil means that there is nothing, or
	// that it cannot be had.
	Current() Used
	// Owns reports whether the credential goes into the header or query parameter of that
	// name, in any spelling; where is "header" or "query". No plugin may set it.
	Owns(where, name string) bool
	// Refused is told that the back end answered 401 to a request placed with used. It
	// reports whether a fresh credential may help; then the request is sent once more.
	Refused(used Used) (again bool)
}

// Used is what was put into one request. It is an alias, so that a package that does not
// import this one can implement Placement: host/credential stands on the same layer.
type Used = interface {
	// Forms are the plain texts whose repetition in an answer is taken out: token,
	// password, pair, signing key, and the values that were used before. They belong to
	// Used and are valid until Wipe.
	Forms() [][]byte
	// Wipe overwrites the forms.
	Wipe()
}
