package consumer

import (
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/sys/unix"

	"pointsman/host/broker"
)

// FileName is the key file's name in its directory; the lock that writers hold is beside
// it, because the file itself is replaced by each change.
const (
	FileName = "consumers.json"
	lockName = "consumers.lock"
	tempName = "consumers.json.new"
)

const (
	fileVersion = 1
	sealPurpose = "consumer-keys-file/v1"
	// maxFile is the most bytes of a key file that are read: about 100,000 keys.
	maxFile = 16 << 20
	// lockWait is how long a writer waits for another. A change takes a few fsyncs.
	lockWait = 5 * time.Second
)

// keyFile is the file, version 1. The seal is a keyed hash over the rest as compact JSON
// with sorted names: without the keyring nobody adds, moves or removes a record.
type keyFile struct {
	Version   int                                `json:"version"`
	Seq       uint64                             `json:"seq"` // counts the changes
	Consumers map[broker.PrincipalID][]keyRecord `json:"consumers"`
	Seal      hexBytes                           `json:"seal,omitempty"`
}

type keyRecord struct {
	ID      string    `json:"id"`
	MAC     hexBytes  `json:"mac"`
	Created time.Time `json:"created"`
}

// hexBytes is written in hex.
type hexBytes []byte

func (h hexBytes) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h), nil }

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.AppendDecode(nil, text)
	return err
}

func (f *keyFile) has(id string) bool {
	for _, keys := range f.Consumers {
		for _, r := range keys {
			if r.ID == id {
				return true
			}
		}
	}
	return false
}

// seal returns the keyed hash over f.
func (k *Keys) seal(f keyFile) (hexBytes, error) {
	f.Seal = nil
	text, err := json.Marshal(f, json.Deterministic(true))
	if err != nil {
		return nil, err
	}
	return k.mac(sealPurpose, text), nil
}

// read returns the file's content, checked; an empty one if there is no file.
func (k *Keys) read(path string) (keyFile, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return keyFile{Version: fileVersion}, nil
	}
	if err != nil {
		return keyFile{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return keyFile{}, err
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 {
		return keyFile{}, fmt.Errorf("consumer: %s has mode %s; others must not reach it, want 0600", path, info.Mode())
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return keyFile{}, fmt.Errorf("read %s: %w", path, err)
	}
	if len(text) > maxFile {
		return keyFile{}, fmt.Errorf("consumer: %s has more than %d bytes", path, maxFile)
	}
	var file keyFile
	if err := json.Unmarshal(text, &file, json.RejectUnknownMembers(true)); err != nil {
		return keyFile{}, fmt.Errorf("read %s: %w", path, err)
	}
	if file.Version != fileVersion {
		return keyFile{}, fmt.Errorf("consumer: %s has version %d, want %d", path, file.Version, fileVersion)
	}
	want, err := k.seal(file)
	if err != nil {
		return keyFile{}, err
	}
	if subtle.ConstantTimeCompare(want, file.Seal) != 1 {
		return keyFile{}, fmt.Errorf("consumer: %s was changed from outside or belongs to another keyring", path)
	}
	return file, nil
}

// change lets edit alter the file's content and writes it, durably, while no other
// process does.
func (k *Keys) change(edit func(*keyFile) error) error {
	if err := os.MkdirAll(k.dir, 0o700); err != nil {
		return err
	}
	unlock, err := lock(filepath.Join(k.dir, lockName))
	if err != nil {
		return err
	}
	defer unlock()
	if b := k.current(); b.err != nil { // refuses an old copy, too
		return b.err
	}
	path := filepath.Join(k.dir, FileName)
	file, err := k.read(path)
	if err != nil {
		return err
	}
	if err := edit(&file); err != nil {
		return err
	}
	file.Version = fileVersion
	file.Seq++
	if file.Seal, err = k.seal(file); err != nil {
		return err
	}
	text, err := json.Marshal(file, json.Deterministic(true), jsontext.WithIndent("  "))
	if err != nil {
		return err
	}
	if len(text) > maxFile {
		return fmt.Errorf("consumer: %s would have more than %d bytes", path, maxFile)
	}
	if err := replace(k.dir, append(text, '\n')); err != nil {
		return err
	}
	k.current() // so that an older copy is known for one
	return nil
}

// replace makes text the content of the key file: all of it or, after a crash, none.
func replace(dir string, text []byte) (err error) {
	temp := filepath.Join(dir, tempName)
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	if err := os.Rename(temp, filepath.Join(dir, FileName)); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// lock takes the writers' lock, and gives up after lockWait.
func lock(path string) (unlock func() error, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(lockWait); ; time.Sleep(10 * time.Millisecond) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return f.Close, nil // closing releases it
		}
		if !errors.Is(err, unix.EWOULDBLOCK) || time.Now().After(end) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
		}
	}
}
