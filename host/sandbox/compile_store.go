package sandbox

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// compiledStore is a folder of files that nobody without the broker's key can have made.
// A file is written once, under a name that says what it was made from:
//
//	NAME.KIND = magic, 8 bytes | MAC, 32 bytes | label, 64 bytes | content
//	MAC       = keyed hash for "compiled/v1" of KIND, space, NAME, newline, SHA-256 of label and content
//
// NAME is a SHA-256 in hex. The label is one, too, or zeros. Files appear by renaming, so
// that several processes may share the folder.
type compiledStore struct {
	dir  string
	keep int64 // bytes
	mac  func(purpose string, data []byte) []byte
	log  *slog.Logger
}

// ownDirectory makes dir, and refuses one that anyone else may read, write or change the
// mode of.
func ownDirectory(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is no folder", dir)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s has mode %04o, must be 0700", dir, info.Mode().Perm())
	}
	if !ownedByUs(info) {
		return fmt.Errorf("%s belongs to another user", dir)
	}
	return nil
}

// The kinds of files.
const (
	codeKind   = "code"   // machine code; the label is the name it has in wazero's cache
	infoKind   = "info"   // what wasm.Inspect found
	moduleKind = "module" // what wasm.Rewrite made
)

const (
	macPurpose = "compiled/v1"
	fileMagic  = "PMCOMP1\n"
	labelSize  = 2 * sha256.Size
	headerSize = len(fileMagic) + sha256.Size + labelSize

	partialPrefix = "partial-" // files that are being written
	workPrefix    = "work-"    // folders that are in use
	leftBehind    = time.Hour  // the age at which they are nobody's: beyond every limit here
)

func (s compiledStore) path(kind, name string) string {
	return filepath.Join(s.dir, name+"."+kind)
}

// workDir makes a folder for the caller alone, who removes it.
func (s compiledStore) workDir() (string, error) { return os.MkdirTemp(s.dir, workPrefix) }

// sum is the MAC of a file. content is the SHA-256 of its label and content.
func (s compiledStore) sum(kind, name string, content []byte) []byte {
	return s.mac(macPurpose, append([]byte(kind+" "+name+"\n"), content...))
}

// has reports whether get is likely to succeed.
func (s compiledStore) has(kind, name string) bool {
	info, err := os.Lstat(s.path(kind, name))
	return err == nil && info.Mode().IsRegular()
}

// put keeps content. It is on disk when put returns.
func (s compiledStore) put(kind, name, label string, content io.Reader) (err error) {
	f, err := os.CreateTemp(s.dir, partialPrefix)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), os.Remove(f.Name()))
		}
	}()
	labelled := make([]byte, labelSize)
	if label != "" && copy(labelled, label) != len(labelled) {
		return fmt.Errorf("label %q has not %d bytes", label, labelSize)
	}
	if _, err = f.Seek(int64(headerSize-labelSize), io.SeekStart); err != nil {
		return err
	}
	h := sha256.New()
	if _, err = io.Copy(io.MultiWriter(f, h), io.MultiReader(bytes.NewReader(labelled), content)); err != nil {
		return err
	}
	if _, err = f.WriteAt(append([]byte(fileMagic), s.sum(kind, name, h.Sum(nil))...), 0); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), s.path(kind, name)); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	s.prune(filepath.Base(s.path(kind, name)))
	return syncDir(s.dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// errNotAuthentic is a file that this store has not written.
var errNotAuthentic = errors.New("it is not authentic")

// get copies the content of a file to w and returns its label. When it reports false,
// there is no such file, or it is gone now because it could not be used; what w was given
// is of unknown origin then and must be thrown away.
func (s compiledStore) get(kind, name string, w io.Writer, most int64) (label string, ok bool) {
	path := s.path(kind, name)
	label, err := s.read(path, kind, name, w, most)
	switch {
	case err == nil:
		now := time.Now()
		_ = os.Chtimes(path, now, now) // for prune only
		return label, true
	case errors.Is(err, os.ErrNotExist):
		return "", false
	}
	s.log.Warn("what was kept of a module cannot be used and is made again",
		"file", filepath.Base(path), "err", err, "removed", os.RemoveAll(path) == nil)
	return "", false
}

// read hashes what it copies: it does not matter who may change the file meanwhile.
func (s compiledStore) read(path, kind, name string, w io.Writer, most int64) (label string, err error) {
	if info, err := os.Lstat(path); err != nil {
		return "", err
	} else if !info.Mode().IsRegular() || info.Size() > most+int64(headerSize) {
		return "", errNotAuthentic // nor may it be opened: a pipe has no end
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	header := make([]byte, headerSize)
	if _, err := io.ReadFull(f, header); err != nil || !strings.HasPrefix(string(header), fileMagic) {
		return "", errNotAuthentic
	}
	sum, labelled := header[len(fileMagic):headerSize-labelSize], header[headerSize-labelSize:]
	h := sha256.New()
	h.Write(labelled)
	n, err := io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(w, h)}, struct{ io.Reader }{io.LimitReader(f, most+1)}, make([]byte, 256<<10))
	if err != nil {
		return "", err
	}
	if n > most || !hmac.Equal(sum, s.sum(kind, name, h.Sum(nil))) {
		return "", errNotAuthentic
	}
	if label = string(labelled); kind == codeKind {
		if _, err := hex.DecodeString(label); err != nil {
			return "", err // put would not have it: only a mistake of ours gets here
		}
	}
	return label, nil
}

// sweep removes what a process left behind that was killed.
func (s compiledStore) sweep() {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return // whatever it is, the next use of the folder says so
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), workPrefix) && !strings.HasPrefix(e.Name(), partialPrefix) {
			continue
		}
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > leftBehind {
			_ = os.RemoveAll(filepath.Join(s.dir, e.Name()))
		}
	}
}

// prune removes what was not used for longest until no more than s.keep bytes are left,
// or nothing but the file named.
func (s compiledStore) prune(but string) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return
	}
	var files []os.FileInfo
	total := int64(0)
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || strings.HasPrefix(e.Name(), partialPrefix) || e.Name() == but {
			continue
		}
		files = append(files, info)
		total += info.Size()
	}
	slices.SortFunc(files, func(a, b os.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	for _, f := range files {
		if total <= s.keep {
			return
		}
		if os.Remove(filepath.Join(s.dir, f.Name())) == nil {
			total -= f.Size()
		}
	}
}
