package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"
)

// reader collects what one file says and what is wrong with it.
type reader struct {
	file   string
	before int // lines of the file before the text that is being parsed
	faults Faults
	cut    bool
	uses   []use // names that must be defined somewhere in the set
}

func (r *reader) addAt(line, column int, at, code, suggestion, message string) {
	r.put(Fault{Severity: SeverityError, Code: code, Message: message, File: r.file, Line: line, Column: column, Path: at, Suggestion: suggestion})
}

// add reports a fault at a node.
func (r *reader) add(n *yaml.Node, at, code, suggestion, format string, args ...any) {
	if r.cut {
		return
	}
	p := r.pos(n)
	r.addAt(p.Line, p.Column, at, code, suggestion, fmt.Sprintf(format, args...))
}

func (r *reader) put(f Fault) {
	switch {
	case len(r.faults) < maxFileFaults:
		r.faults = append(r.faults, f)
	case !r.cut:
		r.cut = true
		f.Code, f.Suggestion, f.Path = codeCut, "", ""
		f.Message = fmt.Sprintf("more than %d faults in this file; the rest is not shown", maxFileFaults)
		r.faults = append(r.faults, f)
	}
}

// nearest is the function, until no more faults are shown.
func (r *reader) nearest(text string, words []string) string {
	if r.cut {
		return ""
	}
	return nearest(text, words)
}

func (r *reader) pos(n *yaml.Node) Pos {
	return Pos{File: r.file, Line: n.Line, Column: n.Column}
}

// documents returns the root nodes of the documents in text, empty documents left out.
// After a syntax fault it goes on at the next "---".
func (r *reader) documents(text []byte) []*yaml.Node {
	text = screen(r, text)
	var roots []*yaml.Node
	for len(text) > 0 {
		more, failedAt := r.parse(text)
		roots = append(roots, more...)
		if failedAt == 0 || r.cut {
			break
		}
		rest := nextDocument(text, failedAt)
		r.before += bytes.Count(text[:len(text)-len(rest)], []byte("\n"))
		text = rest
	}
	return roots
}

// nextDocument returns text from the first line, but not the first of all, that starts a
// document at or after the given one: an open bracket is missed only at the next "---".
func nextDocument(text []byte, line int) []byte {
	for n := 1; len(text) > 0; n++ {
		if n > 1 && n >= line && (bytes.HasPrefix(text, []byte("---\n")) || bytes.HasPrefix(text, []byte("---\r\n")) || bytes.HasPrefix(text, []byte("--- "))) {
			return text
		}
		end := bytes.IndexByte(text, '\n')
		if end < 0 {
			return nil
		}
		text = text[end+1:]
	}
	return nil
}

// parse reads documents up to the end or the first syntax fault, whose line in text it
// returns, 0 if there is none. Nodes get line numbers of the file.
func (r *reader) parse(text []byte) (roots []*yaml.Node, failedAt int) {
	defer func() {
		if p := recover(); p != nil { // a bug of the parser must not take the process down
			r.addAt(r.before+1, 1, "", codeSyntax, "", "the YAML parser cannot read this text")
			failedAt = max(1, bytes.Count(text, []byte("\n")))
		}
	}()
	loader, err := yaml.NewLoader(bytes.NewReader(text), yaml.WithStreamNodes(),
		yaml.WithPlugin(loaderlimits.New(loaderlimits.DepthValue(MaxDepth))))
	if err != nil {
		r.addAt(0, 0, "", codeSyntax, "", err.Error())
		return nil, 0
	}
	for {
		n := new(yaml.Node)
		err := loader.Load(n)
		if errors.Is(err, io.EOF) {
			return roots, 0
		}
		if err != nil {
			return roots, r.syntax(err)
		}
		if n.Kind == yaml.StreamNode {
			if n.Stream != nil && (n.Stream.Version != nil || len(n.Stream.TagDirectives) > 0) {
				r.add(n, "", codeDirective, "", "directives (%%YAML, %%TAG) are not allowed")
			}
			continue
		}
		if n.Kind != yaml.DocumentNode || len(n.Content) != 1 {
			continue
		}
		root := n.Content[0]
		if root.Kind == yaml.ScalarNode && root.Value == "" && root.Style == 0 && root.Anchor == "" {
			continue // an empty document says nothing
		}
		shift(root, r.before)
		roots = append(roots, root)
	}
}

// syntax reports an error of the parser and returns its line in the parsed text.
func (r *reader) syntax(err error) int {
	var load *yaml.LoadError
	if !errors.As(err, &load) {
		r.addAt(r.before+1, 1, "", codeSyntax, "", err.Error())
		return 1
	}
	line, column := max(load.Mark.Line, 1), max(load.Mark.Column, 1)
	code, message := codeSyntax, load.Message
	switch {
	case strings.Contains(message, "exceeded max depth"):
		code, message = codeDepth, fmt.Sprintf("nested more than %d levels deep", MaxDepth)
	case load.Stage == yaml.ComposerStage:
		code, message = codeAlias, "aliases are not allowed: "+message
	case load.ContextMsg != "":
		message += " " + load.ContextMsg
		if load.ContextMark.Line > 0 && load.ContextMark.Line != load.Mark.Line {
			message += fmt.Sprintf(" that begins in line %d", load.ContextMark.Line+r.before)
		}
	}
	r.addAt(r.before+line, column, "", code, "", message)
	return line
}

// shift moves the nodes of a tree down by lines. An alias is not followed: what it stands
// for is in the tree already.
func shift(n *yaml.Node, lines int) {
	if lines == 0 {
		return
	}
	n.Line += lines
	for _, c := range n.Content {
		shift(c, lines)
	}
}

// inspect reports what no document may contain, wherever it stands: anchors, aliases,
// tags, keys that are not texts or that clash, forbidden characters, too many levels.
func (r *reader) inspect(n *yaml.Node, at string, depth int) {
	if r.cut {
		return
	}
	if depth > MaxDepth {
		r.add(n, at, codeDepth, "", "nested more than %d levels deep", MaxDepth)
		return
	}
	if n.Anchor != "" {
		r.add(n, at, codeAnchor, "", "anchor &%s: anchors are not allowed", n.Anchor)
	}
	if tagged(n) {
		r.add(n, at, codeTag, "", "tag %s: tags are not allowed", n.Tag)
	}
	switch n.Kind {
	case yaml.AliasNode:
		r.add(n, at, codeAlias, "", "alias *%s: aliases are not allowed", n.Value)
	case yaml.ScalarNode:
		if c, bad := forbiddenRune(n.Value); bad {
			r.add(n, at, codeCharacter, "", "character %U is not allowed", c)
		}
	case yaml.SequenceNode:
		for i, c := range n.Content {
			r.inspect(c, index(at, i), depth+1)
		}
	case yaml.MappingNode:
		seen := make(map[string]*yaml.Node, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			if r.cut {
				return
			}
			k, v := n.Content[i], n.Content[i+1]
			r.inspectKey(k, at, seen)
			r.inspect(v, join(at, k.Value), depth+1)
		}
	}
}

func (r *reader) inspectKey(k *yaml.Node, at string, seen map[string]*yaml.Node) {
	switch {
	case k.Kind != yaml.ScalarNode || k.Anchor != "" || tagged(k):
		before := len(r.faults)
		r.inspect(k, at, 0)
		if len(r.faults) == before {
			r.add(k, at, codeKeyType, "", "a key must be a text")
		}
		return
	case plain(k) && k.Value == "<<":
		r.add(k, at, codeMerge, "", "merge keys (<<) are not allowed")
		return
	case k.Value == "":
		r.add(k, at, codeKeyType, "", "a key is empty")
		return
	case utf8.RuneCountInString(k.Value) > maxKey:
		r.add(k, at, codeKeyType, "", "a key has more than %d characters", maxKey)
		return
	}
	r.inspect(k, at, 0)
	if plain(k) && looksTyped(k.Value) {
		r.add(k, at, codeAmbiguous, "", "key %s is not a text to every YAML program; put it in quotes", quote(k.Value))
	}
	folded := strings.ToLower(k.Value)
	if first, ok := seen[folded]; ok {
		if first.Value == k.Value {
			r.add(k, join(at, k.Value), codeDuplicate, "", "key %s is already in line %d", quote(k.Value), first.Line)
		} else {
			r.add(k, join(at, k.Value), codeCase, "", "key %s differs from %s in line %d only in case", quote(k.Value), quote(first.Value), first.Line)
		}
		return
	}
	seen[folded] = k
}

func tagged(n *yaml.Node) bool { return n.Style&yaml.TaggedStyle != 0 || n.Tag == "!" }

// plain reports whether n is a scalar without quotes.
func plain(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Style&^yaml.TaggedStyle == 0 }

// typedText matches plain scalars that YAML 1.1, its core schema or a parser in wide use
// takes for something else than a text (y and n alone are taken so by none): null, yes/no, numbers in every base and with
// underscores, base-60 numbers, dates, and the value and merge signs.
var typedText = regexp.MustCompile(`(?i)^(?:|~|null|true|false|yes|no|on|off|=|<<` +
	`|[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-f_]+)` +
	`|[-+]?(?:[0-9][0-9_]*)(?:\.[0-9_]*)?(?:e[-+]?[0-9]+)?|[-+]?\.[0-9_]+(?:e[-+]?[0-9]+)?` +
	`|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?` +
	`|[-+]?\.inf|\.nan` +
	`|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[t \t].*)?)$`)

// looksTyped reports whether text without quotes might be read as something else than text.
func looksTyped(text string) bool { return len(text) <= maxText && typedText.MatchString(text) }

// maxPath bounds the path that a fault names, in bytes: deeply nested long keys must not
// cost a long text for every node.
const maxPath = 512

// join returns the path of a key below at.
func join(at, key string) string {
	switch {
	case at == "":
		return clip(key)
	case len(at) > maxPath:
		return at
	}
	return at + "." + clip(key)
}

// index returns the path of an entry of the list at.
func index(at string, i int) string {
	if len(at) > maxPath {
		return at
	}
	return at + "[" + strconv.Itoa(i) + "]"
}

func clip(key string) string {
	if len(key) > maxKey {
		return "…"
	}
	return key
}
