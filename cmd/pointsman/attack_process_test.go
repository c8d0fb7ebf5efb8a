package main

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// settled waits until the process has given back what it took.
func (s *siege) settled(t *testing.T) facts {
	t.Helper()
	for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		f := s.facts(t)
		if f.rss > s.quiet.rss+rssRoom+s.heavy && time.Since(began) > time.Second {
			s.sweep(t)
		}
		switch {
		case f.rss <= s.quiet.rss+rssRoom+s.heavy && f.fds <= s.quiet.fds+fdRoom && f.threads <= s.quiet.threads+threadRoom:
			return f
		case time.Since(began) > settleTime:
			t.Errorf("after the attack the broker has %d MiB, %d descriptors, %d threads; when it was quiet %d MiB, %d, %d",
				f.rss>>20, f.fds, f.threads, s.quiet.rss>>20, s.quiet.fds, s.quiet.threads)
			return f
		}
	}
}

// sweep makes the broker collect its garbage: by a request that makes some. An idle Go
// process does so by itself every two minutes.
func (s *siege) sweep(t *testing.T) {
	t.Helper()
	if got, err := s.try("/v1/sweep"); err != nil || got.status != http.StatusOK {
		t.Errorf("a harmless request: %d %s, %v", got.status, got.body, err)
	}
}

// watch samples the memory of the process until the function returned is called, which
// returns the most that was seen.
func (s *siege) watch(t *testing.T) (stop func() int64) {
	done, most := make(chan struct{}), make(chan int64, 1)
	go func() {
		var peak int64
		for {
			if f, err := factsOf(s.cmd.Process.Pid); err == nil {
				peak = max(peak, f.rss)
			}
			select {
			case <-done:
				most <- peak
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return func() int64 { close(done); return <-most }
}

func (s *siege) facts(t *testing.T) facts {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.Signal(0)); err != nil {
		t.Fatalf("the broker is no more: %v\n%s", err, tail(s.output.String()))
	}
	f, err := factsOf(s.cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func factsOf(pid int) (f facts, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return f, err
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		n, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		switch name {
		case "VmRSS":
			f.rss = n << 10
		case "Threads":
			f.threads = int(n)
		}
	}
	if f.rss == 0 || f.threads == 0 {
		return f, fmt.Errorf("process %d has no memory: it has ended", pid)
	}
	f.fds = -1
	if open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid)); err == nil { // root's: the broker is undumpable
		f.fds = len(open)
	}
	return f, nil
}
