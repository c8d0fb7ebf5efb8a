package pipeline_test

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pointsman/host/broker"
	"pointsman/host/manifest"
	"pointsman/host/parcel"
	"pointsman/host/pipeline"
	"pointsman/host/view"
)

// movers are plugins that take parcels, and read of their inputs what a view shows.
type movers struct{ reads view.View }

func (movers) Opens(string, string) bool        { return false }
func (m movers) Moves(string) (view.View, bool) { return m.reads, true }

// promises plays plugins whose outputs come later than they do: source's after a second, with
// what is its word, and of every other step the parcel that it was handed, or its input.
type promises struct {
	text    string
	failure error
	began   time.Time
	starts  map[string]time.Duration // the steps of the routes here run one after the other
	inputs  map[string]string
}

func (p *promises) Run(ctx context.Context, step pipeline.StepCall, in pipeline.Input) (*parcel.Parcel, error) {
	p.starts[step.Step], p.inputs[step.Step] = time.Since(p.began), string(in.Text)
	if step.Step != "source" {
		return in.Parcels.Output(in.Text, broker.Labels{}, nil)
	}
	out, settle := parcel.Pending(parcel.Facts{Labels: view.LabelAll(labels("pii.contact"))})
	go func() {
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			settle(parcel.Value{}, ctx.Err())
			return
		}
		v, err := parcel.Parse([]byte(p.text))
		if p.failure != nil {
			err = p.failure
		}
		settle(v, err)
	}()
	return out, nil
}

// TestPromises: a step that takes parcels runs when those before it have promised theirs, and
// comes to the same as if it had waited.
func TestPromises(t *testing.T) {
	all := view.All()
	tests := []struct {
		name     string
		reads    view.View
		with     manifest.Value
		deadline time.Duration
		failure  error
		start    time.Duration // of the second step; -1: it does not run
		input    string        // with # for a number
		answer   string
		outcomes string
	}{
		{"does not wait for the whole", view.View{}, list(ref("source")), 0, nil, 0, `[{"$parcel":#}]`, `[[{"a":{"b":1}}],{"a":{"b":1}}]`, "ok ok"},
		{"waits for a part", view.View{}, list(ref("source.a")), 0, nil, time.Second, `[{"$parcel":#}]`, `[[{"b":1}],{"a":{"b":1}}]`, "ok ok"},
		{"waits for a part, which is not there", view.View{}, list(ref("source.x")), 0, nil, -1, "", `[null,{"a":{"b":1}}]`, "ok absent"},
		{"waits for what it reads", all, list(ref("source")), 0, nil, time.Second, `[{"a":{"b":1}}]`, `[[{"a":{"b":1}}],{"a":{"b":1}}]`, "ok ok"},
		{"the promise fails", view.View{}, list(ref("source")), 0, &broker.Error{Kind: broker.Upstream}, 0, `[{"$parcel":#}]`, `[[null],null]`, "error ok"},
		{"the promise finds nothing", view.View{}, list(ref("source")), 0, &broker.Error{Kind: broker.NotFound}, 0, `[{"$parcel":#}]`, `[[null],null]`, "absent ok"},
		{"the promise is late", view.View{}, list(ref("source")), time.Second / 2, nil, 0, `[{"$parcel":#}]`, `[[null],null]`, "timeout ok"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &manifest.Route{Name: "r", Deadline: 5 * time.Second, Steps: []manifest.Step{
					{Name: "source", Deadline: tt.deadline}, {Name: "second", With: tt.with},
				}, Answer: list(ref("second"), ref("source"))}
				plan, err := pipeline.Compile(r, movers{tt.reads})
				if err != nil {
					t.Fatal(err)
				}
				run := &promises{text: `{"a":{"b":1}}`, failure: tt.failure, began: time.Now(), starts: map[string]time.Duration{}, inputs: map[string]string{}}
				result, err := plan.Run(t.Context(), run, nil)
				if err != nil || string(result.Answer) != tt.answer {
					t.Errorf("answer %s, %v, want %s", result.Answer, err, tt.answer)
				}
				start, ran := run.starts["second"]
				if ran != (tt.start >= 0) || ran && start != tt.start {
					t.Errorf("the second step ran: %v, after %v, want %v", ran, start, tt.start)
				}
				if got := numbers.ReplaceAllString(run.inputs["second"], "#"); got != strings.ReplaceAll(tt.input, "1", "#") {
					t.Errorf("its input was %s, want %s", got, tt.input)
				}
				var outcomes []string
				for _, s := range result.Sources {
					outcomes = append(outcomes, string(s.Outcome))
				}
				if got := strings.Join(outcomes, " "); got != tt.outcomes {
					t.Errorf("outcomes %s, want %s", got, tt.outcomes)
				}
				if !result.Labels.Has("pii.contact") {
					t.Error("the answer lost the label of what it is made of")
				}
			})
		})
	}
}

// A required step whose promise fails fails the request, whoever was handed the promise.
func TestRequiredPromiseFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &manifest.Route{Name: "r", Deadline: 5 * time.Second, Steps: []manifest.Step{
			{Name: "source", Required: true}, {Name: "second", With: list(ref("source"))},
		}, Answer: ref("second")}
		plan, err := pipeline.Compile(r, movers{})
		if err != nil {
			t.Fatal(err)
		}
		run := &promises{text: "1", failure: &broker.Error{Kind: broker.NotFound}, began: time.Now(), starts: map[string]time.Duration{}, inputs: map[string]string{}}
		result, err := plan.Run(t.Context(), run, nil)
		if broker.KindOf(err) != broker.NotFound || result.Answer != nil {
			t.Errorf("got %s, %v", result.Answer, err)
		}
	})
}

var numbers = regexp.MustCompile(`[0-9]+`)
