package manifest

import (
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// maxSteps and maxParams keep a route something that a person can follow.
const (
	maxSteps  = 50
	maxParams = 50
)

func routeSpec() form[Route] {
	return object(Route{Deadline: DefaultDeadline}, checkRoute,
		required(endpointField()),
		key("params", named(paramName, maxParams, param()), "every parameter of path and query", func(r *Route) *map[string]Param { return &r.Params }),
		required(key("scopes", list(1, 20, name(scopeName), itself), "scopes that a consumer needs, all of them", func(r *Route) *[]string { return &r.Scopes })),
		key("deadline", duration(10*time.Millisecond, MaxDeadline), "the longest that a request may take; 2s unless written", func(r *Route) *time.Duration { return &r.Deadline }),
		required(key("steps", steps(), "plugin calls, by name", func(r *Route) *[]Step { return &r.Steps })),
		required(key("answer", value(), "what the consumer gets", func(r *Route) *Value { return &r.Answer })),
		required(key("view", paths(), "the answer's shape: the paths that leave, or all", func(r *Route) *Paths { return &r.View })),
		key("views", named(scopeName, 20, paths()), "what leaves besides, to consumers that have a scope: scope, and paths or all", func(r *Route) *map[string]Paths { return &r.Views }),
		key("clear", labelList(), "labels that the answer may carry", func(r *Route) *[]string { return &r.Clear }),
		key("pointers", answerPointers(), "ids in the answer that become pointers: domain, and their paths", func(r *Route) *map[string][]string { return &r.Pointers }),
		key("subject", subject(), "whom the answer is about: a parameter's name, or answer. and a path", func(r *Route) *string { return &r.Subject }))
}

func endpointField() field[Route] {
	f := endpoint()
	return field[Route]{
		name: "path", doc: "method and path, such as GET /v1/customers/{customer}", schema: f.schema,
		read: func(r *reader, n *yaml.Node, at string, into *Route) {
			if method, path, p := parseEndpoint(f.read(r, n, at)); p == nil {
				into.Method, into.Path = method, path
			}
		},
		write: func(r *Route) any { return r.Method + " " + r.Path },
	}
}

func param() form[Param] {
	return object(Param{MaxLength: DefaultMaxLength}, checkParam,
		required(key("in", choice(codeWord, InPath, InQuery), "where the parameter is", func(p *Param) *string { return &p.In })),
		key("pattern", pattern(), "regular expression (RE2) for the whole value", func(p *Param) *string { return &p.Pattern }),
		key("maxLength", number(1, 4096), "the longest value, in characters; 200, or 512 of a pointer, unless written", func(p *Param) *int { return &p.MaxLength }),
		key("required", boolean(), "true if a request without it is refused", func(p *Param) *bool { return &p.Required }),
		key("default", pointer(free(4096)), "what stands in for a missing query parameter", func(p *Param) **string { return &p.Default }),
		key("pointer", using(KindDomain, name(plainName)), "the domain whose pointers it takes", func(p *Param) *string { return &p.Pointer }),
		key("label", name(labelName), "the label of its value, of what it points at if it is a pointer", func(p *Param) *string { return &p.Label }))
}

func checkParam(r *reader, n *yaml.Node, at string, p *Param) {
	if p.Pointer != "" && child(n, "maxLength") == n {
		p.MaxLength = DefaultPointerLength
	}
	if p.In == InPath {
		switch {
		case p.Pattern == "" && child(n, "pattern") == n && child(n, "pointer") == n:
			r.add(n, join(at, "pattern"), codeMissing, "", "a path parameter needs a pattern")
		case child(n, "required") != n && !p.Required:
			r.add(child(n, "required"), join(at, "required"), codeContradiction, "", "a path parameter is always there")
		case p.Default != nil:
			r.add(child(n, "default"), join(at, "default"), codeContradiction, "", "a path parameter is always there and takes no default")
		}
		p.Required = true
	}
	if p.Default == nil || *p.Default == "" || p.In == InPath {
		return
	}
	place, at := child(n, "default"), join(at, "default")
	switch re := p.Regexp(); {
	case p.Pointer != "":
		r.add(place, at, codeContradiction, "", "no pointer is known before a request: a pointer takes no default")
	case p.Required:
		r.add(place, at, codeContradiction, "", "a required parameter takes no default")
	case utf8.RuneCountInString(*p.Default) > p.MaxLength && p.MaxLength > 0:
		r.add(place, at, codeContradiction, "", "the default is longer than maxLength allows")
	case re != nil && !re.MatchString(*p.Default):
		r.add(place, at, codeContradiction, "", "the default does not match the pattern")
	}
}

// Regexp returns the pattern compiled so that it matches whole values only, nil if there
// is none. A Param of a Set always compiles.
func (p Param) Regexp() *regexp.Regexp {
	if p.Pattern == "" {
		return nil
	}
	re, err := regexp.Compile(`\A(?:` + p.Pattern + `)\z`)
	if err != nil {
		return nil
	}
	return re
}

// maxPattern is the longest regular expression, in characters; RE2 matches in linear time
// and Go bounds what repetition may expand to.
const maxPattern = 500

func pattern() form[string] {
	return word("a regular expression", schema{"minLength": 1, "maxLength": maxPattern}, func(s string) (string, *problem) {
		if n := utf8.RuneCountInString(s); n == 0 || n > maxPattern {
			return "", problemf(codeLength, "", "%d characters; expected 1 to %d", n, maxPattern)
		}
		if _, err := regexp.Compile(s); err != nil { // alone first: a)|(b must not become valid by wrapping
			return "", problemf(codePattern, "", "not a regular expression: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		}
		re, err := regexp.Compile(`\A(?:` + s + `)\z`)
		switch {
		case err != nil:
			return "", problemf(codePattern, "", "not a regular expression that can match a whole value")
		case re.MatchString(""):
			return "", problemf(codePattern, "", "the pattern matches the empty text")
		}
		return s, nil
	}, itself)
}

// steps is a mapping of steps, in the document's order.
func steps() form[[]Step] {
	f := step()
	return form[[]Step]{
		schema: named(plainName, maxSteps, f).schema,
		read: func(r *reader, n *yaml.Node, at string) []Step {
			var out []Step
			for _, e := range r.entries(n, at, plainName, maxSteps) {
				s := f.read(r, e.value, join(at, e.key.Value))
				s.Name, s.Pos = e.key.Value, r.pos(e.key)
				if s.Name == RootParams {
					r.add(e.key, join(at, s.Name), codeName, "", "no step can be called %s: ${params.…} are the parameters", RootParams)
				}
				out = append(out, s)
			}
			return out
		},
		write: func(steps []Step) any {
			o := schema{}
			for _, s := range steps {
				o[s.Name] = f.write(s)
			}
			return o
		},
	}
}

func step() form[Step] {
	return object(Step{With: Value{Kind: ValueObject}}, checkStep,
		required(functionField("call", "which function, as plugin.function", KindPlugin, func(s *Step) (*string, *string) { return &s.Plugin, &s.Function })),
		key("with", value(), "the plugin's input; may hold references", func(s *Step) *Value { return &s.With }),
		key("required", boolean(), "true if there is no answer without it", func(s *Step) *bool { return &s.Required }),
		key("onError", choice(codeWord, OnErrorOmit, OnErrorFail), "omit: the step becomes null; fail: the request fails", func(s *Step) *string { return &s.OnError }),
		key("deadline", duration(time.Millisecond, MaxDeadline), "the longest that the step may take, within the route's", func(s *Step) *time.Duration { return &s.Deadline }),
		key("view", paths(), "what of the output the route uses; all of it unless written", func(s *Step) *Paths { return &s.View }))
}

func checkStep(r *reader, n *yaml.Node, at string, s *Step) {
	if s.Required && s.OnError == OnErrorOmit {
		r.add(child(n, "onError"), join(at, "onError"), codeContradiction, "", "a required step cannot be omitted")
	}
	if s.OnError == "" {
		s.OnError = OnErrorOmit
		if s.Required {
			s.OnError = OnErrorFail
		}
	}
}

var callText = regexp.MustCompile(`^([a-z][a-z0-9-]{0,62})\.([a-zA-Z_][a-zA-Z0-9_-]{0,62})$`)

// functionField is plugin.function, the plugin in the first and the function in the second
// place of what place returns.
func functionField[T any](name, doc, kind string, place func(*T) (plugin, function *string)) field[T] {
	f := word("plugin.function", schema{"pattern": callText.String()}, func(s string) (string, *problem) {
		if !callText.MatchString(s) {
			return "", problemf(codeName, "", "expected plugin.function, found %s", quote(s))
		}
		return s, nil
	}, itself)
	return field[T]{
		name: name, doc: doc, schema: f.schema,
		read: func(r *reader, n *yaml.Node, at string, into *T) {
			if m := callText.FindStringSubmatch(f.read(r, n, at)); m != nil {
				plugin, function := place(into)
				*plugin, *function = m[1], m[2]
				r.uses = append(r.uses, use{kind: kind, name: m[1], pos: r.pos(n), at: at})
			}
		},
		write: func(from *T) any {
			plugin, function := place(from)
			return *plugin + "." + *function
		},
	}
}

// answerPointers is a mapping of domains to paths of the answer.
func answerPointers() form[map[string][]string] {
	f := named(plainName, 50, pathList(1))
	read := f.read
	f.read = func(r *reader, n *yaml.Node, at string) map[string][]string {
		for _, e := range entriesOf(n) {
			if n.Kind == yaml.MappingNode && plainName.matches(e.key.Value) {
				r.uses = append(r.uses, use{kind: KindDomain, name: e.key.Value, pos: r.pos(e.key), at: join(at, e.key.Value)})
			}
		}
		return read(r, n, at)
	}
	return f
}

// SubjectAnswer is the beginning of a Route.Subject that is a path in the answer.
const SubjectAnswer = "answer."

// subject is a parameter's name or a path in the answer.
func subject() form[string] {
	return word("a parameter's name, or answer. and a path", schema{"minLength": 1, "maxLength": maxPathText + len(SubjectAnswer)}, func(s string) (string, *problem) {
		if path, ok := strings.CutPrefix(s, SubjectAnswer); ok {
			return s, checkPath(path)
		}
		return s, paramName.check(s)
	}, itself)
}
