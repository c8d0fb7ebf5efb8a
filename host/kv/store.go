package kv

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"modernc.org/sqlite" // registers itself as database/sql's driver "sqlite", too
)

const (
	// File is the name of the store's file in its folder.
	File   = "kv.db"
	format = "pointsman-kv/1"

	// readers is how many reads run at the same time: more than there are sandboxes that
	// wait for a disk at once.
	readers = 4
	// lockTime is how long a write waits for another process that writes (the command line,
	// sealing anew): a transaction is a few fsyncs.
	lockTime = 5 * time.Second
	// sqliteIOErr is SQLITE_IOERR, the low byte of every failure of the disk.
	sqliteIOErr = 10
)

// Store is the file of one broker. Several processes may have it open. Safe for concurrent
// use.
//
// A write is acknowledged when it is on stable storage: SQLite's write-ahead log with
// synchronous=FULL, an fsync for each. Reads do not wait for writes.
type Store struct {
	keys        Keyring
	now         func() time.Time
	last        atomic.Int64 // the latest time seen, in milliseconds since 1970
	read, write *sql.DB
	entry, room *sql.Stmt // of read: selectEntry and selectRoom
	dead        atomic.Pointer[dead]
}

// Options are what a Store is given.
type Options struct {
	Keyring Keyring          // required
	Now     func() time.Time // nil: time.Now
}

// Open opens the store in dir, and makes both if they are not there. A folder or file that
// others than its owner may use is refused, and so is one that was sealed with another
// keyring, with ErrWrongKey, or that is no store, with ErrFormat: nothing in it is changed.
func Open(ctx context.Context, dir string, o Options) (_ *Store, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("open the plugins' values in %s: %w", dir, err)
		}
	}()
	if o.Keyring == nil {
		return nil, errors.New("there is no keyring")
	}
	if dir, err = filepath.Abs(dir); err != nil { // a URL has no relative path
		return nil, err
	}
	path, err := prepare(dir)
	if err != nil {
		return nil, err
	}
	s := &Store{keys: o.Keyring, now: o.Now}
	if s.now == nil {
		s.now = time.Now
	}
	if s.write, err = open(path, 1, "_txlock=immediate&_pragma=synchronous(FULL)"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if err := s.meet(ctx); err != nil {
		return nil, err
	}
	if s.read, err = open(path, readers, "_pragma=query_only(1)"); err != nil {
		return nil, err
	}
	if s.entry, err = s.read.PrepareContext(ctx, selectEntry); err != nil {
		return nil, err
	}
	s.room, err = s.read.PrepareContext(ctx, selectRoom)
	return s, err
}

// prepare makes the folder and an empty file. SQLite gives its journal the file's mode.
func prepare(dir string) (path string, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	path = filepath.Join(dir, File)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err == nil {
		err = errors.Join(f.Close(), syncDir(dir), syncDir(filepath.Dir(dir)))
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	for _, p := range []string{dir, path} {
		info, err := os.Stat(p)
		if err != nil {
			return "", err
		}
		if mode := info.Mode().Perm(); mode&0o077 != 0 {
			return "", fmt.Errorf("%s has mode %04o; others must not use it (chmod go= %s)", p, mode, p)
		}
	}
	return path, nil
}

// syncDir makes names in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func open(path string, connections int, settings string) (*sql.DB, error) {
	name := &url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: settings +
		fmt.Sprintf("&_pragma=busy_timeout(%d)", lockTime.Milliseconds()) +
		"&_pragma=trusted_schema(0)&_pragma=cell_size_check(1)&_pragma=temp_store(MEMORY)&_pragma=secure_delete(1)"}
	db, err := sql.Open("sqlite", name.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

const schema = `
CREATE TABLE meta  (format TEXT NOT NULL, sealed BLOB NOT NULL) STRICT;
CREATE TABLE space (id INTEGER PRIMARY KEY, mac BLOB NOT NULL UNIQUE, keys INTEGER NOT NULL, bytes INTEGER NOT NULL) STRICT;
CREATE TABLE entry (
  id INTEGER PRIMARY KEY, mac BLOB NOT NULL UNIQUE, space INTEGER NOT NULL REFERENCES space(id),
  version INTEGER NOT NULL, expires INTEGER NOT NULL, size INTEGER NOT NULL, sealed BLOB NOT NULL) STRICT;
CREATE INDEX entry_expires ON entry(expires);
CREATE INDEX entry_space ON entry(space, expires);
`

// meet looks whether the file is one of ours and of our keyring, before anything in it is
// changed; an empty one is made a store.
func (s *Store) meet(ctx context.Context) error {
	var tables int
	if err := s.write.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema`).Scan(&tables); err != nil {
		return errors.Join(ErrFormat, err)
	}
	if tables > 0 {
		if err := s.recognize(ctx); err != nil {
			return err
		}
	}
	// Of a file that was recognized this is true already; it cannot be set within a transaction.
	var mode string
	if err := s.write.QueryRowContext(ctx, `PRAGMA journal_mode = WAL`).Scan(&mode); err != nil || mode != "wal" {
		return errors.Join(fmt.Errorf("the file system lets SQLite have a journal of mode %q, not wal", mode), err)
	}
	err := s.change(ctx, func(tx *sql.Tx) error {
		if err := tx.QueryRow(`SELECT count(*) FROM sqlite_schema`).Scan(&tables); err != nil || tables > 0 {
			return err // another process was faster
		}
		sealed, err := s.sealCheck()
		if err != nil {
			return err
		}
		if _, err := tx.Exec(schema); err != nil {
			return err
		}
		_, err = tx.Exec(`INSERT INTO meta (format, sealed) VALUES (?, ?)`, format, sealed)
		return err
	})
	if err != nil {
		return err
	}
	return s.recognize(ctx)
}

func (s *Store) recognize(ctx context.Context) error {
	var found string
	var sealed []byte
	err := s.write.QueryRowContext(ctx, `SELECT format, sealed FROM meta`).Scan(&found, &sealed)
	if err != nil || found != format {
		return errors.Join(ErrFormat, err)
	}
	return s.openCheck(sealed)
}

// change runs f in a transaction of its own, alone among all writers; when it returns nil,
// what f did is durable. ctx bounds the wait for other writers. A transaction that has begun
// is not given up half-way: its outcome would be unknown.
func (s *Store) change(ctx context.Context, f func(tx *sql.Tx) error) (err error) {
	if err := s.ready(ctx); err != nil {
		return err
	}
	conn, err := s.write.Conn(ctx)
	if err != nil {
		return s.fault(err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }() // gives it back
	tx, err := conn.BeginTx(context.WithoutCancel(ctx), nil)
	if err != nil {
		return s.fault(err)
	}
	if err := f(tx); err != nil {
		return s.fault(errors.Join(err, tx.Rollback()))
	}
	return s.fault(tx.Commit())
}

// fault remembers a failure of the disk: what was reported once may look well at the next
// try, and not be.
func (s *Store) fault(err error) error {
	if e, ok := errors.AsType[*sqlite.Error](err); ok && e.Code()&0xff == sqliteIOErr {
		s.dead.CompareAndSwap(nil, &dead{fmt.Errorf("the disk failed; nothing is written until the store is opened anew: %w", err)})
	}
	return err
}

// time is now in milliseconds since 1970. It does not go back while the store is open: what
// has expired stays so when the clock is set.
func (s *Store) time() int64 {
	now := s.now().UnixMilli()
	for {
		last := s.last.Load()
		if now <= last {
			return last
		}
		if s.last.CompareAndSwap(last, now) {
			return now
		}
	}
}

// Close closes the file. Operations that run end first.
func (s *Store) Close() error {
	var err error
	if s.read != nil {
		err = s.read.Close() // and its statements
	}
	return errors.Join(err, s.write.Close())
}
