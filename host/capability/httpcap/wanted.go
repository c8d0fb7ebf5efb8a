package httpcap

import (
	"fmt"
	"slices"
	"strings"

	"pointsman/host/broker"
	"pointsman/host/capability"
	"pointsman/host/egress"
	want "pointsman/host/grant"
	"pointsman/pdk/wire"
)

// wanted is what the plugin's author says that it asks for, by its own names for the back
// ends. Its words, and the admin's, are all that the record of a refused request may hold:
// whatever else a plugin asks for may be a value.
type wanted map[string]wish

type wish struct {
	rules          []egress.Rule
	query, headers []string
}

func newWanted(w want.Wants) wanted {
	out := wanted{}
	for _, h := range w.HTTP {
		one := wish{query: h.Query, headers: h.Headers}
		for _, text := range h.Allow {
			if rule, err := egress.ParseRule(text); err == nil { // one that is none names nothing
				one.rules = append(one.rules, rule)
			}
		}
		out[h.Backend] = one
	}
	return out
}

// teach is op, whose refusals name what was asked, as far as that can be said without a
// value:
//
//	crm GET /contacts/{id} query fields header X-Page
//
// a back end, a method, the rule of the author's that the path matches, or the admin's, or
// "{3 segments}" when there is none, and the names that the author wants and the admin did not
// grant. A back end that was not granted has the plugin's own name and a question mark
// behind: "crm?"; one that its author does not name is not named here.
func (p policy) teach(w wanted, op capability.Op, asked func([]byte) (wire.HTTPRequest, bool)) capability.Op {
	return func(request []byte) (capability.Planned, error) {
		planned, err := op(request)
		if err != nil && planned.Resource == "" && broker.KindOf(err) == broker.Denied {
			if r, ok := asked(request); ok {
				planned.Resource = p.name(w, r)
			}
		}
		return planned, err
	}
}

// asked decodes a request that was refused.
func (p policy) asked(request []byte) (r wire.HTTPRequest, ok bool) {
	head, _, err := wire.SplitFrame(request)
	if err != nil || capability.Decode(head, &r) != nil {
		return r, false
	}
	return r, true
}

// askedURL decodes a request for a URL within a back end that was granted.
func (p policy) askedURL(request []byte) (r wire.HTTPRequest, ok bool) {
	head, _, err := wire.SplitFrame(request)
	var asked wire.URLRequest
	if err != nil || capability.Decode(head, &asked) != nil {
		return r, false
	}
	e, path, query, err := p.locate(asked.URL)
	if err != nil {
		return r, false
	}
	r = wire.HTTPRequest{Backend: e.as, Method: methodOf(asked.Method), Path: path, Header: headerOf(asked.Headers)}
	r.Query, err = egress.ParseQuery(query)
	return r, err == nil
}

// name is the resource of a refused request.
func (p policy) name(w wanted, r wire.HTTPRequest) string {
	e, granted := p[r.Backend]
	wish, known := w[r.Backend]
	text := r.Backend + "?"
	switch {
	case granted:
		text = e.backend.Name()
	case !known:
		return ""
	}
	method := r.Method
	if !slices.Contains([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}, method) {
		method = "?"
	}
	text += " " + method + " " + template(e, wish, r)
	for _, f := range r.Query {
		if slices.Contains(wish.query, f.Name) && (!granted || !slices.Contains(e.query, f.Name)) {
			text += " query " + f.Name
		}
	}
	for _, f := range r.Header {
		name := strings.ToLower(f.Name)
		at := slices.IndexFunc(wish.headers, func(h string) bool { return strings.ToLower(h) == name })
		if at >= 0 && (!granted || !slices.Contains(e.headers, name)) {
			text += " header " + wish.headers[at]
		}
	}
	return text
}

// template is the path of the rule that the request matches, of the admin's or the author's.
func template(e *entry, w wish, r wire.HTTPRequest) string {
	if egress.CheckPath(r.Path) == nil {
		var rules []egress.Rule
		if e != nil {
			rules = append(rules, e.rules...)
		}
		for _, rule := range append(rules, w.rules...) {
			if rule.Match(r.Method, r.Path) {
				return strings.TrimPrefix(rule.String(), rule.Method()+" ")
			}
		}
	}
	return fmt.Sprintf("{%d segments}", min(strings.Count(r.Path, "/"), 99))
}
