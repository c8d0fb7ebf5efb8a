package logcap

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const cut = "…"

// clean makes s fit for a terminal and a line: at most limit bytes, and everything that
// moves the cursor, colours, hides or reorders text as an escape. Quoting is the sink's.
func clean(s string, limit int) string {
	var b strings.Builder
	fits := 0 // how much of b leaves room for the mark
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError, r <= 0xffff && !unicode.IsPrint(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		case !unicode.IsPrint(r):
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			b.WriteString(s[i : i+size])
		}
		i += size
		if b.Len() > limit {
			return b.String()[:fits] + cut
		}
		if b.Len() <= limit-len(cut) {
			fits = b.Len()
		}
	}
	return b.String()
}
