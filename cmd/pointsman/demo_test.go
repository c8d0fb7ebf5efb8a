package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// demoTime is how long a demo may take to begin and to end: guests compile on a busy machine.
const demoTime = 2 * time.Minute

// runningDemo is a process of pointsman demo that has printed what there is to try.
type runningDemo struct {
	t     *testing.T
	cmd   *exec.Cmd
	text  string // what it printed
	lines []string
	errs  *bytes.Buffer
	rest  chan error
}

// startDemo starts a demo.
func startDemo(t *testing.T, args ...string) *runningDemo {
	t.Helper()
	d := &runningDemo{t: t, errs: &bytes.Buffer{}, rest: make(chan error, 1)}
	d.cmd = exec.Command(self(t), append([]string{"demo", "--manifests", "../../manifests/demo", "--modules", buildPlugins(t), "--listen", "127.0.0.1:0"}, args...)...)
	d.cmd.Env = asPointsman()
	d.cmd.Stderr = d.errs
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(demoTime, func() { d.cmd.Process.Kill() })
	t.Cleanup(func() {
		kill.Stop()
		d.cmd.Process.Kill() // an error means that it has ended
		<-d.rest
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		d.text += lines.Text() + "\n"
		if line, ok := strings.CutPrefix(lines.Text(), "  curl "); ok {
			d.lines = append(d.lines, "curl "+line)
		}
		if strings.Contains(lines.Text(), "Ctrl-C ends it.") {
			go func() {
				_, err := io.Copy(io.Discard, out)
				d.rest <- err
			}()
			return d
		}
	}
	d.rest <- lines.Err()
	t.Fatalf("the demo ended with %v before it told what to try:\n%s%s", d.cmd.Wait(), d.text, d.errs)
	return nil
}

// end interrupts it as Ctrl-C does and waits.
func (d *runningDemo) end() {
	d.t.Helper()
	if err := d.cmd.Process.Signal(os.Interrupt); err != nil {
		d.t.Fatal(err)
	}
	err := <-d.rest
	d.rest <- err
	if err := d.cmd.Wait(); err != nil {
		d.t.Errorf("the demo ended with %v:\n%s", err, d.errs)
	}
}

// run runs a line that it printed in a shell, word by word, and returns the JSON that came.
func (d *runningDemo) run(line string) map[string]any {
	d.t.Helper()
	out, err := exec.Command("sh", "-c", strings.Replace(line, "curl ", "curl -sS ", 1)).CombinedOutput()
	if err != nil {
		d.t.Fatalf("%s: %v\n%s", line, err, out)
	}
	var answer map[string]any
	if err := json.Unmarshal(out, &answer); err != nil {
		d.t.Fatalf("%s: %v\n%s", line, err, out)
	}
	return answer
}

func keysOf(answer map[string]any) []string {
	var keys []string
	for k := range answer {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

var pointerText = regexp.MustCompile(`^ptr_customer_[A-Za-z0-9_-]{67}$`)

// TestDemoLines runs every line that the demo prints for a shell.
func TestDemoLines(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("the demo's lines are not tried: no curl")
	}
	d := startDemo(t, "--dir", filepath.Join(t.TempDir(), "demo"))
	if len(d.lines) != 5 {
		t.Fatalf("the demo prints %d lines with curl:\n%s", len(d.lines), d.text)
	}
	if strings.Contains(strings.SplitN(d.text, "Ask yourself", 2)[0], `"C-100042"`) {
		t.Errorf("the answer holds the customer number:\n%s", d.text)
	}
	testDemoAnswers(t, d)
	d.end()
}

// testDemoAnswers: each consumer is answered what its scopes show, under pointers of its own.
func testDemoAnswers(t *testing.T, d *runningDemo) {
	shop, stored := d.run(d.lines[0]), d.run(d.lines[1])
	newsletter, foreign := d.run(d.lines[2]), d.run(d.lines[3])
	till := d.run(d.lines[4])
	tests := []struct {
		name   string
		answer map[string]any
		want   string
	}{
		{"the shop's profile", shop, "address birthday conflicts consent customer emails language loyalty name phones sources updated"},
		{"the newsletter's profile", newsletter, "consent customer language name sources updated"},
		{"the shop's own database", stored, "address consent customer emails language name phones updated"},
		{"the till's loyalty", till, "balance enrolled expiring lifetime updated"},
	}
	for _, tt := range tests {
		if got := strings.Join(keysOf(tt.answer), " "); got != tt.want {
			t.Errorf("%s has %s\nwant %s", tt.name, got, tt.want)
		}
	}
	for _, answer := range []map[string]any{shop, newsletter, stored} {
		if p, _ := answer["customer"].(string); !pointerText.MatchString(p) {
			t.Errorf("the customer is %q, want a pointer", p)
		}
	}
	if shop["customer"] != stored["customer"] || shop["customer"] == newsletter["customer"] {
		t.Errorf("the customer is %v for the shop, %v in its database, %v for the newsletter", shop["customer"], stored["customer"], newsletter["customer"])
	}
	if foreign["status"] != float64(404) {
		t.Errorf("the newsletter uses the shop's pointer: %v", foreign)
	}
}
