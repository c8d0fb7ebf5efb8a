package reach

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
)

// Text is the report for people: consumers with their routes and what they see of whom, then
// plugins with what they can use, see, and send on.
func (r *Report) Text() string {
	var b bytes.Buffer
	for _, c := range r.Consumers {
		fmt.Fprintf(&b, "consumer %s  (sector %s; scopes %s)\n", c.Name, c.Sector, strings.Join(c.Scopes, ", "))
		if len(c.Routes) == 0 {
			fmt.Fprintf(&b, "  no route\n")
		}
		w := tabwriter.NewWriter(&b, 0, 4, 2, ' ', 0)
		for _, rt := range c.Routes {
			fmt.Fprintf(w, "  %s\troute %s\t\n", rt.Path, rt.Name)
			for _, st := range rt.Steps {
				fmt.Fprintf(w, "    step %s\t%s.%s\t%s\n", st.Name, st.Plugin, st.Function, prefixed("calls ", st.Calls))
			}
			lines(w, "  sees", fieldLines(rt.Sees, "nothing"))
		}
		w.Flush()
		fmt.Fprintln(&b)
	}
	for _, p := range r.Plugins {
		fmt.Fprintf(&b, "plugin %s%s\n", p.Name, about(p))
		w := tabwriter.NewWriter(&b, 0, 4, 2, ' ', 0)
		if len(p.Powers) == 0 {
			fmt.Fprintf(w, "  uses\tnothing\t\n")
		}
		for i, power := range p.Powers {
			lines(w, when(i == 0, "uses"), [][2]string{{power.head(), power.tail()}})
		}
		lines(w, "sees", fieldLines(p.Sees, "nothing"))
		if len(p.Moves) > 0 {
			lines(w, "moves unseen", fieldLines(p.Moves, ""))
		}
		lines(w, "sends", sentLines(p.Sends))
		if len(p.Declassify) > 0 {
			fmt.Fprintf(w, "  declassifies\t%s\t\n", strings.Join(p.Declassify, ", "))
		}
		w.Flush()
		fmt.Fprintln(&b)
	}
	return string(trimLines(b.Bytes()))
}

func lines(w *tabwriter.Writer, word string, list [][2]string) {
	for i, line := range list {
		for k, part := range wrap(line[1]) {
			fmt.Fprintf(w, "  %s\t%s\t%s\n", when(i == 0 && k == 0, word), when(k == 0, line[0]), part)
		}
	}
}

// maxLine is how many characters of a list stand in one line: with names of usual length
// before it, what a terminal of 120 shows.
const maxLine = 80

// wrap breaks a list at its commas.
func wrap(list string) []string {
	var out []string
	line := ""
	for _, word := range strings.Split(list, ", ") {
		switch {
		case line == "":
			line = word
		case len(line)+len(word)+2 > maxLine:
			out = append(out, line+",")
			line = word
		default:
			line += ", " + word
		}
	}
	return append(out, line)
}

func about(p PluginReach) string {
	var notes []string
	if !p.Imports {
		notes = append(notes, "its module was not found: taken to import everything")
	}
	if len(p.Consumers) == 0 {
		notes = append(notes, "runs for nobody")
	} else {
		notes = append(notes, "for "+strings.Join(p.Consumers, ", "))
	}
	return "  (" + strings.Join(notes, "; ") + ")"
}

func (w Power) head() string { return strings.TrimSpace(w.Kind + " " + w.Target) }

func (w Power) tail() string {
	parts := slices.Clone(w.Uses)
	if w.Writes {
		parts = append(parts, "(writes)")
	}
	text := strings.Join(parts, ", ")
	if len(w.Secrets) > 0 {
		text += "  with secret " + strings.Join(w.Secrets, ", ")
	}
	if len(w.Clear) > 0 {
		text += "  cleared for " + strings.Join(w.Clear, ", ")
	}
	return strings.TrimSpace(text)
}

// fieldLines groups fields by source and labels: a source's name, and its fields.
func fieldLines(fields []Field, none string) [][2]string {
	if len(fields) == 0 {
		return [][2]string{{none, ""}}
	}
	var out [][2]string
	for _, f := range fields {
		path := f.Path
		switch {
		case f.single():
			path = ""
		case path == "":
			path = "*"
		}
		if len(f.Labels) > 0 {
			path = strings.TrimSpace(path + " [" + strings.Join(f.Labels, " ") + "]")
		}
		if n := len(out) - 1; n >= 0 && out[n][0] == f.Source {
			out[n][1] += ", " + path
			continue
		}
		out = append(out, [2]string{f.Source, path})
	}
	return out
}

// sentLines groups what is sent by where it goes.
func sentLines(sent []Sent) [][2]string {
	var out [][2]string
	for _, s := range sent {
		text := s.Field.String()
		if len(s.Labels) > 0 {
			text += " [" + strings.Join(s.Labels, " ") + "]"
		}
		to := "to " + s.To.String()
		if n := len(out) - 1; n >= 0 && out[n][0] == to {
			out[n][1] += ", " + text
			continue
		}
		out = append(out, [2]string{to, text})
	}
	return out
}

// SightingsText is the answer to who can see something, for people.
func SightingsText(t Target, all []Sighting) string {
	var b strings.Builder
	if len(all) == 0 {
		fmt.Fprintf(&b, "nobody can see %s\n", t.Text)
		return b.String()
	}
	fmt.Fprintf(&b, "who can see %s:\n", t.Text)
	last := Subject{}
	for _, s := range all {
		if s.Who != last {
			fmt.Fprintf(&b, "\n%s\n", s.Who)
			last = s.Who
		}
		fmt.Fprintf(&b, "  %s\n", WitnessText(s.Witness))
		if len(s.Routes) > 1 {
			fmt.Fprintf(&b, "    by routes %s\n", strings.Join(s.Routes, ", "))
		}
	}
	return b.String()
}

func when(yes bool, word string) string {
	if yes {
		return word
	}
	return ""
}

func prefixed(word string, list []string) string {
	if len(list) == 0 {
		return ""
	}
	return word + strings.Join(list, ", ")
}

// trimLines takes the spaces off the ends of lines that columns leave there.
func trimLines(text []byte) []byte {
	rows := bytes.Split(text, []byte("\n"))
	for i := range rows {
		rows[i] = bytes.TrimRight(rows[i], " ")
	}
	return append(bytes.TrimRight(bytes.Join(rows, []byte("\n")), "\n"), '\n')
}
