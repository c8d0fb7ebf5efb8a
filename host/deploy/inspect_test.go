package deploy_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pointsman/host/deploy"
	"pointsman/host/sandbox"
)

var lendable = []sandbox.Import{{Capability: "http", Op: "request", Do: func(context.Context, []byte) []byte { return nil }}}

func TestInspectRefuses(t *testing.T) {
	for name, module := range map[string][]byte{"nothing": nil, "text": []byte("hello"), "cut off": fixture(t, "echo")[:40]} {
		if got, err := deploy.Inspect(module, lendable); err == nil {
			t.Errorf("%s: got %+v, want an error", name, got)
		}
	}
	tests := []struct {
		name   string
		module []byte
		want   []string // the beginnings of Refused
	}{
		{"nobody offers its imports", fixture(t, "refused_unknown"),
			[]string{"import env.system is not offered", "import pointsman:extism.alloc is not offered", "import extism:host/env.free has another signature", "import main_1.f is not offered"}},
		{"it declares what it does not export", withAbout(t, "{echo: {}, zeal: {}, answer: {}}", ""),
			[]string{`plugin.yaml declares the function "answer"`, `plugin.yaml declares the function "zeal"`}},
		{"its plugin.yaml is not one", withAbout(t, "7", ""), []string{"its plugin.yaml is not valid"}},
		{"nothing to call", []byte("\x00asm\x01\x00\x00\x00"), []string{"it exports no function"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := deploy.Inspect(tt.module, lendable)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.EqualFunc(got.Refused, tt.want, strings.HasPrefix) {
				t.Errorf("refused for %q, want %q", got.Refused, tt.want)
			}
		})
	}
}

func TestInspectSaysWhetherInstancesAreRestored(t *testing.T) {
	for name, want := range map[string]string{"residue": "", "counter": "table.set"} {
		got, err := deploy.Inspect(fixture(t, name), lendable)
		if err != nil {
			t.Fatal(err)
		}
		if got.Restorable != (want == "") || got.Lasting != want {
			t.Errorf("%s: got %t, %q, want %q", name, got.Restorable, got.Lasting, want)
		}
	}
}

func TestInspect(t *testing.T) {
	got, err := deploy.Inspect(fixture(t, "http_own"), lendable)
	if err != nil {
		t.Fatal(err)
	}
	want := []deploy.InspectionImport{
		{Module: "pointsman:http", Name: "request", Offer: "needs grants.http"},
		{Module: "pointsman:rt", Name: "reply_read", Offer: deploy.AlwaysOffered},
		{Module: "extism:host/env", Name: "alloc", Offer: deploy.AlwaysOffered},
		{Module: "extism:host/env", Name: "store_u8", Offer: deploy.AlwaysOffered},
		{Module: "extism:host/env", Name: "output_set", Offer: deploy.AlwaysOffered},
	}
	if diff := cmp.Diff(want, got.Imports); diff != "" || len(got.Refused) != 0 || got.Declared || got.MemoryKiB != 64 {
		t.Errorf("%+v (-want +got):\n%s", got, diff)
	}
	declared, err := deploy.Inspect(withAbout(t, "{echo: {summary: says it again}}",
		`wants: {http: [{backend: crm, allow: ["GET /a", "GET /b"], reason: to look}], sql: [{backend: store, statements: [b, a], reason: to read}], kv: {reason: to keep},`+"\n  "+`call: [{function: merge.compose, reason: to merge}], pointer: [{open: customer, reason: to ask}, {mint: customer, reason: to hide}], log: {reason: to tell}}`), lendable)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]deploy.InspectionExport{{Name: "echo", Summary: "says it again"}}, declared.Exports); diff != "" {
		t.Error(diff)
	}
	wants := []deploy.InspectionWant{{What: "http to crm: GET /a, GET /b", Reason: "to look"}, {What: "sql of store: a, b", Reason: "to read"}, {What: "kv", Reason: "to keep"},
		{What: "call of merge.compose", Reason: "to merge"}, {What: "pointer: mint those of customer", Reason: "to hide"}, {What: "pointer: open those of customer", Reason: "to ask"}, {What: "log", Reason: "to tell"}}
	if diff := cmp.Diff(wants, declared.Wants); diff != "" {
		t.Error(diff)
	}
	if !declared.Declared || declared.Name != "echo" || declared.Version != "1.0.0" || len(declared.Refused) != 0 {
		t.Errorf("got %+v", declared)
	}
}

// TestInspectionListsAreLists: a program that reads the report finds lists, also empty ones.
func TestInspectionListsAreLists(t *testing.T) {
	got, err := deploy.Inspect([]byte("\x00asm\x01\x00\x00\x00"), nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(got)
	if err != nil || !strings.Contains(string(text), `"exports":[],"imports":[]`) {
		t.Errorf("%s, %v", text, err)
	}
}
