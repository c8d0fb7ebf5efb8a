package pipeline_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pointsman/host/broker"
	"pointsman/host/manifest"
	"pointsman/host/parcel"
	"pointsman/host/pipeline"
)

// graph is a random route and what its plugins do.
type graph struct {
	route *manifest.Route
	nodes []*node // in an order in which no node needs a later one
}

type node struct {
	name     string
	refs     []*nodeRef
	takes    time.Duration // odd milliseconds: never equal to a deadline
	deadline time.Duration // even milliseconds; 0: none
	kind     broker.Kind   // how it fails; Internal: not at all
	required bool
}

type nodeRef struct {
	to   *node
	path string // "", ".name" (there) or ".gone" (not there)
}

// output of a node that goes well.
func (n *node) output() string { return fmt.Sprintf(`{"name":%q}`, n.name) }

func drawGraph(t *rapid.T) *graph {
	g := &graph{route: &manifest.Route{Name: "r", Deadline: time.Second}}
	kinds := []broker.Kind{broker.Internal, broker.Internal, broker.Internal, broker.Upstream, broker.NotFound, broker.Denied, broker.UpstreamTimeout}
	for i := range rapid.IntRange(1, 8).Draw(t, "steps") {
		n := &node{
			name:     fmt.Sprintf("s%d", i),
			takes:    time.Duration(2*rapid.IntRange(0, 10).Draw(t, "takes")+1) * ms,
			deadline: time.Duration(2*rapid.IntRange(0, 12).Draw(t, "deadline")) * ms,
			kind:     rapid.SampledFrom(kinds).Draw(t, "kind"),
			required: rapid.IntRange(0, 5).Draw(t, "required") == 0,
		}
		for range rapid.IntRange(0, min(i, 3)).Draw(t, "refs") {
			n.refs = append(n.refs, &nodeRef{
				to:   rapid.SampledFrom(g.nodes).Draw(t, "to"),
				path: rapid.SampledFrom([]string{"", "", ".name", ".name", ".gone"}).Draw(t, "path"),
			})
		}
		g.nodes = append(g.nodes, n)
	}
	var answer []manifest.Value
	for _, n := range rapid.Permutation(slices.Clone(g.nodes)).Draw(t, "file order") {
		var with []manifest.Value
		for _, r := range n.refs {
			with = append(with, ref(r.to.name+r.path))
		}
		g.route.Steps = append(g.route.Steps, manifest.Step{
			Name: n.name, Required: n.required, Deadline: n.deadline, With: list(with...),
		})
		answer = append(answer, ref(n.name))
	}
	g.route.Answer = list(answer...)
	return g
}

// fate is what must become of a node: worked out one after the other, by the rules.
type fate struct {
	outcome    broker.Outcome
	begin, end time.Duration
	input      string
}

func (g *graph) fates() map[string]fate {
	all := map[string]fate{}
	for _, n := range g.nodes {
		var f fate
		var inputs []string
		absent := false
		for _, r := range n.refs {
			to := all[r.to.name]
			f.begin = max(f.begin, to.end)
			ok := to.outcome == broker.OK
			switch {
			case ok && r.path == "":
				inputs = append(inputs, r.to.output())
			case r.path == "":
				inputs = append(inputs, "null")
			case ok && r.path == ".name":
				inputs = append(inputs, fmt.Sprintf("%q", r.to.name))
			default:
				absent = true
			}
		}
		f.input = "[" + strings.Join(inputs, ",") + "]"
		switch {
		case absent:
			f.outcome, f.end = broker.Absent, f.begin
		case n.deadline > 0 && n.takes > n.deadline:
			f.outcome, f.end = broker.Late, f.begin+n.deadline
		default:
			f.end = f.begin + n.takes
			f.outcome = map[broker.Kind]broker.Outcome{
				broker.Internal: broker.OK, broker.Upstream: broker.Failed, broker.NotFound: broker.Absent,
				broker.Denied: broker.Refused, broker.UpstreamTimeout: broker.Late,
			}[n.kind]
		}
		all[n.name] = f
	}
	return all
}

// recorder is a Runner that notes when what was called with what.
type recorder struct {
	graph  *graph
	began  time.Time
	mu     sync.Mutex
	calls  map[string]int           // guarded by mu
	starts map[string]time.Duration // guarded by mu
	inputs map[string]string        // guarded by mu
	active int                      // guarded by mu
}

func (r *recorder) Run(ctx context.Context, call pipeline.StepCall, input pipeline.Input) (*parcel.Parcel, error) {
	r.mu.Lock()
	r.calls[call.Step]++
	r.starts[call.Step] = time.Since(r.began)
	r.inputs[call.Step] = string(input.Text)
	r.active++
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.active--
		r.mu.Unlock()
	}()
	n := r.graph.nodes[slices.IndexFunc(r.graph.nodes, func(n *node) bool { return n.name == call.Step })]
	out, err := says(n.output(), n.takes)(ctx)
	if err == nil && n.kind != broker.Internal {
		return nil, &broker.Error{Kind: n.kind}
	}
	return document(out, err)
}

// Whatever the graph: a step runs at most once, at the very moment when the last step that
// it refers to has ended, with the input that the rules say; and the result is the one
// that the rules say, however the goroutines were scheduled.
func TestRandomGraphs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawGraph(t)
		want := g.fates()
		rapid.SyncTest(t, func(t *rapid.T) {
			run := &recorder{graph: g, began: time.Now(), calls: map[string]int{},
				starts: map[string]time.Duration{}, inputs: map[string]string{}}
			plan, err := pipeline.Compile(g.route, nil)
			if err != nil {
				t.Fatal(err)
			}
			got, err := plan.Run(context.Background(), run, nil)
			took := time.Since(run.began)
			if run.active != 0 {
				t.Fatalf("%d steps still run", run.active)
			}
			fail, kinds := g.firstFailure(want)
			if (err != nil) != (len(kinds) > 0) || err != nil && !kinds[broker.KindOf(err)] {
				t.Fatalf("error %v, want one of %v", err, slices.Collect(maps.Keys(kinds)))
			}
			var answer []string
			for i, s := range g.route.Steps {
				f, ran := want[s.Name], run.calls[s.Name]
				if err != nil && f.begin > fail {
					if ran != 0 {
						t.Errorf("%s ran after the request had failed", s.Name)
					}
					continue
				}
				if err != nil && f.end >= fail {
					continue // stopped, or at the same moment
				}
				if runs := f.end > f.begin; runs != (ran == 1) || ran > 1 {
					t.Errorf("%s ran %d times, want %v", s.Name, ran, runs)
				}
				if ran == 1 && (run.starts[s.Name] != f.begin || run.inputs[s.Name] != f.input) {
					t.Errorf("%s began at %v with %s, want %v, %s", s.Name, run.starts[s.Name], run.inputs[s.Name], f.begin, f.input)
				}
				if src := got.Sources[i]; src != (broker.Source{Name: s.Name, Outcome: f.outcome, Elapsed: f.end - f.begin}) {
					t.Errorf("source %+v, want %s after %v", src, f.outcome, f.end-f.begin)
				}
				if f.outcome == broker.OK {
					answer = append(answer, fmt.Sprintf(`{"name":%q}`, s.Name))
				} else {
					answer = append(answer, "null")
				}
			}
			if err != nil {
				if took != fail || got.Answer != nil || got.Complete {
					t.Errorf("failed after %v with answer %s, want %v, none", took, got.Answer, fail)
				}
				return
			}
			if want := "[" + strings.Join(answer, ",") + "]"; string(got.Answer) != want {
				t.Errorf("answer %s, want %s", got.Answer, want)
			}
			if complete := !slices.Contains(answer, "null"); got.Complete != complete {
				t.Errorf("complete %v, want %v", got.Complete, complete)
			}
		})
	})
}

// firstFailure returns when the first required step fails, and the kinds of all those that
// fail at that moment.
func (g *graph) firstFailure(fates map[string]fate) (at time.Duration, kinds map[broker.Kind]bool) {
	kinds = map[broker.Kind]bool{}
	for _, n := range g.nodes {
		f := fates[n.name]
		if !n.required || f.outcome == broker.OK {
			continue
		}
		if len(kinds) == 0 || f.end < at {
			at, kinds = f.end, map[broker.Kind]bool{}
		}
		if f.end == at {
			kinds[map[broker.Outcome]broker.Kind{
				broker.Failed: broker.Upstream, broker.Absent: broker.NotFound,
				broker.Refused: broker.Denied, broker.Late: broker.UpstreamTimeout,
			}[f.outcome]] = true
		}
	}
	return at, kinds
}
