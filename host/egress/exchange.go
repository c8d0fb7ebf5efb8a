package egress

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"pointsman/host/broker"
)

// outcome is how one attempt went.
type outcome struct {
	answer Answer
	err    error         // a *broker.Error
	broken bool          // the back end failed, as retries and breaker understand it
	again  bool          // another attempt may help
	wait   time.Duration // what the back end asked to wait; 0: it did not say
}

// exchange sends r once, or twice when the credential may have been stale.
func (b *Backend) exchange(ctx, caller context.Context, r Request) outcome {
	var forms [][]byte // of both
	for first := true; ; first = false {
		resp, used, err := b.send(ctx, r)
		if used != nil {
			defer used.Wipe()
			forms = append(forms, used.Forms()...)
		}
		if err != nil {
			return failed(caller, err)
		}
		if first && used != nil && resp.StatusCode == http.StatusUnauthorized && b.placement.Refused(used) {
			_ = resp.Body.Close() // what it says is of no use to anyone
			b.log.InfoContext(ctx, "a back end refused its credential; a fresh one is tried", "backend", b.name, "call", callID(ctx))
			continue
		}
		defer resp.Body.Close() // what it could report, the read before it has
		return b.receive(caller, resp, forms)
	}
}

// send places the credential and sends. used is not nil once there is something to wipe.
func (b *Backend) send(ctx context.Context, r Request) (*http.Response, Used, error) {
	transport, err := b.wires.take()
	if err != nil {
		return nil, nil, err
	}
	req := b.request(ctx, r)
	if b.placement == nil {
		resp, err := transport.RoundTrip(req)
		return resp, nil, err
	}
	host, target := req.URL.Host, req.URL.Opaque
	used, err := b.placement.Place(ctx, req, r.Body)
	if err != nil {
		return nil, nil, err
	}
	if req.URL.Host != host || req.Host != host || req.URL.Scheme != b.origin.scheme || req.Method != r.Method || !extends(req.URL.Opaque, b.origin.base, target) {
		return nil, used, &broker.Error{Kind: broker.Internal, Detail: "the credential's placement changed where the request goes"}
	}
	resp, err := transport.RoundTrip(req)
	return resp, used, err
}

// extends reports whether path is target as it was checked, or target with one segment more
// behind the base path: where some back ends want the credential.
func extends(path, base, target string) bool {
	if path == target {
		return true
	}
	segment, ok := strings.CutPrefix(path, base+"/")
	if !ok {
		return false
	}
	segment, _, _ = strings.Cut(segment, "/")
	rest := strings.TrimPrefix(target, base)
	return CheckPath("/"+segment) == nil && segment != "" && (path == base+"/"+segment+rest || rest == "/" && path == base+"/"+segment)
}

// receive reads the answer within its limits and takes the credential out of it.
func (b *Backend) receive(caller context.Context, resp *http.Response, forms [][]byte) outcome {
	if err := checkHead(resp); err != nil {
		return outcome{err: err}
	}
	body, err := readBody(resp, b.bytes, b.ratio)
	if err != nil {
		return failed(caller, err)
	}
	if b.placement != nil {
		if now := b.placement.Current(); now != nil { // after the last byte of the answer
			defer now.Wipe()
			forms = union(forms, now.Forms())
		}
	}
	o := outcome{answer: Answer{Status: resp.StatusCode, Header: b.replyHeader(resp.Header), Body: body}}
	o.wait = retryAfter(resp.Header, time.Now())
	o.answer.After = o.wait
	switch resp.StatusCode {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		// Not every 5xx: 500 is often one input that the back end cannot bear, and must not
		// take it from those who ask for something else.
		o.broken, o.again = true, true
	case http.StatusTooManyRequests:
		o.again = o.wait > 0 // without a word of when, another attempt only adds to it
	}
	if o.err = b.redact(forms, &o.answer); o.err != nil {
		return outcome{err: o.err, broken: o.broken}
	}
	return o
}

// union returns forms and those of more that it does not have. Both stay as they are.
func union(forms, more [][]byte) [][]byte {
	all := forms[:len(forms):len(forms)]
	for _, m := range more {
		if !slices.ContainsFunc(all, func(f []byte) bool { return bytes.Equal(f, m) }) {
			all = append(all, m)
		}
	}
	return all
}

// failed is the outcome of an exchange that brought no answer.
func failed(caller context.Context, err error) outcome {
	o := outcome{err: classify(caller, err)}
	switch e := o.err.(*broker.Error); {
	case isOurs(err): // the back end had no part in it, or it answered and we do not like what
	case e.Kind == broker.UpstreamTimeout:
		o.broken, o.again = true, true
	case e.Kind == broker.Upstream:
		o.broken, o.again = true, tlsReason(err) == "" // trust does not grow by asking again
	}
	return o
}

// redact takes the credential out of a, which must not be used after an error. The error is a *broker.Error.
func (b *Backend) redact(forms [][]byte, a *Answer) error {
	if len(forms) == 0 {
		return nil
	}
	r, ok := b.redactors.Get().(*redactor)
	if !ok {
		r = new(redactor)
	}
	r.learn(forms)
	defer func() {
		r.wipe()
		b.redactors.Put(r)
	}()
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

// retryAfter reads Retry-After, in seconds or as a date: RFC 9110 §10.2.3. It is 0 when there
// is none.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if text == "" {
		return 0
	}
	if n, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	t, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	return max(0, t.Sub(now))
}

// callID is the request that a call is for, for the log.
func callID(ctx context.Context) broker.RequestID {
	call, _ := broker.CallFrom(ctx)
	return call.Request
}
