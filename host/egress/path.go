package egress

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxPath     = 4 << 10 // bytes; what common servers take is 8 KiB for the whole request line
	maxSegments = 64
)

// CheckPath returns an error for a path that two programs on its way could read
// differently. It takes a path from "/", with percent escapes and without a query, and
// never changes it: what is checked is what is sent.
//
// A path is refused when it holds an empty or dot segment in any encoding, which a
// trailing slash is too; an escaped slash, backslash, percent sign, question mark, number
// sign, semicolon or control character; a semicolon; anything that RFC 3986 does not allow
// in a segment; or escapes that are not valid UTF-8. The root, "/", is accepted.
// The error says which rule, never what the path was.
func CheckPath(path string) error {
	switch {
	case !strings.HasPrefix(path, "/"):
		return errors.New("the path must start with /")
	case len(path) > maxPath:
		return fmt.Errorf("the path is longer than %d bytes", maxPath)
	case path == "/":
		return nil
	}
	if strings.Count(path, "/") > maxSegments {
		return fmt.Errorf("the path has more than %d segments", maxSegments)
	}
	for s := range strings.SplitSeq(path[1:], "/") {
		if err := checkSegment(s); err != nil {
			return err
		}
	}
	return nil
}

func checkSegment(s string) error {
	if s == "" {
		return errors.New("the path must not have an empty segment, nor end in /")
	}
	plain, err := unescape(s, isSegmentByte, structural)
	if err != nil {
		return fmt.Errorf("the path %w", err)
	}
	if plain == "." || plain == ".." {
		return errors.New("the path must not have a dot segment")
	}
	if !utf8.ValidString(plain) {
		return errors.New("the path's escapes must be valid UTF-8")
	}
	if strings.ContainsFunc(plain, unicode.IsControl) {
		return errors.New("the path must not hold a control character")
	}
	return nil
}

// structural are the characters that cut a path in pieces for some program on its way once
// they are decoded.
const structural = `/\%?#;`

// unescape decodes s. It refuses bytes that allowed does not have, and escapes of those in
// never, which is structural or empty. The error says what s "holds" or "must not hold".
func unescape(s string, allowed func(c byte) bool, never string) (string, error) {
	var b []byte // what is decoded; nil while that is s as it stands
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '%':
			if i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
				return "", errors.New("holds a percent sign without two hexadecimal digits")
			}
			c = unhex(s[i+1])<<4 | unhex(s[i+2])
			if strings.IndexByte(never, c) >= 0 {
				return "", errors.New(`must not hold an escaped / \ % ? # or ;`)
			}
			if b == nil {
				b = append(make([]byte, 0, len(s)), s[:i]...)
			}
			i += 2
		case !allowed(c):
			return "", errors.New("holds a byte that must be percent-encoded, or a semicolon")
		}
		if b != nil {
			b = append(b, c)
		}
	}
	if b == nil {
		return s, nil
	}
	return string(b), nil
}

// isSegmentByte is pchar of RFC 3986 §3.3 without the semicolon, at which some servers cut
// a segment short.
func isSegmentByte(c byte) bool {
	return isUnreserved(c) || strings.IndexByte("!$&'()*+,=:@", c) >= 0
}

// isUnreserved is RFC 3986 §2.3.
func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c >= 'a':
		return c - 'a' + 10
	case c >= 'A':
		return c - 'A' + 10
	}
	return c - '0'
}
