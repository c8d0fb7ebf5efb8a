package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pointsman/cmd/backends/sim"
)

// attackTime is how long each attack lasts at least. For figures that mean something:
// go test ./cmd/pointsman -run TestAttacks -v -attack-time 4s
var attackTime = flag.Duration("attack-time", 250*time.Millisecond, "how long each attack lasts")

const (
	controlEvery = 20 * time.Millisecond // 50 requests a second
	// controlSlow is no promise of speed: it is what tells a busy machine from a broker
	// that stands still.
	controlSlow = 2 * time.Second
	rssRoom     = 64 << 20 // bytes above the quiet value that may stay after an attack
	// peakRoom is what four calls at once may take for a moment: 64 MiB each for the guest,
	// 18 MiB for its kernel, as much again of garbage, and as much of all that to spare.
	peakRoom   = 768 << 20
	threadRoom = 48 // Go keeps the threads that it once needed
	fdRoom     = 8  // connections that clients keep
	settleTime = 45 * time.Second
)

// time is how long a call may take: little for a guest that does not end, and otherwise more
// than a machine needs that is busy with other things.
func (k strike) time() string {
	if k.status == http.StatusGatewayTimeout {
		return "200ms"
	}
	return "15s"
}

// guestMemory is what an attacking plugin may have: much where it needs it to do harm.
func guestMemory(guest string) string {
	switch guest {
	case "runaway", "storm":
		return "64MiB"
	case "warm":
		return "16MiB"
	}
	return "4MiB"
}

// siege is a broker under attack, and the harmless route that must not notice.
type siege struct {
	*running
	modules string
	control *control
	quiet   facts
	heavy   int64 // bytes beyond rssRoom that the plugin which is deployed now may take
	rows    []string
}

// facts are what the system says of the broker's process.
type facts struct {
	rss, peak    int64 // bytes
	threads, fds int   // fds: -1 when they are not ours to see
}

// startSiege starts a broker with the control plugin and those of all strikes.
func startSiege(t *testing.T) *siege {
	t.Helper()
	ca, err := sim.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	s := &siege{modules: t.TempDir()}
	guests, err := filepath.Glob(filepath.Join(attackFolder, "*.wasm"))
	if err != nil || len(guests) == 0 {
		t.Fatalf("no guests: %v", err)
	}
	for _, path := range guests {
		s.install(t, strings.TrimSuffix(filepath.Base(path), ".wasm"), attackGuest(t, strings.TrimSuffix(filepath.Base(path), ".wasm")))
	}
	s.running = newBroker(t, ca, setup{manifests: siegeManifests(""), modules: s.modules, consumers: []string{"attacker", "victim"}})
	s.cmd.Env = append(s.cmd.Env, "POINTSMAN_SANDBOX_MEMORY=8GiB") // room for a sandbox of each, on small machines too
	s.start()
	s.control = startControl(s.running)
	t.Cleanup(s.control.end)
	s.calm(t)
	return s
}

func (s *siege) install(t *testing.T, name string, module []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.modules, name+".wasm"), module, 0o600); err != nil {
		t.Fatal(err)
	}
}

// calm takes the quiet values, while nothing but the control route is used.
func (s *siege) calm(t *testing.T) {
	t.Helper()
	from := time.Now()
	time.Sleep(max(*attackTime, time.Second))
	s.quiet = s.facts(t)
	s.row("quiet", s.control.within(from, time.Now()), s.quiet)
}

// siegeManifests are the control route and those of all strikes; more is appended.
func siegeManifests(more string) string {
	var b strings.Builder
	b.WriteString(`apiVersion: pointsman/v1
kind: Backend
metadata: {name: none}
spec: {http: {url: "https://crm.acme.example"}}
---
apiVersion: pointsman/v1
kind: Consumer
metadata: {name: attacker}
spec: {auth: {apiKey: {}}, scopes: [attack]}
---
apiVersion: pointsman/v1
kind: Consumer
metadata: {name: victim}
spec: {auth: {apiKey: {}}, scopes: [control]}
---
apiVersion: pointsman/v1
kind: Plugin
metadata: {name: control}
spec: {module: {path: control.wasm}}
---
apiVersion: pointsman/v1
kind: Route
metadata: {name: control}
spec:
  path: GET /v1/control
  scopes: [control]
  deadline: 30s
  steps: {x: {call: control.fine, required: true}}
  answer: "${x}"
  view: all
---
apiVersion: pointsman/v1
kind: Route
metadata: {name: sweep}
spec:
  path: GET /v1/sweep
  scopes: [attack]
  deadline: 30s
  steps: {x: {call: control.sweep, required: true}}
  answer: "${x}"
  view: all
`)
	for _, k := range strikes() {
		fmt.Fprintf(&b, "---\napiVersion: pointsman/v1\nkind: Plugin\nmetadata: {name: %s}\nspec:\n  module: {path: %s.wasm}\n  limits: {memory: %s, time: %s}\n",
			k.name(), k.guest, guestMemory(k.guest), k.time())
		if slices.Contains([]string{"storm", "broken", "warm"}, k.guest) {
			b.WriteString("  grants: {http: [{backend: none, as: target, allow: [\"GET /allowed\"], view: all}]}\n")
		}
		fmt.Fprintf(&b, "---\napiVersion: pointsman/v1\nkind: Route\nmetadata: {name: %s}\nspec:\n  path: GET /v1/%[1]s\n  params: {text: {in: query, required: true}}\n", k.name())
		fmt.Fprintf(&b, "  scopes: [attack]\n  deadline: 20s\n  steps: {x: {call: %s.%s, with: \"${params.text}\", required: true}}\n  answer: \"${x}\"\n  view: all\n", k.name(), k.function)
	}
	b.WriteString(more)
	return b.String()
}

// during runs an attack and asserts what must hold after every one: the control route saw
// nothing of it, the process is the same, and it has given back what it took.
func (s *siege) during(t *testing.T, name string, attack func()) {
	t.Helper()
	peak := s.watch(t)
	from := time.Now()
	attack()
	to := time.Now()
	highest := peak()
	seen := s.control.within(from, to)
	if len(seen.errs) > 0 {
		t.Errorf("the control route failed %d times of %d: %v", len(seen.errs), seen.count, seen.errs[0])
	}
	if seen.p99 > controlSlow {
		t.Errorf("the control route's p99 was %v during the attack", seen.p99)
	}
	if highest > s.quiet.rss+peakRoom {
		t.Errorf("the broker took %d MiB during the attack, %d when it was quiet", highest>>20, s.quiet.rss>>20)
	}
	after := s.settled(t)
	after.peak = highest
	s.row(name, seen, after)
}

func (s *siege) row(name string, seen seen, after facts) {
	s.rows = append(s.rows, fmt.Sprintf("%-34s %5d %5d %9.1f %9.1f %9.1f %7d %+7d %5d %5d", name, seen.count, len(seen.errs),
		ms(seen.median), ms(seen.p99), ms(seen.max), max(after.peak, after.rss)>>20, (after.rss-s.quiet.rss)>>20, after.threads, after.fds))
}

func ms(d time.Duration) float64 { return float64(d) / 1e6 }

func (s *siege) table() string {
	return fmt.Sprintf("%-34s %5s %5s %9s %9s %9s %7s %7s %5s %5s\n", "attack", "calls", "errs", "p50 ms", "p99 ms", "max ms", "peak M", "rss +M", "thr", "fds") +
		strings.Join(s.rows, "\n")
}

// try asks as the attacker, from any goroutine.
func (s *siege) try(path string) (reply, error) {
	req, err := http.NewRequest(http.MethodGet, s.origin+path, nil)
	if err != nil {
		return reply{}, err
	}
	req.Header.Set("Authorization", "Bearer "+s.keys["attacker"])
	res, err := s.client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return reply{res.StatusCode, res.Header, string(body)}, err
}

// problemTitles are all that an attacker's route says when its plugin fails.
var problemTitles = map[int][2]string{
	http.StatusBadGateway:         {"upstream", "A source that the answer needs failed"},
	http.StatusGatewayTimeout:     {"upstream-timeout", "A source that the answer needs was too slow"},
	http.StatusServiceUnavailable: {"unavailable", "Not available now"},
}

// isProblem reports what is wrong with an answer to a request whose plugin failed: it has to
// be one of ours, to the letter, so that no word of the guest's can be in it.
func isProblem(r reply) error {
	want, ok := problemTitles[r.status]
	if !ok || r.header.Get("Content-Type") != "application/problem+json" {
		return fmt.Errorf("not a problem: %d %.200s", r.status, r.body)
	}
	var p map[string]any
	if err := json.Unmarshal([]byte(r.body), &p); err != nil {
		return err
	}
	id, _ := p["instance"].(string)
	if len(id) != 26 || len(p) != 5 || p["code"] != want[0] || p["title"] != want[1] || p["type"] != "urn:pointsman:problem:"+want[0] || p["status"] != float64(r.status) {
		return fmt.Errorf("a problem with something else in it: %s", r.body)
	}
	return nil
}

// since is what was written after the first n bytes.
func (o *output) since(n int) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.buf.Bytes()[n:])
}

func (o *output) len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Len()
}

// awaitAfter waits until the output after its first n bytes holds one of want, and returns
// the line.
func (s *siege) awaitAfter(n int, want ...string) (string, error) {
	for began := time.Now(); time.Since(began) < 2*time.Minute; time.Sleep(10 * time.Millisecond) {
		text := s.output.since(n)
		for line := range strings.Lines(text) {
			if !strings.HasSuffix(line, "\n") {
				break
			}
			for _, w := range want {
				if strings.Contains(line, w) {
					return line, nil
				}
			}
		}
	}
	return "", errors.New("the broker does not say any of " + strings.Join(want, ", "))
}

func tail(text string) string {
	const most = 4000
	return text[max(len(text)-most, 0):]
}
