package pointercap_test

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pointsman/host/audit"
	"pointsman/host/broker"
	"pointsman/host/capability"
	"pointsman/host/capability/capabilitytest"
	"pointsman/host/capability/pointercap"
	"pointsman/host/grant"
	"pointsman/host/pointer"
	"pointsman/host/secret"
	"pointsman/pdk/wire"
)

// world is a release with two domains, whose uses are counted.
type world struct {
	*pointer.Issuer
	uses int
}

func (w *world) Resolve(domain string, sector broker.Sector, text string) (string, error) {
	w.uses++
	return w.Issuer.Resolve(domain, sector, text)
}

func (w *world) Mint(domain string, sector broker.Sector, id string) (string, error) {
	w.uses++
	return w.Issuer.Mint(domain, sector, id)
}

func newWorld(t testing.TB) *world {
	t.Helper()
	k, err := secret.OpenKeyring(filepath.Join(t.TempDir(), "keyring.json"), true)
	if err != nil {
		t.Fatal(err)
	}
	i, err := pointer.NewIssuer([]pointer.Domain{{Name: "customer"}, {Name: "supplier"}, {Name: "visit", Ephemeral: time.Minute}},
		func(epoch int) (pointer.Cipher, error) { return k.Pointers(epoch) }, &pointer.Ephemeral{PerSector: 1})
	if err != nil {
		t.Fatal(err)
	}
	return &world{Issuer: i}
}

func (w *world) minted(t testing.TB, domain string, sector broker.Sector, id string) string {
	t.Helper()
	text, err := w.Issuer.Mint(domain, sector, id)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func text(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestCapability(t *testing.T) {
	w := newWorld(t)
	minted := w.minted(t, "customer", "c", "canary-1") // the sector of capabilitytest
	uses := func() int { return w.uses }
	capabilitytest.Run(t, &pointercap.Pointer{Pointers: w},
		capabilitytest.Case{Name: "open", Grant: `[{"open":"customer"}]`, Op: "open", Effects: uses, Canaries: []string{minted, "canary-1"},
			Request: text(t, wire.PointerOpen{Domain: "customer", Pointer: minted})},
		capabilitytest.Case{Name: "mint", Grant: `[{"mint":"customer"}]`, Op: "mint", Effects: uses, Canaries: []string{"canary-1"},
			Request: text(t, wire.PointerMint{Domain: "customer", ID: "canary-1"})},
	)
}

func TestBindRefuses(t *testing.T) {
	tests := []struct{ name, grant, want string }{
		{"neither word", `[{}]`, "either open or mint"},
		{"both words", `[{"open":"customer","mint":"customer"}]`, "either open or mint"},
		{"an empty domain", `[{"open":""}]`, "either open or mint"},
		{"a domain that there is not", `[{"open":"customer"},{"mint":"order"}]`, `no domain "order"`},
		{"open twice", `[{"open":"customer"},{"open":"customer"}]`, "twice"},
		{"mint twice", `[{"mint":"customer"},{"mint":"customer"}]`, "twice"},
		{"another word", `[{"rewrap":"customer"}]`, "list of"},
		{"another case", `[{"Open":"customer"}]`, "list of"},
		{"a list", `[{"open":["customer"]}]`, "list of"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ops, err := (&pointercap.Pointer{Pointers: newWorld(t)}).Bind(capability.Scope{Plugin: "crm", Grant: json.RawMessage(tt.grant)})
			if err == nil || len(ops) != 0 || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("lends %d operations, %v, want an error about %q", len(ops), err, tt.want)
			}
		})
	}
	if ops, err := (&pointercap.Pointer{}).Bind(capability.Scope{Plugin: "crm", Grant: json.RawMessage(`[{"open":"customer"}]`)}); err == nil || len(ops) != 0 {
		t.Errorf("without pointers: lends %d operations, %v", len(ops), err)
	}
}

func TestBindLendsWhatIsGranted(t *testing.T) {
	for grant, want := range map[string]string{
		`[]`: "", `[{"open":"customer"}]`: "open", `[{"mint":"customer"},{"mint":"supplier"}]`: "mint", `[{"mint":"supplier"},{"open":"customer"}]`: "mint open",
	} {
		var got []string
		ops := bind(t, newWorld(t), grant)
		for _, op := range []string{"mint", "open"} {
			if ops[op] != nil {
				got = append(got, op)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s lends %q, want %q", grant, got, want)
		}
	}
}

// TestPlanRefuses: a grant is for one domain and one operation.
func TestPlanRefuses(t *testing.T) {
	w := newWorld(t)
	ops := bind(t, w, `[{"open":"customer"},{"mint":"supplier"}]`)
	tests := []struct {
		name, op string
		request  any
		want     broker.Kind
	}{
		{"opening what may be minted only", "open", wire.PointerOpen{Domain: "supplier", Pointer: "p"}, broker.Denied},
		{"opening what is not granted", "open", wire.PointerOpen{Domain: "visit", Pointer: "p"}, broker.Denied},
		{"opening of no domain", "open", wire.PointerOpen{Pointer: "p"}, broker.Denied},
		{"another case", "open", wire.PointerOpen{Domain: "Customer", Pointer: "p"}, broker.Denied},
		{"minting what may be opened only", "mint", wire.PointerMint{Domain: "customer", ID: "4711"}, broker.Denied},
		{"minting of no domain", "mint", wire.PointerMint{ID: "4711"}, broker.Denied},
		{"a sector of the plugin's choice", "open", map[string]string{"domain": "customer", "pointer": "p", "sector": "bank"}, broker.Invalid},
		{"an id that is a number", "mint", map[string]any{"domain": "supplier", "id": 4711}, broker.Invalid},
		{"more than 64 KiB", "open", wire.PointerOpen{Domain: "customer", Pointer: strings.Repeat("x", 65<<10)}, broker.TooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ops[tt.op](text(t, tt.request))
			if err == nil || broker.KindOf(err) != tt.want {
				t.Errorf("got %v, want a refusal of kind %v", err, tt.want)
			}
			if w.uses != 0 {
				t.Error("the pointers were used all the same")
			}
		})
	}
	if _, err := ops["open"](text(t, wire.PointerOpen{Domain: "supplier"})); err == nil || !strings.Contains(err.Error(), "granted: customer") {
		t.Errorf("got %v, want it to say what is granted", err)
	}
}

// TestOpenRefuses: whatever is wrong with a pointer, guests and the audit log see the same.
func TestOpenRefuses(t *testing.T) {
	w := newWorld(t)
	good := w.minted(t, "customer", "shop", "4711")
	tests := []struct {
		name, text string
		principal  broker.Principal
		want       wire.Error
	}{
		{"of another sector", w.minted(t, "customer", "bank", "4711"), shopper, notFound},
		{"used by another sector", good, broker.Principal{ID: "b", Sector: "bank"}, notFound},
		{"of another domain", w.minted(t, "supplier", "shop", "4711"), shopper, notFound},
		{"flipped", good[:30] + string(good[30]^1) + good[31:], shopper, notFound},
		{"cut short", good[:len(good)-1], shopper, notFound},
		{"nothing", "", shopper, notFound},
		{"long", strings.Repeat("x", 60<<10), shopper, notFound},
		{"without a sector", good, broker.Principal{ID: "a"}, wire.Error{Code: wire.Denied, Message: "no sector stands behind this call"}},
	}
	wantUse := ""
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			reply, uses := throughGate(t, w, "open", tt.principal, nil, wire.PointerOpen{Domain: "customer", Pointer: tt.text})
			_, err := wire.ParseReply(reply)
			if diff := cmp.Diff(error(&tt.want), err); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if tt.want != notFound {
				return
			}
			if len(uses) != 1 {
				t.Fatalf("%d uses were recorded, want 1", len(uses))
			}
			uses[0].Principal = ""
			if got := string(text(t, uses)); wantUse == "" {
				wantUse = got
			} else if got != wantUse {
				t.Errorf("recorded %s, want as before %s", got, wantUse)
			}
		})
	}
}

func TestOpenAndMint(t *testing.T) {
	w := newWorld(t)
	seen := new(broker.Seen)
	seen.Add(broker.NewLabels("pii.contact")) // does not keep it from either: nothing leaves
	reply, uses := throughGate(t, w, "mint", shopper, seen, wire.PointerMint{Domain: "customer", ID: "4711"})
	var minted wire.PointerMinted
	decode(t, reply, &minted)
	if want := w.minted(t, "customer", "shop", "4711"); minted.Pointer != want {
		t.Errorf("minted %q, want %q", minted.Pointer, want)
	}
	if len(uses) != 1 || uses[0].Resource != "customer" || uses[0].Decision != audit.Allowed {
		t.Errorf("recorded %+v", uses)
	}
	if got := seen.Labels().String(); got != "pii.contact" {
		t.Errorf("minting is seeing %s", got)
	}
	reply, _ = throughGate(t, w, "open", shopper, seen, wire.PointerOpen{Domain: "customer", Pointer: minted.Pointer})
	var opened wire.PointerOpened
	decode(t, reply, &opened)
	if opened.ID != "4711" {
		t.Errorf("opened as %q", opened.ID)
	}
	if got := seen.Labels().String(); got != "pii.contact, pii.identity" {
		t.Errorf("opening is seeing %s, want pii.identity too", got)
	}
}

// TestFailuresOfMint are told in words that help, without the id.
func TestFailuresOfMint(t *testing.T) {
	w := newWorld(t)
	w.minted(t, "visit", "shop", "v-1")
	tests := []struct {
		name, domain, id string
		want             wire.Error
	}{
		{"empty", "customer", "", wire.Error{Code: wire.Permanent, Message: "an empty id points at nothing"}},
		{"long", "customer", strings.Repeat("x", 256), wire.Error{Code: wire.Permanent, Message: "an id is at most 255 bytes"}},
		{"too many", "visit", "v-2", wire.Error{Code: wire.RateLimited, Message: "1 ephemeral pointers of domain visit live in this sector, which is the most"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			reply, _ := throughGate(t, w, "mint", shopper, nil, wire.PointerMint{Domain: tt.domain, ID: tt.id})
			_, err := wire.ParseReply(reply)
			e, ok := err.(*wire.Error)
			if !ok || e.Code != tt.want.Code || e.Message != tt.want.Message || (e.AfterMS > 0) != (tt.want.Code == wire.RateLimited) {
				t.Errorf("got %+v, want %+v", err, tt.want)
			}
		})
	}
}

// FuzzOpen: what a guest writes opens only what was minted for the domain that it may open
// and the sector that it works for.
func FuzzOpen(f *testing.F) {
	w := newWorld(f)
	good := w.minted(f, "customer", "shop", "4711")
	f.Add(text(f, wire.PointerOpen{Domain: "customer", Pointer: good}))
	f.Add(text(f, wire.PointerOpen{Domain: "supplier", Pointer: w.minted(f, "supplier", "shop", "4711")}))
	f.Add([]byte(`{"domain":"customer","pointer":"x","Pointer":"` + good + `"}`))
	f.Fuzz(func(t *testing.T, request []byte) {
		planned, err := bind(t, w, `[{"open":"customer"}]`)["open"](request)
		if err != nil {
			return
		}
		payload, err := planned.Do(broker.WithCall(context.Background(), broker.Call{Principal: shopper}))
		if err != nil {
			if broker.KindOf(err) != broker.NotFound {
				t.Fatalf("got %v, want not found", err)
			}
			return
		}
		var asked wire.PointerOpen
		var opened wire.PointerOpened
		if json.Unmarshal(request, &asked) != nil || json.Unmarshal(payload, &opened) != nil {
			t.Fatalf("%q opened as %q", request, payload)
		}
		if asked.Domain != "customer" || asked.Pointer != w.minted(t, "customer", "shop", opened.ID) {
			t.Fatalf("%q opened as %q", request, payload)
		}
	})
}

// FuzzMint: what a guest mints resolves to the id that it wrote, in the domain that it may
// mint and the sector that it works for.
func FuzzMint(f *testing.F) {
	w := newWorld(f)
	f.Add(text(f, wire.PointerMint{Domain: "customer", ID: "4711"}))
	f.Add(text(f, wire.PointerMint{Domain: "customer", ID: strings.Repeat("\u0000", 255)}))
	f.Fuzz(func(t *testing.T, request []byte) {
		planned, err := bind(t, w, `[{"mint":"customer"}]`)["mint"](request)
		if err != nil {
			return
		}
		payload, err := planned.Do(broker.WithCall(context.Background(), broker.Call{Principal: shopper}))
		if err != nil {
			return
		}
		var asked wire.PointerMint
		var minted wire.PointerMinted
		if json.Unmarshal(request, &asked) != nil || json.Unmarshal(payload, &minted) != nil {
			t.Fatalf("%q minted as %q", request, payload)
		}
		if id, err := w.Issuer.Resolve("customer", "shop", minted.Pointer); err != nil || id != asked.ID {
			t.Fatalf("%q resolves to %q, %v", request, id, err)
		}
	})
}

var (
	shopper  = broker.Principal{ID: "a", Sector: "shop"}
	notFound = wire.Error{Code: wire.NotFound, Message: "no such record"}
)

func bind(t testing.TB, w *world, grant string) map[string]capability.Op {
	t.Helper()
	ops, err := (&pointercap.Pointer{Pointers: w}).Bind(capability.Scope{Plugin: "crm", Grant: json.RawMessage(grant)})
	if err != nil {
		t.Fatal(err)
	}
	return ops
}

// throughGate uses an operation as a guest does, with both domains granted, and returns the
// reply and what was recorded.
func throughGate(t *testing.T, w *world, op string, by broker.Principal, seen *broker.Seen, request any) ([]byte, []audit.Use) {
	t.Helper()
	gr, err := grant.Approve(grant.Ask{Plugin: "p", Offered: []string{"pointer"}, Grants: map[string]json.RawMessage{
		"pointer": json.RawMessage(`[{"open":"customer"},{"mint":"customer"},{"mint":"visit"}]`)}})
	if err != nil {
		t.Fatal(err)
	}
	log := new(recorder)
	gate := capability.Gate{
		Capabilities: []capability.Capability{&pointercap.Pointer{Pointers: w, Yields: map[string]broker.Labels{"customer": broker.NewLabels("pii.identity")}}},
		Recorder:     log, Fault: func(broker.Call, string, error) {},
	}
	lent, err := gate.Lend(gr)
	if err != nil {
		t.Fatal(err)
	}
	if seen == nil {
		seen = new(broker.Seen)
	}
	for _, imp := range lent {
		if imp.Op == op {
			ctx := broker.WithCall(t.Context(), broker.Call{Principal: by, Budget: broker.NewBudget(1), Seen: seen})
			return imp.Do(ctx, text(t, request)), *log
		}
	}
	t.Fatalf("%s is not lent", op)
	return nil, nil
}

// recorder keeps records in memory.
type recorder []audit.Use

func (r *recorder) Use(_ context.Context, u audit.Use) error {
	*r = append(*r, u)
	return nil
}

func decode(t *testing.T, reply []byte, into any) {
	t.Helper()
	payload, err := wire.ParseReply(reply)
	if err == nil {
		err = json.Unmarshal(payload, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}
