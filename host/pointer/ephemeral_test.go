package pointer_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"pointsman/host/broker"
	"pointsman/host/pointer"
)

// ephemeral is an issuer of visits, which live ten minutes, and customers, which last.
func ephemeral(t testing.TB, live *pointer.Ephemeral) *pointer.Issuer {
	t.Helper()
	i, err := pointer.NewIssuer([]pointer.Domain{
		{Name: "visit", Ephemeral: 10 * time.Minute}, {Name: "basket", Ephemeral: time.Minute}, {Name: "customer"},
	}, keys(t), live)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestEphemeralRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		live := &pointer.Ephemeral{}
		i := ephemeral(t, live)
		good := mint(t, i, "visit", shop, "v-1")
		expired := mint(t, i, "basket", shop, "v-1")
		time.Sleep(time.Minute)
		tests := []struct {
			name, domain string
			sector       broker.Sector
			text         string
		}{
			{"of another sector", "visit", bank, good},
			{"of no sector", "visit", "", good},
			{"of another domain", "basket", shop, good},
			{"of another domain, its name exchanged", "basket", shop, strings.Replace(good, "visit", "basket", 1)},
			{"for a lasting domain", "customer", shop, strings.Replace(good, "visit", "customer", 1)},
			{"of a lasting domain", "visit", shop, strings.Replace(mint(t, i, "customer", shop, "v-1"), "customer", "visit", 1)},
			{"expired", "basket", shop, expired},
			{"guessed", "visit", shop, mint(t, ephemeral(t, &pointer.Ephemeral{}), "visit", shop, "v-1")},
			{"cut short", "visit", shop, good[:len(good)-1]},
			{"longer", "visit", shop, good + "A"},
			{"nothing", "visit", shop, ""},
			{"a megabyte", "visit", shop, good + strings.Repeat("A", 1<<20)},
		}
		for _, tt := range tests {
			id, err := i.Resolve(tt.domain, tt.sector, tt.text)
			if diff := cmp.Diff(error(notFound), err); diff != "" || id != "" {
				t.Errorf("%s: resolved to %q (-want +got):\n%s", tt.name, id, diff)
			}
		}
		if diff := cmp.Diff(error(notFound), errOf(i.Rewrap(bank, good))); diff != "" {
			t.Errorf("rewrap by another sector (-want +got):\n%s", diff)
		}
		// Another process, or this one after a restart, knows none of them.
		if diff := cmp.Diff(error(notFound), errOf(ephemeral(t, &pointer.Ephemeral{}).Resolve("visit", shop, good))); diff != "" {
			t.Errorf("after a restart (-want +got):\n%s", diff)
		}
		if id, err := i.Resolve("visit", shop, good); id != "v-1" || err != nil {
			t.Errorf("the good one: %q, %v", id, err)
		}
		time.Sleep(10 * time.Minute)
	})
}

func TestEphemeralExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		live := &pointer.Ephemeral{}
		i := ephemeral(t, live)
		kept := func(want string) {
			t.Helper()
			synctest.Wait()
			pointers, owners := live.Kept()
			if got := fmt.Sprint(pointers, owners); got != want {
				t.Errorf("pointers and owners kept: %s, want %s", got, want)
			}
		}
		first, second := mint(t, i, "visit", shop, "v-1"), mint(t, i, "visit", shop, "v-1")
		if first == second {
			t.Error("the same record has the same pointer, want a random one each time")
		}
		short := mint(t, i, "basket", bank, "b-1") // expires before those that were there
		kept("3 2")
		time.Sleep(time.Minute - 1)
		if _, err := i.Resolve("basket", bank, short); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Nanosecond)
		kept("2 1") // nobody came, and it is forgotten all the same
		// Another release keeps the store, so its pointers live on; rewrapping changes nothing.
		next := ephemeral(t, live)
		if text, err := next.Rewrap(shop, first); text != first || err != nil {
			t.Errorf("rewrapped as %q, %v, want it unchanged", text, err)
		}
		time.Sleep(9*time.Minute - 1)
		for _, text := range []string{first, second} {
			if id, err := next.Resolve("visit", shop, text); id != "v-1" || err != nil {
				t.Errorf("just before it expires: %q, %v", id, err)
			}
		}
		time.Sleep(time.Nanosecond)
		if _, err := next.Resolve("visit", shop, first); err == nil {
			t.Error("resolved at the moment it expires")
		}
		kept("0 0")
	})
}

func TestEphemeralIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := ephemeral(t, &pointer.Ephemeral{PerSector: 3, Total: 5})
		for k := range 3 {
			mint(t, i, "visit", shop, fmt.Sprint(k))
		}
		time.Sleep(4 * time.Minute)
		full := func(domain string, sector broker.Sector, why string) {
			t.Helper()
			text, err := i.Mint(domain, sector, "canary")
			e, ok := errors.AsType[*broker.Error](err)
			if !ok || text != "" || e.Kind != broker.RateLimited || !strings.Contains(e.Detail, why) || e.After != 6*time.Minute {
				t.Errorf("got %q, %+v, want an error that says %q, and to come in 6 minutes", text, err, why)
			}
			if err != nil && strings.Contains(err.Error(), "canary") {
				t.Errorf("the error holds the id: %v", err)
			}
		}
		full("visit", shop, "3 ephemeral pointers of domain visit live in this sector")
		mint(t, i, "visit", bank, "another sector has room")
		mint(t, i, "customer", shop, "another kind is not counted")
		short := mint(t, i, "basket", shop, "another domain has")
		if _, err := i.Mint("basket", bank, "canary"); err == nil || !strings.Contains(err.Error(), "5 ephemeral pointers live") {
			t.Errorf("got %v, want that 5 live at all", err)
		}
		time.Sleep(time.Minute)
		if _, err := i.Resolve("basket", shop, short); err == nil {
			t.Error("it resolves still")
		}
		mint(t, i, "basket", bank, "there is room again")
		time.Sleep(10 * time.Minute)
		mint(t, i, "visit", shop, "and here")
		time.Sleep(10 * time.Minute)
	})
}

// TestEphemeralTogether: sectors that mint and resolve at the same time see their own.
func TestEphemeralTogether(t *testing.T) {
	live := &pointer.Ephemeral{PerSector: 200}
	i := ephemeral(t, live)
	var group sync.WaitGroup
	for s := range 8 {
		sector := broker.Sector(fmt.Sprint("sector-", s))
		group.Go(func() {
			var texts []string
			for k := range 200 {
				text, err := i.Mint("visit", sector, fmt.Sprint(sector, " ", k))
				if err != nil {
					t.Error(err)
					return
				}
				texts = append(texts, text)
			}
			for k, text := range texts {
				if id, err := i.Resolve("visit", sector, text); err != nil || id != fmt.Sprint(sector, " ", k) {
					t.Errorf("%s %d resolves to %q, %v", sector, k, id, err)
				}
			}
			if _, err := i.Mint("visit", sector, "one more"); broker.KindOf(err) != broker.RateLimited {
				t.Errorf("one more: %v", err)
			}
		})
	}
	group.Wait()
	if pointers, owners := live.Kept(); pointers != 1600 || owners != 8 {
		t.Errorf("%d pointers of %d owners are kept, want 1600 of 8", pointers, owners)
	}
}
