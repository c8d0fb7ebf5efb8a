// Package plain owns the providers "env" and "file": secrets that lie in the clear, for
// development.
package plain

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"pointsman/host/secret"
)

// Env is the provider "env": the secret crm-token is the environment variable
// PREFIX_CRM_TOKEN of this process. Everything that the process starts inherits it, and who
// may look at the process can read it. Safe for concurrent use as long as nobody changes
// the environment.
type Env struct {
	// Prefix is in front of each variable, without the underscore; it cannot be empty.
	Prefix string
}

// Provider implements secret.Provider.
func (Env) Provider() string { return "env" }

func (e Env) lookup(name string) (string, bool) {
	if secret.CheckName(name) != nil || e.Prefix == "" {
		return "", false
	}
	return os.LookupEnv(e.Prefix + "_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_")))
}

// Has implements secret.Provider.
func (e Env) Has(name string) (bool, error) {
	_, ok := e.lookup(name)
	return ok, nil
}

// Get implements secret.Provider.
func (e Env) Get(name string) (secret.Value, error) {
	text, ok := e.lookup(name)
	if !ok {
		return secret.Value{}, fmt.Errorf("secret %.80q: %w", name, secret.ErrNotFound)
	}
	if err := secret.CheckSize(len(text)); err != nil {
		return secret.Value{}, fmt.Errorf("secret %q: %w", name, err)
	}
	return secret.Take([]byte(text)), nil
}

// List implements secret.Provider.
func (e Env) List() ([]secret.Info, error) {
	var list []secret.Info
	for _, entry := range os.Environ() {
		key, text, _ := strings.Cut(entry, "=")
		upper, ok := strings.CutPrefix(key, e.Prefix+"_")
		name := strings.ToLower(strings.ReplaceAll(upper, "_", "-"))
		if ok && e.Prefix != "" && upper == strings.ToUpper(upper) && secret.CheckName(name) == nil {
			list = append(list, secret.Info{Name: name, Provider: e.Provider(), Short: len(text) < secret.Redactable})
		}
	}
	slices.SortFunc(list, func(a, b secret.Info) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// Dir is the provider "file": the secret crm-token is the content of the file crm-token in a
// folder, without one line end at its end. A file that others may read is refused. Safe for
// concurrent use.
type Dir struct{ Path string }

// Provider implements secret.Provider.
func (Dir) Provider() string { return "file" }

// open returns the file of a name. Links that lead out of the folder are refused.
func (d Dir) open(name string) (*os.File, fs.FileInfo, error) {
	if secret.CheckName(name) != nil {
		return nil, nil, secret.ErrNotFound
	}
	root, err := os.OpenRoot(d.Path)
	if err != nil {
		return nil, nil, err
	}
	defer root.Close()                                               // read only: nothing to lose
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe does not block
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, secret.ErrNotFound
	}
	if err != nil {
		return nil, nil, err
	}
	st, err := secret.CheckPrivate(f)
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, st, nil
}

// Has implements secret.Provider.
func (d Dir) Has(name string) (bool, error) {
	f, _, err := d.open(name)
	if errors.Is(err, secret.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, f.Close()
}

// Get implements secret.Provider. It reads the file every time.
func (d Dir) Get(name string) (secret.Value, error) {
	text, err := d.read(name)
	if err != nil {
		return secret.Value{}, fmt.Errorf("secret %.80q: %w", name, err)
	}
	return secret.Take(text), nil
}

func (d Dir) read(name string) ([]byte, error) {
	f, _, err := d.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, secret.MaxSize+3))
	if err != nil {
		return nil, err
	}
	text = bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
	return text, secret.CheckSize(len(text))
}

// List implements secret.Provider. Files that cannot be secrets by their names are passed over.
func (d Dir) List() ([]secret.Info, error) {
	entries, err := os.ReadDir(d.Path)
	if err != nil {
		return nil, err
	}
	var list []secret.Info
	for _, entry := range entries {
		if secret.CheckName(entry.Name()) != nil || entry.IsDir() {
			continue
		}
		f, st, err := d.open(entry.Name())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", entry.Name(), err)
		}
		list = append(list, secret.Info{
			Name: entry.Name(), Provider: d.Provider(), Set: st.ModTime().UTC().Truncate(time.Second), Short: st.Size() < secret.Redactable,
		})
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
	return list, nil
}
