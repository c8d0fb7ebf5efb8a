package consumer

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"pointsman/host/broker"
)

// settled is the age from which a file's stamp is believed. A file can change twice
// within one tick of the clock of Linux's file systems, which is 10 ms at most
// (CONFIG_HZ=100). Until then each look reads the file.
const settled = 50 * time.Millisecond

// book is what a key file said. It is not changed.
type book struct {
	stamp   stamp
	settled bool // the next look can believe the stamp
	file    keyFile
	keys    map[string]bookEntry // by id
	err     error                // why it cannot be used
}

type bookEntry struct {
	consumer broker.PrincipalID
	mac      [sha256.Size]byte
	created  time.Time
}

// stamp tells one state of a file from another. The zero stamp is that of no file.
type stamp struct {
	dev, ino     uint64
	size         int64
	mtime, ctime unix.Timespec
}

func (s stamp) age(now time.Time) time.Duration {
	return now.Sub(time.Unix(s.ctime.Unix()))
}

func statStamp(path string) (stamp, error) {
	var st unix.Stat_t
	switch err := unix.Stat(path, &st); {
	case errors.Is(err, unix.ENOENT):
		return stamp{}, nil
	case err != nil:
		return stamp{}, fmt.Errorf("stat %s: %w", path, err)
	}
	return stamp{uint64(st.Dev), st.Ino, st.Size, st.Mtim, st.Ctim}, nil
}

// current returns what the file says now. One look at the file's stamp is all that it
// takes while nothing changes.
func (k *Keys) current() *book {
	path := filepath.Join(k.dir, FileName)
	now, err := statStamp(path)
	if err != nil {
		return &book{err: fmt.Errorf("consumer: %w", err)}
	}
	if b := k.book.Load(); b != nil && b.stamp == now && b.settled {
		return b
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	old := k.book.Load()
	if old != nil && old.stamp == now && old.settled {
		return old
	}
	b := k.load(path)
	// A file that went back in time is an old copy: it may hold keys that were revoked.
	if old != nil && b.err == nil && b.file.Seq < old.file.Seq {
		b.err = fmt.Errorf("consumer: %s is older than what was read before (change %d, not %d)",
			path, b.file.Seq, old.file.Seq)
	}
	if b.err != nil {
		b.settled = false // it may be the process that is short of files, not the file
		if old != nil {
			b.file.Seq = old.file.Seq // remembered beyond a broken file
		}
	}
	k.book.Store(b)
	return b
}

// load reads the file. The stamp is taken before the bytes: if they change in between,
// the next look sees another stamp.
func (k *Keys) load(path string) *book {
	b := new(book)
	b.stamp, b.err = statStamp(path)
	if b.err != nil {
		return b
	}
	b.settled = b.stamp == stamp{} || b.stamp.age(time.Now()) > settled
	b.file, b.err = k.read(path)
	if b.err != nil {
		return b
	}
	b.keys = make(map[string]bookEntry)
	for name, keys := range b.file.Consumers {
		for _, r := range keys {
			e := bookEntry{consumer: name, created: r.Created}
			if _, twice := b.keys[r.ID]; twice || copy(e.mac[:], r.MAC) != len(e.mac) || len(name) > maxName {
				b.err = fmt.Errorf("consumer: %s: key %.20q does not hold", path, r.ID)
				return b
			}
			b.keys[r.ID] = e
		}
	}
	return b
}
