package reach_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pointsman/host/manifest"
	"pointsman/host/reach"
)

// TestSVG: the drawing is XML whatever the texts are, names everything, holds nothing active,
// and no box lies over another.
func TestSVG(t *testing.T) {
	set, modules := large(10, 5, 4)
	hostile := `</text><script>alert("1")</script>&amp;'`
	set.Routes[0].Path = hostile
	set.Plugins[3].KVGrant = &manifest.KVGrant{}
	g := graph(t, set, modules)
	r, err := g.Report()
	if err != nil {
		t.Fatal(err)
	}
	drawing := r.SVG()
	if again := r.SVG(); !bytes.Equal(drawing, again) {
		t.Error("the same report is drawn in two ways")
	}
	type rect struct{ x, y, w, h int }
	var rects []rect
	var text strings.Builder
	for dec := xml.NewDecoder(bytes.NewReader(drawing)); ; {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch el := token.(type) {
		case xml.CharData:
			text.Write(el)
		case xml.StartElement:
			if el.Name.Local == "script" {
				t.Error("the drawing holds a script")
			}
			var box rect
			for _, a := range el.Attr {
				if strings.HasPrefix(a.Name.Local, "on") || a.Name.Local == "href" {
					t.Errorf("the drawing has the attribute %s", a.Name.Local)
				}
				into := map[string]*int{"x": &box.x, "y": &box.y, "width": &box.w, "height": &box.h}[a.Name.Local]
				if into != nil && el.Name.Local == "rect" {
					fmt.Sscan(a.Value, into)
				}
			}
			if el.Name.Local == "rect" && box.x > 0 {
				rects = append(rects, box)
			}
		}
	}
	if want := 4 + 5 + 10 + 10; len(rects) != want {
		t.Errorf("%d boxes, want %d", len(rects), want)
	}
	for i, a := range rects {
		for _, b := range rects[:i] {
			if a.x < b.x+b.w && b.x < a.x+a.w && a.y < b.y+b.h && b.y < a.y+a.h {
				t.Errorf("boxes lie over each other: %v, %v", a, b)
			}
		}
	}
	for _, word := range []string{"consumer-03", "route-0004", "plugin-0009", "backend-0007", "with secret backend-0007-token", "sees pii.contact, pii.identity", hostile} {
		if !strings.Contains(text.String(), word) {
			t.Errorf("the drawing does not say %q", word)
		}
	}
}

// TestFrom keeps what begins at one, and refuses what there is not.
func TestFrom(t *testing.T) {
	g := graph(t, shop(t), modules())
	report, err := g.Report()
	if err != nil {
		t.Fatal(err)
	}
	for _, from := range []reach.Subject{{}, {Kind: "plugin"}, {Kind: "plugin", Name: "till"}, {Kind: "backend", Name: "crm"}} {
		if r, err := g.From(report, from); err == nil {
			t.Errorf("from %v: %+v, want an error", from, r)
		}
	}
	tests := []struct {
		from               reach.Subject
		consumers, plugins []string
	}{
		{reach.Subject{Kind: "consumer", Name: "till"}, []string{"till"}, []string{"contact", "mask", "tiers"}},
		{reach.Subject{Kind: "plugin", Name: "asker"}, nil, []string{"asker", "callee"}},
		{reach.Subject{Kind: "consumer", Name: "guest"}, []string{"guest"}, nil},
	}
	for _, tt := range tests {
		r, err := g.From(report, tt.from)
		if err != nil {
			t.Fatal(err)
		}
		var consumers, plugins []string
		for _, c := range r.Consumers {
			consumers = append(consumers, c.Name)
		}
		for _, p := range r.Plugins {
			plugins = append(plugins, p.Name)
		}
		if diff := cmp.Diff(tt.consumers, consumers) + cmp.Diff(tt.plugins, plugins); diff != "" {
			t.Errorf("from %v: %s", tt.from, diff)
		}
	}
}
