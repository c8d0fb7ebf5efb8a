// Package rest owns the listener that consumers talk to: what HTTP asks is turned into one
// call of a route, and what came of it into status codes, headers and problem+json.
//
// One request goes through these doors, in this order; the first that refuses answers:
//
//  1. caps: URL, number of header fields and query parameters, no body but    400 413 414 431
//     that of POST /pointers:rewrap, which is answered behind the fifth door
//  2. the bytes of the path, before anything is looked up by them              400
//  3. is there a release to serve from                                         503
//  4. the gateway's proof, where one is declared, and the credential: both     401
//     are always looked at, and the answer is the same for every path
//  5. the consumer's rate, whatever it asks for                                429
//  6. the route; one that is not there or not for this consumer                404
//  7. the method; Allow lists what this consumer may use on the path           405
//  8. the parameters of path and query                                         400
//  9. the route's steps                                                        5xx, 404
//  10. the record: what cannot be recorded is not answered                     503
//
// What passed the fifth door is recorded in the audit before the answer is written.
// Requests of nobody and requests past a rate are only logged: neither a stranger nor a
// consumer that storms may fill the record.
//
// Requests that are not HTTP at all (a broken request line, a header above the cap, two
// lengths for one body) are answered by net/http itself, as text, without a Request-Id,
// and with the connection closed. They never get here.
package rest

import (
	"context"
	"net/url"
	"time"

	"pointsman/host/audit"
	"pointsman/host/broker"
	"pointsman/host/clientcert"
	"pointsman/host/gateway"
	"pointsman/host/pipeline"
)

// Broker holds what is being served.
type Broker interface {
	// Acquire pins the live release until the returned function is called, which is done
	// exactly once. The release is nil when there is none; the function never is.
	Acquire() (Release, func())
}

// Release is one immutable set of routes and consumers. Safe for concurrent use.
type Release interface {
	// Number tells releases apart in logs and records.
	Number() uint64

	// Prove returns the proof that a request came through the gateway. direct says that
	// there is no gateway, and no proof. Refusals are as those of Authenticate.
	Prove(r gateway.Request) (p gateway.Proof, direct bool, err error)

	// Authenticate returns whose credential or client certificate this is; presented is ""
	// and shown empty when the request had none. Every refusal is a *broker.Error of kind
	// Unauthenticated; another kind says that it cannot be checked now.
	Authenticate(ctx context.Context, presented string, shown clientcert.Chain) (broker.Principal, error)

	// Allow counts a request against p's rate and reports whether it is within it, and if
	// not, when the next one would be. Always true for a consumer without a rate.
	Allow(p broker.Principal) (ok bool, after time.Duration)

	// Quota is p's rate as it is shown to p: requests per window. Zero when none is declared.
	Quota(p broker.Principal) (requests int, window time.Duration)

	// Rewrap returns the pointer of the current epoch for one of p's that resolves. Whatever
	// else text is, the error is one and the same NotFound.
	Rewrap(p broker.Principal, text string) (string, error)

	// Match returns the routes whose path template path fits, at most one for each method,
	// whoever may use them. path is escaped as it was received and has passed CheckPath.
	Match(path string) []Match
}

// Match is a route that fits a path.
type Match struct {
	Route  Route
	Params map[string]string // the path's parameters, decoded once
}

// Route is one operation offered to consumers. Safe for concurrent use.
type Route interface {
	Name() string
	Method() string

	// Permits reports whether p may use the route. If not, p cannot tell that it exists.
	Permits(p broker.Principal) bool

	// Bind checks all parameters, declared or not, and fills in defaults. No query
	// parameter comes twice. A fault is a *broker.Error: Invalid, whose Detail names the
	// parameter, or NotFound when a path parameter cannot name anything.
	Bind(path map[string]string, query url.Values) (map[string]string, error)

	// Serve runs the route within its own deadline. call names the request, the principal,
	// the release and the route; budgets, steps and plugins are for the route to add. The
	// result's sources are shown even when an error comes with them.
	Serve(ctx context.Context, call broker.Call, params map[string]string) (pipeline.Result, error)
}

// Recorder keeps what consumers did. It has returned before the answer is written.
type Recorder interface {
	Request(ctx context.Context, r audit.Request) error
}
