package sandbox

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// guestLog passes on what one call writes, until its budget is used up.
type guestLog struct {
	to   Logger // may be nil
	left int    // bytes
	cut  bool
}

// open reports whether anything more is logged.
func (l *guestLog) open() bool { return l.to != nil && !l.cut }

// lineCost is what a line of log is charged beyond its bytes: what stands around them in the
// broker's log (time, level, the names of call, route, step and plugin), some 130 bytes.
// Without it a budget in lines of one byte would be a log of 65 times its size.
const lineCost = 128

// write logs one message. It costs its bytes and lineCost. An empty one is not logged, and
// costs one: else looking for the ends of empty lines would be work without an end.
func (l *guestLog) write(ctx context.Context, level string, text []byte) {
	if !l.open() {
		return
	}
	cost := len(text) + lineCost
	if len(text) == 0 {
		cost = 1
	}
	if cost > l.left {
		l.cut = true
		text = text[:min(max(l.left-lineCost, 0), len(text))]
		l.left = 0
		if len(text) > 0 {
			l.to.GuestLog(ctx, level, printable(string(text)))
		}
		l.to.GuestLog(ctx, "warn", "the rest of this call's output is dropped: it exceeds its limit")
		return
	}
	l.left -= cost
	if len(text) == 0 {
		return
	}
	l.to.GuestLog(ctx, level, printable(string(text)))
}

// stream is standard output or error: it keeps what follows the last line break.
type stream struct {
	level string
	rest  []byte
}

// add logs the lines that text completes. The rest waits for more or for flush; it
// never holds more than the log may still take.
func (s *stream) add(ctx context.Context, l *guestLog, text []byte) {
	for len(text) > 0 && l.open() {
		line, after, whole := bytes.Cut(text, []byte("\n"))
		if room := l.left - len(s.rest); len(line) > room {
			line = line[:max(room+1, 0)]
			whole = true // one byte beyond the limit: write cuts there
		}
		s.rest = append(s.rest, line...)
		if !whole {
			return
		}
		s.flush(ctx, l)
		text = after
	}
}

// flush logs what waits for its line break.
func (s *stream) flush(ctx context.Context, l *guestLog) {
	l.write(ctx, s.level, bytes.TrimSuffix(s.rest, []byte("\r")))
	s.rest = s.rest[:0]
}

// Printable returns what a guest wrote with everything escaped that could move a terminal's
// cursor, begin a new line in a log or turn the direction of writing: fit for a log, in a
// field of its own. Text that has none of these is returned as it is.
func Printable(text string) string { return printable(text) }

// printable returns text with everything escaped that could move a terminal's cursor,
// begin a new line in a log or turn the direction of writing.
func printable(text string) string {
	clean := true
	for _, r := range text {
		if r == utf8.RuneError || (r != ' ' && !unicode.IsPrint(r)) {
			clean = false
			break
		}
	}
	if clean {
		return text
	}
	var b strings.Builder
	for i, r := range text {
		switch {
		case r == utf8.RuneError:
			if _, n := utf8.DecodeRuneInString(text[i:]); n == 1 {
				fmt.Fprintf(&b, `\x%02x`, text[i])
			} else {
				b.WriteRune(r)
			}
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == ' ' || unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u{%x}`, r)
		}
	}
	return b.String()
}

// atMost cuts text to n bytes, at a character's boundary.
func atMost(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}
