//go:build !wasip1

package pdktest

import (
	"bytes"
	"strings"
)

// A txtar archive is a comment and sections, each begun by a line "-- name --".
type archive struct {
	comment  string
	sections []section
}

type section struct{ name, text string }

// parseArchive never fails: what is no marker is text.
func parseArchive(text []byte) archive {
	var a archive
	var current strings.Builder
	name, inSection := "", false
	end := func() {
		if inSection {
			a.sections = append(a.sections, section{name, current.String()})
		} else {
			a.comment = current.String()
		}
		current.Reset()
	}
	for line := range bytes.Lines(text) {
		if n, ok := marker(string(line)); ok {
			end()
			name, inSection = n, true
			continue
		}
		current.Write(line)
	}
	end()
	return a
}

func marker(line string) (name string, ok bool) {
	line = strings.TrimRight(line, "\r\n")
	rest, ok := strings.CutPrefix(line, "-- ")
	if !ok {
		return "", false
	}
	name, ok = strings.CutSuffix(rest, " --")
	name = strings.TrimSpace(name)
	return name, ok && name != ""
}

func (a archive) format() []byte {
	var b bytes.Buffer
	b.WriteString(a.comment)
	for _, s := range a.sections {
		b.WriteString("-- " + s.name + " --\n" + s.text)
		if s.text != "" && !strings.HasSuffix(s.text, "\n") {
			b.WriteByte('\n')
		}
	}
	return b.Bytes()
}
