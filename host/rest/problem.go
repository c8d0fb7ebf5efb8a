package rest

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"pointsman/host/broker"
)

// problem is one way in which a request can fail, as consumers know it: code and type are
// stable, title is for people.
type problem struct {
	status int
	code   string
	title  string
	detail bool // whether broker.Error.Detail is the consumer's business
}

// statusCanceled is recorded and logged, never written: the client is gone. The number is
// the one that nginx made a custom.
const statusCanceled = 499

// problems says how each kind of failure is answered. A kind that is not listed is Internal.
var problems = map[broker.Kind]problem{
	broker.Internal:        {http.StatusInternalServerError, "internal", "Internal error", false},
	broker.Invalid:         {http.StatusBadRequest, "invalid", "Invalid request", true},
	broker.Unauthenticated: {http.StatusUnauthorized, "unauthenticated", "A valid credential is required", false},
	broker.NotFound:        {http.StatusNotFound, "not-found", "Not found", false},
	broker.NotAllowed:      {http.StatusMethodNotAllowed, "method-not-allowed", "Method not allowed", false},
	broker.TooLarge:        {http.StatusRequestEntityTooLarge, "too-large", "Request too large", true},
	broker.RateLimited:     {http.StatusTooManyRequests, "rate-limited", "Too many requests", false},
	broker.Unavailable:     {http.StatusServiceUnavailable, "unavailable", "Not available now", false},
	broker.Upstream:        {http.StatusBadGateway, "upstream", "A source that the answer needs failed", false},
	broker.UpstreamTimeout: {http.StatusGatewayTimeout, "upstream-timeout", "A source that the answer needs was too slow", false},
	broker.Canceled:        {statusCanceled, "canceled", "The client went away", false},
	broker.Spent:           {http.StatusTooManyRequests, "subjects-spent", "Too many different subjects", true},
	// What a plugin was refused is between it and the operator: the same words as Upstream.
	broker.Denied: {http.StatusBadGateway, "upstream", "A source that the answer needs failed", false},
}

// Limits that HTTP has statuses of its own for.
var (
	uriTooLong     = problem{http.StatusRequestURITooLong, "uri-too-long", "URL too long", true}
	headerTooLarge = problem{http.StatusRequestHeaderFieldsTooLarge, "header-too-large", "Too many header fields", true}
)

// limitError is a request past a limit that has its own problem.
type limitError struct {
	problem problem
	err     broker.Error
}

func (e *limitError) Error() string { return e.err.Error() }
func (e *limitError) Unwrap() error { return &e.err }

// explain returns how err is answered: the problem, and the detail if it may be shown.
func explain(err error) (problem, string) {
	p, ok := problems[broker.KindOf(err)]
	if !ok {
		p = problems[broker.Internal]
	}
	if limit, ok := errors.AsType[*limitError](err); ok {
		p = limit.problem
	}
	if e, ok := errors.AsType[*broker.Error](err); ok && p.detail {
		return p, shorten(e.Detail, maxDetail)
	}
	return p, ""
}

// maxDetail is how many bytes of a detail are shown: a sentence or two. Details name
// parameters, and those may be as long as the URL.
const maxDetail = 300

// body returns the problem as application/problem+json (RFC 9457). instance is the id of
// the request: all that a consumer needs to ask an operator about it.
func (p problem) body(detail string, id broker.RequestID) []byte {
	text, err := json.Marshal(struct {
		Type     string           `json:"type"`
		Title    string           `json:"title"`
		Status   int              `json:"status"`
		Code     string           `json:"code"`
		Detail   string           `json:"detail,omitempty"`
		Instance broker.RequestID `json:"instance"`
	}{"urn:pointsman:problem:" + p.code, p.title, p.status, p.code, detail, id})
	if err != nil {
		panic(err) // strings and a number
	}
	return append(text, '\n')
}

// shorten cuts s to at most limit bytes of valid UTF-8, and shows that it did.
func shorten(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit-len("…")], "") + "…"
}
