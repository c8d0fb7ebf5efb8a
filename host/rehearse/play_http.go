package rehearse

import (
	"bytes"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"pointsman/host/egress"
	"pointsman/host/sandbox"
	"pointsman/pdk/wire"
)

func (p *player) request(request []byte) ([]byte, error) {
	var r wire.HTTPRequest
	body, err := frame(request, &r)
	if err != nil {
		return nil, err
	}
	return p.http(p.checks, egress.Request{Method: r.Method, Path: r.Path, Query: r.Query, Header: r.Header, Body: body}, r.Backend)
}

// url finds the back end that a URL lies within, as host/capability/httpcap does.
func (p *player) url(request []byte) ([]byte, error) {
	var r wire.URLRequest
	body, err := frame(request, &r)
	if err != nil {
		return nil, err
	}
	name, path, query, same := "", "", "", false
	for as, b := range p.backends {
		at, asks, ok := b.Within(r.URL)
		switch {
		case !ok || name != "" && b.Depth() < p.backends[name].Depth():
		case name != "" && b.Depth() == p.backends[name].Depth():
			same = true
		default:
			name, path, query, same = as, at, asks, false
		}
	}
	if same {
		return nil, denied("a URL lies within two back ends that it cannot tell apart, of which one is %s", name)
	}
	if name == "" {
		origin, _, _ := strings.Cut(r.URL, "?")
		return nil, denied("%s lies within no back end that is known; say which one it is with --backend NAME=URL", sandbox.Printable(origin))
	}
	fields, err := egress.ParseQuery(query)
	if err != nil {
		return nil, denied("back end %s: %v", name, err)
	}
	method := strings.ToUpper(r.Method)
	if method == "" {
		method = "GET"
	}
	var header []wire.Field
	for _, h := range sortedKeys(r.Headers) {
		header = append(header, wire.Field{Name: h, Value: r.Headers[h]})
	}
	return p.http(p.backends[name], egress.Request{Method: method, Path: path, Query: fields, Header: header, Body: body}, name)
}

func (p *player) http(b *egress.Backend, r egress.Request, as string) ([]byte, error) {
	if err := nameable(as); err != nil {
		return nil, err
	}
	if err := b.Check(r); err != nil {
		return nil, err
	}
	asked := Exchange{Method: r.Method, Backend: as, Path: r.Path, Query: r.Query, Header: r.Header, Body: r.Body}
	ex, err := p.play(&asked)
	if err != nil {
		return nil, err
	}
	u := use{of: source{"http", as}, what: r.Method, path: r.Path, names: p.values.ofPath(r.Path)}
	for _, f := range r.Query {
		u.query = append(u.query, f.Name)
	}
	for _, f := range r.Header {
		u.headers = append(u.headers, f.Name)
	}
	p.uses = append(p.uses, u)
	if ex.Refused != nil {
		return nil, ex.Refused
	}
	body, header := ex.Reply, slices.Clone(ex.Answer)
	if text := bytes.TrimSpace(body); jsontext.Value(text).IsValid() { // the file's last line break is not the back end's
		body = text
	}
	if v, some := p.shown(u.of, body); some { // as host/capability/httpcap shows an answer
		if body, _, err = v.Append(nil, body); err != nil || v.None() {
			body = nil
		}
		header = slices.DeleteFunc(header, func(f wire.Field) bool { return strings.EqualFold(f.Name, "etag") })
	}
	p.values.answer(body)
	return wire.Frame(wire.HTTPReply{Status: ex.Status, Header: header}, body)
}
