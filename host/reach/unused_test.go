package reach_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pointsman/host/grant"
	"pointsman/host/manifest"
	"pointsman/host/reach"
)

// digest is that of the grant that a deployment of the plugin is recorded with.
func digest(t *testing.T, set *manifest.Set, plugin string) string {
	t.Helper()
	for _, p := range set.Plugins {
		if p.Name == plugin {
			wants := grant.Wants{Declared: true, Log: true, KV: true, Parcel: true, Pointer: []grant.Pointer{{Open: "customer"}},
				HTTP: []grant.HTTP{{Backend: "crm", Allow: []string{"GET /contacts/{id}"}}, {Backend: "mailer", Allow: []string{"POST /send"}}},
				SQL:  []grant.SQL{{Backend: "store", Statements: []string{"by-number", "count"}}}, Call: []string{"callee.find"}}
			g, err := grant.Approve(grant.Ask{Plugin: plugin, Wants: wants, Grants: p.Grants, Imports: imports(), Offered: []string{"http", "sql", "call", "log", "kv", "parcel", "pointer"}})
			if err != nil {
				t.Fatal(err)
			}
			return g.Digest()
		}
	}
	t.Fatalf("there is no plugin %s", plugin)
	return ""
}

// TestUnused: what was granted and not used since, and nothing of what the log cannot tell.
func TestUnused(t *testing.T) {
	set := shop(t)
	first := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var h reach.History
	h.Use(reach.Use{Plugin: "contact", Capability: "pointer", Op: "open", Resource: "customer"}) // of nobody knows which grant
	for i, plugin := range []string{"contact", "tiers", "asker", "blind", "mask"} {
		h.Approve(first.AddDate(0, 0, i), plugin, digest(t, set, plugin))
	}
	h.Approve(first, "callee", "another grant")
	h.Use(reach.Use{Plugin: "contact", Capability: "http", Op: "request", Resource: "crm GET /contacts/{id}"})
	h.Use(reach.Use{Plugin: "contact", Capability: "pointer", Op: "mint", Resource: "customer"})
	h.Use(reach.Use{Plugin: "tiers", Capability: "sql", Op: "query", Resource: "store by-number"})
	h.Use(reach.Use{Plugin: "blind", Capability: "http", Op: "url", Resource: "crm GET /contacts/{id}"})
	h.Use(reach.Use{Plugin: "mask", Capability: "http", Op: "request", Resource: "mailer POST /send"})
	h.Approve(first.AddDate(0, 1, 0), "tiers", digest(t, set, "tiers")) // a restart
	h.Approve(first.AddDate(0, 1, 0), "mask", "another grant")
	h.Approve(first.AddDate(0, 2, 0), "mask", digest(t, set, "mask")) // what was used before was used under other grants

	unused, untold := h.Unused(set)
	want := []reach.Unused{
		{Plugin: "asker", Since: first.AddDate(0, 0, 2), Idle: true, Grants: []string{"call callee.find"}},
		{Plugin: "contact", Since: first, Grants: []string{"pointer open customer"}},
		{Plugin: "mask", Since: first.AddDate(0, 2, 0), Idle: true, Grants: []string{"http mailer POST /send"}},
		{Plugin: "tiers", Since: first.AddDate(0, 0, 1), Grants: []string{"http mailer POST /send", "sql store count"}},
	}
	if diff := cmp.Diff(want, unused); diff != "" {
		t.Error(diff)
	}
	if len(untold) != 1 || !strings.Contains(untold[0], "plugin callee: its grants are not those that it was approved for on 2026-03-01") {
		t.Errorf("untold are %q, want callee alone", untold)
	}
	if unused, untold := new(reach.History).Unused(set); len(unused) != 0 || len(untold) != 6 {
		t.Errorf("an empty log tells %v, and keeps silent about %q, want it about all six that are granted something", unused, untold)
	}
}
