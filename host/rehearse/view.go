package rehearse

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"pointsman/host/manifest"
	"pointsman/host/view"
)

// Limits of what is measured: more fields than a view may list cannot be proposed anyway.
const (
	maxFields   = 500 // paths of one view, as host/manifest takes them
	maxPathText = 340 // bytes of one path, likewise
)

// same reports whether the calls numbered only give what they gave with everything shown.
type same func(ctx context.Context, only []int, views map[source]view.View) (bool, error)

// smallest measures what of the answers of each source a plugin needs: a field that can be
// left out of every recorded answer without anything changing, outputs, errors, log and
// requests, is none that it needs. The views are such that no path can be taken out of any.
// Where no list of fields will do, it is all, and why says the reason.
func smallest(ctx context.Context, served map[source]map[int][][]byte, test same) (map[source]view.View, map[source]string, error) {
	views, why := map[source]view.View{}, map[source]string{}
	for _, of := range sortedSources(served) {
		paths, reason := fields(served[of])
		if reason != "" {
			why[of] = reason
			continue
		}
		s := search{of: of, views: views, docs: served[of], test: test}
		ok, err := s.try(ctx, paths, nil)
		if err != nil {
			return nil, nil, err
		}
		if !ok {
			delete(views, of)
			why[of] = "an answer that is not JSON, or its form, changes what comes out"
			continue
		}
		for before := -1; before != len(s.paths); { // what could not go may once another went
			before = len(s.paths)
			if err := s.without(ctx, slices.Clone(s.paths)); err != nil {
				return nil, nil, err
			}
		}
	}
	return views, why, nil
}

// search is the work on one source.
type search struct {
	of    source
	docs  map[int][][]byte // what it answered, by call
	paths []string         // that are shown now
	views map[source]view.View
	test  same
}

// try shows paths, unless that changes something. dropped are those that were shown before.
func (s *search) try(ctx context.Context, paths, dropped []string) (bool, error) {
	v, err := view.Parse(paths)
	if err != nil {
		return false, nil
	}
	was, had := s.views[s.of]
	s.views[s.of] = v
	ok, err := s.test(ctx, s.callsWith(dropped), s.views)
	if ok && err == nil {
		s.paths = paths
	} else if had {
		s.views[s.of] = was
	} else {
		delete(s.views, s.of)
	}
	return ok, err
}

// callsWith are the calls that were answered something that paths show, all for none.
func (s *search) callsWith(paths []string) []int {
	v, err := view.Parse(paths)
	var calls []int
	for call, docs := range s.docs {
		if len(paths) == 0 || err != nil || slices.ContainsFunc(docs, func(doc []byte) bool {
			found, err := view.Find(doc, v)
			return err != nil || len(found) > 0
		}) {
			calls = append(calls, call)
		}
	}
	slices.Sort(calls)
	return calls
}

// without takes out as many of paths as it can: all at once, or of each half what can go.
func (s *search) without(ctx context.Context, paths []string) error {
	if len(paths) == 0 {
		return nil
	}
	rest := slices.DeleteFunc(slices.Clone(s.paths), func(p string) bool { return slices.Contains(paths, p) })
	ok, err := s.try(ctx, rest, paths)
	if ok || err != nil || len(paths) == 1 {
		return err
	}
	if err := s.without(ctx, paths[:len(paths)/2]); err != nil {
		return err
	}
	return s.without(ctx, paths[len(paths)/2:])
}

// fields are the paths of everything in documents that has nothing below it, sorted.
func fields(docs map[int][][]byte) (paths []string, reason string) {
	all := map[string]bool{}
	for _, list := range docs {
		for _, doc := range list {
			var value any
			if json.Unmarshal(doc, &value) == nil { // one that is no JSON shows nothing: see smallest
				collect(value, "", all)
			}
		}
	}
	paths = sortedKeys(all)
	shallow := func(p string) bool { // something is below it elsewhere, which shows it, too
		return slices.ContainsFunc(paths, func(q string) bool { return strings.HasPrefix(q, p+".") || strings.HasPrefix(q, p+"[]") })
	}
	paths = slices.DeleteFunc(slices.Clone(paths), shallow)
	switch {
	case slices.Contains(paths, ""):
		return nil, "an answer is neither an object nor an array"
	case len(paths) > maxFields:
		return nil, fmt.Sprintf("the answers have more than %d fields", maxFields)
	case slices.ContainsFunc(paths, func(p string) bool { return len(p) > maxPathText }):
		return nil, fmt.Sprintf("the path of a field is longer than %d bytes", maxPathText)
	}
	return paths, ""
}

// collect adds the paths of what has nothing below it in value, which is at path. An empty
// array is there as what its elements would be.
func collect(value any, path string, into map[string]bool) {
	switch v := value.(type) {
	case map[string]any:
		for name, member := range v {
			at := memberOf(name)
			if path != "" {
				at = path + "." + at
			}
			collect(member, at, into)
		}
		if len(v) > 0 || path == "" { // an empty document is there whatever is shown of it
			return
		}
	case []any:
		for _, element := range v {
			collect(element, path+"[]", into)
		}
		if len(v) == 0 {
			into[path+"[]"] = true
		}
		return
	}
	into[path] = true
}

var plainMember = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)

func memberOf(name string) string {
	if plainMember.MatchString(name) {
		return name
	}
	quoted, err := jsontext.AppendQuote(nil, name)
	if err != nil { // it was decoded from JSON
		return `""`
	}
	return string(quoted)
}

// pathsOf is a view as a manifest writes it: of a database's answer, the view of a row. ok is
// false where there is none but all.
func pathsOf(of source, v view.View) (p manifest.Paths, ok bool) {
	if v.All() {
		return manifest.Paths{All: true}, true
	}
	if v.None() {
		return manifest.Paths{}, true
	}
	for _, path := range v.Paths() {
		if of.kind == "sql" {
			if path, ok = strings.CutPrefix(path, "[]."); !ok {
				return manifest.Paths{All: true}, false
			}
		}
		p.List = append(p.List, path)
	}
	return p, true
}
