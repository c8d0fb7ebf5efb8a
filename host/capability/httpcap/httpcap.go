// Package httpcap owns the power to reach back ends over HTTP: it decides whether a
// plugin's request is within its grant, and has host/egress send it.
package httpcap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"pointsman/host/broker"
	"pointsman/host/capability"
	"pointsman/host/egress"
	"pointsman/host/parcel"
	"pointsman/host/view"
	"pointsman/pdk/wire"
)

// HTTP lends three operations: "request", which takes a frame of wire.HTTPRequest and the body,
// and "url", which takes one of wire.URLRequest and is what Extism's http_request comes to.
// Both answer a frame of wire.HTTPReply and the body. Every status that a back end may answer
// is a reply, for the plugin to judge; see host/egress for what is not.
//
// "fetch" takes a frame of wire.HTTPFetch and gives the answer as a parcel: see there. The
// plugin may read of it what the grant's view shows, and move all of it.
//
// Of a body the plugin gets what the grant's view shows. Unless the view is all, a body that
// is not one JSON document, and every body where the grant has no view, is empty.
type HTTP struct {
	Backends map[string]*egress.Backend // by the admin's name
	Labels   map[string]view.Labels     // of their answers, by the same name
}

// Name is "http".
func (*HTTP) Name() string { return "http" }

// Ops is "fetch", "request" and "url".
func (*HTTP) Ops() []string { return []string{"fetch", "request", "url"} }

// Bind compiles a grant, a list of {backend, as, allow, query, headers, view, clear}. An empty
// one lends nothing. It refuses a back end that there is not, a name given twice, and rules,
// headers and paths that can never be allowed.
func (h *HTTP) Bind(scope capability.Scope) (map[string]capability.Op, error) {
	var grants []grant
	if err := capability.DecodeGrant(scope.Grant, &grants, "a list of {backend, as, allow, query, headers, view, clear}"); err != nil {
		return nil, err
	}
	if len(grants) == 0 {
		return nil, nil
	}
	p := policy{}
	for i, g := range grants {
		entry, err := h.compile(g)
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", i, err)
		}
		if _, taken := p[entry.as]; taken {
			return nil, fmt.Errorf("entry %d: the plugin already knows a back end as %q", i, entry.as)
		}
		p[entry.as] = entry
	}
	w := newWanted(scope.Wants)
	return map[string]capability.Op{"fetch": p.teach(w, p.planFetch, p.askedFetch), "request": p.teach(w, p.plan, p.asked), "url": p.teach(w, p.planURL, p.askedURL)}, nil
}

type grant struct {
	Backend string           `json:"backend"`
	As      string           `json:"as"`
	Allow   []string         `json:"allow"`
	Query   []string         `json:"query"`
	Headers []string         `json:"headers"`
	View    capability.Paths `json:"view"`
	Clear   []string         `json:"clear"`
}

// policy is what a plugin may do, by its own names for the back ends. It is immutable.
type policy map[string]*entry

type entry struct {
	as      string
	backend *egress.Backend
	rules   []egress.Rule
	query   []string
	headers []string // in lower case
	view    view.View
	clear   broker.Labels // labels that may have been seen and may go out
	yields  broker.Labels // labels of what view shows
	facts   parcel.Facts  // of answers that become parcels
}

func (h *HTTP) compile(g grant) (*entry, error) {
	backend, ok := h.Backends[g.Backend]
	if !ok || backend == nil {
		return nil, fmt.Errorf("there is no backend %q", g.Backend)
	}
	e := &entry{as: g.As, backend: backend, query: g.Query, clear: broker.NewLabels(g.Clear...)}
	var err error
	if e.view, err = g.View.View(); err != nil {
		return nil, fmt.Errorf("view: %w", err)
	}
	e.yields = h.Labels[g.Backend].Of(e.view)
	e.facts = parcel.Facts{Labels: h.Labels[g.Backend], Shown: e.view}
	if e.as == "" {
		e.as = g.Backend
	}
	if len(g.Allow) == 0 {
		return nil, errors.New("allow is empty; want rules such as GET /v2/contacts/{id}")
	}
	for _, text := range g.Allow {
		rule, err := egress.ParseRule(text)
		if err != nil {
			return nil, err
		}
		e.rules = append(e.rules, rule)
	}
	if slices.Contains(g.Query, "") {
		return nil, errors.New("query: a name is empty")
	}
	for _, name := range g.Headers {
		if name == "" || egress.HostHeader(name) {
			return nil, fmt.Errorf("headers: %q can only be set by the host", name)
		}
		e.headers = append(e.headers, strings.ToLower(name))
	}
	return e, nil
}

// plan decodes a request and checks it against the policy. What it returns holds copies
// of everything, so what was checked is what is sent.
func (p policy) plan(request []byte) (capability.Planned, error) {
	head, body, err := wire.SplitFrame(request)
	if err != nil {
		return capability.Planned{}, errNoFrame()
	}
	var asked wire.HTTPRequest
	if err := capability.Decode(head, &asked); err != nil {
		return capability.Planned{}, err
	}
	e, rule, out, err := p.allow(asked, body)
	if err != nil {
		return capability.Planned{}, err
	}
	return e.planned(rule, out), nil
}

// allow returns the request that asked and body make, when a rule of the policy allows it.
func (p policy) allow(asked wire.HTTPRequest, body []byte) (e *entry, rule egress.Rule, out egress.Request, err error) {
	e, ok := p[asked.Backend]
	if !ok {
		return nil, rule, out, denied("the plugin asked for a backend that it was not granted; granted: %s", p.names())
	}
	if rule, err = e.check(asked); err != nil {
		return nil, rule, out, err
	}
	out = egress.Request{Method: asked.Method, Path: asked.Path, Query: asked.Query, Header: asked.Header, Body: slices.Clone(body)}
	return e, rule, out, e.backend.Check(out)
}

// planned is a request that was checked.
func (e *entry) planned(rule egress.Rule, out egress.Request) capability.Planned {
	return capability.Planned{
		Resource: e.backend.Name() + " " + rule.String(), Clear: e.clear, Yields: e.yields,
		Do: func(ctx context.Context) ([]byte, error) { return e.send(ctx, out) },
	}
}

// check returns the first rule that allows what was asked.
func (e *entry) check(asked wire.HTTPRequest) (egress.Rule, error) {
	if err := egress.CheckPath(asked.Path); err != nil {
		return egress.Rule{}, denied("plugin asked backend %q: %v", e.as, err)
	}
	at := slices.IndexFunc(e.rules, func(r egress.Rule) bool { return r.Match(asked.Method, asked.Path) })
	if at < 0 {
		return egress.Rule{}, denied("plugin asked for %s on backend %q; granted: %s", e.shape(asked), e.as, e.granted())
	}
	for i, f := range asked.Query {
		if !slices.Contains(e.query, f.Name) {
			return egress.Rule{}, denied("query parameter %d of %v on backend %q is not granted; granted: %s", i+1, e.rules[at], e.as, list(e.query))
		}
	}
	for i, f := range asked.Header {
		if !slices.Contains(e.headers, strings.ToLower(f.Name)) {
			return egress.Rule{}, denied("header %d of %v on backend %q is not granted; granted: %s", i+1, e.rules[at], e.as, list(e.headers))
		}
	}
	return e.rules[at], nil
}

// send asks the back end and frames what the plugin may see of its answer.
func (e *entry) send(ctx context.Context, r egress.Request) ([]byte, error) {
	a, err := e.backend.Do(ctx, r)
	if err != nil {
		return nil, err
	}
	frame, err := wire.Frame(wire.HTTPReply{Status: a.Status, Header: e.showHeader(a.Header)}, e.show(a.Body))
	if err != nil {
		return nil, &broker.Error{Kind: broker.Internal, Err: err}
	}
	return frame, nil
}

// showHeader is what the plugin may see of the header. An ETag is often a digest of the whole
// body: of one that is not shown whole it would tell which of a few it is.
func (e *entry) showHeader(header []wire.Field) []wire.Field {
	if e.view.All() {
		return header
	}
	return slices.DeleteFunc(header, func(f wire.Field) bool { return f.Name == "etag" })
}

// show is what the plugin may see of a body.
func (e *entry) show(body []byte) []byte {
	if e.view.All() {
		return body
	}
	if e.view.None() {
		return nil
	}
	shown, _, err := e.view.Append(nil, body)
	if err != nil { // a page of a proxy's, or JSON that two programs would read in two ways
		return nil
	}
	return shown
}
