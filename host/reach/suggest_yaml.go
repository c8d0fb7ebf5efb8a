package reach

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"pointsman/host/manifest"
)

// yaml is what is added, in the form of the document.
func (e *extra) yaml() string {
	kind := manifest.KindPlugin
	if e.who.Kind == "route" {
		kind = manifest.KindRoute
	}
	var b strings.Builder
	fmt.Fprintf(&b, "kind: %s\nmetadata: {name: %s}\nspec:\n", kind, e.who.Name)
	var grants strings.Builder
	for i, name := range slices.Sorted(maps.Keys(e.http)) {
		if i == 0 {
			grants.WriteString("    http:\n")
		}
		fmt.Fprintf(&grants, "      - backend: %s\n", name)
		for _, l := range []struct {
			key  string
			list []string
		}{{"allow", e.http[name].allow}, {"query", e.http[name].query}, {"headers", e.http[name].headers}, {"clear", e.http[name].clear}} {
			if len(l.list) > 0 {
				fmt.Fprintf(&grants, "        %s: %s\n", l.key, flowList(l.list))
			}
		}
	}
	e.data(&grants)
	if labels := e.clear[""]; len(labels) > 0 {
		fmt.Fprintf(&b, "  clear: %s\n", flowList(labels))
	}
	if grants.Len() > 0 {
		b.WriteString("  grants:\n" + grants.String())
	}
	return b.String()
}

// data writes what is added to the grants that are not of HTTP.
func (e *extra) data(b *strings.Builder) {
	entries := func(key, of string, names []string, more map[string][]string) {
		for _, at := range slices.Sorted(maps.Keys(e.clear)) {
			if word, name, _ := strings.Cut(at, " "); word == key {
				names = union(names, name)
			}
		}
		for i, name := range names {
			if i == 0 {
				fmt.Fprintf(b, "    %s:\n", key)
			}
			fmt.Fprintf(b, "      - %s: %s\n", of, name)
			if list := more[name]; len(list) > 0 {
				fmt.Fprintf(b, "        statements: %s\n", flowList(list))
			}
			if labels := e.clear[key+" "+name]; len(labels) > 0 {
				fmt.Fprintf(b, "        clear: %s\n", flowList(labels))
			}
		}
	}
	entries("call", "function", e.call, nil)
	for _, word := range []string{"kv", "log"} {
		if labels := e.clear[word]; len(labels) > 0 {
			fmt.Fprintf(b, "    %s: {clear: %s}\n", word, flowList(labels))
		}
	}
	for i, p := range e.pointer {
		if i == 0 {
			b.WriteString("    pointer:\n")
		}
		if p.Open != "" {
			fmt.Fprintf(b, "      - open: %s\n", p.Open)
		} else {
			fmt.Fprintf(b, "      - mint: %s\n", p.Mint)
		}
	}
	entries("sql", "backend", slices.Sorted(maps.Keys(e.sql)), e.sql)
}

// flowList is a list on one line; JSON is YAML.
func flowList(list []string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(list); err != nil {
		panic(err) // texts are always JSON
	}
	return strings.ReplaceAll(strings.TrimSpace(b.String()), `","`, `", "`)
}
