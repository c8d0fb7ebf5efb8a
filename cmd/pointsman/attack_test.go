package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// strike is one function of a hostile guest, called by four clients at once. Each is a
// plugin of its own, so that what the broker does about one is no shelter for the next.
type strike struct {
	guest, function string
	status          int    // of the answers; see expects
	body            string // of a 200
}

func (k strike) name() string { return k.guest + "-" + k.function }

// expects reports whether an answer of that status is one that the strike may get. A guest
// that does not end is stopped by its time, or by another budget; one that keeps breaking
// off may be refused without being run.
func (k strike) expects(status int) bool {
	switch k.status {
	case http.StatusOK:
		return status == http.StatusOK
	case http.StatusGatewayTimeout:
		return status == http.StatusGatewayTimeout || status == http.StatusBadGateway || status == http.StatusServiceUnavailable
	}
	return status == k.status || status == http.StatusServiceUnavailable
}

// strikes are the attacks of plugins that deploy. Each has a route of its own.
func strikes() []strike {
	const late, bad, fine = http.StatusGatewayTimeout, http.StatusBadGateway, http.StatusOK
	all := []strike{
		{"warm", "call", fine, "1"},
		{"warm", "silent", bad, ""},
		{"nothing", "call", fine, "1"},
		{"nothing", "grow", fine, "0"},
		{"state", "count", fine, "1111"},
		{"state", "plant", fine, "0"},
		{"state", "scan", fine, "0"},
		{"lasting", "count", fine, "111"},
		{"talk", "escapes", fine, "0"},
		{"talk", "fails", bad, ""},
		{"talk", "million", fine, "0"},
		{"talk", "longline", fine, "0"},
	}
	add := func(guest string, status int, body string, functions string) {
		for _, f := range strings.Fields(functions) {
			all = append(all, strike{guest, f, status, body})
		}
	}
	add("runaway", late, "", "spin calltree fills copies grow")
	add("runaway", bad, "", "mutual indirect")
	add("runaway", fine, "0", "hog")
	add("tables", late, "", "grow leap fill")
	add("storm", late, "", "churn crumbs hoard logs outputs writes yields denied garbage random vectors poll clock")
	add("storm", late, "", "vars varnames")
	add("storm", fine, "0", "random4g close")
	add("broken", bad, "", `never beyond nowhere long high wraps bigoutput outputwrite32 outputwrite64 inputread64
		errorwrite32 replyread load32 load64 loadhigh store64 storefreed storeacross inputset inputload errorset varget
		varset configget loginfo op64 op32 exit0 exit1 exitset trap outside notjson empty fails
		brackets nan twice`)
	return all
}

// quick are strikes that end at once: all of a guest are one attack.
func (k strike) quick() bool { return k.guest == "broken" }

// TestAttacks lays siege to one broker. What a plugin's code can do to others is here, or
// in the tests of the packages that keep it from doing so.
func TestAttacks(t *testing.T) {
	if testing.Short() {
		t.Skip("a minute of attacks")
	}
	s := startSiege(t)
	defer func() { t.Logf("\n%s", s.table()) }()
	t.Run("run", func(t *testing.T) { testStrikes(t, s) })
	t.Run("pristine", func(t *testing.T) { testCarryNothing(t, s) })
	t.Run("log", func(t *testing.T) { testForgeNoLog(t, s) })
	t.Run("deploy", func(t *testing.T) { testRefusedDeployments(t, s) })
	t.Run("codes", func(t *testing.T) { testCodes(t, s) })
	t.Run("weights", func(t *testing.T) { testWeights(t, s) })
	t.Run("mutants", func(t *testing.T) { testMutants(t, s) })
}

func testStrikes(t *testing.T, s *siege) {
	var quick []strike
	for _, k := range strikes() {
		if k.quick() {
			quick = append(quick, k)
			continue
		}
		t.Run(k.name(), func(t *testing.T) {
			s.during(t, k.name(), func() { s.strike(t, *attackTime, k) })
		})
	}
	t.Run("broken", func(t *testing.T) {
		s.during(t, "broken.*", func() { s.strike(t, *attackTime, quick...) })
	})
}

// strike has four clients make strikes for some time, each once at least. A strike that was
// only ever refused, and not run, has shown nothing.
func (s *siege) strike(t *testing.T, atLeast time.Duration, strikes ...strike) {
	t.Helper()
	const clients = 4
	end := time.Now().Add(atLeast)
	ran := make([]atomic.Bool, len(strikes))
	var group sync.WaitGroup
	for range clients {
		group.Go(func() {
			for again := true; again && !t.Failed(); again = time.Now().Before(end) {
				for i, k := range strikes {
					status, err := s.call(k)
					if err != nil {
						t.Error(err)
						break
					}
					if status != http.StatusServiceUnavailable {
						ran[i].Store(true)
					}
				}
			}
		})
	}
	group.Wait()
	for i, k := range strikes {
		if !t.Failed() && !ran[i].Load() {
			t.Errorf("%s was never run", k.name())
		}
	}
}

// call makes one request and reports what is not as it has to be.
func (s *siege) call(k strike) (status int, err error) {
	got, err := s.try("/v1/" + k.name() + "?text=attacker")
	switch {
	case err != nil:
	case !k.expects(got.status):
		err = fmt.Errorf("%d %.200s, want status %d", got.status, got.body, k.status)
	case got.status != http.StatusOK:
		err = isProblem(got)
	case got.body != k.body:
		err = fmt.Errorf("answers %q, want %q", got.body, k.body)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", k.name(), err)
	}
	return got.status, err
}
