package parcel

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// What follows goes over texts that are known to be valid: of a Value.

// skip returns the place behind the value at i.
func skip(text []byte, i int) int {
	switch text[i] {
	case '"':
		return skipString(text, i)
	case '{', '[':
		for depth := 0; ; {
			switch text[i] {
			case '"':
				i = skipString(text, i)
				continue
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
			i++
		}
	}
	for i < len(text) {
		switch text[i] {
		case ',', '}', ']', ' ', '\n', '\r', '\t':
			return i
		}
		i++
	}
	return i
}

func skipString(text []byte, i int) int {
	for i++; ; i++ {
		end := i + bytes.IndexByte(text[i:], '"')
		slashes := 0
		for text[end-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return end + 1
		}
		i = end
	}
}

func space(text []byte, i int) int {
	for i < len(text) && (text[i] == ' ' || text[i] == '\n' || text[i] == '\r' || text[i] == '\t') {
		i++
	}
	return i
}

// members calls f for each member of an object, with its name as a JSON string, until f
// returns false. Anything else has no members.
func members(text []byte, f func(name, value []byte) bool) {
	if len(text) == 0 || text[0] != '{' {
		return
	}
	for i := space(text, 1); text[i] != '}'; {
		end := skipString(text, i)
		name := text[i:end]
		i = space(text, space(text, end)+1)
		end = skip(text, i)
		if !f(name, text[i:end:end]) {
			return
		}
		if i = space(text, end); text[i] == ',' {
			i = space(text, i+1)
		}
	}
}

// elements calls f for each element of an array until f returns false. Anything else has none.
func elements(text []byte, f func(value []byte) bool) {
	if len(text) == 0 || text[0] != '[' {
		return
	}
	for i := space(text, 1); text[i] != ']'; {
		end := skip(text, i)
		if !f(text[i:end:end]) {
			return
		}
		if i = space(text, end); text[i] == ',' {
			i = space(text, i+1)
		}
	}
}

func memberOf(text []byte, name string) (found []byte) {
	members(text, func(n, value []byte) bool {
		if named(n, name) {
			found = value
		}
		return found == nil
	})
	return found
}

func elementOf(text []byte, index int) (found []byte) {
	elements(text, func(value []byte) bool {
		if index == 0 {
			found = value
		}
		index--
		return found == nil
	})
	return found
}

// named reports whether the JSON string text says name.
func named(text []byte, name string) bool {
	if bytes.IndexByte(text, '\\') < 0 {
		return string(text[1:len(text)-1]) == name
	}
	plain, err := jsontext.AppendUnquote(nil, text)
	return err == nil && string(plain) == name
}

// plainString is what the JSON string text says; false if it is none.
func plainString(text []byte) (string, bool) {
	if len(text) == 0 || text[0] != '"' {
		return "", false
	}
	if bytes.IndexByte(text, '\\') < 0 {
		return string(text[1 : len(text)-1]), true
	}
	plain, err := jsontext.AppendUnquote(nil, text)
	return string(plain), err == nil
}

// there reports whether text is a value that says something: not nothing, and not null.
func there(text []byte) bool { return len(text) > 0 && text[0] != 'n' }
