package rest

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"pointsman/host/broker"
	"pointsman/host/pipeline"
)

// headerID is on every answer, and in every line that this program writes about it.
const headerID = "Request-Id"

// retryAfter is what a consumer waits for when we cannot say better: long enough to swap a
// release or to restart, short enough not to matter.
const retryAfter = 5 * time.Second

// outcome is what one request came to: all that its answer, record and log line say.
type outcome struct {
	known     bool // whether principal proved who it is
	principal broker.PrincipalID
	release   uint64
	route     string // "" unless the path is one of the release's
	method    string
	result    pipeline.Result
	options   bool // answered with Allow and nothing else
	allow     string
	retry     time.Duration
	quota     int
	window    time.Duration
	closing   bool // what follows on the connection may not be a request
	err       error
}

func (o *outcome) status() int {
	switch {
	case o.err != nil:
		p, _ := explain(o.err)
		return p.status
	case o.options:
		return http.StatusNoContent
	}
	return http.StatusOK
}

// word is the outcome in the record.
func (o *outcome) word() string {
	switch {
	case o.err != nil:
		p, _ := explain(o.err)
		return p.code
	case o.options || o.result.Complete:
		return "ok"
	}
	return "partial"
}

// common are the headers of every answer. Answers depend on who asks and are never kept
// by anything between here and there.
func common(h http.Header, id broker.RequestID) {
	h.Set(headerID, string(id))
	h.Set("Cache-Control", "private, no-store")
	h.Set("Vary", "Authorization, X-Api-Key")
	h.Set("X-Content-Type-Options", "nosniff")
}

// headers says how the answer of o is meant, apart from its body.
func (o *outcome) headers(h http.Header) {
	if o.allow != "" {
		h.Set("Allow", o.allow)
	}
	if len(o.result.Sources) > 0 {
		h.Set("Pointsman-Complete", sfBool(o.err == nil && o.result.Complete))
		h.Set("Pointsman-Sources", formatSources(o.result.Sources))
	}
	switch o.status() {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="pointsman"`)
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", seconds(after(o.err)))
	case http.StatusTooManyRequests:
		if broker.KindOf(o.err) == broker.Spent {
			h.Set("Retry-After", seconds(after(o.err)))
			h.Set("RateLimit", `"subjects";r=0;t=`+seconds(after(o.err)))
			return
		}
		h.Set("Retry-After", seconds(o.retry))
		// draft-ietf-httpapi-ratelimit-headers: q requests in w seconds; r are left for t.
		h.Set("RateLimit", `"consumer";r=0;t=`+seconds(o.retry))
		if o.quota > 0 && o.window > 0 {
			h.Set("RateLimit-Policy", fmt.Sprintf(`"consumer";q=%d;w=%s`, o.quota, seconds(o.window)))
		}
	}
}

// write sends the answer. HEAD gets the headers of GET, its length included.
func (o *outcome) write(w http.ResponseWriter, r *http.Request, id broker.RequestID) error {
	h := w.Header()
	common(h, id)
	o.headers(h)
	if o.closing {
		h.Set("Connection", "close")
	}
	var body []byte
	switch {
	case o.err != nil:
		p, detail := explain(o.err)
		body = p.body(detail, id)
		h.Set("Content-Type", "application/problem+json")
	case o.options:
		w.WriteHeader(http.StatusNoContent)
		return nil
	default:
		body = o.result.Answer
		h.Set("Content-Type", "application/json")
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(o.status())
	if r.Method == http.MethodHead {
		return nil
	}
	_, err := w.Write(body)
	return err
}

// formatSources says how each source went: a structured field (RFC 9651), a list of tokens
// with parameters. s is the outcome, ms the time it took.
//
//	crm;s=ok;ms=34, loyalty;s=timeout;ms=300
//
// Names and outcomes are tokens by the manifests' rules. What is none is left out rather
// than allowed to break the field.
func formatSources(sources []broker.Source) string {
	var b strings.Builder
	for _, s := range sources {
		if !isToken(s.Name) || !isToken(string(s.Outcome)) {
			continue
		}
		if b.Len() > 0 {
			b.WriteString(", ")
		}
		b.WriteString(s.Name)
		b.WriteString(";s=")
		b.WriteString(string(s.Outcome))
		b.WriteString(";ms=")
		b.WriteString(strconv.FormatInt(max(0, s.Elapsed.Milliseconds()), 10))
	}
	return b.String()
}

// isToken reports whether s is a token of RFC 9651 §3.3.4.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !isAlnum(c) && strings.IndexByte("!#$%&'*+-.^_`|~:/", c) < 0 {
			return false
		}
	}
	return s != "" && (s[0] == '*' || isAlnum(s[0]) && s[0] > '9')
}

func sfBool(b bool) string {
	if b {
		return "?1"
	}
	return "?0"
}

// seconds rounds up to whole seconds, at least one: an answer that says "now" invites a loop.
func seconds(d time.Duration) string {
	return strconv.FormatInt(int64(max(1, math.Ceil(d.Seconds()))), 10)
}

// after is how long a consumer should wait: as long as the source that failed says, if it does.
func after(err error) time.Duration {
	if e, ok := errors.AsType[*broker.Error](err); ok && (e.Kind == broker.Unavailable || e.Kind == broker.Spent) && e.After > 0 {
		return e.After
	}
	return retryAfter
}
