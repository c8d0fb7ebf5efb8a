package vault

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"pointsman/host/secret"
)

const (
	// refreshTime is how often values are read again: what is changed or deleted at the
	// server is taken up within it.
	refreshTime = 15 * time.Second
	// staleTime is how long a value is used that could not be read again because the server
	// does not answer: a restart or a failover of it is not an outage of ours.
	staleTime = 10 * time.Minute
)

// values are what was read.
type values struct {
	mu    sync.Mutex
	held  map[string]cached // guarded by mu
	fetch sync.Mutex        // held while one is read for the first time
}

type cached struct {
	value   secret.Value
	version uint64
	set     time.Time
	read    time.Time
	short   bool
	former  []fading
}

type fading struct {
	value secret.Value
	until time.Time
}

// Provider implements secret.Provider.
func (*Client) Provider() string { return "vault" }

// Has implements secret.Provider: the configuration lists the names.
func (v *Client) Has(name string) (bool, error) {
	_, ok := v.config.Secrets[name]
	return ok, nil
}

// Get implements secret.Provider. The first Get of a name waits for the server, for five
// seconds at most; later ones take what Start's goroutine read last.
func (v *Client) Get(name string) (secret.Value, error) {
	path, ok := v.config.Secrets[name]
	if !ok {
		return secret.Value{}, fmt.Errorf("secret %.80q: %w", name, secret.ErrNotFound)
	}
	if c, ok := v.fresh(name); ok {
		return c.replacing(), nil
	}
	v.values.fetch.Lock()
	defer v.values.fetch.Unlock()
	if c, ok := v.fresh(name); ok { // read while we waited
		return c.replacing(), nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), callTime)
	defer cancel()
	c, err := v.load(ctx, name, path)
	if err != nil {
		return secret.Value{}, fmt.Errorf("secret %q: %w", name, err)
	}
	return c.replacing(), nil
}

// fresh returns what was read of name unless that is too old. Without Start's goroutine
// everything is.
func (v *Client) fresh(name string) (cached, bool) {
	v.values.mu.Lock()
	defer v.values.mu.Unlock()
	c, ok := v.values.held[name]
	age := time.Since(c.read)
	return c, ok && (age < v.config.Refresh || v.stop != nil && age < staleTime)
}

func (c cached) replacing() secret.Value {
	now := time.Now()
	var former []secret.Value
	for _, f := range c.former {
		if now.Before(f.until) {
			former = append(former, f.value)
		}
	}
	return c.value.Replacing(former...)
}

// refresh reads again what was read before. What the server no longer gives is forgotten.
func (v *Client) refresh(ctx context.Context) {
	v.values.mu.Lock()
	names := slices.Collect(maps.Keys(v.values.held))
	v.values.mu.Unlock()
	for _, name := range names {
		_, err := v.load(ctx, name, v.config.Secrets[name])
		if err != nil && !errors.Is(err, secret.ErrUnreachable) && ctx.Err() == nil {
			v.values.mu.Lock()
			delete(v.values.held, name)
			v.values.mu.Unlock()
		}
	}
}

type kvAnswer struct {
	Data struct {
		Data     map[string]jsontext.Value `json:"data"`
		Metadata struct {
			Version     uint64    `json:"version"`
			CreatedTime time.Time `json:"created_time"`
			Destroyed   bool      `json:"destroyed"`
		} `json:"metadata"`
	} `json:"data"`
}

func (v *Client) load(ctx context.Context, name string, p Path) (cached, error) {
	var a kvAnswer
	err := v.do(ctx, http.MethodGet, "/v1/"+p.Mount+"/data/"+p.Path, nil, &a)
	if s, ok := errors.AsType[statusError](err); ok && s.status == http.StatusNotFound {
		return cached{}, fmt.Errorf("%s/%s: %w", p.Mount, p.Path, secret.ErrNotFound)
	}
	if err != nil {
		return cached{}, err
	}
	defer func() {
		for _, raw := range a.Data.Data {
			clear(raw)
		}
	}()
	raw, ok := a.Data.Data[p.Field]
	if !ok || a.Data.Metadata.Destroyed {
		return cached{}, fmt.Errorf("%s/%s has no field %q: %w", p.Mount, p.Path, p.Field, secret.ErrNotFound)
	}
	plain, err := jsontext.AppendUnquote(nil, raw)
	if err != nil {
		return cached{}, fmt.Errorf("%s/%s: field %q is not a string", p.Mount, p.Path, p.Field)
	}
	defer clear(plain)
	if err := secret.CheckSize(len(plain)); err != nil {
		return cached{}, err
	}
	return v.keep(name, plain, a.Data.Metadata.Version, a.Data.Metadata.CreatedTime), nil
}

// keep takes up what was read, unless something newer was meanwhile.
func (v *Client) keep(name string, plain []byte, version uint64, set time.Time) cached {
	v.values.mu.Lock()
	defer v.values.mu.Unlock()
	now := time.Now()
	last, ok := v.values.held[name]
	switch {
	case ok && last.version == version && last.set.Equal(set):
		last.read = now
		v.values.held[name] = last
		return last
	case ok && last.version > version && last.set.After(set):
		return last
	}
	next := cached{version: version, set: set, read: now, short: len(plain) < secret.Redactable, value: secret.Take(plain)}
	for _, f := range last.former {
		if now.Before(f.until) {
			next.former = append(next.former, f)
		}
	}
	if ok && v.config.Overlap > 0 {
		next.former = append(next.former, fading{last.value, now.Add(v.config.Overlap)})
	}
	v.values.held[name] = next
	return next
}

// List implements secret.Provider. Versions and ages are those of what was read.
func (v *Client) List() ([]secret.Info, error) {
	v.values.mu.Lock()
	defer v.values.mu.Unlock()
	list := make([]secret.Info, 0, len(v.config.Secrets))
	for _, name := range slices.Sorted(maps.Keys(v.config.Secrets)) {
		c := v.values.held[name]
		list = append(list, secret.Info{
			Name: name, Provider: v.Provider(), Version: c.version, Set: c.set, Short: c.short,
			Former: c.still(),
		})
	}
	return list, nil
}

// still is how many replaced values are looked for.
func (c cached) still() (n int) {
	for _, f := range c.former {
		if time.Now().Before(f.until) {
			n++
		}
	}
	return n
}
