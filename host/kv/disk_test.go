package kv_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pointsman/host/broker"
	"pointsman/host/kv"
)

// file opens the store's file behind its back.
func file(t testing.TB, dir string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, "kv", kv.File))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func edit(t testing.TB, dir, statement string, args ...any) {
	t.Helper()
	db := file(t, dir)
	if _, err := db.Exec(statement, args...); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func entries(t testing.TB, dir string) (n int) {
	t.Helper()
	db := file(t, dir)
	if err := errors.Join(db.QueryRow(`SELECT count(*) FROM entry`).Scan(&n), db.Close()); err != nil {
		t.Fatal(err)
	}
	return n
}

// readAll returns every byte below dir, by file.
func readAll(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files[p], err = os.ReadFile(p)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestOpenRefuses(t *testing.T) {
	tests := []struct {
		name   string
		change func(t *testing.T, dir string)
		want   error // nil: any
		text   string
	}{
		{"another keyring", func(t *testing.T, dir string) {
			text, err := os.ReadFile(filepath.Join(home(t), "keyring.json"))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "keyring.json"), text, 0o600); err != nil {
				t.Fatal(err)
			}
		}, kv.ErrWrongKey, "bring back the keyring"},
		{"a key check that was changed", func(t *testing.T, dir string) { edit(t, dir, `UPDATE meta SET sealed = x'00'`) }, kv.ErrWrongKey, ""},
		{"another format", func(t *testing.T, dir string) { edit(t, dir, `UPDATE meta SET format = 'pointsman-kv/2'`) }, kv.ErrFormat, ""},
		{"no key check", func(t *testing.T, dir string) { edit(t, dir, `DELETE FROM meta`) }, kv.ErrFormat, ""},
		{"somebody else's database", func(t *testing.T, dir string) {
			edit(t, dir, `DROP TABLE meta; CREATE TABLE songs (title TEXT)`)
		}, kv.ErrFormat, ""},
		{"no database", func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, "kv", kv.File), bytes.Repeat([]byte("no database "), 1000), 0o600); err != nil {
				t.Fatal(err)
			}
		}, kv.ErrFormat, ""},
		{"a file that others can read", func(t *testing.T, dir string) {
			if err := os.Chmod(filepath.Join(dir, "kv", kv.File), 0o640); err != nil {
				t.Fatal(err)
			}
		}, nil, "mode 0640"},
		{"a folder that others can look into", func(t *testing.T, dir string) {
			if err := os.Chmod(filepath.Join(dir, "kv"), 0o755); err != nil {
				t.Fatal(err)
			}
		}, nil, "mode 0755"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := home(t)
			s := openAt(t, dir, nil)
			put(t, s, "a", "k", "v")
			closes(t, s)
			tt.change(t, dir)
			before := readAll(t, filepath.Join(dir, "kv"))
			k, err := keyringOf(dir)
			if err != nil {
				t.Fatal(err)
			}
			opened, err := kv.Open(ctx, filepath.Join(dir, "kv"), kv.Options{Keyring: k})
			if err == nil {
				t.Fatal("it was opened", opened.Close())
			}
			if tt.want != nil {
				wantErr(t, "open", err, tt.want)
			}
			if !strings.Contains(err.Error(), tt.text) {
				t.Errorf("error %q does not say %q", err, tt.text)
			}
			after := readAll(t, filepath.Join(dir, "kv"))
			for name, text := range before {
				if !bytes.Equal(after[name], text) {
					t.Errorf("%s was changed", name)
				}
			}
		})
	}
	if _, err := kv.Open(ctx, t.TempDir(), kv.Options{}); err == nil {
		t.Error("opened without a keyring")
	}
}

// An entry that was changed, cut or moved on disk does not open, and the others do.
func TestChangedOnDisk(t *testing.T) {
	tests := []struct{ name, statement string }{
		{"a changed byte", `UPDATE entry SET sealed = CAST(substr(sealed, 1, 40) || x'00' || substr(sealed, 42) AS BLOB) WHERE id = 1`},
		{"cut short", `UPDATE entry SET sealed = substr(sealed, 1, length(sealed)-1) WHERE id = 1`},
		{"nothing sealed", `UPDATE entry SET sealed = x'' WHERE id = 1`},
		{"another key's value", `UPDATE entry SET (sealed, version, size, expires) = (SELECT sealed, version, size, expires FROM entry WHERE id = 2) WHERE id = 1`},
		{"another plugin's value", `UPDATE entry SET (sealed, version, size, expires) = (SELECT sealed, version, size, expires FROM entry WHERE id = 3) WHERE id = 1`},
		{"another plugin's entry under this key", `CREATE TEMP TABLE m AS SELECT mac FROM entry WHERE id = 1; DELETE FROM entry WHERE id = 1; UPDATE entry SET mac = (SELECT mac FROM m), space = 1 WHERE id = 3`},
		{"another version", `UPDATE entry SET version = version + 1 WHERE id = 1`},
		{"a longer life", `UPDATE entry SET expires = expires + 1 WHERE id = 1`},
		{"another size", `UPDATE entry SET size = size - 1 WHERE id = 1`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := home(t)
			s := openAt(t, dir, nil)
			put(t, s, "a", "one", "1")
			put(t, s, "a", "two", "2")
			put(t, s, "b", "one", "3")
			put(t, s, "b", "two", "4")
			edit(t, dir, tt.statement)
			_, err := s.Get(ctx, "a", "one")
			wantErr(t, "get", err, kv.ErrDamaged)
			_, err = s.Swap(ctx, "a", wide, kv.Put{Key: "one", Value: []byte("x")}, 1)
			wantErr(t, "swap", err, kv.ErrDamaged)
			want(t, s, "a", "two", "2")
			want(t, s, "b", "two", "4")
			put(t, s, "a", "one", "new")
			want(t, s, "a", "one", "new")
		})
	}
}

// A page of the file that the disk spoilt is an error, and never another value.
func TestSpoiltPages(t *testing.T) {
	dir := home(t)
	s := openAt(t, dir, nil)
	const n = 200
	for i := range n {
		put(t, s, "a", fmt.Sprint("key", i), fmt.Sprintf("value %d %s", i, strings.Repeat("x", 300)))
	}
	closes(t, s)
	path := filepath.Join(dir, "kv", kv.File)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copy(text[len(text)/2:], bytes.Repeat([]byte{0xa5}, 4096))
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, dir, nil)
	good, bad := 0, 0
	for i := range n {
		e, err := s.Get(ctx, "a", fmt.Sprint("key", i))
		switch {
		case err != nil || e.Version == 0:
			bad++
		case !strings.HasPrefix(string(e.Value), fmt.Sprintf("value %d ", i)):
			t.Fatalf("key%d holds %.20q", i, e.Value)
		default:
			good++
		}
	}
	if good == 0 || bad == 0 {
		t.Errorf("%d read, %d did not; want some of each", good, bad)
	}
}

func TestNothingReadableOnDisk(t *testing.T) {
	dir := home(t)
	s := openAt(t, dir, nil)
	const plugin, label = "canary-plugin-1b8e", "canary.label"
	keys, values := []string{"canary-key-93f1", "ключ-канарейка"}, []string{"canary-value-5c77", "canary-replaced-0a", "canary-deleted-77"}
	for _, key := range keys {
		for _, value := range values {
			if _, err := s.Put(ctx, plugin, wide, kv.Put{Key: key, Value: []byte(value), Labels: broker.NewLabels(label)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Delete(ctx, plugin, keys[0]); err != nil {
		t.Fatal(err)
	}
	search := func(when string) {
		t.Helper()
		files := readAll(t, filepath.Join(dir, "kv"))
		for name, text := range files {
			for _, canary := range append(append([]string{plugin, label}, keys...), values...) {
				for form, needle := range forms(canary) {
					if bytes.Contains(bytes.ToLower(text), bytes.ToLower([]byte(needle))) {
						t.Errorf("%s: %s holds %q (%s)", when, filepath.Base(name), canary, form)
					}
				}
			}
			if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %s: %v, %v, want mode 0600", when, name, info.Mode(), err)
			}
		}
		if len(files) == 0 {
			t.Error("there are no files")
		}
	}
	search("open")
	if info, err := os.Stat(filepath.Join(dir, "kv")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v, want mode 0700", info.Mode(), err)
	}
	want(t, s, plugin, keys[1], values[2]) // it is there all the same
	closes(t, s)
	search("closed")
}

// forms are how a text could lie in a file. The three of base64 leave out what depends on
// the bytes beside it.
func forms(s string) map[string]string {
	f := map[string]string{"as it is": s, "hex": hex.EncodeToString([]byte(s))}
	for shift := range 3 {
		text := base64.RawStdEncoding.EncodeToString(append(make([]byte, shift), s...))
		f[fmt.Sprint("base64, shifted by ", shift)] = text[(shift*4+2)/3 : len(text)-2]
	}
	return f
}

func TestOpensAgain(t *testing.T) {
	dir := home(t)
	s := openAt(t, dir, nil)
	put(t, s, "a", "k", "v")
	closes(t, s)
	s = openAt(t, dir, nil)
	want(t, s, "a", "k", "v")
	if err := s.Err(); err != nil {
		t.Error(err)
	}
}

// What was sealed with the keyring's former key opens; a key that was retired opens nothing,
// and Reseal comes before that.
func TestReseal(t *testing.T) {
	dir := home(t)
	s := openAt(t, dir, nil)
	const n = 300 // more than one batch
	for i := range n {
		put(t, s, "a", fmt.Sprint(i), "v")
	}
	k, err := keyringOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	old := k.Keys()[0].ID
	if _, err := k.Rotate(); err != nil {
		t.Fatal(err)
	}
	want(t, s, "a", "0", "v")
	if resealed, err := s.Reseal(context.Background()); err != nil || resealed != n {
		t.Fatalf("sealed %d anew, %v, want %d", resealed, err, n)
	}
	if err := k.Retire(old); err != nil {
		t.Fatal(err)
	}
	closes(t, s)
	s = openAt(t, dir, nil)
	for i := range n {
		want(t, s, "a", fmt.Sprint(i), "v")
	}
}
