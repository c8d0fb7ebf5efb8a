package secret_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pointsman/host/secret"
)

func TestStoreRefusesNamesAndSizes(t *testing.T) {
	s := open(t, t.TempDir(), keyring(t))
	tests := []struct {
		name, secret string
		plain        []byte
	}{
		{"empty name", "", []byte("x")},
		{"upper case", "Token", []byte("x")},
		{"path", "../token", []byte("x")},
		{"separator", "a|b", []byte("x")},
		{"too long a name", strings.Repeat("a", 64), []byte("x")},
		{"empty secret", "token", nil},
		{"too large", "token", make([]byte, secret.MaxSize+1)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := s.Set(tt.secret, tt.plain); err == nil {
				t.Error("set, want a refusal")
			}
		})
	}
	if got := s.Names(); len(got) != 0 {
		t.Errorf("holds %v, want nothing", got)
	}
}

func TestStoreRefusesAnotherKeyring(t *testing.T) {
	for _, secrets := range []int{0, 1} {
		dir := t.TempDir()
		s := open(t, dir, keyring(t))
		for i := range secrets {
			set(t, s, fmt.Sprintf("token%d", i), canary)
		}
		before := readFile(t, filepath.Join(dir, "secrets.json"))
		if _, err := secret.OpenStore(dir, keyring(t)); !errors.Is(err, secret.ErrWrongKey) {
			t.Errorf("with %d secrets: error %v, want ErrWrongKey", secrets, err)
		}
		if readFile(t, filepath.Join(dir, "secrets.json")) != before {
			t.Errorf("with %d secrets: the file was changed", secrets)
		}
	}
}

func TestStoreRefusesAChangedFile(t *testing.T) {
	type former struct {
		Version uint64 `json:"version"`
		Until   string `json:"until"`
		Sealed  []byte `json:"sealed"`
	}
	type entry struct {
		Version uint64   `json:"version"`
		Set     string   `json:"set,omitempty"`
		Expires string   `json:"expires,omitempty"`
		Short   bool     `json:"short,omitempty"`
		Sealed  []byte   `json:"sealed"`
		Former  []former `json:"former,omitempty"`
	}
	type file struct {
		Format  string            `json:"format"`
		Seq     uint64            `json:"seq"`
		Check   []byte            `json:"check"`
		Secrets map[string]*entry `json:"secrets"`
		Sum     []byte            `json:"sum"`
	}
	tests := []struct {
		name   string
		change func(*file)
	}{
		{"moved to another name", func(f *file) { f.Secrets["b"] = f.Secrets["a"] }},
		{"its ciphertext moved", func(f *file) { f.Secrets["b"].Sealed = f.Secrets["a"].Sealed }},
		{"renamed", func(f *file) { f.Secrets["c"] = f.Secrets["a"]; delete(f.Secrets, "a") }},
		{"removed", func(f *file) { delete(f.Secrets, "a") }},
		{"a bit", func(f *file) { f.Secrets["a"].Sealed[20] ^= 1 }},
		{"the earlier value put back", func(f *file) { f.Secrets["a"].Sealed = f.Secrets["a"].Former[0].Sealed }},
		{"the earlier value forgotten", func(f *file) { f.Secrets["a"].Former = nil }},
		{"its version", func(f *file) { f.Secrets["a"].Version++ }},
		{"its expiry", func(f *file) { f.Secrets["a"].Expires = "" }},
		{"its age", func(f *file) { f.Secrets["a"].Set = "2020-01-01T00:00:00Z" }},
		{"the number", func(f *file) { f.Seq++ }},
		{"the sum", func(f *file) { f.Sum = nil }},
		{"the format", func(f *file) { f.Format = "pointsman-secrets/3" }},
		{"an older format", func(f *file) { f.Format = "pointsman-secrets/1" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir, k := t.TempDir(), keyring(t)
			s := open(t, dir, k)
			set(t, s, "a", "the earlier one")
			set(t, s, "b", "another")
			if err := s.Rotate("a", []byte(canary), secret.Terms{Expires: time.Now().Add(time.Hour), Overlap: time.Hour}); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "secrets.json")
			var f file
			if err := json.Unmarshal([]byte(readFile(t, path)), &f); err != nil {
				t.Fatal(err)
			}
			tt.change(&f)
			text, err := json.Marshal(f)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, text, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := secret.OpenStore(dir, k); !errors.Is(err, secret.ErrDamaged) {
				t.Errorf("open: %v, want ErrDamaged", err)
			}
			if v, err := s.Get("b"); err == nil {
				t.Errorf("the running store still gives %v", v)
			}
			if err := s.Set("c", []byte("x")); !errors.Is(err, secret.ErrDamaged) {
				t.Errorf("set: %v, want ErrDamaged", err)
			}
			if readFile(t, path) != string(text) {
				t.Error("a damaged file was written over")
			}
		})
	}
}

func TestStoreFailsWhenItsFileIsGone(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, keyring(t))
	set(t, s, "token", canary)
	if err := os.Remove(filepath.Join(dir, "secrets.json")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get("token"); err == nil || errors.Is(err, secret.ErrNotFound) {
		t.Errorf("get: %v, want that the file is gone", err)
	}
	if err := s.Set("other", []byte("x")); err == nil {
		t.Error("a new file was made in place of the one that is gone")
	}
}

func TestStoreLeavesNoPlaintext(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, keyring(t))
	set(t, s, "token", canary)
	forms := []string{canary, base64.StdEncoding.EncodeToString([]byte(canary))[:20], fmt.Sprintf("%x", canary)}
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		for _, form := range forms {
			if strings.Contains(readFile(t, p), form) {
				t.Errorf("%s holds the secret", d.Name())
			}
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v, want none for others", d.Name(), info.Mode())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestStoreSetGetRemove(t *testing.T) {
	dir, k := t.TempDir(), keyring(t)
	s := open(t, dir, k)
	if _, err := s.Get("token"); !errors.Is(err, secret.ErrNotFound) {
		t.Errorf("get: %v, want ErrNotFound", err)
	}
	set(t, s, "token", "old")
	set(t, s, "token", canary)
	set(t, s, "other", "x")
	again := open(t, dir, k)
	if v, err := again.Get("token"); err != nil || string(v.Expose()) != canary {
		t.Errorf("after opening again: %q, %v, want %q", v.Expose(), err, canary)
	}
	if diff := cmp.Diff([]string{"other", "token"}, again.Names()); diff != "" {
		t.Error(diff)
	}
	if err := again.Remove("token"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get("token"); !errors.Is(err, secret.ErrNotFound) {
		t.Errorf("removed by another: %v, want ErrNotFound", err)
	}
	if err := s.Remove("token"); !errors.Is(err, secret.ErrNotFound) {
		t.Errorf("removed twice: %v, want ErrNotFound", err)
	}
}

// TestStoreSeesOtherProcess sets secrets from a real second process.
func TestStoreSeesOtherProcess(t *testing.T) {
	if dir := os.Getenv("SECRET_TEST_DIR"); dir != "" {
		k, err := secret.OpenKeyring(os.Getenv("SECRET_TEST_KEYRING"), false)
		if err != nil {
			t.Fatal(err)
		}
		set(t, open(t, dir, k), "token", "from outside")
		return
	}
	dir, path := t.TempDir(), keyringPath(t)
	k, err := secret.OpenKeyring(path, false)
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, dir, k)
	set(t, s, "token", "mine")
	cmd := exec.Command(os.Args[0], "-test.run=^TestStoreSeesOtherProcess$")
	cmd.Env = append(os.Environ(), "SECRET_TEST_DIR="+dir, "SECRET_TEST_KEYRING="+path)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if v, err := s.Get("token"); err != nil || string(v.Expose()) != "from outside" {
		t.Errorf("got %q, %v, want what the other process set", v.Expose(), err)
	}
}

// TestStoreWritersWait has several stores on one directory write at once: none may undo
// what another wrote.
func TestStoreWritersWait(t *testing.T) {
	dir, k := t.TempDir(), keyring(t)
	var wg sync.WaitGroup
	const stores, writes = 4, 5
	for i := range stores {
		s := open(t, dir, k)
		wg.Go(func() {
			for j := range writes {
				if err := s.Set(fmt.Sprintf("s%d-%d", i, j), []byte("x")); err != nil {
					t.Error(err)
				}
				if _, err := s.Get(fmt.Sprintf("s%d-%d", i, j)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := len(open(t, dir, k).Names()); got != stores*writes {
		t.Errorf("%d secrets, want %d", got, stores*writes)
	}
}

// FuzzStoreFile edits a store's file in any way: opening gives no secret that was not set,
// and leaves the file as it was.
func FuzzStoreFile(f *testing.F) {
	dir, k := f.TempDir(), keyring(f)
	path := filepath.Join(dir, secret.StoreFile)
	set(f, open(f, dir, k), "token", canary)
	good := readFile(f, path) // differs in each process that fuzzes, so an edit is what is fuzzed
	f.Add(uint16(0), uint16(0), []byte(""))
	f.Add(uint16(0), uint16(65535), []byte(""))
	f.Add(uint16(strings.Index(good, `"token"`)), uint16(7), []byte(`"other"`))
	f.Add(uint16(strings.Index(good, `2,`)), uint16(1), []byte(`2,"seq":3`))
	f.Add(uint16(len(good)), uint16(0), []byte(good))
	f.Add(uint16(0), uint16(65535), []byte(`{"format":"pointsman-secrets/1"}`))
	f.Fuzz(func(t *testing.T, at, length uint16, insert []byte) {
		from := min(int(at), len(good))
		text := good[:from] + string(insert) + good[min(from+int(length), len(good)):]
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err := secret.OpenStore(dir, k); err == nil {
			if diff := cmp.Diff([]string{"token"}, s.Names()); diff != "" {
				t.Errorf("opened a file that nobody sealed: %s", diff)
			}
			if v, err := s.Get("token"); err != nil || string(v.Expose()) != canary {
				t.Errorf("got %q, %v", v.Expose(), err)
			}
		}
		if readFile(t, path) != text {
			t.Error("opening changed the file")
		}
	})
}

func BenchmarkGet(b *testing.B) {
	s, err := secret.OpenStore(b.TempDir(), keyring(b))
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Set("token", []byte(canary)); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Get("token"); err != nil {
			b.Fatal(err)
		}
	}
}

func open(t testing.TB, dir string, k *secret.Keyring) *secret.Store {
	t.Helper()
	s, err := secret.OpenStore(dir, k)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func set(t testing.TB, s *secret.Store, name, plain string) {
	t.Helper()
	if err := s.Set(name, []byte(plain)); err != nil {
		t.Fatal(err)
	}
}
