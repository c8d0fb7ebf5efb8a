// Package audit owns the record of who did what with which power: an append-only file
// of JSON lines that are chained by hashes.
//
// Two classes of records are kept, and neither is ever lost silently. A control record
// (a deployment, a key, a grant) is on stable storage before Control returns. A use
// record is with the kernel before Use returns and on stable storage within
// [FlushWithin]: a crash of the process loses nothing, a power failure at most that
// long. What cannot be recorded is not done: after the first failed write or fsync the
// log is dead and every call fails, until the file is opened again.
//
// Records hold names, never values. The chain shows every change inside the file; that
// lines are missing at its end shows only to who kept the last hash, see [Report].
package audit

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"pointsman/host/broker"
)

// FileName is the log's name in its directory.
const FileName = "audit.jsonl"

// FlushWithin is how long a use record may wait for its fsync to begin and end, on a
// disk that answers in time. SECURITY-RULES §9.1 asks for groups of 100 ms.
const FlushWithin = 100 * time.Millisecond

// flushAfter is the wait from the first record of a group to its fsync: half of the
// promise, the other half is for the disk.
const flushAfter = FlushWithin / 2

// ErrClosed is why calls fail after Close.
var ErrClosed = errors.New("audit: log is closed")

// Options has useful zero values.
type Options struct {
	Clock func() time.Time // stamps the records; nil means time.Now
}

// file is what the log needs of *os.File.
type file interface {
	Write(b []byte) (int, error)
	Sync() error
	Close() error
}

// Log is the open record. It holds the file's lock: one process, one Log. All methods
// may be called concurrently.
type Log struct {
	clock func() time.Time
	file  file
	wake  chan struct{} // a record waits for its group's fsync; holds one
	stop  chan struct{} // closed by Close
	done  chan struct{} // closed when the flusher has ended

	// syncing is held around fsync, and taken before mu. The kernel reports a failed
	// write-back to one fsync only, so a second one must not overtake the first.
	syncing sync.Mutex

	mu     sync.Mutex
	tip    tip    // guarded by mu; the last line written
	buf    []byte // guarded by mu; the line being written
	synced uint64 // guarded by mu; seq of the last line on stable storage
	dead   error  // guarded by mu; why nothing more is written
	closed bool   // guarded by mu
}

// Control records an act of administration. When it returns nil, the record is on stable
// storage. ctx does not stop it: a record is not dropped because someone went away.
func (l *Log) Control(_ context.Context, c Control) error { return durable(l, c) }

// Use records one use of a power, or its refusal, before it happens. When it returns nil,
// the kernel has the record. ctx does not stop it.
func (l *Log) Use(_ context.Context, u Use) error {
	_, err := write(l, u)
	return err
}

// Request records how a consumer's request went. When it returns nil, the kernel has the
// record. ctx does not stop it: requests that were cancelled are recorded too.
func (l *Log) Request(_ context.Context, r Request) error {
	_, err := write(l, r)
	return err
}

// Err returns nil while records can be written, and why not once the log is dead.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return unavailable(l.dead)
}

// Close stops the flusher, makes everything durable and releases the file. Calls that
// race with it may fail. A second Close does nothing.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	dead := l.dead
	if dead == nil {
		l.dead = ErrClosed
	}
	l.mu.Unlock()
	close(l.stop)
	<-l.done
	l.syncing.Lock()
	defer l.syncing.Unlock()
	if dead == nil {
		dead = l.file.Sync()
	}
	return errors.Join(dead, l.file.Close())
}

// durable writes r and waits for its fsync.
func durable[R record](l *Log, r R) error {
	seq, err := write(l, r)
	if err != nil {
		return err
	}
	return l.sync(seq)
}

// write appends r as one line, in one write, and returns its number.
func write[R record](l *Log, r R) (uint64, error) {
	if err := r.check(); err != nil {
		return 0, fmt.Errorf("audit: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead != nil {
		return 0, unavailable(l.dead)
	}
	next := tip{seq: l.tip.seq + 1}
	e := encoder{l.buf[:0]}
	e.begin(next.seq, l.clock())
	r.encode(&e)
	next.hash = e.end(l.tip.hash)
	l.buf = e.b
	if _, err := l.file.Write(e.b); err != nil {
		l.dead = fmt.Errorf("audit: write: %w", err)
		return 0, unavailable(l.dead)
	}
	l.tip = next
	select {
	case l.wake <- struct{}{}:
	default: // the flusher already knows
	}
	return next.seq, nil
}

// sync returns when line number seq is on stable storage.
func (l *Log) sync(seq uint64) error {
	l.syncing.Lock()
	defer l.syncing.Unlock()
	l.mu.Lock()
	dead, synced, last := l.dead, l.synced, l.tip.seq
	l.mu.Unlock()
	switch {
	case synced >= seq: // an fsync for someone else took it along
		return nil
	case dead != nil:
		return unavailable(dead)
	}
	err := l.file.Sync()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		// The kernel may have dropped the pages: asking again would lie.
		l.dead = fmt.Errorf("audit: fsync: %w", err)
		return unavailable(l.dead)
	}
	l.synced = last
	return nil
}

// flush gives use records their fsync, in groups, until Close.
func (l *Log) flush() {
	defer close(l.done)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-l.wake:
		}
		timer.Reset(flushAfter)
		select {
		case <-l.stop:
			return
		case <-timer.C:
		}
		l.mu.Lock()
		last := l.tip.seq
		l.mu.Unlock()
		_ = l.sync(last) // a failure kills the log: the next call says so
	}
}

// unavailable says that nothing can be done now, because nothing can be recorded.
func unavailable(err error) error {
	if err == nil {
		return nil
	}
	return &broker.Error{Kind: broker.Unavailable, Err: err}
}

// tip is the end of a chain. The zero tip is the end of an empty one.
type tip struct {
	seq  uint64
	hash [sha256.Size]byte
}
