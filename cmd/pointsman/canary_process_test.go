package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// mostFile bounds what is read of one open file of the broker's, in bytes.
const mostFile = 64 << 20

// lookIntoProcess looks at the broker from outside, as it runs: what it was started with,
// what it holds open, and that it would leave no core. Only where there is /proc, and only
// as far as it may be looked at: without being root, hardly at all, which is the point.
func (o *oracleRun) lookIntoProcess() {
	o.t.Helper()
	if runtime.GOOS != "linux" {
		return
	}
	dir := fmt.Sprintf("/proc/%d", o.cmd.Process.Pid)
	secrets := newOracle(append(append(o.c.allMarks(), o.keys...), o.broker()...)...)
	for _, name := range []string{"cmdline", "environ", "comm", "status", "maps"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil && !os.IsPermission(err) {
			o.t.Errorf("%s: %v", name, err)
		}
		for _, f := range secrets.search("the process's "+name, text) {
			o.t.Errorf("leak: %v", f)
		}
	}
	limits, err := os.ReadFile(filepath.Join(dir, "limits"))
	if err != nil {
		o.t.Error(err)
	}
	core := ""
	for line := range strings.Lines(string(limits)) {
		if rest, ok := strings.CutPrefix(line, "Max core file size"); ok {
			core = strings.Join(strings.Fields(rest)[:2], " ")
		}
	}
	if core != "0 0" {
		o.t.Errorf("the limit on cores is %q, want none", core)
	}
	open, err := os.ReadDir(filepath.Join(dir, "fd"))
	if os.IsPermission(err) {
		return
	}
	looked := 0
	for _, fd := range open {
		path := filepath.Join(dir, "fd", fd.Name())
		to, err := os.Readlink(path)
		info, serr := os.Stat(path)
		if err != nil || serr != nil || !info.Mode().IsRegular() || info.Size() > mostFile || filepath.Base(to) == "keyring.json" ||
			strings.HasPrefix(to, "/proc/") || strings.HasPrefix(to, "/sys/") { // which have no end, some of them
			continue // closed meanwhile, a socket, or where the keys are
		}
		text, err := os.ReadFile(path) // a file that was deleted, or has only memory behind it, as well
		if err != nil {
			continue
		}
		looked++
		for _, f := range secrets.search("the open file "+to, text) {
			if f.mark != o.c.leaky {
				o.t.Errorf("leak: %v", f)
			}
		}
	}
	if looked == 0 {
		o.t.Error("no open file could be looked into")
	}
}
