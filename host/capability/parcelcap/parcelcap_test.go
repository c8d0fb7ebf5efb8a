package parcelcap_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"pointsman/host/broker"
	"pointsman/host/capability"
	"pointsman/host/capability/parcelcap"
	"pointsman/host/parcel"
	"pointsman/host/view"
	"pointsman/pdk/wire"
)

func bind(t testing.TB) map[string]capability.Op {
	t.Helper()
	ops, err := new(parcelcap.Parcel).Bind(capability.Scope{Plugin: "p", Grant: json.RawMessage(`{}`)})
	if err != nil || len(ops) != len(new(parcelcap.Parcel).Ops()) {
		t.Fatalf("%d operations, %v", len(ops), err)
	}
	return ops
}

func TestBindRefuses(t *testing.T) {
	for _, grant := range []string{"x", "[]", "1", `"all"`, `{"unknown":1}`, `{"view":"some"}`, `{"view":["a..b"]}`, `{}{}`} {
		if ops, err := new(parcelcap.Parcel).Bind(capability.Scope{Plugin: "p", Grant: json.RawMessage(grant)}); err == nil {
			t.Errorf("grant %s lends %d operations", grant, len(ops))
		}
	}
	for _, grant := range []string{"", "null"} {
		if ops, err := new(parcelcap.Parcel).Bind(capability.Scope{Plugin: "p", Grant: json.RawMessage(grant)}); err != nil || len(ops) != 0 {
			t.Errorf("grant %q lends %d operations, %v", grant, len(ops), err)
		}
	}
}

func frame(t testing.TB, head any, body string) []byte {
	t.Helper()
	text, err := wire.Frame(head, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestRefusals: what is refused before anything is looked up, repeating nothing that a guest
// could have put there but names of its own template.
func TestRefusals(t *testing.T) {
	ops := bind(t)
	for name, request := range map[string][]byte{
		"select":  []byte(`{"parcel":1,"path":"a..b"}`),
		"select ": []byte(`{"parcel":-1,"path":"a"}`),
		"build":   frame(t, map[string]any{"of": map[string]int{"": 1}}, `{"$get":"canary","as":"nothing"}`),
		"build ":  frame(t, map[string]any{"of": map[string]int{"other": 1}}, `{"$get":"a"}`),
		"build  ": []byte{1, 0},
		"merge":   frame(t, map[string]any{"parts": []int{1}}, `{"fields":[]}`),
		"edit":    frame(t, map[string]any{"parcel": 1}, `{"remove":["a","a.b"]}`),
		"read":    []byte(`{"parcel":1,"parcel":2}`),
		"has":     []byte(`{"parcel":1,"path":"[x]"}`),
		"size":    []byte(`{"parcels":1}`),
		"status":  []byte(`null x`),
	} {
		_, err := ops[strings.TrimSpace(name)](request)
		if kind := broker.KindOf(err); err == nil || kind != broker.Invalid {
			t.Errorf("%s %s: %v, want Invalid", name, request, err)
		}
	}
}

// inside is the context of a call with one labelled document, of which the name may be read.
func inside(t testing.TB) (ctx context.Context, seen *broker.Seen, n parcel.Handle) {
	t.Helper()
	table, seen := parcel.NewTable(), new(broker.Seen)
	ctx = parcel.WithTable(broker.WithCall(t.Context(), broker.Call{Seen: seen}), table)
	v, err := parcel.Parse([]byte(`{"name":"Ann","email":"canary","tier":null}`))
	if err != nil {
		t.Fatal(err)
	}
	labels, err := view.ParseLabels(map[string][]string{"pii.contact": {"email"}, "pii.identity": {"name"}})
	if err != nil {
		t.Fatal(err)
	}
	shown, err := view.Parse([]string{"name"})
	if err != nil {
		t.Fatal(err)
	}
	if n, err = table.Put(parcel.Of(v, parcel.Facts{Labels: labels, Shown: shown})); err != nil {
		t.Fatal(err)
	}
	return ctx, seen, n
}

func do(t testing.TB, ctx context.Context, op capability.Op, request []byte) (string, error) {
	t.Helper()
	planned, err := op(request)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := planned.Do(ctx)
	return string(payload), err
}

// TestTelling: what is told of a document, and which labels the call has seen then.
func TestTelling(t *testing.T) {
	ops := bind(t)
	number := func(n parcel.Handle) []byte { return append(n.Append([]byte(`{"parcel":`)), '}') }
	path := func(n parcel.Handle, path string) []byte {
		return append(n.Append([]byte(`{"path":"`+path+`","parcel":`)), '}')
	}
	tests := []struct {
		name, op string
		request  func(parcel.Handle) []byte
		want     string
		seen     string
	}{
		{"reads what the view shows", "read", number, `{"name":"Ann"}`, "pii.identity"},
		{"a size", "size", number, `{"size":43}`, "pii.contact, pii.identity"},
		{"a word", "status", number, `{}`, "pii.contact, pii.identity"},
		{"that a field is there", "has", func(n parcel.Handle) []byte { return path(n, "email") }, `{"has":true}`, "pii.contact"},
		{"that a field is not", "has", func(n parcel.Handle) []byte { return path(n, "tier") }, `{"has":false}`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, seen, n := inside(t)
			got, err := do(t, ctx, ops[tt.op], tt.request(n))
			if err != nil || got != tt.want || seen.Labels().String() != tt.seen {
				t.Errorf("got %s, %v, having seen %q, want %s and %q", got, err, seen.Labels(), tt.want, tt.seen)
			}
		})
	}
	t.Run("moves without seeing", func(t *testing.T) {
		ctx, seen, n := inside(t)
		made, err := do(t, ctx, ops["select"], path(n, "email"))
		if err != nil || !seen.Labels().Empty() {
			t.Fatalf("%s, %v, having seen %q", made, err, seen.Labels())
		}
		if _, err := do(t, ctx, ops["read"], []byte(made)); broker.KindOf(err) != broker.Denied || !seen.Labels().Empty() {
			t.Errorf("reading what the view does not show: %v, having seen %q", err, seen.Labels())
		}
	})
	t.Run("numbers of nothing", func(t *testing.T) {
		ctx, _, n := inside(t)
		for _, wrong := range []parcel.Handle{0, 1, n + 1, n - 1} {
			if _, err := do(t, ctx, ops["read"], number(wrong)); broker.KindOf(err) != broker.Denied {
				t.Errorf("number %d: %v", wrong, err)
			}
		}
		if _, err := do(t, t.Context(), ops["read"], number(n)); broker.KindOf(err) != broker.Denied {
			t.Errorf("a call without parcels: %v", err)
		}
		parcel.TableFrom(ctx).Close()
		for _, op := range []string{"read", "size", "status"} {
			if _, err := do(t, ctx, ops[op], number(n)); broker.KindOf(err) != broker.Denied {
				t.Errorf("%s after the call: %v", op, err)
			}
		}
	})
	t.Run("a failure tells of everything", func(t *testing.T) {
		ctx, seen, n := inside(t)
		head := append(n.Append([]byte(`{"of":{"":`)), '}', '}')
		made, err := do(t, ctx, ops["build"], frame(t, json.RawMessage(head), `{"name":{"$need":{"$get":"email.x"},"why":"no x"}}`))
		if err != nil {
			t.Fatal(err)
		}
		if _, err = do(t, ctx, ops["status"], []byte(made)); broker.KindOf(err) != broker.NotFound || seen.Labels().String() != "pii.contact" {
			t.Errorf("got %v, having seen %q", err, seen.Labels())
		}
	})
}
