// Package secrettest owns the suite that every provider of secrets passes.
package secrettest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pointsman/host/secret"
)

// Provider is one to be tested, and how an admin changes what it holds.
type Provider struct {
	secret.Provider
	// Put makes a secret or replaces it; expires is zero unless Expires.
	Put func(t testing.TB, name, plain string, expires time.Time)
	// Remove takes it away.
	Remove func(t testing.TB, name string)
	// Expires says whether secrets of this provider can expire.
	Expires bool
	// Former says whether values that were replaced are still looked for.
	Former bool
}

// patience is how long a change may take to be seen: a minute stands for "soon" on a busy
// machine; the providers say what soon is.
const patience = time.Minute

// Run tests the providers that open makes, one for each case.
func Run(t *testing.T, open func(t *testing.T) Provider) {
	cases := []struct {
		name string
		run  func(*testing.T, Provider)
	}{
		{"what is not there is not found", notFound},
		{"a name that is not one is not found", badNames},
		{"what was removed is not found", removed},
		{"what has expired is refused", expired},
		{"nothing prints a value", silent},
		{"a copy is the caller's", copies},
		{"the newest value is given", newest},
		{"a replaced value is looked for", looked},
		{"the list says what there is", listed},
		{"readers see whole values while they change", whole},
		{"two providers with one name give nothing", ambiguous},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

// value is a secret that tells by itself whether it is whole.
func value(i int) string {
	return fmt.Sprintf("value-%04d-", i) + strings.Repeat(string(rune('a'+i%26)), 200) + fmt.Sprintf("-%04d", i)
}

func notFound(t *testing.T, p Provider) {
	p.Put(t, "other", value(1), time.Time{})
	if has, err := p.Has("absent"); has || err != nil {
		t.Errorf("has: %v, %v", has, err)
	}
	if v, err := p.Get("absent"); !errors.Is(err, secret.ErrNotFound) || v.Expose() != nil {
		t.Errorf("get: %v, want ErrNotFound and nothing", err)
	}
}

func badNames(t *testing.T, p Provider) {
	p.Put(t, "token", value(1), time.Time{})
	for _, name := range []string{"", "Token", "TOKEN", "token ", "token\x00", "./token", "../token", "a/../token", "token|1", "token/", "tok\nen", strings.Repeat("a", 64), "ток"} {
		if has, err := p.Has(name); has || err != nil {
			t.Errorf("has %q: %v, %v", name, has, err)
		}
		if _, err := p.Get(name); !errors.Is(err, secret.ErrNotFound) {
			t.Errorf("get %q: %v, want ErrNotFound", name, err)
		}
	}
}

func removed(t *testing.T, p Provider) {
	p.Put(t, "token", value(1), time.Time{})
	wait(t, p, "token", value(1))
	p.Remove(t, "token")
	until(t, "a removed secret is still given", func() bool {
		_, err := p.Get("token")
		return errors.Is(err, secret.ErrNotFound)
	})
}

func expired(t *testing.T, p Provider) {
	if !p.Expires {
		t.Skip("secrets of this provider do not expire here")
	}
	p.Put(t, "token", value(1), time.Now().Add(2*time.Second))
	until(t, "an expired secret is still given", func() bool {
		v, err := p.Get("token")
		return errors.Is(err, secret.ErrExpired) && v.Expose() == nil && v.Former() == nil
	})
	if has, err := p.Has("token"); !has || err != nil {
		t.Errorf("has: %v, %v: an expired secret still owns its name", has, err)
	}
	p.Put(t, "token", value(2), time.Time{})
	wait(t, p, "token", value(2))
}

func silent(t *testing.T, p Provider) {
	p.Put(t, "token", value(1), time.Time{})
	v := wait(t, p, "token", value(1))
	list, err := p.List()
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Get("absent")
	for _, text := range []string{fmt.Sprintf("%v %+v %#v %s %x", v, v, v, v, v), fmt.Sprintf("%#v", list), fmt.Sprint(err)} {
		if strings.Contains(text, "value-") || strings.Contains(text, fmt.Sprintf("%x", "value-")) {
			t.Errorf("leaks: %s", text)
		}
	}
}

func copies(t *testing.T, p Provider) {
	p.Put(t, "token", value(1), time.Time{})
	v := wait(t, p, "token", value(1))
	clear(v.Expose())
	if got := string(v.Expose()); got != value(1) {
		t.Errorf("after a copy was wiped: %q", got)
	}
}

func newest(t *testing.T, p Provider) {
	for i := range 3 {
		p.Put(t, "token", value(i), time.Time{})
		wait(t, p, "token", value(i))
		for range 5 {
			if got := expose(t, p, "token"); got != value(i) {
				t.Fatalf("got %q after %q was given", got, value(i))
			}
		}
	}
}

func looked(t *testing.T, p Provider) {
	p.Put(t, "token", value(1), time.Time{})
	if f := wait(t, p, "token", value(1)).Former(); len(f) != 0 {
		t.Errorf("a first value replaced %d others", len(f))
	}
	p.Put(t, "token", value(2), time.Time{})
	former := wait(t, p, "token", value(2)).Former()
	if !p.Former {
		if len(former) != 0 {
			t.Errorf("%d former values of a provider that keeps none", len(former))
		}
		return
	}
	if len(former) != 1 || string(former[0]) != value(1) {
		t.Errorf("former: %q, want the value that was replaced", former)
	}
}

func listed(t *testing.T, p Provider) {
	for _, name := range []string{"b", "c", "a"} {
		p.Put(t, name, value(1), time.Time{})
		wait(t, p, name, value(1))
	}
	list, err := p.List()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, i := range list {
		names = append(names, i.Name)
		if i.Provider != p.Provider.Provider() || i.Short {
			t.Errorf("%+v: want the provider %s, and not short", i, p.Provider.Provider())
		}
		if has, err := p.Has(i.Name); !has || err != nil {
			t.Errorf("%s is listed, but has is %v, %v", i.Name, has, err)
		}
	}
	for _, name := range []string{"a", "b", "c"} {
		if !slices.Contains(names, name) {
			t.Errorf("%s is not in %v", name, names)
		}
	}
	if !slices.IsSorted(names) {
		t.Errorf("%v is not sorted", names)
	}
}

// whole changes a secret while others read it: no read fails, every value is whole, and
// none goes back to an older one.
func whole(t *testing.T, p Provider) {
	const changes, readers = 8, 4 // no more values than that are kept at once
	p.Put(t, "token", value(0), time.Time{})
	wait(t, p, "token", value(0))
	var done atomic.Bool
	var wg sync.WaitGroup
	for range readers {
		wg.Go(func() {
			for last := 0; !done.Load(); {
				v, err := p.Get("token")
				if err != nil {
					t.Errorf("a read failed: %v", err)
					return
				}
				var i int
				got := string(v.Expose())
				if _, err := fmt.Sscanf(got, "value-%d-", &i); err != nil || got != value(i) {
					t.Errorf("half a value: %q", got)
					return
				}
				if i < last {
					t.Errorf("value %d after value %d", i, last)
					return
				}
				last = i
			}
		})
	}
	for i := 1; i <= changes; i++ {
		p.Put(t, "token", value(i), time.Time{})
	}
	wait(t, p, "token", value(changes))
	done.Store(true)
	wg.Wait()
}

func ambiguous(t *testing.T, p Provider) {
	p.Put(t, "token", value(1), time.Time{})
	wait(t, p, "token", value(1))
	memory := secret.NewMemory()
	chain, err := secret.NewChain(p.Provider, memory)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := chain.Get("token"); err != nil || string(v.Expose()) != value(1) {
		t.Errorf("alone: %v", err)
	}
	if err := memory.Put("token", []byte("another"), secret.Terms{}); err != nil {
		t.Fatal(err)
	}
	if v, err := chain.Get("token"); !errors.Is(err, secret.ErrAmbiguous) || v.Expose() != nil {
		t.Errorf("get: %v, want ErrAmbiguous", err)
	}
	if _, err := secret.NewChain(memory, p.Provider); !errors.Is(err, secret.ErrAmbiguous) {
		t.Errorf("new: %v, want ErrAmbiguous", err)
	}
	if _, err := chain.Get("absent"); !errors.Is(err, secret.ErrNotFound) {
		t.Errorf("get another: %v, want ErrNotFound", err)
	}
}

// wait waits until Get gives the value and returns it.
func wait(t testing.TB, p Provider, name, want string) secret.Value {
	t.Helper()
	var v secret.Value
	until(t, "secret "+name+" is not given", func() bool {
		var err error
		v, err = p.Get(name)
		return err == nil && string(v.Expose()) == want
	})
	return v
}

func expose(t testing.TB, p Provider, name string) string {
	t.Helper()
	v, err := p.Get(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(v.Expose())
}

func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for began := time.Now(); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatal(what)
		}
	}
}
