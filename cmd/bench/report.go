package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"text/tabwriter"
	"time"
)

// metric is one number of bin/bench.json. Bar is the least that the project promises, or with
// Most the most, null where it promises nothing; Met says whether Value keeps it, null
// without a bar.
type metric struct {
	Name  string   `json:"name"`
	Value float64  `json:"value"`
	Unit  string   `json:"unit"`
	Bar   *float64 `json:"bar"`
	Most  bool     `json:"most,omitempty"`
	Met   *bool    `json:"met"`
}

// metrics are the numbers of the results, in the order of the contenders. What is not known
// here is left out.
func metrics(results []result) []metric {
	var ms []metric
	add := func(name string, value float64, unit string, bar *float64) {
		if math.IsNaN(value) || math.IsInf(value, 0) {
			return
		}
		m := metric{Name: name, Value: value, Unit: unit, Bar: bar}
		if bar != nil {
			met := value >= *bar
			m.Met = &met
		}
		ms = append(ms, m)
	}
	byName := map[string]result{}
	for _, r := range results {
		byName[r.name] = r
		name := "profile." + r.name
		add(name+".throughput", median(r.rates()), "requests/s", nil)
		add(name+".p50", milliseconds(percentile(r.latencies(), 50)), "ms", nil)
		add(name+".p99", milliseconds(percentile(r.latencies(), 99)), "ms", nil)
		add(name+".cpu", median(r.cpus()), "ms/request", nil)
		if r.peak > 0 {
			add(name+".peak memory", float64(r.peak)/(1<<20), "MiB", nil)
		}
	}
	us, plain, naive := byName["pointsman"], byName["go"], byName["naive"]
	add("profile.pointsman.throughput vs go", ratio(us.rates(), plain.rates()), "ratio", nil)
	add("profile.pointsman.cpu vs go", ratio(us.cpus(), plain.cpus()), "ratio", nil)
	add("profile.pointsman.throughput vs naive", ratio(us.rates(), naive.rates()), "ratio", new(throughputBar))
	add("profile.pointsman.throughput vs bytes in guests", ratio(us.rates(), byName["bytes"].rates()), "ratio", new(parcelBar))
	add("profile.pointsman.cpu vs bytes in guests", ratio(us.cpus(), byName["bytes"].cpus()), "ratio", nil)
	add("profile.pointsman.cpu vs naive", ratio(us.cpus(), naive.cpus()), "ratio", nil)
	return ms
}

// throughputBar is the least that the broker's throughput may be of the naive way's. Both make
// an instance for every call, which decides; fuel, policy and the record come on top in the
// broker. It is a floor against regressions: 0.93 to 1.28 was measured (docs/BENCHMARKS.md).
const throughputBar = 0.8

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1000 }

// writeTable prints the results for people.
func writeTable(out io.Writer, o options, results []result) error {
	fmt.Fprintf(out, "profile route: %d rounds of %v, %d connections; %s %s/%s, %d CPUs\n\n",
		o.rounds, o.duration, o.connections, runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\trequests/s\tp50 ms\tp99 ms\tCPU ms/request\tpeak MiB\tthroughput vs go\tCPU vs go\trequests\t")
	for _, r := range results {
		all := r.latencies()
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t\n", r.name,
			number(median(r.rates())), number(milliseconds(percentile(all, 50))), number(milliseconds(percentile(all, 99))),
			number(median(r.cpus())), number(float64(r.peak)/(1<<20)),
			number(ratio(r.rates(), results[0].rates())), number(ratio(r.cpus(), results[0].cpus())), len(all))
	}
	return w.Flush()
}

// writeBars prints the numbers that the project promises something of.
func writeBars(out io.Writer, ms []metric) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nbar\tmeasured\tpromised\t")
	for _, m := range ms {
		if m.Bar == nil {
			continue
		}
		sign, verdict := "≥", "met"
		if m.Most {
			sign = "≤"
		}
		if !*m.Met {
			verdict = "NOT met"
		}
		fmt.Fprintf(w, "%s\t%s %s\t%s %s\t%s\n", m.Name, number(m.Value), m.Unit, sign, number(*m.Bar), verdict)
	}
	return w.Flush()
}

// number prints three significant digits, a dash for what is not known.
func number(v float64) string {
	switch a := math.Abs(v); {
	case math.IsNaN(v) || math.IsInf(v, 0) || v == 0:
		return "-"
	case a >= 100:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	case a >= 1:
		return fmt.Sprintf("%.2f", v)
	default:
		return fmt.Sprintf("%.3f", v)
	}
}

// writeJSON writes the metrics as a list, in one step: a reader never sees half of it.
func writeJSON(path string, ms []metric) error {
	text, err := json.MarshalIndent(ms, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	partial := path + ".partial"
	if err := os.WriteFile(partial, append(text, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(partial, path)
}

// parcelBar is the least that the throughput with blind plugins may be of that of the same
// route with plugins that read what they hand on.
const parcelBar = 3.0
