package pipeline_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"pointsman/host/broker"
	"pointsman/host/manifest"
	"pointsman/host/parcel"
	"pointsman/host/pipeline"
	"pointsman/host/view"
)

// labeller answers documents and remembers what it was handed.
type labeller struct {
	out map[string]pipeline.Input
	in  map[string]pipeline.Input // the steps of the routes here run one after the other
}

func (l *labeller) Run(_ context.Context, step pipeline.StepCall, input pipeline.Input) (*parcel.Parcel, error) {
	l.in[step.Step] = input
	out := l.out[step.Step]
	v, err := parcel.Parse(out.Text)
	if err != nil {
		return nil, err
	}
	return parcel.Of(v, parcel.Facts{Labels: view.LabelAll(out.Labels)}), nil
}

func labels(names ...string) broker.Labels { return broker.NewLabels(names...) }

// TestLabelsTravel: a document carries the labels of everything that it was made of, and the
// order of the steps has no say in it.
func TestLabelsTravel(t *testing.T) {
	r := &manifest.Route{
		Name: "r", Deadline: time.Second,
		Params: map[string]manifest.Param{"email": {Label: "pii.contact"}, "page": {}},
		Steps: []manifest.Step{
			{Name: "by-page", With: object("page", ref("params.page"))},
			{Name: "by-email", With: object("email", ref("params.email"))},
			{Name: "of-field", With: list(ref("by-page.missing"))},
			{Name: "of-both", With: list(ref("by-page"), ref("by-email"))},
			{Name: "of-none", With: object("x", lit("1"))},
		},
		Answer: list(ref("of-both"), ref("of-none"), ref("of-field")),
	}
	run := &labeller{in: map[string]pipeline.Input{}, out: map[string]pipeline.Input{
		"by-page":  {Text: []byte(`{"missing":null}`), Labels: labels("loyalty.balance")},
		"by-email": {Text: []byte(`{}`), Labels: labels("pii.contact", "pii.identity")},
		"of-field": {Text: []byte(`1`)}, // a transform whose labels an admin took away
		"of-both":  {Text: []byte(`2`), Labels: labels("pii.identity")},
		"of-none":  {Text: []byte(`3`)},
	}}
	result, err := compile(t, r).Run(t.Context(), steps(run), given(map[string]string{"email": "ann@x.example", "page": "1"}))
	if err != nil {
		t.Fatal(err)
	}
	for step, want := range map[string]string{
		"by-page": "", "by-email": "pii.contact", "of-field": "loyalty.balance",
		"of-both": "loyalty.balance, pii.contact, pii.identity", "of-none": "",
	} {
		if got := run.in[step].Labels.String(); got != want {
			t.Errorf("the input of %s is labelled %q, want %q", step, got, want)
		}
	}
	if got := result.Labels.String(); got != "pii.identity" {
		t.Errorf("the answer is labelled %q", got)
	}
}

// steps makes a runner's steps one after the other.
func steps(l *labeller) pipeline.Runner { return &serial{l, make(chan struct{}, 1)} }

type serial struct {
	*labeller
	turn chan struct{}
}

func (s *serial) Run(ctx context.Context, step pipeline.StepCall, input pipeline.Input) (*parcel.Parcel, error) {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	return s.labeller.Run(ctx, step, input)
}

// TestStepView: what a route does not use of a step's output is not there for anyone.
func TestStepView(t *testing.T) {
	r := &manifest.Route{
		Name: "r", Deadline: time.Second,
		Steps: []manifest.Step{
			{Name: "crm", View: manifest.Paths{List: []string{"id", "mails[].kind"}}},
			{Name: "next", With: list(ref("crm"), ref("crm.name"))},
		},
		Answer: list(ref("crm.id"), ref("crm.name"), ref("crm.mails")),
	}
	run := &labeller{in: map[string]pipeline.Input{}, out: map[string]pipeline.Input{
		"crm": {Text: []byte(`{"id":1,"name":"canary","mails":[{"kind":"home","to":"canary"}]}`)}, "next": {Text: []byte("null")},
	}}
	result, err := compile(t, r).Run(t.Context(), steps(run), nil)
	if err != nil || string(result.Answer) != `[1,null,[{"kind":"home"}]]` {
		t.Errorf("answer %s, %v", result.Answer, err)
	}
	if in, ran := run.in["next"]; ran {
		t.Errorf("a step that refers to a field that is not let out was run with %s", in.Text)
	}
}

// opener is plugins of which crm opens the pointers of customers.
type opener struct{}

func (opener) Opens(plugin, domain string) bool { return plugin == "crm" && domain == "customer" }
func (opener) Moves(string) (view.View, bool)   { return view.View{}, false }

// TestPointerParameter: who may open a pointer gets what it points at, with its label; all
// others get the pointer, which has none.
func TestPointerParameter(t *testing.T) {
	r := &manifest.Route{
		Name: "r", Deadline: time.Second,
		Params: map[string]manifest.Param{"customer": {Pointer: "customer", Label: "pii.identity"}},
		Steps: []manifest.Step{
			{Name: "opens", Plugin: "crm", With: ref("params.customer")},
			{Name: "moves", Plugin: "merge", With: ref("params.customer")},
		},
		Answer: list(ref("params.customer"), ref("opens"), ref("moves")),
	}
	plan, err := pipeline.Compile(r, opener{})
	if err != nil {
		t.Fatal(err)
	}
	run := &labeller{in: map[string]pipeline.Input{}, out: map[string]pipeline.Input{"opens": {Text: []byte("1")}, "moves": {Text: []byte("2")}}}
	result, err := plan.Run(t.Context(), steps(run), map[string]pipeline.Param{"customer": {Value: "ptr_customer_x", Opened: "C-1"}})
	if err != nil {
		t.Fatal(err)
	}
	if in := run.in["opens"]; string(in.Text) != `"C-1"` || !slices.Equal(in.Labels.Names(), []string{"pii.identity"}) {
		t.Errorf("who opens it is handed %s, labelled %q", in.Text, in.Labels)
	}
	if in := run.in["moves"]; string(in.Text) != `"ptr_customer_x"` || !in.Labels.Empty() {
		t.Errorf("who does not is handed %s, labelled %q", in.Text, in.Labels)
	}
	if string(result.Answer) != `["ptr_customer_x",1,2]` {
		t.Errorf("the answer is %s", result.Answer)
	}
}
