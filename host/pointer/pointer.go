// Package pointer owns pointers: opaque names for records, minted for one sector of
// consumers and resolvable by it alone.
//
// A pointer of a lasting domain is the record's id, padded and sealed with AES-SIV, so that
// nothing is stored: the same record has the same pointer within a domain, sector and epoch,
// and pointers of different sectors have nothing in common that shows. One of an ephemeral
// domain is random and lives in memory; see Ephemeral.
package pointer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"regexp"
	"time"
	"unicode/utf8"

	"pointsman/host/broker"
)

// MaxID is the longest id that a pointer can be made of, in bytes. One byte of the largest
// size is for the padding.
const MaxID = 255

// MaxEpoch is the highest epoch: a pointer has two bytes for it.
const MaxEpoch = math.MaxUint16

// schema names what the ciphertext holds, in its associated data. Another form of pointers
// would have another.
const schema = "pointsman|pointer|1"

// Cipher is a deterministic AEAD: the key of one epoch. Safe for concurrent use. Opening
// takes a time that depends on the lengths alone. *secret.PointerKey is one.
type Cipher interface {
	EncryptDeterministically(plain, associated []byte) ([]byte, error)
	DecryptDeterministically(sealed, associated []byte) ([]byte, error)
}

// Domain is one kind of record that pointers point at.
type Domain struct {
	Name      string        // a lower-case letter, then lower-case letters, digits or hyphens, at most 63
	Epoch     int           // pointers are minted in it: 1 to MaxEpoch; 0 means 1
	Accept    []int         // other epochs whose pointers still resolve
	Ephemeral time.Duration // not 0: pointers are random and live that long
}

// Issuer mints and resolves the pointers of one release. Immutable; safe for concurrent use.
// A nil Issuer mints nothing and resolves nothing.
type Issuer struct {
	domains map[string]*domain
	decoy   *domain // in place of one that there is not, so that finding out takes as long
}

// domain is a Domain with its keys.
type domain struct {
	minted   key   // of the current epoch
	accepted []key // that one and those that still resolve
	lifetime time.Duration
	live     *Ephemeral // nil unless lifetime is set
}

type key struct {
	epoch  uint16
	cipher Cipher
}

var nameRE = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)

// NewIssuer returns an Issuer for domains. Keys of epochs come from keyOf, which is called
// here only. live holds the pointers of ephemeral domains, and outlives the release so that
// they do; it may be nil if there are none.
func NewIssuer(domains []Domain, keyOf func(epoch int) (Cipher, error), live *Ephemeral) (*Issuer, error) {
	i := &Issuer{domains: map[string]*domain{}}
	for _, d := range domains {
		if i.domains[d.Name] != nil {
			return nil, fmt.Errorf("domain %q is there twice", d.Name)
		}
		var err error
		if i.domains[d.Name], err = compile(d, keyOf, live); err != nil {
			return nil, fmt.Errorf("domain %.80q: %w", d.Name, err)
		}
	}
	var err error
	if i.decoy, err = compile(Domain{Name: "decoy"}, keyOf, nil); err != nil {
		return nil, err
	}
	return i, nil
}

func compile(d Domain, keyOf func(epoch int) (Cipher, error), live *Ephemeral) (*domain, error) {
	if !nameRE.MatchString(d.Name) {
		return nil, errors.New("not a name: a lower-case letter, then at most 62 lower-case letters, digits or hyphens")
	}
	c := &domain{lifetime: d.Ephemeral, live: live}
	switch {
	case d.Ephemeral < 0:
		return nil, fmt.Errorf("ephemeral: %v is no time to live", d.Ephemeral)
	case d.Ephemeral > 0 && live == nil:
		return nil, errors.New("ephemeral: there is nothing to keep its pointers in")
	case d.Ephemeral > 0:
		return c, nil
	}
	if d.Epoch == 0 {
		d.Epoch = 1
	}
	seen := map[int]bool{}
	for _, epoch := range append([]int{d.Epoch}, d.Accept...) {
		if epoch < 1 || epoch > MaxEpoch {
			return nil, fmt.Errorf("epoch %d: want 1 to %d", epoch, MaxEpoch)
		}
		if seen[epoch] {
			return nil, fmt.Errorf("epoch %d is there twice", epoch)
		}
		seen[epoch] = true
		cipher, err := keyOf(epoch)
		if err != nil {
			return nil, err
		}
		c.accepted = append(c.accepted, key{uint16(epoch), cipher})
	}
	c.minted, c.live = c.accepted[0], nil
	return c, nil
}

// Has reports whether there is a domain of that name.
func (i *Issuer) Has(domain string) bool { return i != nil && i.domains[domain] != nil }

// Mint returns the pointer to the record id, for sector. The error is a *broker.Error:
// Invalid for an id that none can be made of, Denied without a sector or for a domain that
// there is not, RateLimited when too many ephemeral pointers live. None of them holds the id.
func (i *Issuer) Mint(domain string, sector broker.Sector, id string) (string, error) {
	if !i.Has(domain) {
		return "", &broker.Error{Kind: broker.Denied, Detail: "there is no such domain of pointers"}
	}
	if sector == "" {
		return "", &broker.Error{Kind: broker.Denied, Detail: "no sector stands behind this call"}
	}
	if err := checkID(id); err != nil {
		return "", &broker.Error{Kind: broker.Invalid, Detail: err.Error()}
	}
	return i.domains[domain].mint(domain, sector, id)
}

// checkID says of what no pointer is made.
func checkID(id string) error {
	switch {
	case id == "":
		return errors.New("an empty id points at nothing")
	case len(id) > MaxID:
		return fmt.Errorf("an id is at most %d bytes", MaxID)
	case !utf8.ValidString(id):
		return errors.New("an id is UTF-8")
	}
	return nil
}

// mint makes the pointer of a record of the domain that is called name.
func (d *domain) mint(name string, sector broker.Sector, id string) (string, error) {
	if d.live != nil {
		return d.live.mint(name, sector, id, d.lifetime)
	}
	size := sizeFor(len(id))
	padded, associated := room(size, name, sector, d.minted.epoch)
	pad(padded, id)
	sealed, err := d.minted.cipher.EncryptDeterministically(padded, associated)
	if err != nil {
		return "", &broker.Error{Kind: broker.Internal, Err: fmt.Errorf("mint a pointer of %s: %w", name, err)}
	}
	return encode(name, d.minted.epoch, sealed), nil
}

// errNotFound is the one answer for everything that does not resolve, whatever the reason:
// the very same, so that not even making it takes time. It is never changed.
var errNotFound = &broker.Error{Kind: broker.NotFound, Detail: "no such record"}

// Resolve returns the id of the record that text points at, if text was minted for domain
// and sector in an epoch that is accepted and lives still. Everything else is one and the
// same error, a *broker.Error of kind NotFound, and takes as much work: one ciphertext is
// opened, of the size that the text's length stands for.
func (i *Issuer) Resolve(domain string, sector broker.Sector, text string) (id string, err error) {
	if i == nil {
		return "", errNotFound
	}
	d, known := i.domains[domain]
	if !known {
		d = i.decoy
	}
	id, ok := d.resolve(domain, sector, text)
	if !ok || !known || sector == "" {
		return "", errNotFound
	}
	return id, nil
}

// resolve opens a pointer of the domain that is called name.
func (d *domain) resolve(name string, sector broker.Sector, text string) (id string, ok bool) {
	if d.live != nil {
		return d.live.resolve(name, sector, text)
	}
	payload, named := cutPrefix(name, text)
	body, associated := room(headSize+ivSize+sizeOf(len(payload)), name, sector, 0)
	shaped := decode(body, payload) && named
	epoch := binary.BigEndian.Uint16(body)
	k, accepted := d.minted, false
	for _, candidate := range d.accepted { // all of them: which one it is, is not to be told
		if candidate.epoch == epoch {
			k, accepted = candidate, true
		}
	}
	if !shaped || !accepted {
		epoch = 0 // nothing is minted in it, so that all that is wrong goes the same way: it does not open
	}
	bind(associated, epoch)
	plain, err := k.cipher.DecryptDeterministically(body[headSize:], associated)
	if err != nil || !shaped || !accepted {
		return "", false
	}
	return unpad(plain)
}

// Rewrap returns the pointer of the current epoch for one of sector that resolves, of
// whatever domain it names; an ephemeral one is returned as it is, and lives no longer.
// Everything else is the error of Resolve, after the same work: one ciphertext is opened
// and one made.
func (i *Issuer) Rewrap(sector broker.Sector, text string) (string, error) {
	if i == nil {
		return "", errNotFound
	}
	name := domainOf(text)
	d, known := i.domains[name]
	if !known {
		d = i.decoy
	}
	id, ok := d.resolve(name, sector, text)
	ok = ok && known && sector != ""
	if d.live != nil {
		if !ok {
			return "", errNotFound
		}
		return text, nil
	}
	if !ok {
		id = decoyID[:sizeOf(len(text)-prefixLen(name))-1]
	}
	minted, err := d.mint(name, sector, id)
	if !ok {
		return "", errNotFound
	}
	return minted, err
}

// room returns size bytes for a text and what its ciphertext is bound to, in one piece of
// memory. Each part is behind its length, so that none can run into the next:
//
//	length (4 bytes) schema, length (4) domain, length (4) sector, epoch (2)
func room(size int, domain string, sector broker.Sector, epoch uint16) (text, associated []byte) {
	b := make([]byte, size, size+12+len(schema)+len(domain)+len(sector)+2)
	for _, part := range [...]string{schema, domain, string(sector)} {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(part))), part...)
	}
	b = binary.BigEndian.AppendUint16(b, epoch)
	return b[:size:size], b[size:]
}

// bind puts another epoch into what a ciphertext is bound to.
func bind(associated []byte, epoch uint16) {
	binary.BigEndian.PutUint16(associated[len(associated)-2:], epoch)
}
