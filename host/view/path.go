package view

import (
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"
)

// maxPath is the longest path, in bytes: 64 steps, which no document goes beyond, of 15 bytes
// and a dot.
const maxPath = 1024

// step is one of a path: to a member, or to each element.
type step struct {
	element bool
	member  string
}

// parsePath reads a path: members' names with dots between them, [] for each element.
//
//	path   = first *( "." name | "[]" )
//	first  = name | "[]"
//	name   = word | a JSON string
//	word   = [A-Za-z_][A-Za-z0-9_-]*
func parsePath(path string) ([]step, error) {
	switch {
	case path == "":
		return nil, errors.New("the path is empty")
	case len(path) > maxPath:
		return nil, fmt.Errorf("the path is longer than %d bytes", maxPath)
	}
	var steps []step
	for i := 0; i < len(path); {
		if path[i] == '[' {
			if i+1 >= len(path) || path[i+1] != ']' {
				return nil, fmt.Errorf("byte %d: only [] may be in brackets: each element", i)
			}
			steps = append(steps, step{element: true})
			i += 2
			continue
		}
		if i > 0 {
			if path[i] != '.' {
				return nil, fmt.Errorf("byte %d: neither a dot nor [] after a step", i)
			}
			i++
		}
		name, end, err := parseName(path, i)
		if err != nil {
			return nil, err
		}
		steps = append(steps, step{member: name})
		i = end
	}
	switch {
	case len(steps) > maxDepth:
		return nil, fmt.Errorf("more than %d steps: no document is so deep", maxDepth)
	case len(pathOf(steps)) > maxPath: // what does not print becomes longer
		return nil, fmt.Errorf("the path is longer than %d bytes when it is escaped", maxPath)
	}
	return steps, nil
}

// pathOf is the path of steps as it is written by this package.
func pathOf(steps []step) string {
	var path []byte
	for _, s := range steps {
		if s.element {
			path = append(path, "[]"...)
		} else {
			path = appendStep(path, []byte(s.member), 0)
		}
	}
	return string(path)
}

// parseName reads the word or string at i.
func parseName(path string, i int) (name string, end int, err error) {
	if i < len(path) && path[i] == '"' {
		s := scanner{text: []byte(path)}
		end, _ = s.str(i)
		if end < 0 {
			return "", 0, fmt.Errorf("byte %d: %s", s.fault.at, s.fault.why)
		}
		return string(unquote(nil, s.text[i+1:end-1])), end, nil
	}
	for end = i; end < len(path) && wordByte(path[end], end == i); {
		end++
	}
	if end == i {
		return "", 0, fmt.Errorf("byte %d: no name; one that is no word of letters, digits, _ and - is written in quotes", i)
	}
	return path[i:end], end, nil
}

func wordByte(c byte, first bool) bool {
	return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || !first && (digit(c) || c == '-')
}

func word(name []byte) bool {
	for i, c := range name {
		if !wordByte(c, i == 0) {
			return false
		}
	}
	return len(name) > 0
}

// appendStep appends the step to a member behind the path that dst holds or ends in: a word,
// or a JSON string in which everything that does not print is escaped. Longer than most
// bytes, it is cut and ends in an ellipsis; 0 cuts nothing.
func appendStep(dst, name []byte, most int) []byte {
	if len(dst) > 0 && dst[len(dst)-1] != '\n' {
		dst = append(dst, '.')
	}
	if word(name) {
		if most > 0 && len(name) > most {
			return append(append(dst, name[:most]...), "…"...)
		}
		return append(dst, name...)
	}
	begin := len(dst)
	dst = append(dst, '"')
	for len(name) > 0 {
		r, n := utf8.DecodeRune(name)
		before := len(dst)
		dst = appendEscaped(dst, r)
		if most > 0 && len(dst)-begin > most {
			return append(dst[:before], "…"...)
		}
		name = name[n:]
	}
	return append(dst, '"')
}

func appendEscaped(dst []byte, r rune) []byte {
	switch {
	case r == '"' || r == '\\':
		return append(dst, '\\', byte(r))
	case unicode.IsPrint(r):
		return utf8.AppendRune(dst, r)
	case r > 0xFFFF:
		r -= 0x10000
		return appendUnit(appendUnit(dst, 0xD800+r>>10), 0xDC00+r&0x3FF)
	}
	return appendUnit(dst, r)
}

// appendUnit appends the escape of one UTF-16 unit.
func appendUnit(dst []byte, unit rune) []byte {
	const hex = "0123456789abcdef"
	return append(dst, '\\', 'u', hex[unit>>12&15], hex[unit>>8&15], hex[unit>>4&15], hex[unit&15])
}
