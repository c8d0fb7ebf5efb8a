package deploy

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"time"
	"unicode/utf8"

	"pointsman/host/broker"
	"pointsman/host/manifest"
	"pointsman/host/pipeline"
)

// callBudget is how many recorded uses of powers one request may make, over all its steps.
// SECURITY.md: 32 calls of back ends for each request.
const callBudget = 32

// Route is one method and path that consumers may call. Immutable.
type Route struct {
	release  *Release
	name     string
	method   string
	template string
	scopes   []string
	deadline time.Duration
	params   map[string]param
	plan     *pipeline.Plan
	answer   *answer
}

type param struct {
	inPath   bool
	pattern  *regexp.Regexp // anchored; nil allows any text
	text     string         // the pattern as it was written
	max      int            // characters
	required bool
	fallback *string
	pointer  string // the domain of what it points at; "" when it is no pointer
}

// Name is the route's name in the manifests.
func (r *Route) Name() string { return r.name }

// Method is the route's HTTP method.
func (r *Route) Method() string { return r.method }

// Permits reports whether p may use the route.
func (r *Route) Permits(p broker.Principal) bool { return p.Scopes.HasAll(r.scopes) }

// Template is the path with its parameters in braces, e.g. /v1/customers/{customer}.
func (r *Route) Template() string { return r.template }

// Deadline is the longest that Serve takes.
func (r *Route) Deadline() time.Duration { return r.deadline }

// Bind checks the parameters of a request against their declarations and fills in
// defaults. path are those that Match found. What the route does not declare is refused.
// The error is a *broker.Error of kind Invalid that names the parameter.
func (r *Route) Bind(path map[string]string, query url.Values) (map[string]string, error) {
	bound := make(map[string]string, len(r.params))
	for _, name := range slices.Sorted(maps.Keys(query)) {
		p, ok := r.params[name]
		switch {
		case !ok || p.inPath:
			return nil, invalid("query parameter %q is not declared by this route", name)
		case len(query[name]) != 1:
			return nil, invalid("query parameter %q is given %d times; once is allowed", name, len(query[name]))
		}
		bound[name] = query[name][0]
	}
	for name, value := range path {
		if p, ok := r.params[name]; !ok || !p.inPath { // host/manifest refuses such a route
			return nil, &broker.Error{Kind: broker.Internal, Err: fmt.Errorf("path parameter %q is not declared", name)}
		}
		bound[name] = value
	}
	for _, name := range slices.Sorted(maps.Keys(r.params)) {
		p := r.params[name]
		value, given := bound[name]
		if !given {
			if p.fallback != nil {
				bound[name] = *p.fallback
			} else if p.required {
				return nil, invalid("parameter %q is required", name)
			}
			continue
		}
		if p.pointer != "" {
			continue // one that is wrong is NotFound, however it is wrong
		}
		if utf8.RuneCountInString(value) > p.max {
			return nil, invalid("parameter %q is longer than %d characters", name, p.max)
		}
		if !utf8.ValidString(value) {
			return nil, invalid("parameter %q is not valid UTF-8", name)
		}
		if p.pattern != nil && !p.pattern.MatchString(value) {
			return nil, invalid("parameter %q does not match %s", name, p.text)
		}
	}
	return bound, nil
}

// Serve runs the route's steps and answers what the principal may see. call names the
// request and its principal. A pointer that does not resolve is NotFound, before anything is
// asked; a principal that was told of as many subjects as it may be is Spent.
func (r *Route) Serve(ctx context.Context, call broker.Call, params map[string]string) (pipeline.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, r.deadline)
	defer cancel()
	call.Release = r.release.number
	call.Route = r.name
	call.Budget = broker.NewBudget(callBudget)
	values, err := r.open(call.Principal.Sector, params)
	if err != nil {
		return pipeline.Result{}, err
	}
	result, err := r.plan.Run(ctx, runner{r.release, call}, values)
	if err != nil {
		return result, err
	}
	subjects, err := r.answer.letOut(ctx, r.release, call, &result, values)
	if err == nil {
		err = r.release.reveal(call.Principal, subjects)
	}
	if err != nil {
		result.Answer = nil
	}
	return result, err
}

// open resolves the parameters that are pointers: all of them, so that it cannot be told
// which one is wrong.
func (r *Route) open(sector broker.Sector, params map[string]string) (map[string]pipeline.Param, error) {
	values := make(map[string]pipeline.Param, len(params))
	var wrong error
	for name, text := range params {
		value := pipeline.Param{Value: text}
		if p := r.params[name]; p.pointer != "" {
			id, err := r.release.pointers.Resolve(p.pointer, sector, text)
			switch {
			case err != nil:
				wrong = err
			case p.pattern != nil && !p.pattern.MatchString(text):
				wrong = &broker.Error{Kind: broker.NotFound, Detail: "no such record"}
			}
			value.Opened = id
		}
		values[name] = value
	}
	return values, wrong
}

func newParams(declared map[string]manifest.Param) (map[string]param, error) {
	params := make(map[string]param, len(declared))
	for name, m := range declared {
		p := param{
			inPath: m.In == manifest.InPath, pattern: m.Regexp(), text: m.Pattern,
			max: m.MaxLength, required: m.Required, fallback: m.Default, pointer: m.Pointer,
		}
		if p.pattern == nil && m.Pattern != "" { // without one, any text would be allowed
			return nil, fmt.Errorf("parameter %s: its pattern does not compile", name)
		}
		params[name] = p
	}
	return params, nil
}

func invalid(format string, args ...any) error {
	return &broker.Error{Kind: broker.Invalid, Detail: fmt.Sprintf(format, args...)}
}
