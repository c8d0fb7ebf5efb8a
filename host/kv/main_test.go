package kv_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pointsman/host/kv"
	"pointsman/host/secret"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(writerDir); dir != "" {
		if err := writer(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time // guarded by mu
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newClock() *clock { return &clock{now: time.UnixMilli(1_800_000_000_000)} }

var wide = kv.Limits{Bytes: 1 << 20, Keys: 10_000, TTL: 24 * time.Hour}

// home is a data folder with a keyring.
func home(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := secret.CreateKeyring(context.Background(), filepath.Join(dir, "keyring.json"), secret.Protection{}); err != nil {
		t.Fatal(err)
	}
	return dir
}

func keyringOf(dir string) (*secret.Keyring, error) {
	return secret.OpenKeyring(filepath.Join(dir, "keyring.json"), false)
}

// openAt opens the store of a home; the test closes it.
func openAt(t testing.TB, dir string, now func() time.Time) *kv.Store {
	t.Helper()
	k, err := keyringOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := kv.Open(context.Background(), filepath.Join(dir, "kv"), kv.Options{Keyring: k, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closes(t, s) })
	return s
}

func closes(t testing.TB, s *kv.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func put(t testing.TB, s *kv.Store, ns kv.Namespace, key, value string) uint64 {
	t.Helper()
	version, err := s.Put(context.Background(), ns, wide, kv.Put{Key: key, Value: []byte(value)})
	if err != nil || version == 0 {
		t.Fatalf("put %q: version %d, %v", key, version, err)
	}
	return version
}

// value is what is kept, "" for nothing; values of tests are not empty.
func value(t testing.TB, s *kv.Store, ns kv.Namespace, key string) string {
	t.Helper()
	e, err := s.Get(context.Background(), ns, key)
	if err != nil {
		t.Fatalf("get %q: %v", key, err)
	}
	if (e.Version == 0) != (len(e.Value) == 0) {
		t.Errorf("get %q: value %q of version %d", key, e.Value, e.Version)
	}
	return string(e.Value)
}

func want(t testing.TB, s *kv.Store, ns kv.Namespace, key, want string) {
	t.Helper()
	if got := value(t, s, ns, key); got != want {
		t.Errorf("%s: key %q holds %q, want %q", ns, key, got, want)
	}
}

func wantErr(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: error %v, want %v", what, err, want)
	}
}
