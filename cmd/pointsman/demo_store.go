package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"pointsman/cmd/backends/store"
	"pointsman/host/manifest"
	"pointsman/host/secret"
)

// demoStore is the back end that the demo has a database for, and the secret with the
// password of a server's.
const (
	demoStore         = "customer-store"
	demoStorePassword = "customer-store-password"
)

// startStore makes the database that the manifests name, and fills it with the demo's people:
// a file below databases, or a table where c.postgres says. In the latter case it returns the
// manifest's file rewritten, by its name.
func (w *demoWorld) startStore(ctx context.Context, set *manifest.Set, c demoConfig, databases string, secrets *secret.Store) (rewritten map[string]string, err error) {
	var found *manifest.Backend
	for _, b := range set.Backends {
		if b.SQL == nil {
			continue
		}
		if b.Name != demoStore || b.SQL.Driver != manifest.DriverSQLite {
			return nil, refused(fmt.Errorf("the demo has a database for the back end %s with the driver sqlite; the manifests name %s with the driver %s", demoStore, b.Name, b.SQL.Driver))
		}
		found = b
	}
	switch {
	case found == nil && c.postgres != "":
		return nil, refused(fmt.Errorf("--postgres is for the back end %s, which the manifests do not name", demoStore))
	case found == nil:
		return nil, nil
	case c.postgres == "":
		file := filepath.Join(databases, filepath.FromSlash(found.SQL.File))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return nil, err
		}
		return nil, store.WriteSQLite(ctx, file, w.people.Store())
	}
	target, err := store.ParseURL(c.postgres)
	if err != nil {
		return nil, refused(fmt.Errorf("--postgres: %w", err))
	}
	text, err := fs.ReadFile(rootFS(c.manifests), found.Pos.File)
	if err != nil {
		return nil, err
	}
	w.store, err = store.Fill(ctx, target, w.people.Store())
	switch {
	case errors.Is(err, store.ErrForeign) || errors.Is(err, store.ErrTaken):
		return nil, refused(fmt.Errorf("--postgres: %w", err))
	case err != nil:
		return nil, fmt.Errorf("--postgres: %w", err)
	}
	if target.Password != "" {
		if err := secrets.Set(demoStorePassword, []byte(target.Password)); err != nil {
			return nil, err
		}
	}
	if target.CA != nil {
		if err := w.write("manifests/postgres-ca.pem", target.CA); err != nil {
			return nil, err
		}
	}
	is, err := toPostgres(string(text), found.Pos.Line, w.store.Target)
	if err != nil {
		return nil, refused(fmt.Errorf("%s: %w", found.Pos, err))
	}
	return map[string]string{found.Pos.File: is}, nil
}

// What of the back end's document tells where the database is, and how its statements name
// the table and the argument.
var (
	driverLine = regexp.MustCompile(`(?m)^( *)driver: sqlite\b.*\n`)
	fileLine   = regexp.MustCompile(`(?m)^ *file: .*\n`)
	tableText  = regexp.MustCompile(`\bFROM ` + store.Table + ` WHERE number = \?`)
)

// toPostgres returns the manifests in text with the back end at that line reaching t. All
// else, comments too, stays as it is.
func toPostgres(text string, line int, t store.Target) (string, error) {
	begin, end := document(text, line)
	doc := text[begin:end]
	for _, re := range []*regexp.Regexp{driverLine, fileLine, tableText} {
		if n := len(re.FindAllString(doc, -1)); n != 1 {
			return "", fmt.Errorf("%q was looked for in the back end, to write into it where PostgreSQL is, and found %d times instead of once; see manifests/demo", re, n)
		}
	}
	quote := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil { // texts and lists of texts only
			panic(err)
		}
		return string(text)
	}
	lines := []string{"driver: postgres", "address: " + quote(t.Address), "database: " + quote(t.Database), "user: " + quote(t.User)}
	if t.Password != "" {
		lines = append(lines, "password: {secret: "+demoStorePassword+"}")
	}
	switch {
	case t.Insecure:
		lines = append(lines, "insecure: true")
	case t.CA != nil:
		lines = append(lines, "tls: {ca: postgres-ca.pem}")
	}
	if len(t.Private) > 0 {
		lines = append(lines, "private: "+quote(t.Private))
	}
	doc = fileLine.ReplaceAllString(doc, "")
	indent := driverLine.FindStringSubmatch(doc)[1]
	doc = driverLine.ReplaceAllLiteralString(doc, indent+strings.Join(lines, "\n"+indent)+"\n")
	doc = tableText.ReplaceAllLiteralString(doc, "FROM "+store.Schema+"."+store.Table+" WHERE number = $1")
	return text[:begin] + doc + text[end:], nil
}

// document returns where the YAML document with that line begins and ends in text.
func document(text string, line int) (begin, end int) {
	at, n := 0, 0
	for l := range strings.Lines(text) {
		n++
		if l == "---\n" {
			if n >= line {
				return begin, at
			}
			begin = at
		}
		at += len(l)
	}
	return begin, at
}
