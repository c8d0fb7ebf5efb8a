// Command bench measures the profile route of the demo, through the whole broker, against
// the same service as a plain Go handler and as the naive way to use Extism.
//
//	$ make bench
//
// docs/BENCHMARKS.md says what is measured and how to read it. Nothing here fails because
// something is slow; it fails when the contenders do not answer alike.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	rounds      int
	duration    time.Duration // of one contender in one round
	connections int
	out         string
	pointsman   string // the binary
	modules     string // folder of plugin modules
	manifests   string
	bars        bool   // also run the benchmarks of the packages
	as, config  string // of a child: which part it plays, and its file
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.IntVar(&o.rounds, "rounds", 5, "how many times each contender is measured")
	f.DurationVar(&o.duration, "duration", 2*time.Second, "how long each contender is measured in a round")
	f.IntVar(&o.connections, "connections", 8, "connections that ask at the same time, each one request after the other")
	f.StringVar(&o.out, "out", "", "`file` to write the results to as JSON")
	f.StringVar(&o.pointsman, "pointsman", "bin/pointsman", "the `binary` to measure")
	f.StringVar(&o.modules, "modules", "bin/plugins", "`folder` of plugin modules")
	f.StringVar(&o.manifests, "manifests", "manifests/demo", "`folder` of manifests, of which all but the consumers are deployed")
	f.BoolVar(&o.bars, "bars", true, "also run the packages' benchmarks that measure what the project promises; needs the source tree")
	f.StringVar(&o.as, "as", "", "internal: the part that a child plays")
	f.StringVar(&o.config, "config", "", "internal: the child's configuration")
	if err := f.Parse(args); err != nil {
		return options{}, err
	}
	switch {
	case f.NArg() > 0:
		return options{}, fmt.Errorf("unexpected argument %q", f.Arg(0))
	case o.rounds < 1 || o.duration <= 0 || o.connections < 1:
		return options{}, errors.New("-rounds, -duration and -connections must be positive")
	}
	return o, nil
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	if o.as != "" {
		return play(ctx, o.as, o.config, os.Stdin, stdout)
	}
	results, err := measure(ctx, o, stderr)
	if err != nil {
		return err
	}
	if err := writeTable(stdout, o, results); err != nil {
		return err
	}
	ms := metrics(results)
	if o.bars {
		more, err := measureBars(ctx, bars(), stderr)
		if err != nil {
			return err
		}
		ms = append(ms, more...)
	}
	if err := writeBars(stdout, ms); err != nil {
		return err
	}
	if o.out == "" {
		return nil
	}
	return writeJSON(o.out, ms)
}

// measure runs the contenders, checks that they answer alike, and measures them in turns.
func measure(ctx context.Context, o options, progress io.Writer) (_ []result, err error) {
	fmt.Fprintln(progress, "starting back ends and contenders ...")
	w, err := newWorld(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close()) }()

	numbers := samples()
	fmt.Fprintf(progress, "comparing the answers for %d customers ...\n", len(numbers))
	if err := compareAnswers(ctx, w, numbers); err != nil {
		return nil, err
	}
	load := newLoad(w, o.connections)
	fmt.Fprintln(progress, "warming up ...")
	for _, c := range w.contenders {
		if _, err := load.run(ctx, c, min(o.duration, time.Second)); err != nil {
			return nil, err
		}
	}
	results := make([]result, len(w.contenders))
	for round := range o.rounds {
		fmt.Fprintf(progress, "round %d of %d ...\n", round+1, o.rounds)
		for i, c := range w.contenders { // in turns, so that a noisy neighbour hits all alike
			taken, err := load.run(ctx, c, o.duration)
			if err != nil {
				return nil, err
			}
			results[i].name = c.name
			results[i].rounds = append(results[i].rounds, taken)
		}
	}
	for i, c := range w.contenders {
		results[i].peak, _ = peakMemory(c.pid)
	}
	return results, nil
}
