package pipeline_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"pointsman/host/broker"
	"pointsman/host/manifest"
	"pointsman/host/parcel"
	"pointsman/host/pipeline"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Values as a manifest has them.

func lit(text string) manifest.Value {
	return manifest.Value{Kind: manifest.ValueLiteral, Literal: []byte(text)}
}

// ref takes "step.a.b".
func ref(path string) manifest.Value {
	parts := strings.Split(path, ".")
	return manifest.Value{Kind: manifest.ValueRef, Ref: manifest.Ref{Root: parts[0], Path: parts[1:]}}
}

func list(items ...manifest.Value) manifest.Value {
	return manifest.Value{Kind: manifest.ValueArray, Items: items}
}

// object takes names and values in turn.
func object(pairs ...any) manifest.Value {
	v := manifest.Value{Kind: manifest.ValueObject}
	for i := 0; i < len(pairs); i += 2 {
		v.Fields = append(v.Fields, manifest.FieldValue{Name: pairs[i].(string), Value: pairs[i+1].(manifest.Value)})
	}
	return v
}

func compile(t testing.TB, r *manifest.Route) *pipeline.Plan {
	t.Helper()
	p, err := pipeline.Compile(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// given are parameters that are no pointers.
func given(values map[string]string) map[string]pipeline.Param {
	params := map[string]pipeline.Param{}
	for name, v := range values {
		params[name] = pipeline.Param{Value: v}
	}
	return params
}

// runner plays the plugins: one function for each step. It remembers the inputs.
type runner struct {
	steps map[string]func(ctx context.Context) (string, error)
	mu    sync.Mutex
	calls map[string][]string // guarded by mu; the inputs by step
}

func (r *runner) Run(ctx context.Context, step pipeline.StepCall, input pipeline.Input) (*parcel.Parcel, error) {
	r.mu.Lock()
	if r.calls == nil {
		r.calls = map[string][]string{}
	}
	r.calls[step.Step] = append(r.calls[step.Step], string(input.Text))
	r.mu.Unlock()
	out, err := r.steps[step.Step](ctx)
	return document(out, err)
}

// document is a text as a runner returns it.
func document(text string, err error) (*parcel.Parcel, error) {
	if err != nil {
		return nil, err
	}
	v, err := parcel.Parse([]byte(text))
	if err != nil {
		return nil, &broker.Error{Kind: broker.Upstream, Err: err}
	}
	return parcel.Of(v, parcel.Facts{}), nil
}

type play = func(context.Context) (string, error)

// says answers after a time, unless ctx ends before.
func says(out string, after time.Duration) play {
	return func(ctx context.Context) (string, error) {
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(after):
			return out, nil
		}
	}
}

// fails fails after a time, unless ctx ends before.
func fails(kind broker.Kind, after time.Duration) play {
	return func(ctx context.Context) (string, error) {
		if _, err := says("", after)(ctx); err != nil {
			return "", err
		}
		return "", &broker.Error{Kind: kind, Detail: "told", Err: errors.New("secret")}
	}
}

const ms = time.Millisecond

// profile is the route of the design: two sources, the second needs the first, and a
// step that merges.
func profile() *manifest.Route {
	return &manifest.Route{
		Name: "profile", Deadline: 800 * ms,
		Params: map[string]manifest.Param{"customer": {}, "lang": {}},
		Steps: []manifest.Step{
			{Name: "merged", Plugin: "merge", Function: "compose", With: object("parts", list(ref("crm"), ref("loyalty")))},
			{Name: "crm", Plugin: "crm-contact", Function: "get", With: object("id", ref("params.customer")), Required: true},
			{Name: "loyalty", Plugin: "loyalty", Function: "balance", With: object("member", ref("crm.links.member")), Deadline: 300 * ms},
			{Name: "shop", Plugin: "shop", Function: "orders", With: object("id", ref("params.customer"), "max", lit("10"))},
		},
		Answer: object("profile", ref("merged"), "orders", ref("shop.orders"), "version", lit("1")),
	}
}

func TestRun(t *testing.T) {
	const crm = `{"name":"Ann","links":{"member":12345678901234567890.10}}`
	good := map[string]play{
		"crm": says(crm, 10*ms), "loyalty": says(`{"points":7}`, 20*ms),
		"merged": says(`{"done":true}`, 5*ms), "shop": says(`{"orders":[1e400]}`, 30*ms),
	}
	type outcome struct {
		answer  string
		kind    broker.Kind // if there is no answer
		sources string      // merged crm loyalty shop
		took    time.Duration
	}
	tests := []struct {
		name string
		play map[string]play // instead of good
		want outcome
	}{
		{"required step fails", map[string]play{"crm": fails(broker.Upstream, 10*ms)},
			outcome{"", broker.Upstream, "absent error absent error", 10 * ms}},
		{"required step has no record", map[string]play{"crm": fails(broker.NotFound, 10*ms)},
			outcome{"", broker.NotFound, "absent absent absent error", 10 * ms}},
		{"required step is refused", map[string]play{"crm": fails(broker.Denied, 10*ms)},
			outcome{"", broker.Denied, "absent denied absent error", 10 * ms}},
		{"required step is too slow", map[string]play{"crm": says(crm, time.Hour)},
			outcome{"", broker.UpstreamTimeout, "absent timeout absent ok", 800 * ms}},
		{"required step is not the consumer's 401", map[string]play{"crm": fails(broker.Unauthenticated, 10*ms)},
			outcome{"", broker.Upstream, "absent error absent error", 10 * ms}},
		{"required step panics", map[string]play{"crm": func(context.Context) (string, error) { panic("boom") }},
			outcome{"", broker.Internal, "absent error absent error", 0}},
		{"required step ends its goroutine", map[string]play{"crm": func(context.Context) (string, error) { runtime.Goexit(); return "", nil }},
			outcome{"", broker.Internal, "absent error absent error", 0}},
		{"required step answers no JSON", map[string]play{"crm": says(`{"a":`, 10*ms)},
			outcome{"", broker.Upstream, "absent error absent error", 10 * ms}},
		{"optional step fails", map[string]play{"shop": fails(broker.Upstream, 10*ms)},
			outcome{`{"profile":{"done":true},"orders":null,"version":1}`, 0, "ok ok ok error", 35 * ms}},
		{"optional step is refused", map[string]play{"shop": fails(broker.Denied, 10*ms)},
			outcome{`{"profile":{"done":true},"orders":null,"version":1}`, 0, "ok ok ok denied", 35 * ms}},
		{"optional step has no record", map[string]play{"loyalty": fails(broker.NotFound, 10*ms)},
			outcome{`{"profile":{"done":true},"orders":[1e400],"version":1}`, 0, "ok ok absent ok", 30 * ms}},
		{"optional step is too slow", map[string]play{"loyalty": says(`1`, time.Hour)},
			outcome{`{"profile":{"done":true},"orders":[1e400],"version":1}`, 0, "ok ok timeout ok", 315 * ms}},
		{"optional step outlives the route", map[string]play{"shop": says(`1`, time.Hour)},
			outcome{`{"profile":{"done":true},"orders":null,"version":1}`, 0, "ok ok ok timeout", 800 * ms}},
		{"optional step repeats a name", map[string]play{"shop": says(`{"orders":1,"orders":2}`, 10*ms)},
			outcome{`{"profile":{"done":true},"orders":null,"version":1}`, 0, "ok ok ok error", 35 * ms}},
		{"optional step nests too deeply", map[string]play{"shop": says(strings.Repeat("[", 65)+strings.Repeat("]", 65), 10*ms)},
			outcome{`{"profile":{"done":true},"orders":null,"version":1}`, 0, "ok ok ok error", 35 * ms}},
		{"optional step answers nothing", map[string]play{"merged": says(``, 5*ms)},
			outcome{`{"profile":null,"orders":[1e400],"version":1}`, 0, "error ok ok ok", 35 * ms}},
		{"reference leads to nothing", map[string]play{"crm": says(`{"links":[]}`, 10*ms)},
			outcome{`{"profile":{"done":true},"orders":[1e400],"version":1}`, 0, "ok ok absent ok", 30 * ms}},
		{"all is well", nil,
			outcome{`{"profile":{"done":true},"orders":[1e400],"version":1}`, 0, "ok ok ok ok", 35 * ms}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				run := &runner{steps: map[string]play{}}
				for name, p := range good {
					run.steps[name] = p
				}
				for name, p := range tt.play {
					run.steps[name] = p
				}
				began := time.Now()
				got, err := compile(t, profile()).Run(t.Context(), run, given(map[string]string{"customer": "c-1"}))
				have := outcome{answer: string(got.Answer), sources: outcomes(got.Sources), took: time.Since(began)}
				if err != nil {
					have.kind = broker.KindOf(err)
				}
				if diff := cmp.Diff(tt.want, have, cmp.AllowUnexported(outcome{})); diff != "" {
					t.Errorf("outcome (-want +got):\n%s\nerror: %v", diff, err)
				}
				if complete := tt.want.sources == "ok ok ok ok"; got.Complete != complete {
					t.Errorf("complete %v, want %v", got.Complete, complete)
				}
			})
		})
	}
}

func outcomes(sources []broker.Source) string {
	var words []string
	for _, s := range sources {
		words = append(words, string(s.Outcome))
	}
	return strings.Join(words, " ")
}

func TestInputs(t *testing.T) {
	run := &runner{steps: map[string]play{
		"crm":     says(` { "links" : {"\u006dember": 12345678901234567890.10 } } `, 0),
		"loyalty": fails(broker.Upstream, 0), "merged": says("1", 0), "shop": says("{}", 0),
	}}
	got, err := compile(t, profile()).Run(t.Context(), run, given(map[string]string{"customer": "a\"b\\\n\u2028é"}))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{
		"crm":     {`{"id":"a\"b\\\n` + "\u2028é" + `"}`},
		"loyalty": {`{"member":12345678901234567890.10}`},
		"merged":  {`{"parts":[{ "links" : {"\u006dember": 12345678901234567890.10 } },null]}`},
		"shop":    {`{"id":"a\"b\\\n` + "\u2028é" + `","max":10}`},
	}
	if diff := cmp.Diff(want, run.calls); diff != "" {
		t.Errorf("inputs (-want +got):\n%s", diff)
	}
	if string(got.Answer) != `{"profile":1,"orders":null,"version":1}` {
		t.Errorf("answer %s", got.Answer)
	}
}

func TestParams(t *testing.T) {
	fallback := "de"
	r := &manifest.Route{
		Name: "r", Deadline: time.Second,
		Params: map[string]manifest.Param{"lang": {Default: &fallback}, "page": {}},
		Steps: []manifest.Step{
			{Name: "a", With: object("lang", ref("params.lang"))},
			{Name: "b", With: object("page", ref("params.page"))},
			{Name: "c"},
		},
		Answer: list(ref("a"), ref("b"), ref("c"), ref("params.page"), ref("params.lang")),
	}
	tests := []struct {
		name    string
		params  map[string]string
		answer  string
		sources string
		kind    broker.Kind
	}{
		{"not UTF-8", map[string]string{"lang": "\xff"}, "", "absent absent absent", broker.Invalid},
		{"missing", nil, `[1,null,3,null,"de"]`, "ok absent ok", 0},
		{"given", map[string]string{"lang": "fr", "page": "2"}, `[1,2,3,"2","fr"]`, "ok ok ok", 0},
		{"empty is given", map[string]string{"lang": "", "page": ""}, `[1,2,3,"",""]`, "ok ok ok", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			run := &runner{steps: map[string]play{"a": says("1", 0), "b": says("2", 0), "c": says("3", 0)}}
			got, err := compile(t, r).Run(t.Context(), run, given(tt.params))
			if broker.KindOf(err) != tt.kind || (err != nil) != (tt.answer == "") {
				t.Fatalf("error %v, want kind %v", err, tt.kind)
			}
			if string(got.Answer) != tt.answer || outcomes(got.Sources) != tt.sources {
				t.Errorf("answer %s, sources %s; want %s, %s", got.Answer, outcomes(got.Sources), tt.answer, tt.sources)
			}
			if tt.answer != "" && run.calls["c"][0] != "{}" {
				t.Errorf("input of a step without one is %s, want {}", run.calls["c"][0])
			}
		})
	}
}

// A required step whose input leads to nothing fails the request as a missing record does.
func TestRequiredAbsent(t *testing.T) {
	r := profile()
	r.Steps[2].OnError = manifest.OnErrorFail
	run := &runner{steps: map[string]play{"crm": says("{}", 0), "shop": says("{}", 0)}}
	_, err := compile(t, r).Run(t.Context(), run, given(map[string]string{"customer": "1"}))
	if broker.KindOf(err) != broker.NotFound {
		t.Errorf("error %v, want not found", err)
	}
}

// A manifest may refer to one output many times; a plugin must not decide by the size of
// its output how much memory that takes.
func TestReferencesDoNotAmplify(t *testing.T) {
	many := make([]manifest.Value, 400)
	for i := range many {
		many[i] = ref("big")
	}
	big := says(`"`+strings.Repeat("x", 1<<20)+`"`, 0)
	run := &runner{steps: map[string]play{"big": big, "next": says("1", 0)}}
	inAnswer := &manifest.Route{Name: "r", Deadline: time.Minute,
		Steps:  []manifest.Step{{Name: "big", Plugin: "p", Function: "f", Required: true}},
		Answer: list(many...)}
	inInput := &manifest.Route{Name: "r", Deadline: time.Minute,
		Steps: []manifest.Step{
			{Name: "big", Plugin: "p", Function: "f", Required: true},
			{Name: "next", Plugin: "p", Function: "f", With: list(many...), Required: true},
		},
		Answer: ref("next")}
	for name, route := range map[string]*manifest.Route{"answer": inAnswer, "input": inInput} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := compile(t, route).Run(t.Context(), run, nil)
		runtime.ReadMemStats(&after)
		if broker.KindOf(err) != broker.Upstream {
			t.Errorf("%s: error %v, want upstream", name, err)
		}
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 40<<20 {
			t.Errorf("%s: %d bytes allocated for 400 references to 1 MiB, want at most 40 MiB", name, grown)
		}
	}
}

func TestErrorShowsDetailOnly(t *testing.T) {
	run := &runner{steps: map[string]play{"crm": fails(broker.Invalid, 0), "shop": says("{}", 0)}}
	_, err := compile(t, profile()).Run(t.Context(), run, given(map[string]string{"customer": "1"}))
	e, ok := errors.AsType[*broker.Error](err)
	if !ok || e.Kind != broker.Invalid || e.Detail != "told" || !strings.Contains(e.Err.Error(), "step crm") {
		t.Errorf("error %#v", err)
	}
}

// When the consumer goes away, Run returns only after every step did.
func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := 0
		slow := func(ctx context.Context) (string, error) {
			<-ctx.Done()
			time.Sleep(50 * ms) // it takes a while to stop
			ended++
			return `{"links":{"member":1}}`, nil
		}
		run := &runner{steps: map[string]play{"crm": slow, "shop": says("{}", time.Hour)}}
		time.AfterFunc(100*ms, cancel)
		began := time.Now()
		got, err := compile(t, profile()).Run(ctx, run, given(map[string]string{"customer": "1"}))
		if broker.KindOf(err) != broker.Canceled || !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want canceled", err)
		}
		if took := time.Since(began); took != 150*ms || ended != 1 {
			t.Errorf("returned after %v with %d steps ended, want 150ms, 1", took, ended)
		}
		if got.Answer != nil || len(run.calls) != 2 {
			t.Errorf("answer %s, calls %v", got.Answer, run.calls)
		}
		if _, err := compile(t, profile()).Run(ctx, run, given(map[string]string{"customer": "1"})); broker.KindOf(err) != broker.Canceled {
			t.Errorf("second run: %v, want canceled", err)
		}
	})
}

// A caller's deadline that is shorter than the route's is a timeout, not a cancellation.
func TestCallersDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*ms)
		defer cancel()
		run := &runner{steps: map[string]play{"crm": says("{}", time.Hour), "shop": says("{}", time.Hour)}}
		_, err := compile(t, profile()).Run(ctx, run, given(map[string]string{"customer": "1"}))
		if broker.KindOf(err) != broker.UpstreamTimeout {
			t.Errorf("error %v, want upstream timeout", err)
		}
	})
}

func TestElapsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run := &runner{steps: map[string]play{
			"crm": says(`{"links":{"member":1}}`, 10*ms), "loyalty": says("1", time.Hour),
			"merged": says("1", 5*ms), "shop": fails(broker.Upstream, 30*ms),
		}}
		got, err := compile(t, profile()).Run(t.Context(), run, given(map[string]string{"customer": "1"}))
		if err != nil {
			t.Fatal(err)
		}
		want := []broker.Source{
			{Name: "merged", Outcome: broker.OK, Elapsed: 5 * ms}, {Name: "crm", Outcome: broker.OK, Elapsed: 10 * ms},
			{Name: "loyalty", Outcome: broker.Late, Elapsed: 300 * ms}, {Name: "shop", Outcome: broker.Failed, Elapsed: 30 * ms},
		}
		if diff := cmp.Diff(want, got.Sources); diff != "" {
			t.Errorf("sources (-want +got):\n%s", diff)
		}
	})
}

func TestCompileRefuses(t *testing.T) {
	tests := []struct {
		name   string
		change func(*manifest.Route)
		want   string
	}{
		{"no deadline", func(r *manifest.Route) { r.Deadline = 0 }, "deadline"},
		{"unknown step", func(r *manifest.Route) { r.Answer = ref("nobody.x") }, "${nobody.x}"},
		{"unknown parameter", func(r *manifest.Route) { r.Answer = ref("params.x") }, "${params.x}"},
		{"parameter's field", func(r *manifest.Route) { r.Answer = ref("params.lang.x") }, "${params.lang.x}"},
		{"all parameters", func(r *manifest.Route) { r.Answer = ref("params") }, "${params}"},
		{"step of a taken name", func(r *manifest.Route) { r.Steps[3].Name = "crm" }, "taken"},
		{"step named params", func(r *manifest.Route) { r.Steps[3].Name = "params" }, "taken"},
		{"itself", func(r *manifest.Route) { r.Steps[3].With = ref("shop") }, "waits for itself"},
		{"circle", func(r *manifest.Route) { r.Steps[1].With = ref("merged.x") }, "waits for itself"},
		{"no answer", func(r *manifest.Route) { r.Answer = manifest.Value{} }, "answer"},
		{"no JSON", func(r *manifest.Route) { r.Answer = lit("1,2") }, "not JSON"},
		{"field twice", func(r *manifest.Route) { r.Answer = object("a", lit("1"), "a", lit("2")) }, "twice"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := profile()
			tt.change(r)
			if _, err := pipeline.Compile(r, nil); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

func BenchmarkRun(b *testing.B) {
	plan := compile(b, profile())
	params := given(map[string]string{"customer": "c-1"})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := plan.Run(b.Context(), echo{}, params); err != nil {
			b.Fatal(err)
		}
	}
}

// echo answers at once.
type echo struct{}

var echoed, _ = parcel.Parse([]byte(`{"name":"Ann","links":{"member":"m-1"},"orders":[1,2,3]}`))

func (echo) Run(context.Context, pipeline.StepCall, pipeline.Input) (*parcel.Parcel, error) {
	return parcel.Of(echoed, parcel.Facts{}), nil
}
