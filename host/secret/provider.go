package secret

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Limits of a secret, whoever provides it.
const (
	// MaxSize is the largest secret, in bytes: a PEM chain with its key fits.
	MaxSize = 16 << 10
	// MaxCount is the largest number of secrets of one provider.
	MaxCount = 1000
	// Redactable is the length in bytes from which a secret is surely found and taken out
	// when a back end sends it back. A shorter one would be found in innocent text too.
	Redactable = 16
)

var (
	// ErrNotFound is returned for a name that there is no secret of.
	ErrNotFound = errors.New("there is no such secret")
	// ErrExpired is returned for a secret past the time that it was to be used until.
	ErrExpired = errors.New("the secret has expired; rotate it")
	// ErrAmbiguous is returned for a name that two providers have a secret of.
	ErrAmbiguous = errors.New("two providers have a secret of that name; take it out of one")
	// ErrUnreachable is returned when a provider cannot be asked now.
	ErrUnreachable = errors.New("the provider of the secret cannot be reached")
)

// Provider gives secrets by name. Every implementation passes secrettest.Run. Safe for
// concurrent use.
type Provider interface {
	// Provider is the word for it: sealed, sealed-for, memory, vault, env or file.
	Provider() string
	// Has reports whether it would answer for that name, without asking another machine. A
	// secret that has expired, or that cannot be opened, is there.
	Has(name string) (bool, error)
	// Get opens a secret as it is now. A value that was replaced is not returned once a
	// newer one was.
	Get(name string) (Value, error)
	// List tells what is known of each secret without another machine, sorted by name.
	List() ([]Info, error)
}

// Info is what may be known of a secret: everything but the value.
type Info struct {
	Name     string
	Provider string
	Version  uint64    // counts from 1; 0 when the provider has no versions, or did not look
	Set      time.Time // zero when unknown
	Expires  time.Time // zero: never
	Short    bool      // shorter than Redactable
	Former   int       // values replaced a short while ago that are still looked for
}

// nameRE is what the manifests demand of a name.
var nameRE = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)

// CheckName says whether a secret can have that name.
func CheckName(name string) error {
	if !nameRE.MatchString(name) {
		return fmt.Errorf("%.80q cannot name a secret; it must match %s", name, nameRE)
	}
	return nil
}

// CheckSize says whether a secret can have that many bytes.
func CheckSize(n int) error {
	if n == 0 {
		return errors.New("the secret is empty")
	}
	if n > MaxSize {
		return fmt.Errorf("the secret is larger than %d bytes", MaxSize)
	}
	return nil
}

// Chain is several providers as one. A name belongs to the one that has it; a name that two
// have belongs to none. Safe for concurrent use.
type Chain struct{ providers []Provider }

// NewChain returns the chain of providers. It fails with ErrAmbiguous if two have a secret
// of the same name now.
func NewChain(providers ...Provider) (*Chain, error) {
	c := &Chain{slices.Clone(providers)}
	list, err := c.List()
	if err != nil {
		return nil, err
	}
	for i := 1; i < len(list); i++ {
		if list[i].Name == list[i-1].Name {
			return nil, fmt.Errorf("secret %q of %s and %s: %w", list[i].Name, list[i-1].Provider, list[i].Provider, ErrAmbiguous)
		}
	}
	return c, nil
}

// Get opens a secret of whichever provider has it. A provider that cannot say whether it
// has the name fails every Get: what may be ambiguous is not used.
func (c *Chain) Get(name string) (Value, error) {
	var owner Provider
	for _, p := range c.providers {
		has, err := p.Has(name)
		switch {
		case err != nil:
			return Value{}, fmt.Errorf("secret %.80q of %s: %w", name, p.Provider(), err)
		case has && owner != nil:
			return Value{}, fmt.Errorf("secret %q of %s and %s: %w", name, owner.Provider(), p.Provider(), ErrAmbiguous)
		case has:
			owner = p
		}
	}
	if owner == nil {
		return Value{}, fmt.Errorf("secret %.80q: %w", name, ErrNotFound)
	}
	return owner.Get(name)
}

// List is the providers' lists as one, sorted by name.
func (c *Chain) List() ([]Info, error) {
	var all []Info
	for _, p := range c.providers {
		list, err := p.List()
		if err != nil {
			return nil, fmt.Errorf("secrets of %s: %w", p.Provider(), err)
		}
		all = append(all, list...)
	}
	slices.SortStableFunc(all, func(a, b Info) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}
