package manifest

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits on what is read. Bytes and depth are those of the security rules (8.3); the
// others keep one run within a few hundred megabytes and a screen of faults.
const (
	MaxFileBytes  = 256 << 10 // one file, and the canonical form of one document
	MaxDepth      = 64        // nested mappings and lists
	MaxFiles      = 1000
	MaxSetBytes   = 16 << 20
	MaxDocuments  = 10000
	maxFileFaults = 200
	maxKey        = 256  // characters of a key; YAML itself ends short keys at 1024
	maxText       = 4096 // characters of any one text that has no tighter rule
)

// screen reports what must not be in the text of a manifest at all. It returns the text to
// parse: without a byte order mark, tabs inside lines as spaces so that one run shows
// the faults behind them too. It returns nil if parsing would only mislead.
func screen(r *reader, text []byte) []byte {
	if bytes.HasPrefix(text, []byte{0xff, 0xfe}) || bytes.HasPrefix(text, []byte{0xfe, 0xff}) {
		r.addAt(1, 1, "", codeEncoding, "", "the file is UTF-16; convert it to UTF-8")
		return nil
	}
	if bytes.HasPrefix(text, []byte("\ufeff")) {
		r.addAt(1, 1, "", codeCharacter, "", "the file begins with a byte order mark; save it as UTF-8 without one")
		text = text[len("\ufeff"):]
	}
	hopeless := false
	out := bytes.Clone(text)
	line, column, indent, tabbed := 1, 1, true, false
	for i := 0; i < len(text); {
		c, size := utf8.DecodeRune(text[i:])
		switch {
		case c == '\n' || c == '\r' && i+1 < len(text) && text[i+1] == '\n':
			if c == '\r' {
				size = 2
			}
			line, column, indent, tabbed = line+1, 0, true, false
		case c == utf8.RuneError && size <= 1:
			r.addAt(line, column, "", codeEncoding, "", fmt.Sprintf("byte 0x%02x is not UTF-8", text[i]))
			hopeless = true
		case c == '\t':
			if !tabbed {
				r.addAt(line, column, "", codeTab, "", "a tab; use spaces")
			}
			tabbed = true
			hopeless = hopeless || indent
			out[i] = ' '
		case !allowedRune(c):
			r.addAt(line, column, "", codeCharacter, "", fmt.Sprintf("character %U is not allowed", c))
			hopeless = true
		}
		indent = indent && (c == ' ' || column == 0)
		column++
		i += size
	}
	if hopeless {
		return nil
	}
	return out
}

// allowedRune reports whether c may stand in a manifest, escaped or not, tab and line feed
// apart. Refused are what YAML does not call printable, what some parsers take for the end
// of a line (U+0085, U+2028, U+2029), and what reorders the text that a reviewer sees.
func allowedRune(c rune) bool {
	switch {
	case c < 0x20, c >= 0x7f && c <= 0x9f, c == 0x2028, c == 0x2029, c == 0xfeff:
		return false
	case c >= 0x202a && c <= 0x202e, c >= 0x2066 && c <= 0x2069, c == 0x200e, c == 0x200f, c == 0x061c:
		return false
	case c >= 0xd800 && c <= 0xdfff, c&0xfffe == 0xfffe, c >= 0xfdd0 && c <= 0xfdef, c > utf8.MaxRune:
		return false
	}
	return true
}

// forbiddenRune returns the first character of a decoded text that allowedRune refuses.
func forbiddenRune(s string) (rune, bool) {
	for _, c := range s {
		if c != '\t' && c != '\n' && !allowedRune(c) {
			return c, true
		}
	}
	return 0, false
}

// quote shows text of a document in a message: short, and on one line.
func quote(s string) string {
	const longest = 60
	if utf8.RuneCountInString(s) > longest {
		s = string([]rune(s)[:longest]) + "…"
	}
	return strconv.Quote(s)
}

// oneOf lists words for a message.
func oneOf(words []string) string {
	switch len(words) {
	case 0:
		return "nothing"
	case 1:
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}
