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
	last := ""
	for _, at := range slices.Sorted(maps.Keys(e.clear)) {
		word, name, _ := strings.Cut(at, " ")
		switch word {
		case "":
			fmt.Fprintf(&b, "  clear: %s\n", flowList(e.clear[at]))
			continue
		case "kv", "log":
			fmt.Fprintf(&grants, "    %s: {clear: %s}\n", word, flowList(e.clear[at]))
			continue
		}
		if word != last {
			fmt.Fprintf(&grants, "    %s:\n", word)
			last = word
		}
		key := map[string]string{"sql": "backend", "call": "function"}[word]
		fmt.Fprintf(&grants, "      - %s: %s\n        clear: %s\n", key, name, flowList(e.clear[at]))
	}
	if grants.Len() > 0 {
		b.WriteString("  grants:\n" + grants.String())
	}
	return b.String()
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
