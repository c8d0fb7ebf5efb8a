package main

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// mark is a value that occurs nowhere in the world but where a test put it.
type mark struct {
	name string
	text string
	// parts are what no other mark has of text: any of them, or 12 bytes of one, tell it.
	parts [][]byte
}

// What marks begin with, which the guest canary.wat knows too.
const (
	secretFront = "cNrYsEc~"
	personFront = "cNrYpEr~"
)

// newMark makes a mark. Its specials stand in its middle, so that on both sides there are
// letters and digits enough to find it by, however those in the middle are written.
func newMark(name, front, specials string) *mark {
	before, behind := rand.Text()[:20], strings.ToLower(rand.Text()[:20])
	return &mark{name, front + before + specials + behind, [][]byte{[]byte(before), []byte(behind)}}
}

// markOf is a mark made of what others made: a key's bytes, for example.
func markOf(name string, text []byte) *mark { return &mark{name, string(text), [][]byte{text}} }

// form is one way to write a part of a mark.
type form struct {
	mark *mark
	how  string
	text []byte
}

// piece is how much of a mark is looked for, in bytes: half of what anyone would have to
// guess is as bad as all of it, and 12 random characters are in no text by chance.
const piece = 12

// oracle finds marks, and parts of them, in whatever way they may be written. It is not
// changed by looking.
type oracle struct {
	first map[uint64][]form // by the first eight bytes
	look  [1 << 16]bool     // by the first two
}

func newOracle(marks ...*mark) *oracle {
	o := &oracle{first: map[uint64][]form{}}
	for _, m := range marks {
		for _, part := range m.parts {
			for how, text := range formsOf(part) {
				size := int(piece * width(how))
				for at := 0; at+size <= len(text); at++ {
					window := text[at : at+size]
					key := binary.LittleEndian.Uint64(window)
					o.first[key] = append(o.first[key], form{m, how, window})
					o.look[binary.LittleEndian.Uint16(window)] = true
				}
			}
		}
	}
	return o
}

// width is how many bytes one of a mark has in a form.
func width(how string) float64 {
	switch {
	case strings.HasPrefix(how, "base64"):
		return 4. / 3
	case strings.HasPrefix(how, "hex"), strings.HasPrefix(how, "UTF-16"):
		return 2
	case strings.HasPrefix(how, "percent, every"):
		return 3
	case strings.HasPrefix(how, "JSON, every"):
		return 6
	}
	return 1
}

// formsOf are all the ways that are looked for.
func formsOf(part []byte) map[string][]byte {
	forms := map[string][]byte{
		"as it is":          part,
		"hex":               []byte(hex.EncodeToString(part)),
		"hex, upper case":   bytes.ToUpper([]byte(hex.EncodeToString(part))),
		"percent of a form": []byte(url.QueryEscape(string(part))),
		"percent of a path": []byte(url.PathEscape(string(part))),
		"reversed":          bytes.Clone(part),
	}
	slices.Reverse(forms["reversed"])
	for shift := range 3 {
		padded := append(make([]byte, shift), part...)
		for name, enc := range map[string]*base64.Encoding{"": base64.RawStdEncoding, ", URL's": base64.RawURLEncoding} {
			text := enc.EncodeToString(padded)
			forms[fmt.Sprintf("base64 at %d%s", shift, name)] = []byte(text[(8*shift+5)/6 : 8*(shift+len(part))/6])
		}
	}
	for _, c := range part {
		add := func(how, format string) { forms[how] = fmt.Appendf(forms[how], format, c) }
		add("percent, every byte", "%%%02x")
		add("percent, every byte, upper case", "%%%02X")
		add("JSON, every byte", `\u%04x`)
		add("JSON, every byte, upper case", `\u%04X`)
		forms["UTF-16LE"] = append(forms["UTF-16LE"], c, 0)
		forms["UTF-16BE"] = append(forms["UTF-16BE"], 0, c)
	}
	return forms
}

// sighting is a mark in a place where it may or may not be.
type sighting struct {
	place string
	mark  *mark
	how   string
	at    int
	near  string
}

func (f sighting) String() string {
	return fmt.Sprintf("%s: %s, %s, at byte %d of …%s…", f.place, f.mark.name, f.how, f.at, f.near)
}

// deepest is how many times something can be compressed and still be looked into.
const deepest = 3

// search looks through text, and through all that is compressed in it. It tells of each
// mark once for each way that it is written.
func (o *oracle) search(place string, text []byte) []sighting { return o.within(place, text, deepest) }

func (o *oracle) within(place string, text []byte, depth int) (found []sighting) {
	for i := 0; i+8 <= len(text); i++ {
		if !o.look[binary.LittleEndian.Uint16(text[i:])] {
			continue
		}
		for _, f := range o.first[binary.LittleEndian.Uint64(text[i:])] {
			if bytes.HasPrefix(text[i:], f.text) && !slices.ContainsFunc(found, func(old sighting) bool { return old.mark == f.mark && old.how == f.how }) {
				near := text[max(0, i-60):min(len(text), i+40)]
				found = append(found, sighting{place, f.mark, f.how, i, fmt.Sprintf("%q", near)})
			}
		}
	}
	if depth == 0 {
		return found
	}
	for i, plain := range decompressed(text) {
		found = append(found, o.within(fmt.Sprintf("%s, compressed at byte %d", place, i), plain, depth-1)...)
	}
	return found
}

// mostPlain bounds what one member is decompressed to, in bytes.
const mostPlain = 32 << 20

// decompressed is every member of gzip, zlib and deflate in text, as far as it can be read.
// Raw deflate has no sign to know it by: only the whole text is tried for it.
func decompressed(text []byte) map[int][]byte {
	members := map[int][]byte{}
	try := func(at int, open func(io.Reader) (io.Reader, error)) {
		r, err := open(bytes.NewReader(text[at:]))
		if err != nil {
			return
		}
		if plain, _ := io.ReadAll(io.LimitReader(r, mostPlain)); len(plain) >= 8 { // what comes before an error counts
			members[at] = plain
		}
	}
	for i := 0; i+3 <= len(text); i++ {
		switch {
		case text[i] == 0x1f && text[i+1] == 0x8b && text[i+2] == 8:
			try(i, func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) })
		case text[i] == 0x78 && (int(text[i])<<8|int(text[i+1]))%31 == 0:
			try(i, func(r io.Reader) (io.Reader, error) { return zlib.NewReader(r) })
		}
	}
	if _, tried := members[0]; !tried && len(text) > 8 {
		try(0, func(r io.Reader) (io.Reader, error) { return flate.NewReader(r), nil })
	}
	return members
}

// searchFolder looks through every file of a folder that was written after since, in names
// as well, and through what lies behind links to folders.
func (o *oracle) searchFolder(root string, since time.Time) (found []sighting, files int, err error) {
	err = filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		found = append(found, o.search("the name of "+path, []byte(filepath.Base(path)))...)
		if d.Type()&os.ModeSymlink != 0 {
			if target, err := filepath.EvalSymlinks(path); err == nil && target != path {
				more, n, err := o.searchFolder(target, since)
				found, files = append(found, more...), files+n
				return err
			}
			return nil
		}
		info, err := d.Info()
		if err != nil || !info.Mode().IsRegular() || info.ModTime().Before(since) {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		found = append(found, o.search(path, text)...)
		return nil
	})
	return found, files, err
}

// TestOracle proves that nothing gets past what the other tests look with: each mark in each
// form, whole or in part, is found wherever it is planted; a file that leaks is named; and
// noise is not taken for a mark.
func TestOracle(t *testing.T) {
	var marks []*mark
	for i, specials := range []string{"", `+/=%"\&<>'?`, "~._-", "é≠"} {
		marks = append(marks, newMark(fmt.Sprintf("mark %d", i), secretFront, specials))
	}
	key := make([]byte, 32)
	rand.Read(key)
	marks = append(marks, markOf("key", key))
	o := newOracle(marks...)
	noise := make([]byte, 4<<10)
	rand.Read(noise)
	for i := range noise { // no sign of compression by chance: that would be slow, not wrong
		noise[i] |= 0x80
	}
	if found := o.search("noise", noise); len(found) > 0 {
		t.Fatalf("marks in noise: %v", found)
	}
	wraps := map[string]func([]byte) []byte{
		"as it is": func(b []byte) []byte { return b },
		"gzip":     func(b []byte) []byte { return pack(t, b, "gzip") },
		"zlib":     func(b []byte) []byte { return pack(t, b, "zlib") },
		"twice":    func(b []byte) []byte { return pack(t, pack(t, b, "gzip"), "zlib") },
		"cut off":  func(b []byte) []byte { p := pack(t, append(b, noise...), "gzip"); return p[:len(p)-100] },
	}
	planted := 0
	for _, m := range marks {
		for how, text := range formsOf([]byte(m.text)) {
			part := formsOf(m.parts[len(m.parts)-1])[how]
			size := int((piece + 1) * width(how)) // base64 begins within a byte
			for which, text := range map[string][]byte{"whole": text, "a beginning": part[:size+1], "an end": part[len(part)-size-1:]} {
				for wrap, into := range wraps {
					for _, at := range []int{0, 1, 2, 1001, len(noise)} {
						if wrap != "as it is" && at > 1 {
							continue
						}
						planted++
						buffer := slices.Concat(noise[:at], into(text), noise[at:])
						found := o.search("buffer", buffer)
						if !slices.ContainsFunc(found, func(f sighting) bool { return f.mark == m }) {
							t.Fatalf("%s, %s, %s, %s at %d: found %v", m.name, how, which, wrap, at, found)
						}
						if i := slices.IndexFunc(found, func(f sighting) bool { return f.mark != m }); i >= 0 {
							t.Fatalf("%s was taken for %v", m.name, found[i])
						}
					}
				}
			}
		}
	}
	if whole := pack(t, []byte(marks[0].text), "deflate"); len(o.search("a body", whole)) == 0 {
		t.Error("raw deflate is not found")
	}
	t.Logf("%d of %d plants found", planted, planted)

	// A stand-in for a broker that leaks: its log, and a name of a file.
	dir := t.TempDir()
	began := time.Now().Add(-time.Second)
	leaky := map[string]string{
		"broker.log":              "time=1 level=INFO msg=\"asking\" header=\"Basic " + base64.StdEncoding.EncodeToString([]byte("user:"+marks[1].text)) + "\"\n",
		"data/" + marks[0].text:   "nothing",
		"data/clean.jsonl":        `{"action":"secret.set"}`,
		"data/deeper/audit.jsonl": `{"v":"` + hex.EncodeToString([]byte(marks[2].text[:30])) + `"}`,
	}
	for name, text := range leaky {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found, files, err := o.searchFolder(dir, began)
	if err != nil || files != len(leaky) {
		t.Errorf("%d files, %v, want %d", files, err, len(leaky))
	}
	for want, m := range map[string]*mark{"broker.log": marks[1], "the name of " + filepath.Join(dir, "data", marks[0].text): marks[0], "audit.jsonl": marks[2]} {
		if !slices.ContainsFunc(found, func(f sighting) bool { return f.mark == m && strings.HasSuffix(f.place, want) }) {
			t.Errorf("no leak in %s: %v", want, found)
		}
	}
	if slices.ContainsFunc(found, func(f sighting) bool { return strings.Contains(f.place, "clean") }) {
		t.Errorf("a leak where there is none: %v", found)
	}
}

func pack(t *testing.T, plain []byte, how string) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch how {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "zlib":
		w = zlib.NewWriter(&b)
	default:
		var err error
		if w, err = flate.NewWriter(&b, flate.BestCompression); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestCanaryGuestIsCurrent: the guest is what its source says.
func TestCanaryGuestIsCurrent(t *testing.T) {
	wat2wasm, err := exec.LookPath("wat2wasm")
	if err != nil {
		t.Skip("wat2wasm not present")
	}
	made := filepath.Join(t.TempDir(), "made.wasm")
	if text, err := exec.Command(wat2wasm, "--debug-names", "testdata/canary/canary.wat", "-o", made).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	want, err := os.ReadFile(made)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile("testdata/canary/canary.wasm"); err != nil || !bytes.Equal(got, want) {
		t.Errorf("canary.wasm is not what its source says (%v)", err)
	}
}
