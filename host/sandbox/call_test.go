package sandbox_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pointsman/host/sandbox"
	"pointsman/pdk/wire"
)

func TestCalls(t *testing.T) { onEngines(t, testCalls) }

func testCalls(t *testing.T) {
	large := strings.Repeat("0123456789", 1<<20/10)
	tests := []struct {
		module, export, input, want string
	}{
		{"echo", "echo", "hello", "hello"},
		{"echo", "echo", "", ""},
		{"echo", "echo", large, large},
		{"echo", "copy", "", ""},
		{"echo", "copy", "1234567", "1234567"},
		{"echo", "copy", "12345678", "12345678"},
		{"echo", "copy", "123456789 and \x00\xff", "123456789 and \x00\xff"},
		{"output", "empty", "", ""},
		{"output", "twice", "", "\x00\x00\x00"},
		{"http_own", "request", "", "\x00ok:GET /own"},
		{"http_own", "large", "", string(wire.Failed(wire.Error{Code: wire.Denied, Message: "the request exceeds 1 MiB"}))},
		{"http_user", "request", "GET /user", "\x00ok:GET /user"},
		{"http_user", "request", "", "\x00ok:"},
		{"init", "answer", "input", "\x01\x00\x01"}, // once initialized, without input, refused
		{"bulk", "echo", "", ""},
		{"bulk", "echo", "hello", "hello"},
		{"bulk", "echo", large[:60000], large[:60000]},
		{"bulk", "again", "hello", "hello"},
		{"bulk", "both", "hello", "hh"},
		{"warm", "answer", "", "\x0c\x00\x00\x00"},
		{"wasi_files", "open", "", "\x08\x34\x08\x08"},
		{"runaway", "growtolimit", "", "\x00\x00\x00\x00"},
		{"no_memory", "empty", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.module+"/"+tt.export, func(t *testing.T) {
			m := load(t, tt.module, sandbox.Limits{})
			in := []byte(tt.input)
			out, err := m.Call(context.Background(), tt.export, in)
			if err != nil || string(out) != tt.want {
				t.Errorf("got %.80q, %v, want %.80q", out, err, tt.want)
			}
			if string(in) != tt.input {
				t.Error("the input was changed")
			}
		})
	}
}

// A guest without memory of its own gets WASI's error instead of a crash.
func TestNoMemory(t *testing.T) { onEngines(t, testNoMemory) }

func testNoMemory(t *testing.T) {
	_, err := load(t, "no_memory", sandbox.Limits{}).Call(context.Background(), "random", nil)
	const wasiFault = 21
	if e := new(sandbox.GuestError); !errors.As(err, &e) || e.Code != wasiFault {
		t.Errorf("got %v", err)
	}
}

func TestExports(t *testing.T) { onEngines(t, testExports) }

func testExports(t *testing.T) {
	tests := []struct {
		module string
		want   []string
	}{
		{"echo", []string{"code7", "copy", "echo", "fail", "nothing"}},
		{"init", []string{"answer", "silent"}},
		{"warm", []string{"answer"}},
		{"output", []string{"beyond", "empty", "huge", "longlow32", "low32", "never", "nowhere", "twice", "wraps"}},
	}
	for _, tt := range tests {
		m := load(t, tt.module, sandbox.Limits{})
		if d := cmp.Diff(tt.want, m.Exports()); d != "" {
			t.Errorf("%s: %s", tt.module, d)
		}
		m.Exports()[0] = "mine" // the caller's copy
		if d := cmp.Diff(tt.want, m.Exports()); d != "" {
			t.Errorf("%s: %s", tt.module, d)
		}
	}
}

func TestNoCallSeesAnother(t *testing.T) { onEngines(t, testNoCallSeesAnother) }

func testNoCallSeesAnother(t *testing.T) {
	m := load(t, "counter", sandbox.Limits{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				out, err := m.Call(context.Background(), "count", nil)
				if err != nil || !bytes.Equal(out, []byte{1, 1, 1, 1}) {
					t.Errorf("got %v, %v", out, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// Also what a call leaves behind that broke off, or used a reply's rest, is gone.
func TestNoCallSeesABrokenOne(t *testing.T) { onEngines(t, testNoCallSeesABrokenOne) }

func testNoCallSeesABrokenOne(t *testing.T) {
	m := load(t, "http_own", sandbox.Limits{})
	for range 20 {
		if _, err := m.Call(context.Background(), "short", nil); kind(err) != sandbox.ABI {
			t.Fatal(err)
		}
		if _, err := m.Call(context.Background(), "none", nil); kind(err) != sandbox.ABI {
			t.Fatalf("read a reply of another call: %v", err)
		}
	}
}

func TestConcurrentCallsKeepTheirData(t *testing.T) { onEngines(t, testConcurrentCallsKeepTheirData) }

func testConcurrentCallsKeepTheirData(t *testing.T) {
	own, user := load(t, "echo", sandbox.Limits{}), load(t, "http_user", sandbox.Limits{})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			in := bytes.Repeat([]byte{byte('a' + g)}, 1000+g)
			for range 25 {
				if out, err := own.Call(context.Background(), "copy", in); err != nil || !bytes.Equal(out, in) {
					t.Errorf("echo: got %.20q, %v", out, err)
				}
				want := append([]byte("\x00ok:"), in...)
				if out, err := user.Call(context.Background(), "request", in); err != nil || !bytes.Equal(out, want) {
					t.Errorf("request: got %.20q, %v", out, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestClocksStandStillAndRandomDoesNot(t *testing.T) {
	onEngines(t, testClocksStandStillAndRandomDoesNot)
}

func testClocksStandStillAndRandomDoesNot(t *testing.T) {
	at := time.Date(2030, 1, 2, 3, 4, 5, 678_912_345, time.UTC)
	m := compile(t, sandbox.Options{Clock: func() time.Time { at = at.Add(time.Second); return at }},
		testModule(t, "clock_random"), nil, sandbox.Limits{})
	seen := map[string]bool{}
	for range 5 {
		out, err := m.Call(context.Background(), "now", nil)
		if err != nil || len(out) != 48 {
			t.Fatalf("got %v, %v", out, err)
		}
		word := func(i int) uint64 { return binary.LittleEndian.Uint64(out[8*i:]) }
		want := uint64(at.Truncate(time.Millisecond).UnixNano())
		if word(0) != want || word(1) != want || word(2) != want || word(3) != 1_000_000 {
			t.Errorf("got %d, %d, %d, step %d, want %d", word(0), word(1), word(2), word(3), want)
		}
		if seen[string(out[32:])] {
			t.Error("random bytes repeat")
		}
		seen[string(out[32:])] = true
	}
	const wasiInval = 28
	_, err := m.Call(context.Background(), "badclock", nil)
	if e := new(sandbox.GuestError); !errors.As(err, &e) || e.Code != wasiInval {
		t.Errorf("clock of CPU time: got %v", err)
	}
}

func TestRealClockByDefault(t *testing.T) { onEngines(t, testRealClockByDefault) }

func testRealClockByDefault(t *testing.T) {
	m := load(t, "clock_random", sandbox.Limits{})
	before := time.Now().Truncate(time.Millisecond)
	out, err := m.Call(context.Background(), "now", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := time.Unix(0, int64(binary.LittleEndian.Uint64(out))); got.Before(before) || got.After(time.Now()) {
		t.Errorf("got %v, want about %v", got, before)
	}
}

func TestLog(t *testing.T) { onEngines(t, testLog) }

func testLog(t *testing.T) {
	tests := []struct {
		export, input string
		limit         int
		want          []string
	}{
		{"lines", "", 0, []string{"info:first", `info:secon\x1b[2Jx`, "warn:first", "warn:secon"}},
		{"levels", "", 0, []string{"debug:a", "debug:b", "info:c", "warn:d", "error:e"}},
		{"input", "two\nlines \x1b[31mred\x00 \u202e \xff é", 0, []string{`error:two\nlines \x1b[31mred\x00 \u{202e} \xff é`}},
		{"input", "0123456789", 8 + 127, []string{"error:0123456", "warn:the rest of this call's output is dropped: it exceeds its limit"}},
		{"levels", "", 2*129 + 128, []string{"debug:a", "debug:b", "warn:the rest of this call's output is dropped: it exceeds its limit"}},
	}
	for _, tt := range tests {
		t.Run(tt.export, func(t *testing.T) {
			var l logLines
			m := compile(t, sandbox.Options{Logger: &l}, testModule(t, "log"), nil, sandbox.Limits{LogBytes: tt.limit})
			if _, err := m.Call(context.Background(), tt.export, []byte(tt.input)); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, l.lines); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestLogFloodEnds(t *testing.T) { onEngines(t, testLogFloodEnds) }

func testLogFloodEnds(t *testing.T) {
	var l logLines
	const budget = 16 << 10 // the default
	m := compile(t, sandbox.Options{Logger: &l}, testModule(t, "log"), nil, sandbox.Limits{})
	if _, err := m.Call(context.Background(), "flood", nil); err != nil {
		t.Fatal(err)
	}
	// A line is more in a log than its text: short ones must not make a long log.
	const around = 128
	size := 0
	for _, line := range l.lines[:len(l.lines)-1] {
		size += around + len(strings.ReplaceAll(strings.TrimPrefix(line, "info:"), `\x1b`, "."))
	}
	if size > budget || size < budget/2 || !strings.Contains(l.lines[len(l.lines)-1], "dropped") {
		t.Errorf("%d bytes in %d lines, the last %q", size, len(l.lines), l.lines[len(l.lines)-1])
	}
	if _, err := m.Call(context.Background(), "levels", nil); err != nil || !strings.HasSuffix(l.lines[len(l.lines)-1], ":e") {
		t.Errorf("the next call has no budget of its own: %v, %q", err, l.lines[len(l.lines)-1])
	}
}
