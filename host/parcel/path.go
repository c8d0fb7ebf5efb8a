package parcel

import (
	"errors"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// Path leads to one value in a document: records[0].Email. Names are words of letters, digits,
// _ and -, or JSON strings; [n] is the element n of an array, from 0. The zero Path, "", leads to
// the whole. A Path does not change.
type Path struct{ steps []step }

// step goes to a member, or where name is nil to an element.
type step struct {
	name  *string
	index int
}

const (
	maxSteps = 64 // SECURITY-RULES §2.6: documents nest no deeper
	maxIndex = 99_999
)

var errPath = errors.New("want names with dots between them and [n] for elements, such as records[0].Email")

// ParsePath reads a path. The error repeats nothing of it.
func ParsePath(text string) (Path, error) {
	var p Path
	for i := 0; i < len(text); {
		if len(p.steps) == maxSteps {
			return Path{}, errors.New("the path has more than 64 steps")
		}
		switch c := text[i]; {
		case c == '[':
			end := i + 1
			for end < len(text) && '0' <= text[end] && text[end] <= '9' {
				end++
			}
			n, err := strconv.Atoi(text[i+1 : end])
			if err != nil || n > maxIndex || end >= len(text) || text[end] != ']' || text[i+1] == '0' && end > i+2 {
				return Path{}, errPath
			}
			p.steps = append(p.steps, step{index: n})
			i = end + 1
			continue
		case c == '.' && i > 0:
			i++
		case i > 0:
			return Path{}, errPath
		}
		name, end, err := parseName(text, i)
		if err != nil {
			return Path{}, err
		}
		p.steps = append(p.steps, step{name: &name})
		i = end
	}
	return p, nil
}

func parseName(text string, i int) (name string, end int, err error) {
	if i < len(text) && text[i] == '"' {
		end = i + 1
		for end < len(text) && text[end] != '"' {
			if text[end] == '\\' {
				end++
			}
			end++
		}
		if end >= len(text) {
			return "", 0, errPath
		}
		plain, err := jsontext.AppendUnquote(nil, text[i:end+1])
		if err != nil {
			return "", 0, errPath
		}
		return string(plain), end + 1, nil
	}
	for end = i; end < len(text) && word(text[end], end > i); end++ {
	}
	if end == i {
		return "", 0, errPath
	}
	return text[i:end], end, nil
}

func word(c byte, inside bool) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || inside && ('0' <= c && c <= '9' || c == '-')
}

// String is the path as it is written.
func (p Path) String() string {
	var text []byte
	for i, s := range p.steps {
		if s.name == nil {
			text = append(strconv.AppendInt(append(text, '['), int64(s.index), 10), ']')
			continue
		}
		if i > 0 {
			text = append(text, '.')
		}
		plain := *s.name != ""
		for j := range len(*s.name) {
			plain = plain && word((*s.name)[j], j > 0)
		}
		if plain {
			text = append(text, *s.name...)
		} else {
			text, _ = jsontext.AppendQuote(text, *s.name) // it was unquoted from a string
		}
	}
	return string(text)
}

// in is the text of the value that p leads to in a valid text; nil for nothing.
func (p Path) in(text []byte) []byte {
	for _, s := range p.steps {
		if s.name != nil {
			text = memberOf(text, *s.name)
		} else {
			text = elementOf(text, s.index)
		}
		if text == nil {
			return nil
		}
	}
	return text
}

// isEmpty reports whether p leads to the whole.
func (p Path) isEmpty() bool { return len(p.steps) == 0 }
