package reach_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"pointsman/host/grant"
	"pointsman/host/manifest"
	"pointsman/host/reach"
)

// load reads manifests. Each edit replaces a text that must be there once or more.
func load(t testing.TB, text string, edits ...string) *manifest.Set {
	t.Helper()
	for i := 0; i < len(edits); i += 2 {
		if !strings.Contains(text, edits[i]) {
			t.Fatalf("the manifests do not hold %q", edits[i])
		}
		text = strings.ReplaceAll(text, edits[i], edits[i+1])
	}
	set, faults := manifest.Load(fstest.MapFS{"all.yaml": {Data: []byte(text)}})
	if faults.HasErrors() {
		t.Fatal(faults)
	}
	return set
}

func shop(t testing.TB, edits ...string) *manifest.Set {
	t.Helper()
	text, err := os.ReadFile("testdata/shop.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return load(t, string(text), edits...)
}

// imports are those of a module that uses capabilities and reads its input.
func imports(capabilities ...string) []grant.Import {
	list := []grant.Import{{Module: "pointsman:rt", Name: "input_read"}, {Module: "extism:host/env", Name: "alloc"}}
	for _, c := range capabilities {
		list = append(list, grant.Import{Module: "pointsman:" + c, Name: "x"})
	}
	return list
}

// modules are those of testdata/shop.yaml.
func modules() reach.Modules {
	return reach.Modules{
		"contact": imports("http"), "blind": imports("http", "parcel"), "merge": imports("parcel"), "tiers": imports("http", "sql"),
		"mask": imports("http", "log"), "asker": imports("call"), "callee": imports("http"),
	}
}

func graph(t testing.TB, set *manifest.Set, m reach.Modules) *reach.Graph {
	t.Helper()
	g, err := reach.New(set, m)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// who lists who can see what is asked for, each once.
func who(t testing.TB, g *reach.Graph, question string) []string {
	t.Helper()
	target, err := g.Target(question)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, s := range g.WhoCanSee(target) {
		out = append(out, s.Who.String())
	}
	return slices.Compact(out)
}

// TestNobodyElseSees: what keeps a field from somebody, one thing at a time.
func TestNobodyElseSees(t *testing.T) {
	tests := []struct {
		name, question string
		edits          []string
		modules        func(reach.Modules)
		never          string
	}{
		{"a consumer without scopes", "crm.tier", nil, nil, "consumer guest"},
		{"a consumer without the route's scope", "crm.tier", nil, nil, "consumer survey"},
		{"a label that the route is not cleared for", "pii.contact", []string{"  views: {profile.full: [email]}\n  clear: [pii.contact]", "  views: {profile.full: [email]}"}, nil, "consumer web-shop"},
		{"a label that no grant's view shows", "pii.identity", nil, nil, "plugin tiers"},
		{"a field that no grant's view shows", "crm.phones", nil, nil, "plugin contact"},
		{"a field beside the view's own", "crm.password", nil, nil, "plugin contact"},
		{"a column that the view leaves out", "store.email", nil, nil, "plugin tiers"},
		{"a plugin that is handed nothing of its input", "pii.contact", nil, nil, "plugin merge"},
		{"a plugin that does not read its input", "pii.contact", []string{"grants: {parcel: {}}", "grants: {parcel: {view: all}}"}, func(m reach.Modules) { m["merge"] = []grant.Import{{Module: "pointsman:parcel", Name: "merge"}} }, "plugin merge"},
		{"a plugin that is blind", "pii.contact", nil, nil, "plugin blind"},
		{"a plugin whose module has no http", "crm.email", nil, func(m reach.Modules) { m["contact"] = imports() }, "plugin contact"},
		{"a back end for which no label is cleared", "pii.contact", nil, nil, "backend mailer"},
		{"the log for which no label is cleared", "pii.contact", nil, nil, "log mask"},
		{"after it was declassified", "pii.contact", nil, nil, "consumer till"},
		{"a place of the answer that the view leaves out", "pii.contact", nil, nil, "consumer survey"},
		{"a caller that the callee does not name", "crm.email", []string{"  callableBy: [asker]", "  callableBy: [mask, asker]", "grants:\n    call: [{function: callee.find, view: [id, email]}]", "grants:\n    call: [{function: callee.find}]"}, nil, "plugin asker"},
		{"an opened pointer, by a plugin that may not open it", "pointer:customer", nil, nil, "plugin merge"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := modules()
			if tt.modules != nil {
				tt.modules(m)
			}
			if got := who(t, graph(t, shop(t, tt.edits...), m), tt.question); slices.Contains(got, tt.never) {
				t.Errorf("%s can be seen by %v, want not by %s", tt.question, got, tt.never)
			}
		})
	}
}

func TestWhoCanSee(t *testing.T) {
	tests := []struct {
		name, question string
		edits          []string
		modules        func(reach.Modules)
		want           []string
	}{
		{"a label", "pii.contact", nil, nil, []string{"consumer web-shop", "plugin asker", "plugin callee", "plugin contact", "plugin mask"}},
		{"a field", "crm.email", nil, nil, []string{"consumer till", "consumer web-shop", "plugin asker", "plugin callee", "plugin contact", "plugin mask", "backend mailer", "log mask"}[:6]},
		{"a field that moves unseen", "crm.password", nil, nil, []string{"consumer web-shop"}},
		{"a column", "store.by-number.tier", nil, nil, []string{"consumer till", "plugin tiers", "backend mailer"}},
		{"a column of every statement", "store.n", nil, nil, []string{"consumer till", "plugin tiers", "backend mailer"}},
		{"an opened pointer", "pointer:customer", nil, nil, []string{"plugin contact"}},
		{"a parameter", "param:profile.customer", nil, nil, []string{"plugin contact"}},
		{"whole answers", "crm.whatever.it.is", []string{"view: [id, tier, email]", "view: all"}, nil, []string{"consumer till", "consumer web-shop", "plugin contact", "plugin mask", "backend mailer", "log mask"}},
		{"a module that nobody looked at", "crm.email", nil, func(m reach.Modules) { delete(m, "blind") }, []string{"consumer till", "consumer web-shop", "plugin asker", "plugin callee", "plugin contact", "plugin mask"}},
		{"cleared for the log", "pii.contact", []string{"log: {}", "log: {clear: [pii.contact]}"}, nil, []string{"consumer web-shop", "plugin asker", "plugin callee", "plugin contact", "plugin mask", "log mask"}},
		{"cleared for another back end", "pii.contact", []string{`allow: ["POST /send"]}]
    log`, `allow: ["POST /send"], clear: [pii.contact]}]
    log`}, nil, []string{"consumer web-shop", "plugin asker", "plugin callee", "plugin contact", "plugin mask", "backend mailer"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := modules()
			if tt.modules != nil {
				tt.modules(m)
			}
			if diff := cmp.Diff(tt.want, who(t, graph(t, shop(t, tt.edits...), m), tt.question)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestWitness: the way is told from who sees to the field, with every plugin on it.
func TestWitness(t *testing.T) {
	g := graph(t, shop(t), modules())
	tests := []struct{ question, who, want string }{
		{"crm.email", "consumer web-shop", "consumer web-shop → route profile (GET /v1/customers/{customer}) → step merged → plugin merge (moves) → step moved → plugin blind (moves) → backend crm (GET /contacts/{id}) → secret crm-token (put in by the host) → field email (pii.contact)"},
		{"pii.contact", "plugin asker", "consumer survey → route asked (GET /v1/asked) → step asked → plugin asker (sees) → step asked → plugin callee (sees) → backend crm (GET /contacts/{id}) → secret crm-token (put in by the host) → field email (pii.contact)"},
		{"crm.email", "consumer till", "consumer till → route masked (GET /v1/masked) → step masked → plugin mask (sees, declassifies pii.contact) → step contact → plugin contact (sees) → backend crm (GET /contacts/{id}) → secret crm-token (put in by the host) → field email (pii.contact)"},
		{"store.by-number.tier", "backend mailer", "consumer till → route tier (GET /v1/tiers/{number}) → backend mailer (is sent POST /send) → step tier → plugin tiers (sees) → backend store → statement by-number → field tier"},
	}
	for _, tt := range tests {
		target, err := g.Target(tt.question)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, s := range g.WhoCanSee(target) {
			if s.Who.String() == tt.who && !found {
				found = true
				if got := reach.WitnessText(s.Witness); got != tt.want {
					t.Errorf("%s, %s:\n got %s\nwant %s", tt.question, tt.who, got, tt.want)
				}
			}
		}
		if !found {
			t.Errorf("%s cannot see %s", tt.who, tt.question)
		}
	}
}

// TestTargetRefuses: a question that is misspelt has no answer, not an empty one.
func TestTargetRefuses(t *testing.T) {
	g := graph(t, shop(t, "pii.identity: [name]", "pii.identity: [name], crm.name: [name]"), modules())
	for _, question := range []string{"", "pii.contacts", "erp.email", "crm", "store", "store.by-number", "pointer:customers", "param:profile.id", "label:crm.email", "field:pii.contact", "crm.name", "crm.em ail", "crm.a..b", "thing:crm.email"} {
		if target, err := g.Target(question); err == nil {
			t.Errorf("%q is taken for %+v, want an error", question, target)
		}
	}
	for _, question := range []string{"label:crm.name", "field:crm.name", `crm."a.b".c`, "crm.phones[]"} {
		if _, err := g.Target(question); err != nil {
			t.Errorf("%q: %v", question, err)
		}
	}
}

// claims reads a list of claims.
func claims(t testing.TB, text string) []manifest.Claim {
	t.Helper()
	list, faults := manifest.ParseClaims("claims.yaml", []byte(text))
	if err := faults.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}

func TestCheck(t *testing.T) {
	const holds, fails = true, false
	g := graph(t, shop(t), modules())
	tests := []struct {
		claim string
		holds bool
	}{
		{`{plugin: merge, never: {sees: pii.contact}}`, holds},
		{`{plugin: blind, never: {sees: pii.contact}}`, holds},
		{`{plugin: contact, never: {sees: pii.contact}}`, fails},
		{`{consumer: till, never: {sees: pii.contact}}`, holds},
		{`{consumer: till, never: {sees: crm.email}}`, fails}, // mask says that what it lets out is none
		{`{consumer: guest, never: {sees: crm.id}}`, holds},
		{`{consumer: web-shop, never: {sees: pii.contact}}`, fails},
		{`{backend: mailer, never: {sees: pii.contact}}`, holds},
		{`{backend: mailer, never: {sees: crm.tier}}`, fails},
		{`{nobody: {sees: pii.contact}}`, fails},
		{`{nobody: {except: [consumer web-shop, plugin contact, plugin asker, plugin callee], sees: pii.contact}}`, fails},
		{`{nobody: {except: [consumer web-shop, plugin contact, plugin asker, plugin callee, plugin mask], sees: pii.contact}}`, holds},
		{`{nobody: {except: [plugin contact], sees: "pointer:customer"}}`, holds},
		{`{plugin: tiers, never: {reaches: backend crm}}`, holds},
		{`{plugin: tiers, never: {reaches: backend mailer}}`, fails},
		{`{plugin: tiers, never: {reaches: statement store.by-number}}`, fails},
		{`{plugin: asker, never: {reaches: backend crm}}`, fails}, // through callee
		{`{plugin: asker, never: {reaches: secret mail-key}}`, holds},
		{`{consumer: survey, never: {reaches: secret crm-token}}`, fails},
		{`{consumer: survey, never: {reaches: plugin contact}}`, holds},
		{`{nobody: {except: [plugin tiers, plugin mask, consumer till], reaches: backend mailer}}`, holds},
		{`{nobody: {except: [plugin tiers, plugin mask], reaches: secret mail-key}}`, fails},
		{`{nobody: {reaches: kv}}`, holds},
		{`{plugin: mask, never: {reaches: log}}`, fails},
	}
	for _, tt := range tests {
		failures, err := g.Check(claims(t, "- "+tt.claim))
		if err != nil {
			t.Errorf("%s: %v", tt.claim, err)
			continue
		}
		if (len(failures) == 0) != tt.holds {
			t.Errorf("%s: holds: %v, want %v: %v", tt.claim, !tt.holds, tt.holds, failures)
		}
		for _, f := range failures {
			if len(f.Witness) < 2 {
				t.Errorf("%s: the witness is %v, want a way", tt.claim, f.Witness)
			}
		}
	}
}

// TestCheckRefuses: a claim about what there is not would hold for ever.
func TestCheckRefuses(t *testing.T) {
	g := graph(t, shop(t), modules())
	for _, claim := range []string{
		`{plugin: contacts, never: {sees: pii.contact}}`,
		`{consumer: shop, never: {sees: pii.contact}}`,
		`{backend: mail, never: {sees: pii.contact}}`,
		`{plugin: contact, never: {sees: pii.phone}}`,
		`{plugin: contact, never: {sees: erp.email}}`,
		`{plugin: contact, never: {reaches: backend erp}}`,
		`{plugin: contact, never: {reaches: secret crm}}`,
		`{plugin: contact, never: {reaches: statement store.by-name}}`,
		`{plugin: contact, never: {reaches: domain order}}`,
		`{nobody: {except: [plugin contacts], sees: pii.contact}}`,
		`{nobody: {except: [log contacts], sees: pii.contact}}`,
	} {
		if failures, err := g.Check(claims(t, "- "+claim)); err == nil {
			t.Errorf("%s: %v, want an error", claim, failures)
		}
	}
}
