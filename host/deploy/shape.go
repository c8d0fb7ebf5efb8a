package deploy

import (
	"context"
	"errors"
	"fmt"

	"pointsman/host/audit"
	"pointsman/host/broker"
	"pointsman/host/manifest"
	"pointsman/host/parcel"
	"pointsman/host/pipeline"
	"pointsman/host/view"
)

// shape is what data may go into a plugin's sandbox and come out of it.
type shape struct {
	input, output view.View
	clear         broker.Labels // labels that its output may carry
	logClear      broker.Labels // labels that it may have seen and still say something
	declassified  broker.Labels // labels that its output does not carry any more
	moves         bool          // it takes documents as parcels
	reads         view.View     // of those in its input, what it may read
	known         *parcel.Memo  // what is known of its outputs
}

func shapeOf(m *manifest.Plugin) (s shape, err error) {
	s.known = new(parcel.Memo)
	if m.LogGrant != nil {
		s.logClear = broker.NewLabels(m.LogGrant.Clear...)
	}
	s.clear, s.declassified = broker.NewLabels(m.Clear...), broker.NewLabels(m.Declassify...)
	if s.input, err = viewOf(m.Input); err != nil {
		return s, fmt.Errorf("input: %w", err)
	}
	if s.output, err = viewOf(m.Output); err != nil {
		return s, fmt.Errorf("output: %w", err)
	}
	if g := m.ParcelGrant; g != nil {
		s.moves = true
		if s.reads, err = shown(g.View); err != nil {
			return s, fmt.Errorf("grants.parcel: view: %w", err)
		}
		if !s.input.All() {
			return s, errors.New("input: with grants.parcel, its view says what the plugin may read of its input; leave input out")
		}
	}
	return s, nil
}

// opensOf are the domains whose pointers a plugin may open.
func opensOf(m *manifest.Plugin) []string {
	var domains []string
	for _, g := range m.PointerGrants {
		if g.Open != "" {
			domains = append(domains, g.Open)
		}
	}
	return domains
}

// viewOf is everything where a manifest that may say nothing does.
func viewOf(p manifest.Paths) (view.View, error) {
	if p.All || !p.Written() {
		return view.All(), nil
	}
	return view.Parse(p.List)
}

// narrow is what of an input reaches the sandbox.
func (s shape) narrow(input pipeline.Input) (pipeline.Input, error) {
	if s.input.All() {
		return input, nil
	}
	text, _, err := s.input.Append(nil, input.Text)
	if err != nil { // the pipeline makes inputs of documents that it has checked
		return pipeline.Input{}, &broker.Error{Kind: broker.Internal, Err: fmt.Errorf("input: %w", err)}
	}
	input.Text = text
	return input, nil
}

// letOut is what of the output of call leaves its sandbox, with the parcels that stand in it. It
// carries their labels and those of all that the sandbox was handed, but for those that an admin
// says the plugin takes out; with a label that it is not cleared for, nothing leaves.
func (r runner) letOut(ctx context.Context, call broker.Call, s shape, text []byte, parcels *parcel.Table) (*parcel.Parcel, error) {
	text, _, err := view.All().Append(nil, text) // what the sandbox gave is the sandbox's
	if err != nil {
		return nil, badOutput(call, err)
	}
	out, err := parcels.Output(text, call.Seen.Labels(), s.known)
	if err != nil {
		return nil, badOutput(call, err)
	}
	facts := out.Facts()
	seen := call.Seen.Labels().Union(facts.Labels.Of(s.output))
	carried := seen.Minus(s.declassified)
	if missing := carried.Minus(s.clear); !missing.Empty() {
		does := "has seen"
		if !missing.Minus(call.Seen.Labels()).Empty() {
			does = "hands on"
		}
		return nil, r.release.refuse(ctx, lacking(use(call, "answer", "output"), missing), fmt.Sprintf(
			"plugin %s %s data labelled %v, which its output is not cleared for; clear would list the labels", call.Plugin, does, missing))
	}
	if gone := seen.Minus(carried); !gone.Empty() { // somebody answers for that it is gone
		u := use(call, "answer", "declassify")
		u.Resource, u.Decision = gone.String(), audit.Allowed
		if err := r.release.record.Use(ctx, u); err != nil {
			return nil, &broker.Error{Kind: broker.Unavailable, Err: fmt.Errorf("record what was declassified: %w", err)}
		}
		facts.Labels = facts.Labels.Minus(s.declassified)
	}
	if s.output.All() {
		return parcel.With(out, facts), nil
	}
	return parcel.Made(facts, func() (parcel.Value, error) {
		whole, err := out.Wait(context.Background()) // it is there
		if err != nil {
			return parcel.Value{}, err
		}
		shown, _, err := s.output.Append(nil, whole.Append(nil))
		if err != nil {
			return parcel.Value{}, badOutput(call, err)
		}
		return parcel.Parse(shown)
	}, out), nil
}

func badOutput(call broker.Call, err error) error {
	return &broker.Error{Kind: broker.Upstream, Err: fmt.Errorf("plugin %s: output: %w", call.Plugin, err)}
}

// use is the record of what call does to its own data.
func use(call broker.Call, capability, op string) audit.Use {
	return audit.Use{
		Request: call.Request, Principal: call.Principal.ID, Release: call.Release, Route: call.Route,
		Step: call.Step, Plugin: call.Plugin, Function: call.Function, Capability: capability, Op: op,
	}
}

// lacking is u with the labels that a clearance lacks.
func lacking(u audit.Use, missing broker.Labels) audit.Use {
	u.Labels = missing.String()
	return u
}

// refuse records why data does not go on, and returns that as an error. What is told to
// whoever asked is that a grant is missing, never the labels.
func (r *Release) refuse(ctx context.Context, u audit.Use, reason string) error {
	u.Decision, u.Reason = audit.Denied, reason
	if err := r.record.Use(ctx, u); err != nil {
		return &broker.Error{Kind: broker.Unavailable, Err: fmt.Errorf("record the refusal: %w", err)}
	}
	return &broker.Error{Kind: broker.Denied, Err: fmt.Errorf("%s", reason)}
}
