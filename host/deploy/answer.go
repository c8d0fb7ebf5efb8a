package deploy

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"pointsman/host/broker"
	"pointsman/host/manifest"
	"pointsman/host/pipeline"
	"pointsman/host/view"
)

// answer is what of a route's result a consumer gets.
type answer struct {
	view     view.View
	scoped   map[string]view.View // more, for consumers that have the scope
	clear    broker.Labels
	pointers []pointing
	subject  subject

	views sync.Map // scopes as text -> view.View
}

// pointing says where in an answer ids of a domain stand.
type pointing struct {
	domain string
	paths  view.View
}

// subject says whom an answer is about. The zero subject: nobody.
type subject struct {
	param string
	paths view.View // in the answer
}

func newAnswer(m *manifest.Route) (*answer, error) {
	a := &answer{scoped: map[string]view.View{}, clear: broker.NewLabels(m.Clear...)}
	var err error
	if a.view, err = shown(m.View); err != nil {
		return nil, fmt.Errorf("view: %w", err)
	}
	for scope, paths := range m.Views {
		if a.scoped[scope], err = shown(paths); err != nil {
			return nil, fmt.Errorf("views.%s: %w", scope, err)
		}
	}
	for _, domain := range slices.Sorted(maps.Keys(m.Pointers)) {
		p := pointing{domain: domain}
		if p.paths, err = view.Parse(m.Pointers[domain]); err != nil {
			return nil, fmt.Errorf("pointers.%s: %w", domain, err)
		}
		a.pointers = append(a.pointers, p)
	}
	if path, ok := strings.CutPrefix(m.Subject, "answer."); ok {
		if a.subject.paths, err = view.Parse([]string{path}); err != nil {
			return nil, fmt.Errorf("subject: %w", err)
		}
	} else {
		a.subject.param = m.Subject
	}
	return a, nil
}

// shown is nothing where a manifest says nothing: the shape of an answer is declared.
func shown(p manifest.Paths) (view.View, error) {
	if p.All {
		return view.All(), nil
	}
	return view.Parse(p.List)
}

// viewFor is what a consumer with these scopes may see.
func (a *answer) viewFor(scopes broker.Scopes) view.View {
	if len(a.scoped) == 0 {
		return a.view
	}
	if v, ok := a.views.Load(scopes.String()); ok { // as many as there are sets of scopes in the manifests
		return v.(view.View)
	}
	v := a.view
	for scope, more := range a.scoped {
		if scopes.Has(scope) {
			v = v.Union(more)
		}
	}
	a.views.Store(scopes.String(), v)
	return v
}

// letOut makes of a result what the principal may have: cleared, narrowed, and with pointers
// for ids. subjects are the ids of those that it is about.
func (a *answer) letOut(ctx context.Context, r *Release, call broker.Call, result *pipeline.Result, params map[string]pipeline.Param) (subjects []string, err error) {
	if missing := result.Labels.Minus(a.clear); !missing.Empty() {
		return nil, r.refuse(ctx, lacking(use(call, "answer", "route"), missing), fmt.Sprintf(
			"route %s would answer data labelled %v, which it is not cleared for; clear would list the labels", call.Route, missing))
	}
	text, _, err := a.viewFor(call.Principal.Scopes).Append(nil, result.Answer)
	if err != nil { // it was made of documents that were checked
		return nil, &broker.Error{Kind: broker.Internal, Err: fmt.Errorf("answer: %w", err)}
	}
	for _, p := range a.pointers {
		text, err = view.Replace(text, p.paths, func(value []byte) ([]byte, error) {
			return r.pointers.MintJSON(p.domain, call.Principal.Sector, value)
		})
		if err != nil { // of kind Upstream: what stands there is no id
			return nil, fmt.Errorf("answer: pointers to %s: %w", p.domain, err)
		}
	}
	if subjects, err = a.subject.of(result.Answer, params); err != nil {
		return nil, &broker.Error{Kind: broker.Internal, Err: fmt.Errorf("answer: subject: %w", err)}
	}
	result.Answer = text
	return subjects, nil
}

// of are the ids of those whom an answer is about, before anything of it is left out or
// becomes a pointer.
func (s subject) of(answer []byte, params map[string]pipeline.Param) ([]string, error) {
	if s.param != "" {
		p := params[s.param]
		return []string{cmp.Or(p.Opened, p.Value)}, nil
	}
	if s.paths.None() {
		return nil, nil
	}
	values, err := view.Find(answer, s.paths)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, v := range values {
		switch jsontext.Value(v).Kind() {
		case jsontext.KindNull:
		case jsontext.KindString:
			plain, err := jsontext.AppendUnquote(nil, v)
			if err != nil {
				return nil, err
			}
			ids = append(ids, string(plain))
		default:
			ids = append(ids, string(v))
		}
	}
	return ids, nil
}
