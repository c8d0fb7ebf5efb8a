package reach

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"
	"unicode/utf8"
)

// The drawing's measures, in pixels: four columns of boxes with room for lines between them.
// They hold 4 consumers, 5 routes and 10 plugins on a page of 1180 x about 800.
const (
	svgWidth   = 1180
	svgTop     = 84
	svgGap     = 14
	svgLine    = 15
	svgHead    = 22
	svgPad     = 8
	svgColumns = 4
)

var svgX = [svgColumns]int{20, 250, 560, 880}
var svgW = [svgColumns]int{170, 230, 240, 280}

// svgBox is one thing in the drawing.
type svgBox struct {
	column     int
	class      string
	title      string
	lines      []string
	x, y, w, h int
}

// SVG draws the report: consumers, routes, plugins, and what these reach, from left to right.
// Text is cut where its box ends; the whole of it is in the title that browsers show.
func (r *Report) SVG() []byte {
	boxes := map[string]*svgBox{}
	var order []string
	var lines [][2]string
	drawn := map[[2]string]bool{}
	box := func(id string, b svgBox) {
		if boxes[id] == nil {
			boxes[id] = &b
			order = append(order, id)
		}
	}
	line := func(from, to string) {
		if !drawn[[2]string{from, to}] {
			drawn[[2]string{from, to}] = true
			lines = append(lines, [2]string{from, to})
		}
	}
	for _, c := range r.Consumers {
		box("c "+c.Name, svgBox{column: 0, class: "who", title: c.Name, lines: []string{"sector " + c.Sector, or(strings.Join(c.Scopes, ", "), "no scopes")}})
		for _, rt := range c.Routes {
			box("r "+rt.Name, svgBox{column: 1, class: "room", title: rt.Name, lines: []string{rt.Path}})
			line("c "+c.Name, "r "+rt.Name)
			for _, st := range rt.Steps {
				line("r "+rt.Name, "p "+st.Plugin)
			}
		}
	}
	for _, p := range r.Plugins {
		b := svgBox{column: 2, class: "guest", title: p.Name, lines: []string{seesLine(p)}}
		for _, w := range p.Powers {
			if w.Kind == "kv" || w.Kind == "log" || w.Kind == "call" {
				b.lines = append(b.lines, w.head())
			}
		}
		box("p "+p.Name, b)
	}
	for _, p := range r.Plugins {
		for _, w := range p.Powers {
			switch w.Kind {
			case "http", "sql":
				id := "b " + w.Target
				box(id, svgBox{column: 3, class: "out", title: w.Target})
				for _, use := range w.Uses {
					boxes[id].lines = appendNew(boxes[id].lines, use)
				}
				if len(w.Secrets) > 0 {
					boxes[id].lines = appendNew(boxes[id].lines, "with secret "+strings.Join(w.Secrets, ", "))
				}
				line("p "+p.Name, id)
			case "call":
				callee, _, _ := strings.Cut(w.Target, ".")
				line("p "+p.Name, "p "+callee)
			case "pointer":
				box("d "+w.Target, svgBox{column: 3, class: "out", title: "pointers of " + w.Target})
				line("p "+p.Name, "d "+w.Target)
			}
		}
	}
	height := layout(order, boxes)
	var b bytes.Buffer
	fmt.Fprintf(&b, svgStart, svgWidth, height, svgWidth, height)
	for i, head := range []string{"consumers", "routes", "plugins", "back ends and what is asked of them"} {
		fmt.Fprintf(&b, "<text class=\"n\" x=\"%d\" y=\"64\">%s</text>\n", svgX[i], head)
	}
	for _, l := range lines {
		from, to := boxes[l[0]], boxes[l[1]]
		if from == nil || to == nil {
			continue // a plugin that the report leaves out
		}
		x1, y1, x2, y2 := from.x+from.w, from.y+from.h/2, to.x, to.y+to.h/2
		bend := (x1 + x2) / 2
		if from.column == to.column { // a call from one plugin to another, around the right
			x2, bend = x1, x1+48
		}
		fmt.Fprintf(&b, "<path class=\"line\" marker-end=\"url(#a)\" d=\"M%d,%d C%d,%d %d,%d %d,%d\"/>\n", x1, y1, bend, y1, bend, y2, x2, y2)
	}
	for _, id := range order {
		boxes[id].draw(&b)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

const svgStart = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-labelledby="t d" font-family="system-ui, sans-serif">
<title id="t">Who can reach what</title>
<desc id="d">Consumers, routes, plugins and back ends, with lines from each to what it reaches</desc>
<style>
 .bg{fill:#fdfcf9} .room{fill:#fff;stroke:#6b6047;stroke-width:1.2} .who{fill:#f3efe4;stroke:#b9ae93;stroke-width:1.2}
 .t{font-size:13px;fill:#2b261b;font-weight:600} .s{font-size:11px;fill:#5b523d} .n{font-size:12px;fill:#8a7f66}
 .line{stroke:#6b6047;stroke-width:1.1;fill:none;opacity:.75} .out{fill:#e6eef5;stroke:#4a6a86;stroke-width:1.2} .guest{fill:#eef5e6;stroke:#5d7d3a;stroke-width:1.4;stroke-dasharray:5 3}
 .h{font-size:16px;fill:#2b261b;font-weight:700}
</style>
<defs><marker id="a" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse"><path d="M0,0 L8,4 L0,8 z" fill="#6b6047"/></marker></defs>
<rect class="bg" width="%d" height="%d"/>
<text class="h" x="20" y="32">Who can reach what</text>
`

// layout puts the boxes of each column below each other, in order, and returns the height.
func layout(order []string, boxes map[string]*svgBox) int {
	next := [svgColumns]int{svgTop, svgTop, svgTop, svgTop}
	for _, id := range order {
		b := boxes[id]
		b.x, b.y, b.w = svgX[b.column], next[b.column], svgW[b.column]
		b.h = svgHead + svgLine*len(b.lines) + svgPad
		next[b.column] += b.h + svgGap
	}
	tallest := max(next[0], next[1], next[2], next[3])
	for _, id := range order { // a short column stands in the middle
		b := boxes[id]
		b.y += (tallest - next[b.column]) / 2
	}
	return tallest + svgGap
}

func (b *svgBox) draw(out *bytes.Buffer) {
	fmt.Fprintf(out, "<g><title>%s</title><rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"6\"/>\n", escape(strings.Join(append([]string{b.title}, b.lines...), "\n")), b.class, b.x, b.y, b.w, b.h)
	fmt.Fprintf(out, "<text class=\"t\" x=\"%d\" y=\"%d\">%s</text>\n", b.x+10, b.y+18, escape(fit(b.title, b.w-20, 7)))
	for i, l := range b.lines {
		fmt.Fprintf(out, "<text class=\"s\" x=\"%d\" y=\"%d\">%s</text>\n", b.x+10, b.y+18+svgLine*(i+1), escape(fit(l, b.w-20, 6)))
	}
	out.WriteString("</g>\n")
}

// fit cuts a text to about a width, given how wide a character is at the most usual.
func fit(s string, width, each int) string {
	if n := width / each; utf8.RuneCountInString(s) > n {
		return string([]rune(s)[:n-1]) + "…"
	}
	return s
}

// escape is text as XML has it.
func escape(s string) string {
	var b bytes.Buffer
	if err := xml.EscapeText(&b, []byte(s)); err != nil {
		panic(err) // a buffer takes everything
	}
	return b.String()
}

// seesLine is what a plugin sees, in a few words: the labels first.
func seesLine(p PluginReach) string {
	var labels, sources []string
	for _, f := range p.Sees {
		sources = appendNew(sources, f.Source)
		for _, l := range f.Labels {
			labels = appendNew(labels, l)
		}
	}
	switch {
	case len(labels) > 0:
		return "sees " + strings.Join(labels, ", ")
	case len(sources) > 0:
		return "sees " + strings.Join(sources, ", ")
	case len(p.Moves) > 0:
		return "sees nothing, moves"
	}
	return "sees nothing"
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func appendNew(list []string, s string) []string {
	if has(list, s) {
		return list
	}
	return append(list, s)
}
