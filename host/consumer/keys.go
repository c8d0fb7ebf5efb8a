package consumer

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"pointsman/host/broker"
)

// Keys is the API keys of all consumers, in DIR/consumers.json. Several processes may
// have it open: what one writes, the others see with their next call. All methods may be
// called concurrently.
type Keys struct {
	dir  string
	mac  func(purpose string, data []byte) []byte
	book atomic.Pointer[book] // what the file said last
	mu   sync.Mutex           // held while reading anew, so that it happens once
}

// Key is what is known of an API key once it is minted: not the key.
type Key struct {
	Consumer broker.PrincipalID
	ID       string    // the characters between the key's first two underscores
	Created  time.Time // to the second
}

// ErrNotFound is returned for a key that does not exist.
var ErrNotFound = errors.New("consumer: no such key")

// OpenKeys reads DIR/consumers.json. A file that is not there holds no keys; one that was
// sealed with another keyring, was changed by hand, or can be read by others is refused.
// mac is a keyed hash of 32 bytes, the same in every process; it is called concurrently.
func OpenKeys(dir string, mac func(purpose string, data []byte) []byte) (*Keys, error) {
	k := &Keys{dir: dir, mac: mac}
	if b := k.current(); b.err != nil {
		return nil, b.err
	}
	return k, nil
}

var validName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)

// New mints a key for consumer name and returns it: the only time that it can be seen.
// When New returns, the key's record is on stable storage. Whether a consumer of that
// name is deployed does not matter: until then nobody can use the key.
func (k *Keys) New(name broker.PrincipalID) (plain string, err error) {
	if !validName.MatchString(string(name)) {
		return "", fmt.Errorf("consumer: a consumer cannot be named %.80q", name)
	}
	err = k.change(func(f *keyFile) error {
		key, id := mint()
		for f.has(id) { // 62^8 ids: as good as never
			key, id = mint()
		}
		plain = key
		if f.Consumers == nil {
			f.Consumers = make(map[broker.PrincipalID][]keyRecord)
		}
		f.Consumers[name] = append(f.Consumers[name], keyRecord{
			ID: id, MAC: hexBytes(k.hash(name, key)), Created: time.Now().UTC().Truncate(time.Second),
		})
		return nil
	})
	if err != nil {
		return "", err
	}
	return plain, nil
}

// Revoke removes key id of consumer name, durably. From the next call of Authenticate on,
// in any process, it opens nothing. The error is ErrNotFound if there is no such key.
func (k *Keys) Revoke(name broker.PrincipalID, id string) error {
	return k.change(func(f *keyFile) error {
		keys := f.Consumers[name]
		i := slices.IndexFunc(keys, func(r keyRecord) bool { return r.ID == id })
		if i < 0 {
			return ErrNotFound
		}
		f.Consumers[name] = slices.Delete(keys, i, i+1)
		if len(f.Consumers[name]) == 0 {
			delete(f.Consumers, name)
		}
		return nil
	})
}

// List returns all keys, by consumer, then by age.
func (k *Keys) List() ([]Key, error) {
	b := k.current()
	if b.err != nil {
		return nil, b.err
	}
	list := make([]Key, 0, len(b.keys))
	for id, r := range b.keys {
		list = append(list, Key{r.consumer, id, r.created})
	}
	slices.SortFunc(list, func(a, b Key) int {
		if c := strings.Compare(string(a.Consumer), string(b.Consumer)); c != 0 {
			return c
		}
		if c := a.Created.Compare(b.Created); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return list, nil
}

// Err returns nil while the key file can be used, and why not otherwise.
func (k *Keys) Err() error { return k.current().err }
