package rehearse

import (
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"

	"pointsman/host/manifest"
)

// Manifest is a Plugin document with what was learned: name is the plugin's and module the path
// of its file.
func (l *Lesson) Manifest(name, module string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: %s\nkind: %s\nmetadata: {name: %s}\nspec:\n  module: {path: %s}\n", manifest.APIVersion, manifest.KindPlugin, name, quoted(module))
	g := &l.Grants
	if len(g.powers()) == 0 {
		return b.String()
	}
	b.WriteString("  grants:\n")
	for i, h := range g.HTTP {
		head(&b, i, "http", "backend", h.Backend, h.As)
		fmt.Fprintf(&b, "        allow: %s\n", flow(h.Allow))
		if len(h.Query) > 0 {
			fmt.Fprintf(&b, "        query: %s\n", flow(h.Query))
		}
		if len(h.Headers) > 0 {
			fmt.Fprintf(&b, "        headers: %s\n", flow(h.Headers))
		}
		l.view(&b, h.View, "http", h.Backend, h.As)
	}
	for i, s := range g.SQL {
		head(&b, i, "sql", "backend", s.Backend, s.As)
		fmt.Fprintf(&b, "        statements: %s\n", flow(s.Statements))
		l.view(&b, s.View, "sql", s.Backend, s.As)
	}
	for i, c := range g.Call {
		head(&b, i, "call", "function", c.Function, "")
		l.view(&b, c.View, "call", c.Function, "")
	}
	for i, p := range g.Pointer {
		if p.Mint != "" {
			head(&b, i, "pointer", "mint", p.Mint, "")
		} else {
			head(&b, i, "pointer", "open", p.Open, "")
		}
	}
	if g.KV != nil {
		b.WriteString("    kv: {}\n")
	}
	if g.Log != nil {
		b.WriteString("    log: {}\n")
	}
	return b.String()
}

// head begins an entry of a grant, and the grant with its first.
func head(b *strings.Builder, i int, capability, key, name, as string) {
	if i == 0 {
		fmt.Fprintf(b, "    %s:\n", capability)
	}
	fmt.Fprintf(b, "      - %s: %s\n", key, quoted(name))
	if as != "" {
		fmt.Fprintf(b, "        as: %s\n", quoted(as))
	}
}

func (l *Lesson) view(b *strings.Builder, p manifest.Paths, kind, name, as string) {
	if as != "" {
		name = as
	}
	if note := l.Notes[source{kind, name}.String()]; note != "" {
		fmt.Fprintf(b, "        # %s\n", note)
	}
	switch {
	case p.All:
		b.WriteString("        view: all\n")
	case len(p.List) > 0:
		fmt.Fprintf(b, "        view: %s\n", flow(p.List))
	}
}

// quoted is a text as YAML: JSON, unless it is a plain name. Names are a plugin's words.
func quoted(text string) string {
	if plainMember.MatchString(text) && text != "null" && text != "true" && text != "false" {
		return text
	}
	return flow(text)
}

// flow is a value on one line; JSON is YAML. It breaks long lists.
func flow(value any) string {
	text, err := json.Marshal(value)
	if err != nil { // a name that is not UTF-8: no manifest can have it
		return `""`
	}
	list, ok := value.([]string)
	if !ok {
		return string(text)
	}
	const width = 88 // columns, with the indentation
	var b strings.Builder
	b.WriteByte('[')
	column := 16
	for i, word := range list {
		one, err := json.Marshal(word)
		if err != nil {
			continue
		}
		if i > 0 {
			b.WriteByte(',')
			if column+len(one) > width {
				b.WriteString("\n              ")
				column = 14
			}
			b.WriteByte(' ')
		}
		b.Write(one)
		column += len(one) + 2
	}
	b.WriteByte(']')
	return b.String()
}
