package secret

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// Memory is the provider "memory": secrets given at run time, never written anywhere, gone
// with the process. Safe for concurrent use.
type Memory struct {
	now func() time.Time

	mu     sync.Mutex
	values map[string]remembered // guarded by mu
}

type remembered struct {
	value  Value
	info   Info
	former []fading
}

// fading is a value that was replaced.
type fading struct {
	value Value
	until time.Time
}

// NewMemory returns an empty provider.
func NewMemory() *Memory { return &Memory{now: time.Now, values: map[string]remembered{}} }

// Provider implements Provider.
func (*Memory) Provider() string { return "memory" }

// Put takes plain over and wipes it.
func (m *Memory) Put(name string, plain []byte, t Terms) error {
	defer clear(plain)
	now := m.now()
	for _, err := range []error{CheckName(name), CheckSize(len(plain)), t.check(now)} {
		if err != nil {
			return fmt.Errorf("secret %.80q: %w", name, err)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	was, there := m.values[name]
	if !there && len(m.values) >= MaxCount {
		return fmt.Errorf("there are %d secrets in memory already", MaxCount)
	}
	next := remembered{
		info:   Info{Name: name, Provider: m.Provider(), Version: was.info.Version + 1, Set: seconds(now), Expires: seconds(t.Expires), Short: len(plain) < Redactable},
		former: slices.DeleteFunc(slices.Clone(was.former), func(f fading) bool { return !now.Before(f.until) }),
	}
	if there && t.Overlap > 0 {
		next.former = append(next.former, fading{was.value, now.Add(t.Overlap)})
	}
	if len(next.former) > maxFormer {
		return fmt.Errorf("secret %s: %d earlier values are still looked for", name, maxFormer)
	}
	next.value = Take(plain)
	m.values[name] = next
	return nil
}

// Remove takes name away, with what it replaced. ErrNotFound if it is not there.
func (m *Memory) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.values[name]; !ok {
		return fmt.Errorf("secret %.80q: %w", name, ErrNotFound)
	}
	delete(m.values, name)
	return nil
}

// Has implements Provider.
func (m *Memory) Has(name string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, ok := m.values[name]
	return ok, nil
}

// Get implements Provider.
func (m *Memory) Get(name string) (Value, error) {
	m.mu.Lock()
	r, ok := m.values[name]
	m.mu.Unlock()
	now := m.now()
	switch {
	case !ok:
		return Value{}, fmt.Errorf("secret %.80q: %w", name, ErrNotFound)
	case !r.info.Expires.IsZero() && !now.Before(r.info.Expires):
		return Value{}, fmt.Errorf("secret %.80q: %w", name, ErrExpired)
	}
	var former []Value
	for _, f := range r.former {
		if now.Before(f.until) {
			former = append(former, f.value)
		}
	}
	return r.value.Replacing(former...), nil
}

// List implements Provider.
func (m *Memory) List() ([]Info, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := make([]Info, 0, len(m.values))
	now := m.now()
	for _, name := range slices.Sorted(maps.Keys(m.values)) {
		r := m.values[name]
		for _, f := range r.former {
			if now.Before(f.until) {
				r.info.Former++
			}
		}
		list = append(list, r.info)
	}
	return list, nil
}
