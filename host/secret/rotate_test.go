package secret_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pointsman/host/secret"
)

func TestRetireRefuses(t *testing.T) {
	k := keyring(t)
	primary := k.Keys()[0].ID
	if err := k.Retire(primary); err == nil {
		t.Error("the primary key was retired")
	}
	if err := k.Delete(primary); err == nil {
		t.Error("the primary key was deleted")
	}
	if err := k.Retire(primary + 1); err == nil {
		t.Error("a key that is not there was retired")
	}
	if _, err := k.Rotate(); err != nil {
		t.Fatal(err)
	}
	if err := k.Delete(primary); err == nil {
		t.Error("a key was deleted that still opens")
	}
	if got := len(k.Keys()); got != 2 {
		t.Errorf("%d keys, want 2", got)
	}
}

// TestKeysOverTheirLife rotates, seals anew, retires, restores and deletes, while a broker
// has the same keyring and store open. The broker follows each step, and no secret is ever
// without a key.
func TestKeysOverTheirLife(t *testing.T) {
	for name, p := range map[string]secret.Protection{"in the clear": {}, "by a passphrase": {Passphrase: []byte(passphrase)}} {
		t.Run(name, func(t *testing.T) {
			dir, path := t.TempDir(), wrapped(t, p)
			admin, broker := unlock(t, path, with(passphrase)), unlock(t, path, with(passphrase))
			store := open(t, dir, admin)
			set(t, store, "token", "the earlier one")
			if err := store.Rotate("token", []byte(canary), secret.Terms{Overlap: time.Hour}); err != nil {
				t.Fatal(err)
			}
			serving := open(t, dir, broker)
			mac := broker.MAC("consumer", []byte("key"))
			still := func(step string) {
				t.Helper()
				v, err := serving.Get("token")
				if err != nil || string(v.Expose()) != canary || len(v.Former()) != 1 || string(v.Former()[0]) != "the earlier one" {
					t.Fatalf("after %s the broker reads %q, %q: %v", step, v.Expose(), v.Former(), err)
				}
				if string(broker.MAC("consumer", []byte("key"))) != string(mac) {
					t.Fatalf("after %s there are other keyed hashes", step)
				}
			}
			first := admin.Keys()[0].ID
			second, err := admin.Rotate()
			if err != nil {
				t.Fatal(err)
			}
			still("rotate")
			if n, err := store.Rewrap(); err != nil || n != 2 {
				t.Fatalf("rewrap: %d, %v, want both values", n, err)
			}
			still("rewrap")
			use, err := store.KeyUse()
			if err != nil || use[first] != 0 || use[second] != 3 {
				t.Errorf("key use %v, %v, want all three with %v", use, err, second)
			}
			if err := admin.Retire(first); err != nil {
				t.Fatal(err)
			}
			still("retire")
			// The broker seals with the key that is primary now, although it opened an earlier one.
			if err := serving.Set("other", []byte("x")); err != nil {
				t.Fatal(err)
			}
			if use, err := store.KeyUse(); err != nil || use[first] != 0 {
				t.Errorf("the broker sealed with a retired key: %v, %v", use, err)
			}
			if err := admin.Restore(first); err != nil {
				t.Fatal(err)
			}
			still("restore")
			if err := admin.Retire(first); err != nil {
				t.Fatal(err)
			}
			if err := admin.Delete(first); err != nil {
				t.Fatal(err)
			}
			still("delete")
			if keys := broker.Keys(); len(keys) != 1 || keys[0].ID != second || !keys[0].Primary {
				t.Errorf("keys %+v, want the second only", keys)
			}
			if got := open(t, dir, unlock(t, path, with(passphrase))).Names(); len(got) != 2 {
				t.Errorf("a new start reads %v", got)
			}
		})
	}
}

func TestARetiredKeyOpensNothing(t *testing.T) {
	k := keyring(t)
	sealed, err := k.Seal("test", "name", []byte(canary))
	if err != nil {
		t.Fatal(err)
	}
	first := k.Keys()[0].ID
	if _, err := k.Rotate(); err != nil {
		t.Fatal(err)
	}
	if err := k.Retire(first); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Open("test", "name", sealed); err == nil {
		t.Error("a retired key opens what it sealed")
	}
	if err := k.Restore(first); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Open("test", "name", sealed); err != nil {
		t.Errorf("a restored key does not: %v", err)
	}
}

// TestReadersDuringRotation changes values and master keys while others read, from the same
// process's store and from others: every read succeeds, every value is whole, and none is
// older than one that the reader saw before.
func TestReadersDuringRotation(t *testing.T) {
	dir, path := t.TempDir(), keyringPath(t)
	load := func() *secret.Store { return open(t, dir, unlock(t, path, secret.Unlock{})) }
	value := func(i int) string {
		return fmt.Sprintf("%06d", i) + strings.Repeat(string(rune('a'+i%26)), 500) + fmt.Sprintf("%06d", i)
	}
	writer := load()
	set(t, writer, "token", value(0))
	const changes, readers = 150, 4
	var done atomic.Bool
	var wg sync.WaitGroup
	var reads atomic.Int64
	for i := range readers {
		s := writer
		if i%2 == 1 {
			s = load()
		}
		wg.Go(func() {
			for last := -1; !done.Load(); reads.Add(1) {
				v, err := s.Get("token")
				if err != nil {
					t.Errorf("a read failed: %v", err)
					return
				}
				got, n := string(v.Expose()), 0
				if _, err := fmt.Sscanf(got[:6], "%d", &n); err != nil || got != value(n) || n < last {
					t.Errorf("read %.20q after value %d", got, last)
					return
				}
				last = n
				for _, f := range v.Former() {
					if _, err := fmt.Sscanf(string(f[:6]), "%d", &n); err != nil || string(f) != value(n) {
						t.Errorf("half a former value: %.20q", f)
						return
					}
				}
			}
		})
	}
	admin := unlock(t, path, secret.Unlock{})
	for i := 1; i <= changes; i++ {
		change := writer.Set // forgets, so that there are never too many
		if i%4 == 0 {
			change = func(name string, plain []byte) error {
				return writer.Rotate(name, plain, secret.Terms{Overlap: time.Second})
			}
		}
		if err := change("token", []byte(value(i))); err != nil && !strings.Contains(err.Error(), "earlier values") {
			t.Fatal(err)
		}
		if i%50 == 0 {
			if _, err := admin.Rotate(); err != nil {
				t.Fatal(err)
			}
			if _, err := writer.Rewrap(); err != nil {
				t.Fatal(err)
			}
		}
	}
	done.Store(true)
	wg.Wait()
	if reads.Load() < changes {
		t.Errorf("%d reads only: nothing was tried", reads.Load())
	}
}

// TestStoreAgreesWithAModel does random changes and compares with what they should leave.
func TestStoreAgreesWithAModel(t *testing.T) {
	type held struct {
		value   string
		expires time.Time
		former  map[string]time.Time
	}
	k := keyring(t)
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "store")
		if err != nil {
			rt.Fatal(err)
		}
		s, err := secret.OpenStore(dir, k)
		if err != nil {
			rt.Fatal(err)
		}
		now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
		s.SetClock(func() time.Time { return now })
		model := map[string]*held{}
		n := 0
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			name := rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "name")
			was := model[name]
			switch rapid.SampledFrom([]string{"set", "rotate", "remove", "wait", "reopen", "rewrap"}).Draw(rt, "step") {
			case "set", "rotate":
				n++
				terms := secret.Terms{Overlap: time.Duration(rapid.IntRange(0, 3).Draw(rt, "overlap")) * time.Hour}
				if rapid.Bool().Draw(rt, "expires") {
					terms.Expires = now.Add(90 * time.Minute)
				}
				next := &held{value: fmt.Sprintf("value %d", n), expires: terms.Expires, former: map[string]time.Time{}}
				if was != nil {
					for f, until := range was.former {
						if now.Before(until) {
							next.former[f] = until
						}
					}
					if terms.Overlap > 0 {
						next.former[was.value] = now.Add(terms.Overlap)
					}
				}
				err := s.Put(name, []byte(next.value), terms)
				if len(next.former) > 8 {
					if err == nil {
						rt.Fatal("more than eight former values are kept")
					}
					continue
				}
				if err != nil {
					rt.Fatal(err)
				}
				model[name] = next
			case "remove":
				if err := s.Remove(name); (err == nil) != (was != nil) {
					rt.Fatalf("remove: %v", err)
				}
				delete(model, name)
			case "wait":
				now = now.Add(time.Hour)
			case "reopen":
				if s, err = secret.OpenStore(dir, k); err != nil {
					rt.Fatal(err)
				}
				s.SetClock(func() time.Time { return now })
			case "rewrap":
				if _, err := s.Rewrap(); err != nil {
					rt.Fatal(err)
				}
			}
			for _, name := range []string{"a", "b"} {
				want := model[name]
				v, err := s.Get(name)
				switch {
				case want == nil:
					if !errors.Is(err, secret.ErrNotFound) {
						rt.Fatalf("%s: %v, want ErrNotFound", name, err)
					}
				case !want.expires.IsZero() && !now.Before(want.expires):
					if !errors.Is(err, secret.ErrExpired) {
						rt.Fatalf("%s: %v, want ErrExpired", name, err)
					}
				case err != nil || string(v.Expose()) != want.value:
					rt.Fatalf("%s: %q, %v, want %q", name, v.Expose(), err, want.value)
				default:
					got := map[string]bool{}
					for _, f := range v.Former() {
						got[string(f)] = true
					}
					for f, until := range want.former {
						if got[f] != now.Before(until) {
							rt.Fatalf("%s: former %q is there: %v", name, f, got[f])
						}
						delete(got, f)
					}
					if len(got) != 0 {
						rt.Fatalf("%s: former values that were not set: %v", name, got)
					}
				}
			}
		}
	})
}

func TestTermsAreRefused(t *testing.T) {
	s := open(t, t.TempDir(), keyring(t))
	if err := s.Rotate("token", []byte("x"), secret.Terms{}); !errors.Is(err, secret.ErrNotFound) {
		t.Errorf("rotate what is not there: %v, want ErrNotFound", err)
	}
	set(t, s, "token", canary)
	tests := []struct {
		name  string
		terms secret.Terms
	}{
		{"expired already", secret.Terms{Expires: time.Now().Add(-time.Second)}},
		{"a negative overlap", secret.Terms{Overlap: -time.Second}},
		{"a very long overlap", secret.Terms{Overlap: secret.MaxOverlap + 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := s.Put("token", []byte("x"), tt.terms); err == nil {
				t.Error("taken, want a refusal")
			}
			if err := secret.NewMemory().Put("token", []byte("x"), tt.terms); err == nil {
				t.Error("taken into memory, want a refusal")
			}
		})
	}
	if v, err := s.Get("token"); err != nil || string(v.Expose()) != canary {
		t.Errorf("after refusals: %q, %v", v.Expose(), err)
	}
}

// TestStoreReadsItsOldFormat opens a file as earlier versions wrote it, and changes it.
func TestStoreReadsItsOldFormat(t *testing.T) {
	dir, k := t.TempDir(), keyring(t)
	path := filepath.Join(dir, secret.StoreFile)
	text, err := secret.OldFile(k, 7, map[string]string{"token": canary, "other": "x"})
	if err == nil {
		err = os.WriteFile(path, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, dir, k)
	if v, err := s.Get("token"); err != nil || string(v.Expose()) != canary {
		t.Errorf("got %q, %v", v.Expose(), err)
	}
	if err := s.Rotate("token", []byte("new"), secret.Terms{Overlap: time.Hour}); err != nil {
		t.Fatal(err)
	}
	v, err := open(t, dir, k).Get("token")
	if err != nil || string(v.Expose()) != "new" || len(v.Former()) != 1 || string(v.Former()[0]) != canary {
		t.Errorf("after a change: %q, %q, %v", v.Expose(), v.Former(), err)
	}
	if !strings.Contains(readFile(t, path), "pointsman-secrets/2") {
		t.Error("the file was not written in the new format")
	}
	damaged := strings.Replace(string(text), `"seq":7`, `"seq":8`, 1)
	if err := os.WriteFile(path, []byte(damaged), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := secret.OpenStore(dir, k); !errors.Is(err, secret.ErrDamaged) {
		t.Errorf("a changed old file: %v, want ErrDamaged", err)
	}
}

// TestAnOlderCopyIsNoticed puts an earlier file back under a store that is open.
func TestAnOlderCopyIsNoticed(t *testing.T) {
	dir, k := t.TempDir(), keyring(t)
	s := open(t, dir, k)
	set(t, s, "token", "leaked")
	path := filepath.Join(dir, secret.StoreFile)
	old := readFile(t, path)
	set(t, s, "token", canary)
	if err := os.WriteFile(path+".new", []byte(old), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	if v, err := s.Get("token"); !errors.Is(err, secret.ErrDamaged) {
		t.Errorf("got %q, %v, want ErrDamaged", v.Expose(), err)
	}
}
