package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const printed = `goos: linux
=== RUN   BenchmarkPristine
BenchmarkPristine/c-json
BenchmarkPristine/c-json-2         	     100	   1500 ns/op	  391.5 sdk-µs/call	 26.1 x
BenchmarkPristine/c-json-echo-16   	     100	   1500 ns/op	   1.0 x
BenchmarkIdle 	       1	  5000 ns/op	         0.18 MB/instance
BenchmarkBroken-2 	       1	  5000 ns/op	         many x
BenchmarkIdle-fast 	       1	  5000 ns/op	         7 MB/instance
--- SKIP: BenchmarkGone
PASS
`

func TestReported(t *testing.T) {
	tests := []struct {
		benchmark, unit string
		want            float64
		found, bad      bool
	}{
		{"BenchmarkPristine/c-json", "x", 26.1, true, false},
		{"BenchmarkPristine/c-json", "ns/op", 1500, true, false},
		{"BenchmarkPristine/c-json-echo", "x", 1, true, false},
		{"BenchmarkIdle", "MB/instance", 0.18, true, false},       // one processor: no number
		{"BenchmarkIdle-fast", "MB/instance", 7, true, false},     // the dash is the name's own
		{"BenchmarkPristine/c-json", "of-leaky", 0, false, false}, // another unit
		{"BenchmarkPristine", "x", 0, false, false},               // only its parts report
		{"BenchmarkGone", "x", 0, false, false},
		{"BenchmarkBroken", "x", 0, false, true},
	}
	for _, tt := range tests {
		got, found, err := reported([]byte(printed), tt.benchmark, tt.unit)
		if got != tt.want || found != tt.found || (err != nil) != tt.bad {
			t.Errorf("%s %s: got %v, %v, %v", tt.benchmark, tt.unit, got, found, err)
		}
	}
}

func TestBarMet(t *testing.T) {
	for _, tt := range []struct {
		value float64
		most  bool
		want  bool
	}{{4, false, false}, {5, false, true}, {6, false, true}, {4, true, true}, {5, true, true}, {6, true, false}} {
		if got := (bar{limit: 5, most: tt.most}).met(tt.value); got != tt.want {
			t.Errorf("%v, most %v: got %v", tt.value, tt.most, got)
		}
	}
}

// Every bar names a benchmark that there is, which reports a metric of that unit: otherwise
// make bench would find out only after minutes.
func TestBarsHaveBenchmarks(t *testing.T) {
	seen := map[string]bool{}
	for _, b := range bars() {
		if seen[b.name] {
			t.Errorf("%s stands twice", b.name)
		}
		seen[b.name] = true
		files, err := filepath.Glob("../../" + b.pkg + "/*_test.go")
		if err != nil || len(files) == 0 {
			t.Fatalf("no tests in %s: %v", b.pkg, err)
		}
		var all bytes.Buffer
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			all.Write(text)
		}
		function, _, _ := strings.Cut(b.benchmark, "/")
		if !regexp.MustCompile(`func ` + function + `\(`).Match(all.Bytes()) {
			t.Errorf("%s: %s has no %s", b.name, b.pkg, function)
		}
		if !strings.HasSuffix(b.unit, "/op") && !bytes.Contains(all.Bytes(), []byte(`"`+b.unit+`")`)) {
			t.Errorf("%s: nothing in %s reports %q", b.name, b.pkg, b.unit)
		}
	}
}

func TestWriteBars(t *testing.T) {
	var out bytes.Buffer
	if err := writeBars(&out, []metric{
		{Name: "a", Value: 3, Unit: "x", Bar: new(2.0), Met: new(true)},
		{Name: "b", Value: 3, Unit: "ms", Bar: new(2.0), Met: new(false), Most: true},
		{Name: "none", Value: 3},
	}); err != nil {
		t.Fatal(err)
	}
	got := strings.Join(strings.Fields(out.String()), " ")
	if want := "bar measured promised a 3.00 x ≥ 2.00 met b 3.00 ms ≤ 2.00 NOT met"; got != want {
		t.Errorf("got %q", got)
	}
}
