package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
)

// bar is one number that the project promises, measured by a benchmark of a package: the
// metric of that unit which the benchmark reports. Benchmarks that compare measure both
// sides in turns, in one run.
type bar struct {
	name      string // in bin/bench.json
	pkg       string // import path, relative to the module's root
	benchmark string // as go test prints it, without the number of processors
	unit      string
	limit     float64
	most      bool // limit is the most that the value may be, otherwise the least
}

func (b bar) met(value float64) bool {
	if b.most {
		return value <= b.limit
	}
	return value >= b.limit
}

// measureBars runs the benchmarks of the bars, one package after the other, and returns a
// metric for each bar. A benchmark that skips itself, as for want of a compiler, is told in
// progress and left out; one that fails, or does not report its metric, is an error.
func measureBars(ctx context.Context, bars []bar, progress io.Writer) ([]metric, error) {
	var ms []metric
	outputs := map[string][]byte{}
	for _, b := range bars {
		text, ok := outputs[b.pkg]
		if !ok {
			fmt.Fprintf(progress, "benchmarks of %s ...\n", b.pkg)
			var err error
			if text, err = goBench(ctx, b.pkg, names(bars, b.pkg)); err != nil {
				return nil, err
			}
			outputs[b.pkg] = text
		}
		value, found, err := reported(text, b.benchmark, b.unit)
		switch {
		case err != nil:
			return nil, err
		case !found && bytes.Contains(text, []byte("--- SKIP: "+b.benchmark)):
			fmt.Fprintf(progress, "%s: not measured, the benchmark skips itself\n", b.name)
			continue
		case !found:
			return nil, fmt.Errorf("%s of %s reports no %s:\n%s", b.benchmark, b.pkg, b.unit, text)
		}
		m := metric{Name: b.name, Value: value, Unit: b.unit, Bar: new(b.limit), Most: b.most, Met: new(b.met(value))}
		ms = append(ms, m)
	}
	return ms, nil
}

// names are the top-level benchmarks of a package's bars, as a pattern for go test.
func names(bars []bar, pkg string) string {
	var list []string
	seen := map[string]bool{}
	for _, b := range bars {
		name, _, _ := strings.Cut(b.benchmark, "/")
		if b.pkg == pkg && !seen[name] {
			seen[name] = true
			list = append(list, name)
		}
	}
	return "^(" + strings.Join(list, "|") + ")$"
}

// goBench runs the benchmarks of one package that match, and no test.
func goBench(ctx context.Context, pkg, pattern string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", pattern, "-benchtime", "1s", "-timeout", "20m", "-v", "./"+pkg)
	text, err := cmd.CombinedOutput()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("benchmarks of %s: %w\n%s", pkg, err, text), ctx.Err())
	}
	return text, nil
}

// reported finds a metric in what go test printed: a line of the benchmark's name with the
// number of processors behind it, its runs, and values each before its unit.
func reported(text []byte, benchmark, unit string) (value float64, found bool, err error) {
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || trimProcessors(fields[0]) != benchmark {
			continue
		}
		for i := 2; i+1 < len(fields); i += 2 {
			if fields[i+1] != unit {
				continue
			}
			if value, err = strconv.ParseFloat(fields[i], 64); err != nil {
				return 0, false, fmt.Errorf("%s: %w", benchmark, err)
			}
			return value, true, nil
		}
	}
	return 0, false, nil
}

// trimProcessors takes the "-2" off "BenchmarkX-2".
func trimProcessors(name string) string {
	i := strings.LastIndexByte(name, '-')
	if i < 0 {
		return name
	}
	if _, err := strconv.Atoi(name[i+1:]); err != nil {
		return name
	}
	return name[:i]
}

// bars are the promises of the packages; docs/BENCHMARKS.md says what each measures.
func bars() []bar {
	const sandbox = "host/sandbox"
	return []bar{
		{"sandbox.C json vs go-sdk new instance", sandbox, "BenchmarkBarPristineC", "x-faster", 20, false},
		{"sandbox.Go echo vs go-sdk new instance", sandbox, "BenchmarkBarPristineGo", "x-faster", 100, false},
		{"sandbox.restore of 10 pages", sandbox, "BenchmarkBarRestore", "restore-µs", 5, true},
		{"sandbox.pristine vs leaky throughput", sandbox, "BenchmarkBarThroughput", "of-leaky", 0.85, false},
		{"sandbox.fuel overhead of C", sandbox, "BenchmarkBarFuelC", "fuel-%", 30, true},
		{"sandbox.fuel overhead of Go", sandbox, "BenchmarkBarFuelGo", "fuel-%", 30, true},
		{"sandbox.stop of a loop", sandbox, "BenchmarkBarStop/loop", "stop-p99-ms", 50, true},
		{"sandbox.stop of a call tree", sandbox, "BenchmarkBarStop/tree", "stop-p99-ms", 50, true},
		{"sandbox.stop of a mutual recursion", sandbox, "BenchmarkBarStop/recursion", "stop-p99-ms", 50, true},
		{"sandbox.stop of bulk fills", sandbox, "BenchmarkBarStop/fills", "stop-p99-ms", 50, true},
		{"sandbox.stop of host calls", sandbox, "BenchmarkBarStop/hostcalls", "stop-p99-ms", 50, true},
		{"sandbox.longest pause by a loop", sandbox, "BenchmarkBarPause/loop", "pause-max-ms", 20, true},
		{"sandbox.longest pause by a call tree", sandbox, "BenchmarkBarPause/tree", "pause-max-ms", 20, true},
		{"sandbox.longest pause by a mutual recursion", sandbox, "BenchmarkBarPause/recursion", "pause-max-ms", 20, true},
		{"sandbox.longest pause by bulk fills", sandbox, "BenchmarkBarPause/fills", "pause-max-ms", 20, true},
		{"sandbox.longest pause by host calls", sandbox, "BenchmarkBarPause/hostcalls", "pause-max-ms", 20, true},
		{"sandbox.idle Go instance", sandbox, "BenchmarkBarIdle", "MB/instance", 0.5, true},
		{"sandbox.warm deployment of a Go plugin", sandbox, "BenchmarkBarDeployment", "first-answer-ms", 150, true},
		{"reach.1,000 plugins and 5,000 routes", "host/reach", "BenchmarkBarReach", "reach-ms", 1000, true},
		{"egress.policy, injection and redaction", "host/egress", "BenchmarkAgainstBareClient", "µs-more/op", 15, true},
		{"view.six fields of 4 KB", "host/view", "BenchmarkBarView/turns", "view-µs", 10, true},
		{"view.allocations for six fields of 4 KB", "host/view", "BenchmarkBarView/turns", "view-allocs", 5, true},
		{"view.six fields of 4 KB vs map[string]any", "host/view", "BenchmarkBarView/turns", "x-faster", 5, false},
		{"pointer.mint and resolve", "host/pointer", "BenchmarkBarPointer", "mint-resolve-µs", 5, true},
	}
}
