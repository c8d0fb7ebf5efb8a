package consumer_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"pointsman/host/broker"
	"pointsman/host/consumer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// keyed returns a keyed hash as host/secret offers it.
func keyed(key string) func(string, []byte) []byte {
	return func(purpose string, data []byte) []byte {
		h := hmac.New(sha256.New, []byte(key))
		h.Write([]byte(purpose + "\x00"))
		h.Write(data)
		return h.Sum(nil)
	}
}

func openKeys(t testing.TB, dir string) *consumer.Keys {
	t.Helper()
	k, err := consumer.OpenKeys(dir, keyed("k"))
	must(t, err)
	return k
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mint(t testing.TB, k *consumer.Keys, name broker.PrincipalID) string {
	t.Helper()
	key, err := k.New(name)
	must(t, err)
	return key
}

var directory = consumer.NewDirectory([]consumer.Definition{
	{ID: "web-shop", Sector: "shop", Scopes: []string{"profile.read", "orders.read"}, APIKey: true},
	{ID: "till", Sector: "shop", APIKey: true},
	{ID: "no-keys", Sector: "shop"},
}, nil)

// flip returns s with another base62 character at i.
func flip(s string, i int) string {
	c := byte('A')
	if s[i] == c {
		c = 'B'
	}
	return s[:i] + string(c) + s[i+1:]
}

func TestAuthenticateRefuses(t *testing.T) {
	dir := t.TempDir()
	var lengths []int // of what was hashed as a key
	k, err := consumer.OpenKeys(dir, func(purpose string, data []byte) []byte {
		if purpose == "consumer-key/v1" {
			lengths = append(lengths, len(data))
		}
		return keyed("k")(purpose, data)
	})
	must(t, err)
	key, till := mint(t, k, "web-shop"), mint(t, k, "till")
	wantHashed := []int{lengths[0]}
	elsewhere := mint(t, openKeys(t, t.TempDir()), "web-shop")
	undeployed, undeclared := mint(t, k, "undeployed"), mint(t, k, "no-keys")
	revoked := mint(t, k, "till")
	must(t, k.Revoke("till", revoked[4:12]))
	mixed := till[:12] + key[12:56] // the id of one, the secret of another
	tests := []struct {
		name, key string
		dir       *consumer.Directory
	}{
		{"absent", "", directory},
		{"a word", "secret", directory},
		{"the stand-in", consumer.StandIn, directory},
		{"only the prefix", "pmk_", directory},
		{"a typing error in the secret", flip(key, 20), directory},
		{"a typing error in the id", flip(key, 5), directory},
		{"a typing error in the checksum", flip(key, 60), directory},
		{"other case of the prefix", "PMK_" + key[4:], directory},
		{"space around", " " + key, directory},
		{"newline after", key + "\n", directory},
		{"cut", key[:62], directory},
		{"very long", strings.Repeat(key, 10000), directory},
		{"unknown", elsewhere, directory},
		{"wrong secret", withChecksum(flip(key, 20)), directory},
		{"another key's id", withChecksum(mixed + "_000000"), directory},
		{"revoked", revoked, directory},
		{"consumer not in the directory", undeployed, directory},
		{"consumer that declares no API key", undeclared, directory},
		{"empty directory", key, new(consumer.Directory)},
		{"no directory", key, nil},
	}
	_, want := k.Authenticate(directory, "")
	if broker.KindOf(want) != broker.Unauthenticated {
		t.Fatalf("error %v, want unauthenticated", want)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			lengths = nil
			got, err := k.Authenticate(tt.dir, tt.key)
			if diff := cmp.Diff(broker.Principal{}, got, cmp.AllowUnexported(broker.Scopes{})); diff != "" {
				t.Errorf("a principal was returned:\n%s", diff)
			}
			if err == nil || err.Error() != want.Error() || broker.KindOf(err) != broker.Unauthenticated {
				t.Errorf("error %v, want %v", err, want)
			}
			if diff := cmp.Diff(wantHashed, lengths); diff != "" {
				t.Errorf("lengths of what was hashed (-want +got):\n%s", diff)
			}
		})
	}
}

// withChecksum repairs the checksum of a key that was altered, as a forger would.
func withChecksum(key string) string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	sum := crc(key[:56])
	out := []byte(key[:57] + "000000")
	for i := 62; i > 56; i-- {
		out[i] = digits[sum%62]
		sum /= 62
	}
	return string(out)
}

func TestAuthenticate(t *testing.T) {
	k := openKeys(t, t.TempDir())
	for range 2 { // two keys of one consumer, as during a rotation
		key := mint(t, k, "web-shop")
		got, err := k.Authenticate(directory, key)
		must(t, err)
		if got.ID != "web-shop" || got.Sector != "shop" || got.Scopes.String() != "orders.read profile.read" {
			t.Errorf("principal %+v", got)
		}
	}
}

func TestKeyForm(t *testing.T) {
	k := openKeys(t, t.TempDir())
	form := regexp.MustCompile(`^pmk_[0-9A-Za-z]{8}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}$`)
	seen := make(map[string]bool)
	for range 50 {
		key := mint(t, k, "web-shop")
		if !form.MatchString(key) || key != withChecksum(key) {
			t.Errorf("key %q does not have the form", key)
		}
		if seen[key[4:12]] || seen[key[13:56]] {
			t.Errorf("key %q repeats a part of another", key)
		}
		seen[key[4:12]], seen[key[13:56]] = true, true
	}
	if _, ok := consumer.ParseKey(consumer.StandIn); ok {
		t.Error("the stand-in is a key")
	}
	for _, name := range []broker.PrincipalID{"", "Web", "a b", "../x", broker.PrincipalID(strings.Repeat("a", 64))} {
		if _, err := k.New(name); err == nil {
			t.Errorf("minted a key for %q", name)
		}
	}
}

func TestFileHoldsNoKey(t *testing.T) {
	dir := t.TempDir()
	k := openKeys(t, dir)
	key := mint(t, k, "web-shop")
	path := filepath.Join(dir, consumer.FileName)
	text, err := os.ReadFile(path)
	must(t, err)
	if strings.Contains(string(text), key[13:56]) {
		t.Error("the secret is in the file")
	}
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %o, want 600", info.Mode().Perm())
	}
}

// A server sees what another process does, at once.
func TestOtherProcess(t *testing.T) {
	dir := t.TempDir()
	server, admin := openKeys(t, dir), openKeys(t, dir)
	key := mint(t, admin, "web-shop")
	if _, err := server.Authenticate(directory, key); err != nil {
		t.Errorf("a new key: %v", err)
	}
	other := mint(t, admin, "till")
	must(t, admin.Revoke("web-shop", key[4:12]))
	if _, err := server.Authenticate(directory, key); broker.KindOf(err) != broker.Unauthenticated {
		t.Errorf("a revoked key: %v", err)
	}
	if _, err := server.Authenticate(directory, other); err != nil {
		t.Errorf("a key that stays: %v", err)
	}
	list, err := server.List()
	must(t, err)
	if len(list) != 1 || list[0].Consumer != "till" || list[0].ID != other[4:12] || time.Since(list[0].Created) > time.Minute {
		t.Errorf("keys %+v, want one of till", list)
	}
	if err := admin.Revoke("web-shop", key[4:12]); err != consumer.ErrNotFound {
		t.Errorf("second Revoke = %v, want %v", err, consumer.ErrNotFound)
	}
}

// A record is worth nothing under another consumer's name, even to who can seal the file.
func TestHashCoversConsumer(t *testing.T) {
	var hashed [][]byte
	k, err := consumer.OpenKeys(t.TempDir(), func(purpose string, data []byte) []byte {
		if purpose == "consumer-key/v1" {
			hashed = append(hashed, bytes.Clone(data))
		}
		return keyed("k")(purpose, data)
	})
	must(t, err)
	key := mint(t, k, "web-shop")
	if len(hashed) != 1 || !bytes.Contains(hashed[0], []byte("web-shop")) || !bytes.HasSuffix(hashed[0], []byte(key)) {
		t.Errorf("hashed %q, want the consumer's name and the key", hashed)
	}
}

// Two changes within one tick of the file system's clock, in place and of the same size,
// are still two.
func TestChangesAtOnce(t *testing.T) {
	state := func(changes int) (text []byte, key string) {
		dir := t.TempDir()
		k := openKeys(t, dir)
		for range changes {
			old := mint(t, k, "web-shop")
			must(t, k.Revoke("web-shop", old[4:12]))
		}
		key = mint(t, k, "web-shop")
		text, err := os.ReadFile(filepath.Join(dir, consumer.FileName))
		must(t, err)
		return text, key
	}
	before, old := state(0)
	after, key := state(1)
	if len(before) != len(after) {
		t.Fatal("the two states have different sizes")
	}
	for range 20 {
		dir := t.TempDir()
		path := filepath.Join(dir, consumer.FileName)
		must(t, os.WriteFile(path, before, 0o600))
		k := openKeys(t, dir)
		_, err := k.Authenticate(directory, old)
		must(t, err)
		must(t, os.WriteFile(path, after, 0o600))
		if _, err := k.Authenticate(directory, old); broker.KindOf(err) != broker.Unauthenticated {
			t.Errorf("the revoked key: %v", err)
		}
		if _, err := k.Authenticate(directory, key); err != nil {
			t.Errorf("the new key: %v", err)
		}
	}
}

// A file that could not be used is looked at again, even if it does not change.
func TestRecovers(t *testing.T) {
	dir := t.TempDir()
	var broken atomic.Bool
	k, err := consumer.OpenKeys(dir, func(purpose string, data []byte) []byte {
		if broken.Load() {
			return make([]byte, sha256.Size)
		}
		return keyed("k")(purpose, data)
	})
	must(t, err)
	key := mint(t, openKeys(t, dir), "web-shop")
	time.Sleep(100 * time.Millisecond) // until the file's stamp is believed
	broken.Store(true)
	if _, err := k.Authenticate(directory, key); broker.KindOf(err) != broker.Unavailable {
		t.Errorf("Authenticate = %v, want unavailable", err)
	}
	broken.Store(false)
	if _, err := k.Authenticate(directory, key); err != nil {
		t.Errorf("Authenticate = %v, want nil", err)
	}
}

func TestFileRefused(t *testing.T) {
	tests := []struct {
		name   string
		change func(t *testing.T, path string)
	}{
		{"a key moved to another consumer", replaced(`"web-shop"`, `"till"`)},
		{"a key removed", func(t *testing.T, path string) {
			rewrite(t, path, func(s string) string {
				return regexp.MustCompile(`(?s)"till": \[.*?\],?`).ReplaceAllString(s, "")
			})
		}},
		{"an unknown field", replaced(`"seq"`, `"extra": 1, "seq"`)},
		{"a field twice", replaced(`"version": 1`, `"version": 1, "version": 1`)},
		{"another version", replaced(`"version": 1`, `"version": 2`)},
		{"no JSON", replaced(`{`, ``)},
		{"mode", func(t *testing.T, path string) { must(t, os.Chmod(path, 0o640)) }},
		{"symbolic link", func(t *testing.T, path string) {
			must(t, os.Rename(path, path+".real"))
			must(t, os.Symlink(path+".real", path))
		}},
		{"an older copy", func(t *testing.T, path string) {
			must(t, os.Rename(path+".old", path))
		}},
		{"gone", func(t *testing.T, path string) { must(t, os.Remove(path)) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, consumer.FileName)
			k := openKeys(t, dir)
			mint(t, k, "till")
			old, err := os.ReadFile(path)
			must(t, err)
			must(t, os.WriteFile(path+".old", old, 0o600))
			key := mint(t, k, "web-shop")
			current, err := os.ReadFile(path)
			must(t, err)
			tt.change(t, path)
			for _, presented := range []string{key, "nonsense"} {
				if _, err := k.Authenticate(directory, presented); broker.KindOf(err) != broker.Unavailable {
					t.Errorf("Authenticate = %v, want unavailable", err)
				}
			}
			if k.Err() == nil {
				t.Error("Err = nil")
			}
			if _, err := k.New("web-shop"); err == nil {
				t.Error("New wrote over a file that does not hold")
			}
			_ = os.Remove(path)
			must(t, os.WriteFile(path, current, 0o600))
			if _, err := k.Authenticate(directory, key); err != nil {
				t.Errorf("after repair: %v", err)
			}
		})
	}
	t.Run("another keyring", func(t *testing.T) {
		dir := t.TempDir()
		mint(t, openKeys(t, dir), "web-shop")
		if _, err := consumer.OpenKeys(dir, keyed("other")); err == nil {
			t.Error("opened")
		}
	})
}

func rewrite(t *testing.T, path string, f func(string) string) {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	after := f(string(text))
	if after == string(text) {
		t.Fatal("nothing was changed")
	}
	must(t, os.WriteFile(path, []byte(after), 0o600))
}

func replaced(from, to string) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		rewrite(t, path, func(s string) string { return strings.Replace(s, from, to, 1) })
	}
}

// Writers do not lose each other's keys, and readers never see half a file.
func TestConcurrent(t *testing.T) {
	dir := t.TempDir()
	first := mint(t, openKeys(t, dir), "web-shop")
	var all, readers sync.WaitGroup
	var stop atomic.Bool
	server := openKeys(t, dir)
	for range 2 {
		readers.Go(func() {
			for !stop.Load() {
				if _, err := server.Authenticate(directory, first); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 4 {
		k := openKeys(t, dir)
		all.Go(func() {
			for range 5 {
				key, err := k.New("till")
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := server.Authenticate(directory, key); err != nil {
					t.Errorf("just minted: %v", err)
				}
			}
		})
	}
	all.Wait()
	stop.Store(true)
	readers.Wait()
	list, err := server.List()
	must(t, err)
	if len(list) != 21 {
		t.Errorf("%d keys, want 21", len(list))
	}
}

// Only a minted key authenticates.
func FuzzAuthenticate(f *testing.F) {
	dir := f.TempDir()
	k := openKeys(f, dir)
	key := mint(f, k, "web-shop")
	f.Add(key)
	f.Add(key + " ")
	f.Add(withChecksum(flip(key, 30)))
	f.Add(consumer.StandIn)
	f.Fuzz(func(t *testing.T, presented string) {
		_, err := k.Authenticate(directory, presented)
		if (err == nil) != (presented == key) {
			t.Errorf("Authenticate(%q) = %v", presented, err)
		}
		if id, ok := consumer.ParseKey(presented); ok && (len(id) != 8 || withChecksum(presented) != presented) {
			t.Errorf("ParseKey(%q) = %q", presented, id)
		}
	})
}

func BenchmarkAuthenticate(b *testing.B) {
	k := openKeys(b, b.TempDir())
	key := mint(b, k, "web-shop")
	time.Sleep(100 * time.Millisecond) // until the file's stamp is believed
	for name, presented := range map[string]string{"known": key, "unknown": withChecksum(flip(key, 5)), "malformed": "x"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = k.Authenticate(directory, presented)
			}
		})
	}
}
