package audit_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"pointsman/host/audit"
	"pointsman/host/broker"
)

var update = flag.Bool("update", false, "rewrite golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	ctx  = context.Background()
	noon = time.Date(2026, 1, 2, 12, 0, 0, 6000, time.UTC)

	use = audit.Use{
		Request: "01JGFJJZ00CRMQ4Q6J5T2B3V4W", Principal: "web-shop", Release: 7, Route: "customer-profile",
		Step: "crm", Plugin: "crm-contact", Function: "get", Capability: "http", Op: "request",
		Resource: "acme-crm GET /v2/contacts/{id}", Decision: audit.Allowed,
	}
	control = audit.Control{Actor: "admin", Action: "deploy.apply", Object: "release 7",
		Detail: map[string]string{"digest": "3b0c", "after": "6"}}
)

func at(t time.Time) audit.Options {
	return audit.Options{Clock: func() time.Time { return t }}
}

func open(t testing.TB, dir string) *audit.Log {
	t.Helper()
	l, err := audit.Open(dir, at(noon))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func read(t testing.TB, dir string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, audit.FileName))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func verify(t testing.TB, text []byte) audit.Report {
	t.Helper()
	rep, err := audit.Verify(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

// fill writes n records and returns the file's text.
func fill(t testing.TB, dir string, n int) []byte {
	t.Helper()
	l := open(t, dir)
	for i := range n {
		u := use
		u.Release = uint64(i)
		if err := l.Use(ctx, u); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return read(t, dir)
}

func TestOpenRefuses(t *testing.T) {
	tests := []struct {
		name    string
		prepare func(t *testing.T, dir, path string)
		want    string
	}{
		{"a file that another log holds", func(t *testing.T, dir, _ string) { open(t, dir) }, "in use"},
		{"a file that others may read", func(t *testing.T, _, path string) {
			must(t, os.WriteFile(path, nil, 0o644))
		}, "mode 0644"},
		{"a symbolic link", func(t *testing.T, dir, path string) {
			must(t, os.WriteFile(filepath.Join(dir, "other"), nil, 0o600))
			must(t, os.Symlink("other", path))
		}, "symbolic"},
		{"a directory in its place", func(t *testing.T, _, path string) { must(t, os.Mkdir(path, 0o700)) }, "directory"},
		{"a changed line", func(t *testing.T, dir, path string) {
			text := bytes.Replace(fill(t, dir, 3), []byte(`"release":1`), []byte(`"release":9`), 1)
			must(t, os.WriteFile(path, text, 0o600))
		}, "line 2: its hash does not match"},
		{"a missing line", func(t *testing.T, dir, path string) {
			lines := bytes.SplitAfter(fill(t, dir, 3), []byte("\n"))
			must(t, os.WriteFile(path, bytes.Join([][]byte{lines[0], lines[2]}, nil), 0o600))
		}, "line 2: its number is 3"},
		{"something else", func(t *testing.T, _, path string) {
			must(t, os.WriteFile(path, []byte("hello\n"), 0o600))
		}, "line 1: it does not have the form"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			tt.prepare(t, dir, filepath.Join(dir, audit.FileName))
			l, err := audit.Open(dir, audit.Options{})
			if err == nil {
				l.Close()
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %q, want one with %q", err, tt.want)
			}
		})
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestRecordRefuses(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	undecided := use
	undecided.Decision = ""
	tests := []struct {
		name string
		err  error
	}{
		{"a use without decision", l.Use(ctx, undecided)},
		{"a control without actor", l.Control(ctx, audit.Control{Action: "x"})},
		{"a control without action", l.Control(ctx, audit.Control{Actor: "x"})},
		{"a detail without name", l.Control(ctx, audit.Control{Actor: "x", Action: "y", Detail: map[string]string{"": "1"}})},
		{"a detail whose name would be cut", l.Control(ctx, audit.Control{Actor: "x", Action: "y", Detail: map[string]string{strings.Repeat("n", 65): "1"}})},
		{"a detail whose name would be escaped", l.Control(ctx, audit.Control{Actor: "x", Action: "y", Detail: map[string]string{"\xff": "1"}})},
	}
	for _, tt := range tests {
		if tt.err == nil {
			t.Errorf("%s was recorded", tt.name)
		}
	}
	if got := read(t, dir); len(got) != 0 {
		t.Errorf("file has %q, want nothing", got)
	}
	if err := l.Use(ctx, use); err != nil {
		t.Errorf("a refused record killed the log: %v", err)
	}
}

// flaky fails when told to.
type flaky struct {
	audit.File
	writeErr, syncErr atomic.Pointer[error]
	syncs             atomic.Int32
}

func (f *flaky) Write(b []byte) (int, error) {
	if err := f.writeErr.Load(); err != nil {
		n, _ := f.File.Write(b[:len(b)/2])
		return n, *err
	}
	return f.File.Write(b)
}

func (f *flaky) Sync() error {
	f.syncs.Add(1)
	if err := f.syncErr.Swap(nil); err != nil { // as the kernel does: reported once
		return *err
	}
	return f.File.Sync()
}

func openFlaky(t *testing.T, dir string) (*audit.Log, *flaky) {
	t.Helper()
	f := new(flaky)
	l, err := audit.OpenWith(dir, at(noon), func(file *os.File) audit.File {
		f.File = file
		return f
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, f
}

// failClosed checks that l does nothing any more, and says why.
func failClosed(t *testing.T, l *audit.Log, why error) {
	t.Helper()
	for name, err := range map[string]error{
		"Use": l.Use(ctx, use), "Control": l.Control(ctx, control),
		"Request": l.Request(ctx, audit.Request{}), "Err": l.Err(),
	} {
		if !errors.Is(err, why) || broker.KindOf(err) != broker.Unavailable {
			t.Errorf("%s = %v, want unavailable: %v", name, err, why)
		}
	}
}

func TestDeadAfterFailedWrite(t *testing.T) {
	dir := t.TempDir()
	l, f := openFlaky(t, dir)
	must(t, l.Control(ctx, control))
	full := errors.New("no space left")
	f.writeErr.Store(&full)
	if err := l.Use(ctx, use); !errors.Is(err, full) {
		t.Fatalf("Use = %v, want %v", err, full)
	}
	f.writeErr.Store(nil) // space came back: that does not help, half a line is in the file
	failClosed(t, l, full)
	if err := l.Close(); !errors.Is(err, full) {
		t.Errorf("Close = %v, want %v", err, full)
	}
	l = open(t, dir)
	must(t, l.Use(ctx, use))
	if rep := verify(t, read(t, dir)); rep.Bad != nil || rep.Lines != 3 {
		t.Errorf("after recovery: %+v, bad %v, want 3 good lines", rep, rep.Bad)
	}
}

func TestDeadAfterFailedSync(t *testing.T) {
	eio := errors.New("input/output error")
	t.Run("of a control record", func(t *testing.T) {
		l, f := openFlaky(t, t.TempDir())
		f.syncErr.Store(&eio)
		if err := l.Control(ctx, control); !errors.Is(err, eio) {
			t.Fatalf("Control = %v, want %v", err, eio)
		}
		failClosed(t, l, eio)
	})
	t.Run("of a group", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l, f := openFlaky(t, t.TempDir())
			f.syncErr.Store(&eio)
			must(t, l.Use(ctx, use))
			time.Sleep(audit.FlushWithin)
			synctest.Wait()
			failClosed(t, l, eio)
			l.Close()
		})
	})
}

func TestFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full here")
	}
	l, err := audit.OpenWith(t.TempDir(), at(noon), func(f *os.File) audit.File { f.Close(); return full })
	must(t, err)
	defer l.Close()
	if err := l.Use(ctx, use); err == nil {
		t.Fatal("recorded on a full disk")
	}
	if l.Err() == nil {
		t.Error("the log lives on")
	}
}

func TestGroupSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, f := openFlaky(t, t.TempDir())
		for range 100 {
			must(t, l.Use(ctx, use))
		}
		if n := f.syncs.Load(); n != 0 {
			t.Errorf("%d fsyncs before the group's time, want 0", n)
		}
		time.Sleep(audit.FlushWithin)
		synctest.Wait()
		if n := f.syncs.Load(); n != 1 {
			t.Errorf("%d fsyncs for a group, want 1", n)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := f.syncs.Load(); n != 1 {
			t.Errorf("%d fsyncs after an idle hour, want 1", n)
		}
		must(t, l.Control(ctx, control))
		if n := f.syncs.Load(); n != 2 {
			t.Errorf("%d fsyncs after a control record, want 2", n)
		}
		must(t, l.Close())
	})
}

func TestTornTail(t *testing.T) {
	text := fill(t, t.TempDir(), 2)
	first := bytes.IndexByte(text, '\n') + 1
	for cut := first + 1; cut < len(text); cut += 7 {
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, audit.FileName), text[:cut], 0o600))
		must(t, open(t, dir).Close())
		got := read(t, dir)
		if rep := verify(t, got); rep.Bad != nil || rep.Lines != 2 {
			t.Errorf("cut at %d: %d good lines, bad %+v, want 2 good", cut, rep.Lines, rep.Bad)
		}
		want := fmt.Sprintf(`"kind":"recovered","cut":%d,`, cut-first)
		if !bytes.Contains(got, []byte(want)) {
			t.Errorf("cut at %d: no %s in %s", cut, want, got)
		}
	}
}

func TestReopenContinues(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state", "audit")
	for range 3 {
		fill(t, dir, 2)
	}
	rep := verify(t, read(t, dir))
	if rep.Bad != nil || rep.Lines != 6 || rep.Last.Seq != 6 || !rep.First.Time.Equal(noon) {
		t.Errorf("report %+v, bad %v, want 6 good lines from noon", rep, rep.Bad)
	}
	for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, audit.FileName): 0o600} {
		info, err := os.Stat(path)
		must(t, err)
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", path, got, want)
		}
	}
}

func TestClose(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	must(t, l.Close())
	must(t, l.Close())
	failClosed(t, l, audit.ErrClosed)
	must(t, open(t, dir).Close()) // the lock is free
}

func TestConcurrent(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 50 {
				if err := l.Use(ctx, use); err != nil {
					t.Error(err)
				}
			}
			if i%2 == 0 {
				if err := l.Control(ctx, control); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	must(t, l.Close())
	if rep := verify(t, read(t, dir)); rep.Bad != nil || rep.Lines != 8*50+4 {
		t.Errorf("%d good lines, bad %+v, want %d", rep.Lines, rep.Bad, 8*50+4)
	}
}

func TestGolden(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	must(t, l.Control(ctx, control))
	must(t, l.Use(ctx, use))
	denied := audit.Use{Request: use.Request, Capability: "http", Op: "request", Decision: audit.Denied,
		Reason: "no \"GET /x\"\n\x1b[31m\x7f caf\u00e9 \u202e \U0001f600 \xff " + strings.Repeat("long ", 100)}
	must(t, l.Use(ctx, denied))
	must(t, l.Request(ctx, audit.Request{ID: use.Request, Principal: "web-shop", Release: 7, Route: "customer-profile",
		Method: "GET", Status: 200, Outcome: "ok", Elapsed: 34*time.Millisecond + 1500*time.Nanosecond,
		Sources: []broker.Source{
			{Name: "crm", Outcome: broker.OK, Elapsed: 30 * time.Millisecond},
			{Name: "loyalty", Outcome: broker.Late, Elapsed: 300 * time.Millisecond},
		}}))
	must(t, l.Close())
	got := read(t, dir)
	golden := filepath.Join("testdata", "lines.jsonl")
	if *update {
		must(t, os.WriteFile(golden, got, 0o644))
	}
	want, err := os.ReadFile(golden)
	must(t, err)
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("lines differ (-want +got):\n%s", diff)
	}
}

func BenchmarkUse(b *testing.B) {
	l, err := audit.Open(b.TempDir(), audit.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	b.ReportAllocs()
	for b.Loop() {
		if err := l.Use(ctx, use); err != nil {
			b.Fatal(err)
		}
	}
}
