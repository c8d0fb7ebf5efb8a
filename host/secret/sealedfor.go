package secret

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// SealedSuffix ends the name of a file that holds a sealed document: NAME.sealed.json.
const SealedSuffix = ".sealed.json"

const (
	documentFormat = "pointsman-sealed/1"
	purposeSealed  = "sealed-for"
	// maxDocument is the largest document read, in bytes: MaxSize in base64 and the rest.
	maxDocument = 32 << 10
)

// document is a secret that only one broker can open, in a file that may be published:
//
//	{"format": "pointsman-sealed/1", "name", "set", "expires",
//	 "sealed": HPKE ciphertext in base64}
//
// HPKE's info is pointsman|sealed-for|tenant|name|version|schema|set|expires, so a document
// that is renamed or whose times are changed does not open. Nothing proves who sealed it:
// anyone can who has the public key and may put files into the folder.
type document struct {
	Format  string    `json:"format"`
	Name    string    `json:"name"`
	Set     time.Time `json:"set,omitzero"`
	Expires time.Time `json:"expires,omitzero"`
	Sealed  []byte    `json:"sealed"`
}

// info is the context of HPKE that binds everything but the ciphertext.
func (d document) info() ([]byte, error) {
	ad, err := associatedData(purposeSealed, d.Name, oneVersion)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(ad, "|%s|%s", stampText(d.Set), stampText(d.Expires)), nil
}

func stampText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// SealFor seals plain for whoever holds the private half of key, and returns the document.
// t.Overlap means nothing here. plain is neither kept nor wiped.
func SealFor(key tink.HybridEncrypt, name string, plain []byte, now time.Time, t Terms) ([]byte, error) {
	for _, err := range []error{CheckName(name), CheckSize(len(plain)), t.check(now)} {
		if err != nil {
			return nil, fmt.Errorf("secret %.80q: %w", name, err)
		}
	}
	d := document{Format: documentFormat, Name: name, Set: seconds(now), Expires: seconds(t.Expires)}
	info, err := d.info()
	if err != nil {
		return nil, err
	}
	if d.Sealed, err = key.Encrypt(plain, info); err != nil {
		return nil, err
	}
	text, err := json.Marshal(d, jsontext.Multiline(true))
	return append(text, '\n'), err
}

func parseDocument(text []byte) (document, error) {
	var d document
	if len(text) > maxDocument {
		return d, fmt.Errorf("larger than %d bytes", maxDocument)
	}
	if err := json.Unmarshal(text, &d, json.RejectUnknownMembers(true)); err != nil {
		return d, errors.Join(errDocument, err)
	}
	if d.Format != documentFormat {
		return d, fmt.Errorf("not of format %s: %w", documentFormat, errDocument)
	}
	return d, CheckName(d.Name)
}

var (
	errDocument = errors.New("not a sealed secret")
	errNotFor   = errors.New("does not open: it was sealed for another broker or name, or changed since")
)

// SealedFor is the provider "sealed-for": a folder with a document for each secret, sealed
// with HPKE for this broker. Documents that are added, changed or removed are seen at the
// next Get. A value replaced while the process runs is looked for during Overlap still.
// Safe for concurrent use.
type SealedFor struct {
	dir     string
	key     *Recipient
	now     func() time.Time
	overlap time.Duration

	mu   sync.Mutex
	seen map[string]opened // guarded by mu
}

type opened struct {
	doc    document
	value  Value
	former []fading
}

// NewSealedFor returns the provider of the documents in dir, opened with key. A value that
// is replaced is looked for during overlap.
func NewSealedFor(dir string, key *Recipient, overlap time.Duration) (*SealedFor, error) {
	st, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	if !st.IsDir() {
		return nil, fmt.Errorf("%s is not a folder", dir)
	}
	return &SealedFor{dir: dir, key: key, now: time.Now, overlap: overlap, seen: map[string]opened{}}, nil
}

// Provider implements Provider.
func (*SealedFor) Provider() string { return "sealed-for" }

// Has implements Provider.
func (s *SealedFor) Has(name string) (bool, error) {
	_, err := s.read(name)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Get implements Provider.
func (s *SealedFor) Get(name string) (Value, error) {
	d, err := s.read(name)
	if err != nil {
		return Value{}, fmt.Errorf("secret %.80q: %w", name, err)
	}
	v, err := s.open(d)
	if err != nil {
		return Value{}, fmt.Errorf("secret %.80q: %w", name, err)
	}
	return v, nil
}

// read reads the document of a name. The folder may be a checkout: links inside it are
// followed, those that lead out are not.
func (s *SealedFor) read(name string) (document, error) {
	if CheckName(name) != nil {
		return document{}, ErrNotFound
	}
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return document{}, err
	}
	defer root.Close()                                                            // read only: nothing to lose
	f, err := root.OpenFile(name+SealedSuffix, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe does not block
	if errors.Is(err, fs.ErrNotExist) {
		return document{}, ErrNotFound
	}
	if err != nil {
		return document{}, err
	}
	defer f.Close()
	text, err := readMost(f, maxDocument)
	if err != nil {
		return document{}, err
	}
	d, err := parseDocument(text)
	if err != nil {
		return document{}, err
	}
	if d.Name != name {
		return document{}, fmt.Errorf("its file is named after it, but it names itself %q", d.Name)
	}
	return d, nil
}

// open returns the value of d, decrypting it only when it is not what was seen last.
func (s *SealedFor) open(d document) (Value, error) {
	now := s.now()
	if !d.Expires.IsZero() && !now.Before(d.Expires) {
		return Value{}, ErrExpired
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	last, ok := s.seen[d.Name]
	if !ok || !last.doc.same(d) {
		info, err := d.info()
		if err != nil {
			return Value{}, err
		}
		var plain []byte
		erased(func() { plain, err = s.key.decrypt.Decrypt(d.Sealed, info) })
		if err != nil {
			return Value{}, errNotFor
		}
		if err := CheckSize(len(plain)); err != nil {
			clear(plain)
			return Value{}, err
		}
		next := opened{doc: d, value: Take(plain), former: last.former}
		if ok {
			next.former = append(slices.Clone(last.former), fading{last.value, now.Add(s.overlap)})
		}
		next.former = next.former[max(0, len(next.former)-maxFormer):]
		last = next
	}
	last.former = slices.DeleteFunc(slices.Clone(last.former), func(f fading) bool { return !now.Before(f.until) })
	s.seen[d.Name] = last
	var former []Value
	for _, f := range last.former {
		former = append(former, f.value)
	}
	return last.value.Replacing(former...), nil
}

func (d document) same(other document) bool {
	return d.Name == other.Name && d.Set.Equal(other.Set) && d.Expires.Equal(other.Expires) && slices.Equal(d.Sealed, other.Sealed)
}

// List implements Provider. A document that cannot be read fails it, naming the file.
func (s *SealedFor) List() ([]Info, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	var list []Info
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), SealedSuffix)
		if !ok || strings.HasPrefix(name, ".") {
			continue
		}
		if len(list) >= MaxCount {
			return nil, fmt.Errorf("%s holds more than %d secrets", s.dir, MaxCount)
		}
		if err := CheckName(name); err != nil {
			return nil, fmt.Errorf("%s: %w", e.Name(), err)
		}
		d, err := s.read(name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Name(), err)
		}
		// HPKE's ciphertext is longer than the value by a constant: see sealedOverhead.
		list = append(list, Info{Name: name, Provider: s.Provider(), Set: d.Set, Expires: d.Expires, Short: len(d.Sealed) < sealedOverhead+Redactable})
	}
	return list, nil
}

// sealedOverhead is by how many bytes a ciphertext is longer than its plaintext: Tink's
// prefix, the X25519 key of RFC 9180 §4.1, the tag of ChaCha20-Poly1305.
const sealedOverhead = 5 + 32 + 16
