package reach_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pointsman/host/reach"
)

func suggest(t *testing.T, refusals ...reach.Refusal) *reach.Advice {
	t.Helper()
	for i := range refusals {
		refusals[i].Count++
	}
	advice, err := reach.Suggest(shop(t), modules(), refusals)
	if err != nil {
		t.Fatal(err)
	}
	return advice
}

// TestSuggestKeepsSilent: where no grant is the answer, or none as narrow as what was asked can
// be told from the record, none is made up.
func TestSuggestKeepsSilent(t *testing.T) {
	tests := []struct {
		name string
		r    reach.Refusal
		want string
	}{
		{"a back end that nobody names", reach.Refusal{Plugin: "contact", Capability: "http", Op: "request"}, "neither its grant nor its author"},
		{"a path that its author does not name", reach.Refusal{Plugin: "contact", Capability: "http", Op: "request", Resource: "crm GET {3 segments}"}, "no wider"},
		{"a method that never is", reach.Refusal{Plugin: "contact", Capability: "http", Op: "request", Resource: "crm ? /x"}, "no wider"},
		{"a word for a back end that there is not", reach.Refusal{Plugin: "contact", Capability: "http", Op: "request", Resource: "mail? POST /send"}, "as: mail"},
		{"what is granted", reach.Refusal{Plugin: "contact", Capability: "http", Op: "request", Resource: "crm GET /contacts/{id}", Reason: "address denied"}, "address denied"},
		{"a back end that is no longer granted", reach.Refusal{Plugin: "merge", Capability: "http", Op: "request", Resource: "crm GET /contacts/{id}"}, "no longer granted"},
		{"a plugin that is gone", reach.Refusal{Plugin: "gone", Capability: "http", Op: "request", Resource: "crm GET /x"}, "no such plugin"},
		{"a route that is gone", reach.Refusal{Route: "gone", Capability: "answer", Op: "route", Labels: []string{"pii.contact"}}, "no such route"},
		{"a budget that was spent", reach.Refusal{Plugin: "mask", Capability: "log", Op: "write", Reason: "used up its budget"}, "used up its budget"},
		{"a power that it knows nothing of", reach.Refusal{Plugin: "contact", Capability: "teleport", Op: "read", Reason: "another sector"}, "another sector"},
		{"a database that nobody names", reach.Refusal{Plugin: "tiers", Capability: "sql", Op: "query"}, "neither its grant nor its author"},
		{"a statement that nobody names", reach.Refusal{Plugin: "tiers", Capability: "sql", Op: "query", Resource: "store"}, "neither the admin nor its author"},
		{"a statement that there is not", reach.Refusal{Plugin: "tiers", Capability: "sql", Op: "query", Resource: "store by-mail"}, `no statement "by-mail"`},
		{"a statement that is granted", reach.Refusal{Plugin: "tiers", Capability: "sql", Op: "query", Resource: "store count", Reason: "too long"}, "too long"},
		{"a database that is no longer granted", reach.Refusal{Plugin: "contact", Capability: "sql", Op: "query", Resource: "store count"}, "no longer granted"},
		{"a word for a database that there is not", reach.Refusal{Plugin: "contact", Capability: "sql", Op: "query", Resource: "shop? count"}, "as: shop"},
		{"a back end that is no database", reach.Refusal{Plugin: "contact", Capability: "sql", Op: "query", Resource: "crm? count"}, "as: crm"},
		{"a function that nobody names", reach.Refusal{Plugin: "asker", Capability: "call", Op: "function"}, "neither its grant nor its author"},
		{"a function of a plugin that there is not", reach.Refusal{Plugin: "asker", Capability: "call", Op: "function", Resource: "gone.find"}, `no plugin "gone"`},
		{"a function of a plugin that does not let it", reach.Refusal{Plugin: "asker", Capability: "call", Op: "function", Resource: "tiers.get"}, "callableBy: [asker]"},
		{"a function that is granted", reach.Refusal{Plugin: "asker", Capability: "call", Op: "function", Resource: "callee.find", Reason: "too deep"}, "too deep"},
		{"a domain that nobody names", reach.Refusal{Plugin: "contact", Capability: "pointer", Op: "open", Reason: "another domain"}, "neither the admin nor its author"},
		{"a domain that there is not", reach.Refusal{Plugin: "contact", Capability: "pointer", Op: "open", Resource: "order"}, `no domain "order"`},
		{"a domain that is granted", reach.Refusal{Plugin: "contact", Capability: "pointer", Op: "open", Resource: "customer", Reason: "another sector"}, "another sector"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := suggest(t, tt.r)
			if len(a.Suggestions) != 0 || len(a.Silent) != 1 || !strings.Contains(a.Silent[0], tt.want) {
				t.Errorf("suggests %+v, keeps silent about %q, want only silence that says %q", a.Suggestions, a.Silent, tt.want)
			}
		})
	}
}

func TestSuggest(t *testing.T) {
	a := suggest(t,
		reach.Refusal{Plugin: "contact", Capability: "http", Op: "request", Resource: "crm DELETE /contacts/{id} query force header X-Why", Count: 2},
		reach.Refusal{Plugin: "contact", Capability: "http", Op: "request", Resource: "mailer? POST /send"},
		reach.Refusal{Plugin: "mask", Capability: "http", Op: "request", Resource: "mailer POST /send", Labels: []string{"pii.contact"}},
		reach.Refusal{Plugin: "mask", Capability: "log", Op: "write", Resource: "log", Labels: []string{"pii.contact"}},
		reach.Refusal{Plugin: "asker", Capability: "answer", Op: "output", Labels: []string{"pii.identity"}},
		reach.Refusal{Route: "masked", Plugin: "mask", Capability: "answer", Op: "route", Labels: []string{"pii.contact"}},
	)
	want := map[string]string{
		"plugin contact": "kind: Plugin\nmetadata: {name: contact}\nspec:\n  grants:\n    http:\n" +
			"      - backend: crm\n        allow: [\"DELETE /contacts/{id}\"]\n        query: [\"force\"]\n        headers: [\"X-Why\"]\n" +
			"      - backend: mailer\n        allow: [\"POST /send\"]\n",
		"plugin mask": "kind: Plugin\nmetadata: {name: mask}\nspec:\n  grants:\n    http:\n" +
			"      - backend: mailer\n        clear: [\"pii.contact\"]\n    log: {clear: [\"pii.contact\"]}\n",
		"plugin asker": "kind: Plugin\nmetadata: {name: asker}\nspec:\n  clear: [\"pii.identity\"]\n",
		"route masked": "kind: Route\nmetadata: {name: masked}\nspec:\n  clear: [\"pii.contact\"]\n",
	}
	opens := map[string][]string{
		"plugin contact": {"plugin contact can use http crm DELETE /contacts/{id}", "plugin contact can use http mailer POST /send", "plugin contact can have secret mail-key used", "plugin contact can send crm.id to backend mailer"},
		"plugin mask":    {"plugin mask can send crm.email [pii.contact] to backend mailer", "plugin mask can send crm.email [pii.contact] to log"},
		"plugin asker":   nil,
		"route masked":   nil,
	}
	if len(a.Silent) > 0 || len(a.Suggestions) != len(want) {
		t.Errorf("%d suggestions, want %d; silent about %q", len(a.Suggestions), len(want), a.Silent)
	}
	for _, s := range a.Suggestions {
		if diff := cmp.Diff(want[s.Document.String()], s.YAML); diff != "" {
			t.Errorf("%s: %s", s.Document, diff)
		}
		for _, line := range opens[s.Document.String()] {
			if !slices.Contains(s.Opens, line) {
				t.Errorf("%s: it does not say that %q; it says %q", s.Document, line, s.Opens)
			}
		}
		if len(s.Refused) == 0 {
			t.Errorf("%s: it does not say what was refused", s.Document)
		}
	}
	if before, after := shop(t), suggest(t); len(after.Suggestions) != 0 || len(before.Plugins) == 0 {
		t.Errorf("without refusals it suggests %+v", after.Suggestions)
	}
}

// TestSuggestPowers: statements, functions and domains, beside what lacks a clearance.
func TestSuggestPowers(t *testing.T) {
	imported := modules()
	imported["contact"] = imports("http", "sql", "pointer")
	a, err := reach.Suggest(shop(t), imported, []reach.Refusal{
		{Plugin: "contact", Capability: "sql", Op: "query", Resource: "store? count"},
		{Plugin: "contact", Capability: "sql", Op: "query", Resource: "store? by-number"},
		{Plugin: "contact", Capability: "pointer", Op: "mint", Resource: "customer"},
		{Plugin: "contact", Capability: "pointer", Op: "mint", Resource: "customer"},
		{Plugin: "asker", Capability: "call", Op: "function", Resource: "callee.all"},
		{Plugin: "asker", Capability: "call", Op: "function", Resource: "callee.find", Labels: []string{"pii.contact"}},
		{Plugin: "tiers", Capability: "sql", Op: "query", Resource: "store count", Labels: []string{"pii.contact"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"plugin asker": "kind: Plugin\nmetadata: {name: asker}\nspec:\n  grants:\n    call:\n" +
			"      - function: callee.all\n      - function: callee.find\n        clear: [\"pii.contact\"]\n",
		"plugin contact": "kind: Plugin\nmetadata: {name: contact}\nspec:\n  grants:\n" +
			"    pointer:\n      - mint: customer\n    sql:\n      - backend: store\n        statements: [\"by-number\", \"count\"]\n",
		"plugin tiers": "kind: Plugin\nmetadata: {name: tiers}\nspec:\n  grants:\n    sql:\n      - backend: store\n        clear: [\"pii.contact\"]\n",
	}
	opens := map[string]string{
		"plugin asker":   "plugin asker can use call callee.all",
		"plugin contact": "plugin contact can use sql store by-number",
	}
	got := map[string]string{}
	for _, s := range a.Suggestions {
		got[s.Document.String()] = s.YAML
		if line := opens[s.Document.String()]; line != "" && !slices.Contains(s.Opens, line) {
			t.Errorf("%s: it does not say that %q; it says %q", s.Document, line, s.Opens)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" || len(a.Silent) > 0 {
		t.Errorf("%s\nsilent about %q", diff, a.Silent)
	}
}
