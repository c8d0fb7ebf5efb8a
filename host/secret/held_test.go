package secret_test

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"pointsman/host/secret"
)

// TestTakeWipesWhatItTakes looks at the slice that was given.
func TestTakeWipesWhatItTakes(t *testing.T) {
	plain := []byte(canary)
	v := secret.Take(plain)
	if !bytes.Equal(plain, make([]byte, len(canary))) {
		t.Errorf("after Take the slice holds %q", plain)
	}
	plain = []byte("the earlier one")
	m := secret.NewMemory()
	if err := m.Put("token", plain, secret.Terms{}); err != nil {
		t.Fatal(err)
	}
	if err := m.Put("Token", plain, secret.Terms{}); err == nil {
		t.Error("a bad name was taken")
	}
	if strings.Trim(string(plain), "\x00") != "" {
		t.Errorf("after Put the slice holds %q", plain)
	}
	if string(v.Expose()) != canary {
		t.Errorf("exposed %q", v.Expose())
	}
}

// TestTakenValuesOutliveCollections makes and drops values while the collector runs: those
// that are referred to stay as they are.
func TestTakenValuesOutliveCollections(t *testing.T) {
	kept := make([]secret.Value, 64)
	for i := range kept {
		kept[i] = secret.Take(fmt.Appendf(nil, "value-%d", i))
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				secret.Take([]byte("dropped")).Expose()
			}
			runtime.GC()
		})
	}
	wg.Wait()
	runtime.GC()
	for i, v := range kept {
		if got := string(v.Expose()); got != fmt.Sprintf("value-%d", i) {
			t.Errorf("value %d is %q", i, got)
		}
	}
}

// TestTakenPagesAreGivenBack counts mappings while values come and go.
func TestTakenPagesAreGivenBack(t *testing.T) {
	mappings := func() int {
		text, err := os.ReadFile("/proc/self/maps")
		if err != nil {
			t.Skip("mappings cannot be counted here")
		}
		return bytes.Count(text, []byte("\n"))
	}
	before := mappings()
	for range 2000 {
		secret.Take([]byte("dropped"))
	}
	for began := time.Now(); mappings() > before+200; time.Sleep(10 * time.Millisecond) {
		runtime.GC()
		if time.Since(began) > time.Minute {
			t.Fatalf("%d mappings, %d before", mappings(), before)
		}
	}
}

// TestReplacingKeepsTheValueApart makes a value with former ones and prints it.
func TestReplacingKeepsTheValueApart(t *testing.T) {
	old := secret.Take([]byte(canary))
	v := secret.Take([]byte("new")).Replacing(old)
	refuseLeak(t, "a value with former ones", fmt.Sprintf("%v %+v %#v", v, v, struct{ V any }{v}))
	for _, f := range v.Former() {
		clear(f)
	}
	if got := v.Former(); len(got) != 1 || string(got[0]) != canary || string(v.Expose()) != "new" {
		t.Errorf("exposed %q, former %q", v.Expose(), got)
	}
	if got := (secret.Value{}).Former(); got != nil {
		t.Errorf("the zero value replaced %q", got)
	}
}
