package httpcap

import (
	"maps"
	"slices"
	"strings"

	"pointsman/host/broker"
	"pointsman/host/capability"
	"pointsman/host/egress"
	"pointsman/pdk/wire"
)

// planURL is the operation "url": it decodes a request that names its target by a URL, finds
// the granted back end that the URL lies within, and checks the rest as plan does. Nothing of
// the URL is rewritten: what the policy was asked is, byte for byte, what is sent.
func (p policy) planURL(request []byte) (capability.Planned, error) {
	head, body, err := wire.SplitFrame(request)
	if err != nil {
		return capability.Planned{}, errNoFrame()
	}
	var asked wire.URLRequest
	if err := capability.Decode(head, &asked); err != nil {
		return capability.Planned{}, err
	}
	e, path, query, err := p.locate(asked.URL)
	if err != nil {
		return capability.Planned{}, err
	}
	fields, err := egress.ParseQuery(query)
	if err != nil {
		return capability.Planned{}, denied("plugin asked backend %q: %v", e.as, err)
	}
	r := wire.HTTPRequest{Backend: e.as, Method: methodOf(asked.Method), Path: path, Query: fields, Header: headerOf(asked.Headers)}
	rule, err := e.check(r)
	if err != nil {
		return capability.Planned{}, err
	}
	out := egress.Request{Method: r.Method, Path: path, RawQuery: query, Header: r.Header, Body: slices.Clone(body)}
	if err := e.backend.Check(out); err != nil {
		return capability.Planned{}, err
	}
	return e.planned(rule, out), nil
}

// locate returns the granted back end that url lies within, and what of it is the path and
// the query. Of several, the one with the longest base path is meant, whether or not its
// rules allow the request: an admin who describes a part of an origin by itself means it.
// Two that cannot be told apart are refused, since one of the two credentials would have to
// be chosen.
func (p policy) locate(url string) (e *entry, path, query string, err error) {
	same := false
	for _, one := range p {
		rest, asks, ok := one.backend.Within(url)
		switch {
		case !ok || e != nil && one.backend.Depth() < e.backend.Depth():
		case e != nil && one.backend.Depth() == e.backend.Depth():
			same = true
		default:
			e, path, query, same = one, rest, asks, false
		}
	}
	if same {
		return nil, "", "", denied("the plugin asked for a URL that lies within two back ends that it was granted, and a URL cannot tell them apart")
	}
	if e == nil {
		return nil, "", "", denied("the plugin asked for a URL that %s; granted: %s", shapeOfURL(url), p.names())
	}
	return e, path, query, nil
}

// shapeOfURL says what keeps a URL out of every granted back end, as far as its form tells.
// It repeats nothing of it.
func shapeOfURL(url string) string {
	scheme, rest, ok := strings.Cut(url, "://")
	authority, path, slash := strings.Cut(rest, "/")
	switch {
	case !ok || scheme != "https" && scheme != "http":
		return "does not begin with https:// or http://, in lower case"
	case strings.Contains(rest, "#"):
		return "holds a fragment"
	case strings.Contains(authority, "@"):
		return "holds a user"
	case !slash:
		return "has no path"
	case strings.HasSuffix(path, "?"):
		return "ends in a question mark"
	}
	return "lies within no back end that it was granted: scheme, host, port and base path must be as in the back end's url, the host in lower case, a port that is the scheme's own left out"
}

// methodOf is how Extism's own host reads a method.
func methodOf(method string) string {
	if method == "" {
		return "GET"
	}
	return strings.ToUpper(method)
}

// headerOf returns the fields of headers, sorted by name.
func headerOf(headers map[string]string) []wire.Field {
	var fields []wire.Field
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		fields = append(fields, wire.Field{Name: name, Value: headers[name]})
	}
	return fields
}

func errNoFrame() error {
	return &broker.Error{Kind: broker.Invalid, Detail: "the request is not a frame: four bytes of length, head, body"}
}
