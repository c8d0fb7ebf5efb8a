package audit_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pointsman/host/audit"
)

// TestUses: what is read back is what was recorded, and nothing behind a line that somebody
// changed.
func TestUses(t *testing.T) {
	dir := t.TempDir()
	l, err := audit.Open(dir, audit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	first := audit.Use{
		Request: "01", Principal: "till", Release: 3, Route: "r", Step: "s", Plugin: "p", Function: "f", Capability: "http", Op: "request",
		Resource: "crm GET /x/{id}", Decision: audit.Denied, Reason: `a "reason" of ours`, Labels: "pii.contact, pii.identity",
	}
	second := audit.Use{Plugin: "q", Capability: "kv", Op: "get", Decision: audit.Allowed}
	ctx := context.Background()
	for _, record := range []func() error{
		func() error { return l.Use(ctx, first) },
		func() error {
			return l.Control(ctx, audit.Control{Actor: "a", Action: "b", Detail: map[string]string{"plugin": "x"}})
		},
		func() error { return l.Use(ctx, second) },
		l.Close,
	} {
		if err := record(); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, audit.FileName))
	if err != nil {
		t.Fatal(err)
	}
	read := func(text []byte) ([]audit.Use, audit.Report) {
		var got []audit.Use
		rep, err := audit.Uses(bytes.NewReader(text), func(at time.Time, u audit.Use) {
			if at.IsZero() {
				t.Error("a use without its time")
			}
			got = append(got, u)
		})
		if err != nil {
			t.Fatal(err)
		}
		return got, rep
	}
	var acts []audit.Control
	if _, err := audit.Records(bytes.NewReader(text), func(time.Time, audit.Use) {}, func(_ time.Time, c audit.Control) { acts = append(acts, c) }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]audit.Control{{Actor: "a", Action: "b", Detail: map[string]string{"plugin": "x"}}}, acts); diff != "" {
		t.Error(diff)
	}
	got, rep := read(text)
	if diff := cmp.Diff([]audit.Use{first, second}, got); diff != "" || rep.Bad != nil {
		t.Error(diff, rep.Bad)
	}
	if got, rep := read(text[:len(text)-5]); len(got) != 1 || rep.Torn == 0 {
		t.Errorf("of a log that is being written: %v, %+v", got, rep)
	}
	forged := bytes.Replace(text, []byte(`"till"`), []byte(`"tell"`), 1)
	if got, rep := read(forged); len(got) != 0 || rep.Bad == nil {
		t.Errorf("behind a changed line: %v, %+v", got, rep)
	}
}
