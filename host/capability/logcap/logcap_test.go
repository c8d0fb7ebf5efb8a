package logcap_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"pointsman/host/broker"
	"pointsman/host/capability"
	"pointsman/host/capability/capabilitytest"
	"pointsman/host/capability/logcap"
	"pointsman/pdk/wire"
)

type sink struct {
	mu      sync.Mutex
	records []logcap.Record // guarded by mu
}

func (s *sink) PluginLog(_ context.Context, r logcap.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = append(s.records, r)
}

func (s *sink) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.records)
}

func TestCapability(t *testing.T) {
	s := new(sink)
	capabilitytest.Run(t, &logcap.Log{Sink: s}, capabilitytest.Case{
		Name: "write", Grant: "{}", Op: "write", Effects: s.count, Canaries: []string{"canary-1", "canary-2"},
		Request: []byte(`{"level":"info","message":"canary-1","fields":[{"name":"n","value":"canary-2"}]}`),
	})
}

func TestWriteRefuses(t *testing.T) {
	op := bind(t, new(sink))
	field := `{"name":"a","value":"b"},`
	tests := []struct{ name, request string }{
		{"no level", `{"message":"m"}`},
		{"unknown level", `{"level":"fatal","message":"m"}`},
		{"level in capitals", `{"level":"INFO","message":"m"}`},
		{"unknown name", `{"level":"info","message":"m","plugin":"other"}`},
		{"name in capitals", `{"level":"info","Message":"m"}`},
		{"name twice", `{"level":"info","level":"warn","message":"m"}`},
		{"too many fields", `{"level":"info","message":"m","fields":[` + strings.TrimSuffix(strings.Repeat(field, 9), ",") + `]}`},
		{"field without a name", `{"level":"info","message":"m","fields":[{"name":"","value":"b"}]}`},
		{"field name with a line end", `{"level":"info","message":"m","fields":[{"name":"a\n","value":"b"}]}`},
		{"long field name", `{"level":"info","message":"m","fields":[{"name":"` + strings.Repeat("a", 65) + `","value":"b"}]}`},
		{"lone surrogate", `{"level":"info","message":"\ud800"}`},
		{"trailing data", `{"level":"info","message":"m"} {}`},
		{"too large", `{"level":"info","message":"` + strings.Repeat("a", 65<<10) + `"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := op([]byte(tt.request)); err == nil {
				t.Error("planned, want a refusal")
			}
		})
	}
}

func TestWrite(t *testing.T) {
	tests := []struct{ name, message, want string }{
		{"plain", "contact found", "contact found"},
		{"line end", "a\nlevel=error msg=forged", `a\u000alevel=error msg=forged`},
		{"colours", "\x1b[31mred\x1b[0m", `\u001b[31mred\u001b[0m`},
		{"C1 control", "a\u009b31m", `a\u009b31m`},
		{"right to left", "a\u202eb", `a\u202eb`},
		{"zero width", "a\u200bb", `a\u200bb`},
		{"tag", "a\U000e0041b", `a\U000e0041b`},
		{"letters of the world", "Müller 東京 🚉", "Müller 東京 🚉"},
		{"exact", strings.Repeat("a", 1024), strings.Repeat("a", 1024)},
		{"cut", strings.Repeat("a", 1025), strings.Repeat("a", 1021) + "…"},
		{"cut between runes", strings.Repeat("ü", 600), strings.Repeat("ü", 510) + "…"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := new(sink)
			write(t, bind(t, s), call("r1"), wire.LogRecord{Level: "warn", Message: tt.message, Fields: []wire.Field{{Name: "k", Value: strings.Repeat("v", 300)}}})
			want := []logcap.Record{{Plugin: "crm", Call: broker.Call{Request: "r1", Step: "s"}, Level: "warn", Message: tt.want,
				Fields: []wire.Field{{Name: "k", Value: strings.Repeat("v", 253) + "…"}}}}
			if diff := cmp.Diff(want, s.records, cmp.Comparer(func(a, b broker.Call) bool { return a.Request == b.Request && a.Step == b.Step })); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestLinesPerCallAreCapped(t *testing.T) {
	s := new(sink)
	op := bind(t, s)
	for i := range 150 {
		write(t, op, call("r1"), wire.LogRecord{Level: "info", Message: fmt.Sprint(i)})
	}
	if n := s.count(); n != 101 {
		t.Errorf("%d records, want 100 and one notice", n)
	}
	if last := s.records[100]; last.Level != "warn" || !strings.Contains(last.Message, "dropped") {
		t.Errorf("the last is %+v, want the notice", last)
	}
	write(t, op, call("r2"), wire.LogRecord{Level: "info", Message: "another call"})
	if n := s.count(); n != 102 {
		t.Errorf("another call wrote %d records, want 1", n-101)
	}
	for i := range 5000 { // more calls than are counted at once
		write(t, op, call(fmt.Sprint("many", i)), wire.LogRecord{Level: "info", Message: "x"})
	}
	if n := s.count(); n != 5102 {
		t.Errorf("%d records, want every call's first", n)
	}
}

// FuzzWrite: what reaches the sink is printable and within its limits.
func FuzzWrite(f *testing.F) {
	f.Add([]byte(`{"level":"info","message":"m","fields":[{"name":"a","value":"b"}]}`))
	f.Add([]byte(`{"level":"info","message":"\u001b[0m\n` + strings.Repeat("ü", 600) + `"}`))
	f.Fuzz(func(t *testing.T, request []byte) {
		s := new(sink)
		planned, err := bind(t, s)(request)
		if err != nil {
			return
		}
		if _, err := planned.Do(call("r")); err != nil {
			t.Fatal(err)
		}
		r := s.records[0]
		texts := []string{r.Message}
		for _, field := range r.Fields {
			texts = append(texts, field.Name, field.Value)
		}
		for _, text := range texts {
			if len(text) > 1<<10 || !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("%q reached the sink", text)
			}
		}
		if len(r.Fields) > 8 {
			t.Errorf("%d fields reached the sink", len(r.Fields))
		}
	})
}

func bind(t testing.TB, s logcap.Sink) capability.Op {
	t.Helper()
	ops, err := (&logcap.Log{Sink: s}).Bind(capability.Scope{Plugin: "crm", Grant: json.RawMessage("{}")})
	if err != nil {
		t.Fatal(err)
	}
	return ops["write"]
}

func write(t testing.TB, op capability.Op, ctx context.Context, r wire.LogRecord) {
	t.Helper()
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	planned, err := op(text)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := planned.Do(ctx); err != nil {
		t.Fatal(err)
	}
}

func call(request string) context.Context {
	return broker.WithCall(context.Background(), broker.Call{Request: broker.RequestID(request), Step: "s"})
}
