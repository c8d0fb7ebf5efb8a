package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"pointsman/cmd/backends/sim"
	"pointsman/cmd/backends/store"
	"pointsman/host/manifest"
)

// consumers replaces the manifests' consumers: the demo's have rates that a benchmark exceeds.
// This one has every scope that shows a field, and a budget for all customers that there are.
const consumers = `apiVersion: pointsman/v1
kind: Consumer
metadata: {name: bench}
spec:
  auth: {apiKey: {}}
  scopes: [profile.read, profile.contact, profile.birthday, loyalty.read]
  sector: bench
  subjects: 50000/day
`

// prepare does what an admin does before the broker starts, with the command line alone.
func (w *world) prepare(ctx context.Context, o options, c config) error {
	if err := w.copyManifests(o.manifests, c); err != nil {
		return err
	}
	if err := w.makeDatabases(ctx, o.manifests); err != nil {
		return err
	}
	// The same with plugins that read what they hand on.
	if err := os.CopyFS(filepath.Join(w.dir, "bytes"), os.DirFS(filepath.Join(w.dir, "manifests"))); err != nil {
		return err
	}
	if err := w.write("bytes/plugins.yaml", bytesPlugins); err != nil {
		return err
	}
	for name, secret := range map[string]string{"salesforce": "salesforce-client", "hubspot": "hubspot-token", "square": "square-token"} {
		if _, err := pointsman(ctx, o, c.Backends[name].Token, "secret", "set", secret, "--data", w.data()); err != nil {
			return err
		}
	}
	key, err := pointsman(ctx, o, "", "consumer", "key", "bench", "--data", w.data())
	if err != nil {
		return err
	}
	w.key = strings.TrimSpace(key)
	return copyPrivately(w.data()+"-bytes", w.data()) // the same keys and secrets
}

// copyPrivately copies a folder whose files nobody else may read.
func copyPrivately(to, from string) error {
	return fs.WalkDir(os.DirFS(from), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return errors.Join(err, os.MkdirAll(filepath.Join(to, name), 0o700))
		}
		text, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, name), text, 0o600)
	})
}

// bytesPlugins are the demo's plugins, but for those that hand on what they cannot read.
//
//go:embed bytes.yaml
var bytesPlugins []byte

// copyManifests puts the manifests into the broker's folder, with the origins that the back
// ends have here and with a consumer of our own.
func (w *world) copyManifests(from string, c config) error {
	root := os.DirFS(from)
	set, faults := manifest.Load(root)
	if err := faults.Err(); err != nil {
		return err
	}
	var moved []string
	for _, b := range set.Backends {
		if b.HTTP != nil {
			moved = append(moved, b.HTTP.URL, c.Backends[b.Name].URL)
		}
	}
	replace := strings.NewReplacer(moved...)
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() == "consumers.yaml" {
			return err
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		return w.write(filepath.Join("manifests", name), []byte(replace.Replace(string(text))))
	})
	return errors.Join(err,
		w.write("manifests/consumers.yaml", []byte(consumers)),
		w.write("manifests/ca.pem", w.ca.PEM()))
}

// makeDatabases makes the files of the manifests' databases. The route that is measured asks
// none of them.
func (w *world) makeDatabases(ctx context.Context, from string) error {
	set, faults := manifest.Load(os.DirFS(from))
	if err := faults.Err(); err != nil {
		return err
	}
	for _, b := range set.Backends {
		if b.SQL == nil || b.SQL.File == "" {
			continue
		}
		file := filepath.Join(w.dir, "databases", filepath.FromSlash(b.SQL.File))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return err
		}
		if err := store.WriteSQLite(ctx, file, sim.NewData(seed, customers).Store()); err != nil {
			return err
		}
	}
	return nil
}

// pointsman runs one command line and returns its standard output.
func pointsman(ctx context.Context, o options, stdin string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, o.pointsman, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var diagnostics strings.Builder
	cmd.Stderr = &diagnostics
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w (make build?)\n%s", o.pointsman, strings.Join(args, " "), err, &diagnostics)
	}
	return string(out), nil
}
