package main

import (
	"context"
	"database/sql"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pointsman/host"
	"pointsman/host/kv"
	"pointsman/host/secret"
)

// runOnce runs one command line and returns its exit code and all that it wrote.
func runOnce(t *testing.T, args ...string) (code int, text string) {
	t.Helper()
	cmd := exec.Command(self(t), args...)
	cmd.Env = asPointsman()
	out, err := cmd.CombinedOutput()
	if exit, ok := err.(*exec.ExitError); ok {
		return exit.ExitCode(), string(out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return 0, string(out)
}

// TestKeysOfWhatPluginsKeep: a master key goes, and what plugins keep opens still.
func TestKeysOfWhatPluginsKeep(t *testing.T) {
	data := t.TempDir()
	if code, text := runOnce(t, "consumer", "key", "shop", "--data", data); code != 0 {
		t.Fatal(text)
	}
	path := filepath.Join(data, "keyring.json")
	open := func() (*secret.Keyring, *kv.Store) {
		t.Helper()
		keyring, err := secret.OpenKeyring(path, false)
		if err != nil {
			t.Fatal(err)
		}
		store, err := kv.Open(context.Background(), host.KeptDir(data), kv.Options{Keyring: keyring})
		if err != nil {
			t.Fatal(err)
		}
		return keyring, store
	}
	keyring, store := open()
	old := keyring.Keys()[0].ID
	limits := kv.Limits{Bytes: 1 << 10, Keys: 10, TTL: time.Hour}
	if _, err := store.Put(context.Background(), "p", limits, kv.Put{Key: "k", Value: []byte("v")}); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"rotate"}, {"retire", old.String()}, {"delete", old.String()}} {
		args = append(append([]string{"secret", "keys"}, args...), "--data", data)
		if code, text := runOnce(t, args...); code != 0 {
			t.Fatalf("%v: %d %s", args, code, text)
		}
	}
	keyring, store = open()
	defer store.Close()
	if keys := keyring.Keys(); len(keys) != 1 || keys[0].ID == old {
		t.Errorf("the keys are %v, want one that is not %v", keys, old)
	}
	if e, err := store.Get(context.Background(), "p", "k"); err != nil || string(e.Value) != "v" {
		t.Errorf("got %q, %v", e.Value, err)
	}
}

const storeManifests = `
apiVersion: pointsman/v1
kind: Backend
metadata: {name: store}
spec:
  sql:
    driver: sqlite
    file: customers.db
    statements:
      by-number: {sql: "SELECT name FROM COLUMNS_OF WHERE number = ?", params: [{name: number, type: text, maxLength: 8}]}
---
apiVersion: pointsman/v1
kind: Plugin
metadata: {name: customer-store}
spec:
  module: {path: customer-store.wasm}
  grants: {sql: [{backend: store, statements: [by-number], view: [name]}]}
`

// TestBackendCheckDatabase: an admin is told what a database is, or what is wrong with it.
func TestBackendCheckDatabase(t *testing.T) {
	dir := t.TempDir()
	db, err := sql.Open("sqlite", filepath.Join(dir, "customers.db"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("CREATE TABLE customers (number TEXT, name TEXT)"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	check := func(table, databases string, more ...string) (int, string) {
		t.Helper()
		manifests := t.TempDir()
		if err := os.WriteFile(filepath.Join(manifests, "all.yaml"), []byte(strings.ReplaceAll(storeManifests, "COLUMNS_OF", table)), 0o600); err != nil {
			t.Fatal(err)
		}
		data := filepath.Join(t.TempDir(), "data")
		if code, text := runOnce(t, "consumer", "key", "shop", "--data", data); code != 0 {
			t.Fatal(text)
		}
		return runOnce(t, append([]string{"backend", "check", "store", "--manifests", manifests, "--data", data, "--databases", databases}, more...)...)
	}
	tests := []struct {
		name, table, databases string
		code                   int
		want                   string
	}{
		{"no folder of databases", "customers", "", exitRefused, "serve --databases DIR names one"},
		{"no such file", "customers", t.TempDir(), exitRefused, "customers.db"},
		{"no such table", "clients", dir, exitFailed, "no such table: clients"},
		{"well", "customers", dir, 0, "SQLite"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if code, text := check(tt.table, tt.databases); code != tt.code || !strings.Contains(text, tt.want) {
				t.Errorf("exit %d, want %d, and a text with %q:\n%s", code, tt.code, tt.want, text)
			}
		})
	}
	if code, text := check("customers", dir, "--json"); code != 0 || !strings.Contains(text, `"latency_ms":`) {
		t.Errorf("as JSON: %d %s", code, text)
	}
}
