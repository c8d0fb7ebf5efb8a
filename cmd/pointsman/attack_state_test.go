package main

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"unicode"

	"pointsman/cmd/backends/sim"
)

// testCarryNothing: under concurrent load, no call finds anything of another.
func testCarryNothing(t *testing.T, s *siege) {
	s.during(t, "canaries, counters and scanners", func() {
		var group sync.WaitGroup
		for client := range 6 {
			group.Go(func() {
				for n := range 60 {
					if t.Failed() {
						return
					}
					k := strike{"state", "count", http.StatusOK, "1111"}
					switch (client + n) % 3 {
					case 0:
						got, err := s.try("/v1/state-plant?text=canary-" + strings.Repeat("x", 20))
						if err != nil || got.status != http.StatusOK {
							t.Errorf("plant: %v, %v", got, err)
						}
						continue
					case 1:
						k = strike{"state", "scan", http.StatusOK, "0"}
					}
					if _, err := s.call(k); err != nil {
						t.Error(err)
					}
				}
			})
		}
		group.Wait()
	})
	s.during(t, "exits and faults amid counters", func() {
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				for range 20 {
					for _, k := range []strike{
						{"broken", "exit0", http.StatusBadGateway, ""}, {"broken", "exit0", http.StatusBadGateway, ""},
						{"state", "count", http.StatusOK, "1111"}, {"lasting", "count", http.StatusOK, "111"},
						{"broken", "load64", http.StatusBadGateway, ""}, {"storm", "close", http.StatusOK, "0"},
					} {
						if _, err := s.call(k); err != nil {
							t.Error(err)
							return
						}
					}
				}
			})
		}
		group.Wait()
	})
}

// testForgeNoLog: whatever a guest writes is within one line of the log, in the field
// plugin.msg, with every control character escaped, and no more than its budget.
func testForgeNoLog(t *testing.T, s *siege) {
	for _, tt := range []struct {
		strike
		last  string // what the last line of the guest's holds
		lines int    // of the guest's, at least
		bytes int    // of the guest's, at most
	}{
		// 16 KiB is the budget; an escape may make four bytes of one, and quoting eight.
		{strike{"talk", "escapes", http.StatusOK, "0"}, "level=ERROR msg=\"a plugin says\"", 3, 8 << 10},
		{strike{"talk", "fails", http.StatusBadGateway, ""}, "a plugin failed", 1, 8 << 10},
		{strike{"talk", "million", http.StatusOK, "0"}, "output is dropped", 100, 16 << 10},
		{strike{"talk", "longline", http.StatusOK, "0"}, "output is dropped", 1, 20 << 10},
	} {
		t.Run(tt.function, func(t *testing.T) {
			from := s.output.len()
			if _, err := s.call(tt.strike); err != nil {
				t.Fatal(err)
			}
			if _, err := s.awaitAfter(from, tt.last); err != nil {
				t.Fatal(err)
			}
			lines, size := 0, 0
			for line := range strings.Lines(s.output.since(from)) {
				line = strings.TrimSuffix(line, "\n")
				if !logLine.MatchString(line) {
					t.Errorf("a line that is not the broker's: %q", line)
				}
				if i := strings.IndexFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
					t.Errorf("byte %d of a line is not printable: %q", i, line)
				}
				said := guestSaid.FindStringSubmatch(line)
				if said == nil {
					if strings.Contains(line, "forged") {
						t.Errorf("a guest's text outside of plugin.msg: %s", line)
					}
					continue
				}
				lines, size = lines+1, size+len(said[1])
				if strings.Contains(line[:len(line)-len(said[1])], "forged") {
					t.Errorf("a guest's text outside of plugin.msg: %s", line)
				}
			}
			if lines < tt.lines || size > tt.bytes {
				t.Errorf("%d lines, %d bytes of the guest's, want %d at least, %d at most", lines, size, tt.lines, tt.bytes)
			}
		})
	}
}

var (
	logLine   = regexp.MustCompile(`^time=\S+ level=[A-Z]+ msg=`)
	guestSaid = regexp.MustCompile(` plugin\.name=\S+(?: plugin\.(?:function|host_call)=\S*)* plugin\.msg=("(?:[^"\\]|\\.)*"|\S*)$`)
)

// TestForgeNoJSONLog is testForgeNoLog for --log-json: each line is one object, whose keys
// are the broker's.
func TestForgeNoJSONLog(t *testing.T) {
	s := startSiegeJSON(t)
	for _, k := range []strike{{"talk", "escapes", http.StatusOK, "0"}, {"talk", "fails", http.StatusBadGateway, ""}} {
		if _, err := s.call(k); err != nil {
			t.Fatal(err)
		}
	}
	said := 0
	for line := range strings.Lines(s.output.String()) {
		var record map[string]any
		if !strings.HasPrefix(line, `{"time":`) { // of the commands that prepared the broker
			continue
		}
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Errorf("not one object: %q", line)
			continue
		}
		plugin, _ := record["plugin"].(map[string]any)
		if text, _ := plugin["msg"].(string); strings.Contains(text, "forged") {
			said++
			if strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) >= 0 {
				t.Errorf("what a guest wrote is not escaped: %q", text)
			}
			delete(plugin, "msg")
		}
		if rest, _ := json.Marshal(record); strings.Contains(string(rest), "forged") {
			t.Errorf("a guest's text outside of plugin.msg: %s", line)
		}
	}
	if said < 3 {
		t.Errorf("%d lines of the guest's, want 3 at least\n%s", said, s.output)
	}
}

var servingJSON = regexp.MustCompile(`"msg":"serving consumers","address":"127\.0\.0\.1:(\d+)"`)

// startSiegeJSON is a broker with the talking plugin alone, that logs as JSON.
func startSiegeJSON(t *testing.T) *siege {
	t.Helper()
	ca, err := sim.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	var manifests []string
	for _, doc := range strings.Split(siegeManifests(""), "---\n") {
		if strings.Contains(doc, "kind: Consumer") || strings.Contains(doc, "name: talk") {
			manifests = append(manifests, doc)
		}
	}
	s := &siege{modules: t.TempDir()}
	s.install(t, "talk", attackGuest(t, "talk"))
	s.running = newBroker(t, ca, setup{manifests: strings.Join(manifests, "---\n"), modules: s.modules, consumers: []string{"attacker"}})
	s.cmd.Args = append(s.cmd.Args, "--log-json")
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.client.CloseIdleConnections()
		s.cmd.Process.Signal(syscall.SIGTERM)
		if err := s.cmd.Wait(); err != nil {
			t.Errorf("the broker ended with %v after SIGTERM", err)
		}
	})
	line, err := s.awaitAfter(0, `"msg":"serving consumers"`)
	if err != nil {
		t.Fatalf("%v\n%s", err, s.output)
	}
	s.origin = "https://localhost:" + servingJSON.FindStringSubmatch(line)[1]
	return s
}
