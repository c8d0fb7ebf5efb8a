package audit_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"pointsman/host/audit"
	"pointsman/host/broker"
)

// Whatever is done to the inside of a log is found; what is taken off its end at a line's
// boundary leaves a log that ends earlier.
func TestVerifyFindsTampering(t *testing.T) {
	text := fill(t, t.TempDir(), 12)
	lines := bytes.SplitAfter(text, []byte("\n"))
	lines = lines[:len(lines)-1]
	rapid.Check(t, func(t *rapid.T) {
		got := slices.Clone(text)
		spot := rapid.IntRange(0, len(text)-1).Draw(t, "spot")
		line := rapid.IntRange(0, len(lines)-1).Draw(t, "line")
		switch rapid.SampledFrom([]string{"flip", "delete", "insert", "cut", "swap", "drop", "repeat"}).Draw(t, "what") {
		case "flip":
			got[spot] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		case "delete":
			got = slices.Delete(got, spot, min(len(got), spot+rapid.IntRange(1, 2000).Draw(t, "bytes")))
		case "insert":
			got = slices.Insert(got, spot, rapid.SliceOfN(rapid.Byte(), 1, 40).Draw(t, "new")...)
		case "cut":
			got = got[:spot]
		case "swap":
			moved := slices.Clone(lines)
			other := rapid.IntRange(0, len(lines)-1).Draw(t, "other")
			moved[line], moved[other] = moved[other], moved[line]
			got = bytes.Join(moved, nil)
		case "drop":
			got = bytes.Join(slices.Delete(slices.Clone(lines), line, line+1), nil)
		case "repeat":
			got = bytes.Join(slices.Insert(slices.Clone(lines), line, lines[line]), nil)
		}
		rep, err := audit.Verify(bytes.NewReader(got))
		if err != nil {
			t.Fatal(err)
		}
		shorter := bytes.HasPrefix(text, got) && (len(got) == 0 || got[len(got)-1] == '\n')
		if intact := rep.Bad == nil; intact != shorter {
			t.Fatalf("intact %v, want %v; bad %+v\n%s", intact, shorter, rep.Bad, got)
		}
		if rep.Bad != nil && (rep.Bad.Line != rep.Lines+1 || rep.Bad.Reason == "") {
			t.Fatalf("bad %+v after %d good lines", rep.Bad, rep.Lines)
		}
	})
}

// hashOf returns the hash that a line states.
func hashOf(line string) string {
	_, hash, _ := strings.Cut(line, `"hash":"`)
	return strings.TrimSuffix(hash, "\"}\n")
}

func TestVerifyReport(t *testing.T) {
	good := string(fill(t, t.TempDir(), 2))
	lines := strings.SplitAfter(good, "\n")
	dir := t.TempDir()
	other := open(t, dir)
	must(t, other.Control(ctx, control))
	must(t, other.Use(ctx, use))
	foreign := strings.SplitAfter(string(read(t, dir)), "\n")
	tests := []struct {
		name, text string
		lines      int
		bad        string
	}{
		{"empty", "", 0, ""},
		{"good", good, 2, ""},
		{"empty line", good + "\n", 2, "form"},
		{"line without end", good + "x", 2, "cut off"},
		{"endless line", good + strings.Repeat("x", 1<<20), 2, "more than"},
		{"hole of zeros", lines[0] + strings.Repeat("\x00", 500) + "\n" + lines[1], 1, "form"},
		{"upper-case hash", lines[0] + strings.Replace(lines[1], hashOf(lines[1]), strings.ToUpper(hashOf(lines[1])), 1), 1, "form"},
		{"line of another log", lines[0] + foreign[1], 1, "does not follow"},
		{"begins late", lines[1], 0, "number"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rep := verify(t, []byte(tt.text))
			if rep.Lines != tt.lines {
				t.Errorf("%d lines, want %d", rep.Lines, tt.lines)
			}
			switch {
			case tt.bad == "" && rep.Bad != nil:
				t.Errorf("bad %+v, want none", rep.Bad)
			case tt.bad != "" && (rep.Bad == nil || !strings.Contains(rep.Bad.Reason, tt.bad)):
				t.Errorf("bad %+v, want %q", rep.Bad, tt.bad)
			}
		})
	}
	broken := errors.New("broken disk")
	if _, err := audit.Verify(io.MultiReader(strings.NewReader(good), iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Errorf("error %v, want the reader's", err)
	}
}

// Of a large file only the end is checked, from a line's beginning.
func TestOpenChecksTail(t *testing.T) {
	text := fill(t, t.TempDir(), 50)
	last := bytes.LastIndexByte(text[:len(text)-1], '\n') + 1
	tests := []struct {
		name  string
		text  []byte
		lines uint64
		torn  int64
		bad   string
	}{
		{"good", text, 50, 0, ""},
		{"changed before the tail", append([]byte("#"), text[1:]...), 50, 0, ""},
		{"changed in the tail", bytes.Replace(text, []byte(`"release":48`), []byte(`"release":99`), 1), 0, 0, "line 49"},
		{"torn", text[:last+99], 49, 99, ""},
		{"no line in the tail", bytes.ReplaceAll(text, []byte("\n"), []byte(" ")), 0, 0, "no line begins"},
		{"rubbish at the end", append(slices.Clone(text), bytes.Repeat([]byte("x\n"), 1500)...), 0, 0, "no record"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x")
			must(t, os.WriteFile(path, tt.text, 0o600))
			f, err := os.Open(path)
			must(t, err)
			defer f.Close()
			lines, torn, err := audit.CheckEnd(f, 1000, 2000)
			if tt.bad != "" {
				if err == nil || !strings.Contains(err.Error(), tt.bad) {
					t.Fatalf("error %v, want %q", err, tt.bad)
				}
				return
			}
			if err != nil || lines != tt.lines || torn != tt.torn {
				t.Errorf("%d lines, %d torn, error %v; want %d, %d", lines, torn, err, tt.lines, tt.torn)
			}
		})
	}
}

// Whatever a record says, the log that holds it verifies and opens again.
func TestAnyTextVerifies(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		must(t, err)
		l := open(t, dir)
		text := rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 400), func(b []byte) string { return string(b) })
		u := use
		u.Resource, u.Reason, u.Release = text.Draw(rt, "resource"), text.Draw(rt, "reason"), math.MaxUint64
		must(t, l.Use(ctx, u))
		r := audit.Request{Outcome: text.Draw(rt, "outcome"), Method: rapid.String().Draw(rt, "method")}
		for range rapid.IntRange(0, 80).Draw(rt, "sources") {
			r.Sources = append(r.Sources, broker.Source{Name: text.Draw(rt, "source"), Outcome: broker.Outcome(r.Outcome)})
		}
		must(t, l.Request(ctx, r))
		must(t, l.Control(ctx, audit.Control{Actor: "a", Action: "b", Object: text.Draw(rt, "object"),
			Detail: rapid.MapOfN(rapid.StringMatching(`[ -!#-\[\]-~]{1,64}`), text, 0, 40).Draw(rt, "detail")}))
		must(t, l.Close())
		got := read(t, dir)
		if rep := verify(t, got); rep.Bad != nil || rep.Lines != 3 {
			rt.Fatalf("%d lines, bad %+v\n%s", rep.Lines, rep.Bad, got)
		}
		if i := bytes.IndexFunc(got, func(r rune) bool { return r != '\n' && (r < ' ' || r > '~') }); i >= 0 {
			rt.Fatalf("unprintable byte at %d in %q", i, got)
		}
		must(t, open(t, dir).Close())
	})
}

func FuzzVerify(f *testing.F) {
	f.Add(fill(f, f.TempDir(), 2))
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		rep, err := audit.Verify(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(text, []byte("\n")); rep.Bad == nil && rep.Lines != n {
			t.Errorf("%d good lines of %d", rep.Lines, n)
		}
		if rep.Lines > 0 && (rep.First.Seq != 1 || rep.Last.Seq != uint64(rep.Lines)) {
			t.Errorf("%d lines from %d to %d", rep.Lines, rep.First.Seq, rep.Last.Seq)
		}
	})
}
