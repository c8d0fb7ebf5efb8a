package parcel

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"pointsman/host/view"
	"pointsman/pdk/record"
)

// MaxParts bounds the work of one merge: the systems that could know one thing, with room.
const MaxParts = 16

// Rules say how documents about one thing, each of another source, become one: which source's
// word survives for each field, and where they disagree. Rules do not change, and may be used
// concurrently.
type Rules struct {
	source  string // member that names a part's source
	rank    []string
	updated Path
	same    []Path
	checks  []check
	fields  []rule

	sources, latest, conflicts string // members of the result; "" for none
}

// check refuses parts.
type check struct {
	when Path // of parts that have something here
	path Path
	in   []string
	why  string
}

// rule makes one member of the result.
type rule struct {
	to, name     string // name: as conflicts have it
	from         expression
	take         string
	compare      []comparison
	list         bool
	when, unless *Path
	members      []rule // of an object of its own
}

type comparison struct {
	name string
	path Path
}

type writtenRule struct {
	To      string         `json:"to"`
	From    jsontext.Value `json:"from"`
	Take    string         `json:"take"`
	Compare []string       `json:"compare"`
	By      string         `json:"by"`
	When    *string        `json:"when"`
	Unless  *string        `json:"unless"`
	Members []writtenRule  `json:"members"`
}

// ParseRules reads rules: docs/PARCELS.md has their members. The error says where they are
// wrong.
func ParseRules(text []byte) (*Rules, error) {
	if len(text) > maxTemplate {
		return nil, errors.New("they are larger than 64 KiB")
	}
	if _, err := Parse(text); err != nil {
		return nil, err
	}
	var w struct {
		Source  string   `json:"source"`
		Rank    []string `json:"rank"`
		Updated string   `json:"updated"`
		Same    []string `json:"same"`
		Check   []struct {
			When string   `json:"when"`
			Path string   `json:"path"`
			In   []string `json:"in"`
			Why  string   `json:"why"`
		} `json:"check"`
		Fields    []writtenRule `json:"fields"`
		Sources   string        `json:"sources"`
		Latest    string        `json:"latest"`
		Conflicts string        `json:"conflicts"`
	}
	if err := json.Unmarshal(text, &w, json.RejectUnknownMembers(true)); err != nil {
		return nil, errors.New("want source, rank, updated, same, check, fields, sources, latest and conflicts")
	}
	if w.Source == "" {
		return nil, errors.New("source is missing: the member that names a part's source")
	}
	p := pathParser{}
	r := &Rules{source: w.Source, rank: w.Rank, updated: p.path(w.Updated), sources: w.Sources, latest: w.Latest, conflicts: w.Conflicts}
	for _, path := range w.Same {
		r.same = append(r.same, p.path(path))
	}
	for _, c := range w.Check {
		r.checks = append(r.checks, check{p.path(c.When), p.path(c.Path), c.In, c.Why})
	}
	names := map[string]bool{w.Sources: true, w.Latest: true, w.Conflicts: true}
	r.fields = p.rules(w.Fields, "", names)
	return r, p.err
}

// pathParser keeps the first error.
type pathParser struct {
	err   error
	count int
}

func (p *pathParser) path(text string) Path {
	path, err := ParsePath(text)
	if err != nil && p.err == nil {
		p.err = fmt.Errorf("path %q: %w", text, err)
	}
	return path
}

func (p *pathParser) rules(written []writtenRule, above string, taken map[string]bool) []rule {
	var rules []rule
	for _, w := range written {
		if p.count++; p.count > maxWords && p.err == nil {
			p.err = errors.New("there are more than 2000 rules")
		}
		if (w.To == "" || taken[w.To]) && p.err == nil {
			p.err = fmt.Errorf("to %q: it is missing or there twice", w.To)
		}
		taken[w.To] = true
		rules = append(rules, p.rule(w, above))
	}
	return rules
}

func (p *pathParser) rule(w writtenRule, above string) rule {
	r := rule{to: w.To, name: above + w.To, take: w.Take, list: w.By == "list"}
	bad := func(format string, args ...any) {
		if p.err == nil {
			p.err = fmt.Errorf("field %s: %s", r.name, fmt.Sprintf(format, args...))
		}
	}
	if len(w.Members) > 0 {
		if w.From != nil || w.Take != "" {
			bad("members exclude from and take")
		}
		r.members = p.rules(w.Members, r.name+".", map[string]bool{})
		return r
	}
	switch w.Take {
	case "first", "newest", "any":
	default:
		bad("take is first, newest or any")
	}
	if w.By != "" && w.By != "list" {
		bad("by is list")
	}
	text := []byte(w.From)
	if text == nil {
		own := Path{}
		for _, name := range strings.Split(r.name, ".") {
			own.steps = append(own.steps, step{name: &name})
		}
		r.from = get{path: own}
	} else {
		words := parser{names: map[string]bool{}}
		e, err := words.document(text)
		if err != nil {
			bad("from: %v", err)
		}
		delete(words.names, "")
		if len(words.names) > 0 {
			bad(`from: a part has no documents by name; leave "of" out`)
		}
		r.from = e
	}
	for _, c := range w.Compare {
		name := r.name
		if !strings.HasPrefix(c, "@") {
			name += "." + c
		}
		r.compare = append(r.compare, comparison{name, p.path(strings.TrimPrefix(c, "@"))})
	}
	if w.When != nil {
		r.when = new(p.path(*w.When))
	}
	if w.Unless != nil {
		r.unless = new(p.path(*w.Unless))
	}
	return r
}

// part is one of the documents.
type part struct {
	text []byte

	source  string
	rank    int
	updated time.Time
}

// Merge returns the one document. Parts that are absent or null are left out; the order of the
// others has no influence. The error is a *Failure: not_found where no part is left, permanent
// for parts that are not what the rules want, or of different things.
func (r *Rules) Merge(values []Value) (Value, error) {
	parts, err := r.order(values)
	if err != nil {
		return Value{}, err
	}
	newest := slices.SortedStableFunc(slices.Values(parts), func(a, b part) int { return b.updated.Compare(a.updated) })
	m := merging{parts: parts, newest: newest, out: make([]byte, 0, 1024)}
	m.out = append(m.out, '{')
	if err := m.fields(r.fields); err != nil {
		return Value{}, err
	}
	if r.latest != "" {
		if last := newest[0].updated; !last.IsZero() {
			m.member(r.latest, quote(last.Format(time.RFC3339Nano)))
		}
	}
	if r.sources != "" {
		var names []string
		for _, p := range parts {
			names = append(names, p.source)
		}
		m.member(r.sources, quotes(slices.Compact(names)))
	}
	if r.conflicts != "" {
		m.member(r.conflicts, m.conflicting())
	}
	m.out = append(m.out, '}')
	if err := room(m.out); err != nil {
		return Value{}, err
	}
	return Parse(m.out)
}

// order checks the parts and puts them into an order that depends on their content alone.
func (r *Rules) order(values []Value) ([]part, error) {
	fails := func(format string, args ...any) error {
		return &Failure{Code: "permanent", Why: fmt.Sprintf(format, args...)}
	}
	if len(values) > MaxParts {
		return nil, fails("more than %d documents to merge", MaxParts)
	}
	var parts []part
	same := make([]string, len(r.same))
	for i, v := range values {
		if v.Absent() || v.Null() {
			continue
		}
		p := part{text: v.text}
		p.source, _ = plainString(memberOf(v.text, r.source))
		if !sourceName(p.source) {
			return nil, fails("document %d: %s must be a name such as salesforce", i, r.source)
		}
		for _, c := range r.checks {
			if there(c.when.in(v.text)) {
				got, ok := plainString(c.path.in(v.text))
				if !ok || !slices.Contains(c.in, got) {
					return nil, fails("document %d: %s", i, cmp.Or(c.why, "it is not what the rules check"))
				}
			}
		}
		for k, path := range r.same {
			got, ok := plainString(path.in(v.text))
			if !ok || got == "" {
				continue
			}
			if same[k] == "" {
				same[k] = got
			} else if !strings.EqualFold(got, same[k]) {
				return nil, fails("document %d is about another one than an earlier document", i)
			}
		}
		p.rank = r.rankOf(p.source)
		if text, ok := plainString(r.updated.in(v.text)); ok {
			p.updated, _ = record.ParseTime(text)
		}
		parts = append(parts, p)
	}
	if len(parts) == 0 {
		return nil, &Failure{Code: "not_found", Why: "no source has a record"}
	}
	slices.SortStableFunc(parts, func(a, b part) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), strings.Compare(a.source, b.source),
			b.updated.Compare(a.updated), compareTexts(a.text, b.text))
	})
	return parts, nil
}

// compareTexts orders two parts that nothing else does, white space aside.
func compareTexts(a, b []byte) int {
	x, y := jsontext.Value(bytes.Clone(a)), jsontext.Value(bytes.Clone(b))
	if x.Compact() != nil || y.Compact() != nil {
		return bytes.Compare(a, b)
	}
	return bytes.Compare(x, y)
}

// rankOf is the place of a source among the rules'; "*" stands for all that are not named.
func (r *Rules) rankOf(source string) int {
	if i := slices.Index(r.rank, source); i >= 0 {
		return i
	}
	if i := slices.Index(r.rank, "*"); i >= 0 {
		return i
	}
	return len(r.rank)
}

// sourceName reports whether s has the form of a name in a manifest.
func sourceName(s string) bool {
	return record.Token(s, 63) && 'a' <= s[0] && s[0] <= 'z' && strings.ToLower(s) == s
}

func quotes(texts []string) []byte {
	out := []byte{'['}
	for i, t := range texts {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, quote(t)...)
	}
	return append(out, ']')
}

// Facts is what is known of the one document: every field may come from any part, and all parts
// decide which.
func (r *Rules) Facts(parts []Facts) Facts {
	whole := constant
	for _, f := range parts {
		whole = whole.or(f.decides())
	}
	if whole = whole.decides(); whole.Shown.All() {
		return whole
	}
	return Facts{r.labels(r.fields, parts).Union(r.told(whole)), view.View{}}
}

// labels are those of fields: of each, what it is made and compared of.
func (r *Rules) labels(rules []rule, parts []Facts) view.Labels {
	var all view.Labels
	for _, f := range rules {
		if len(f.members) > 0 {
			all = all.Union(r.labels(f.members, parts).Below(f.to))
			continue
		}
		var of view.Labels
		for _, p := range parts {
			of = of.Union(f.from.facts(func(string) Facts { return p }).decides().Labels)
			of = of.Union(Facts{Labels: p.Labels.Member(r.source)}.decides().Labels)
			for _, asked := range []*Path{f.when, f.unless, &r.updated} {
				if asked != nil {
					of = of.Union(p.At(*asked).decides().Labels)
				}
			}
		}
		all = all.Union(of.Below(f.to))
	}
	return all
}

// told are the labels of conflicts, which every field has a part in.
func (r *Rules) told(whole Facts) view.Labels {
	if r.conflicts == "" {
		return view.Labels{}
	}
	return whole.Labels.Below(r.conflicts)
}
