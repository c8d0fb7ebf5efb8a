package audit

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Open opens DIR/audit.jsonl, or makes it, mode 0600, in a directory of mode 0700.
// A file whose chain does not hold is refused: of a file up to 64 MiB every line is
// checked, of a larger one the last 4 MiB.
//
// A last line without its newline is what a crash in the middle of a write leaves. Such a
// write was never acknowledged, so the piece is cut off, and a record of kind "recovered"
// says how many bytes went.
//
// The caller owns the log and must Close it.
func Open(dir string, o Options) (*Log, error) {
	return open(dir, o, func(f *os.File) file { return f })
}

func open(dir string, o Options, wrap func(*os.File) file) (_ *Log, err error) {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	path := filepath.Join(dir, FileName)
	f, err := openFile(path)
	if err != nil {
		return nil, fmt.Errorf("open audit log: %w", err)
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	at, torn, err := readTip(f)
	if err != nil {
		return nil, fmt.Errorf("audit log %s: %w", path, err)
	}
	if torn > 0 {
		if err := cutTail(f, torn); err != nil {
			return nil, fmt.Errorf("recover audit log %s: %w", path, err)
		}
	}
	if err := syncDirs(dir); err != nil {
		return nil, fmt.Errorf("open audit log: %w", err)
	}
	l := &Log{
		clock: o.Clock, file: wrap(f), tip: at, synced: at.seq,
		wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
	if torn > 0 {
		if err := durable(l, recovered{cut: torn}); err != nil {
			return nil, err
		}
	}
	go l.flush()
	return l, nil
}

// openFile opens and locks the file.
func openFile(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = fmt.Errorf("%s is not a regular file", path)
	case info.Mode().Perm()&0o077 != 0:
		err = fmt.Errorf("%s has mode %04o; others must not reach it, want 0600", path, info.Mode().Perm())
	default:
		if err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			err = fmt.Errorf("%s is in use by another process: %w", path, err)
		}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// cutTail shortens f by n bytes, durably.
func cutTail(f *os.File, n int64) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := f.Truncate(info.Size() - n); err != nil {
		return err
	}
	return f.Sync()
}

// syncDirs makes the names of a new file and of its new directory durable.
func syncDirs(dir string) error {
	for _, name := range []string{dir, filepath.Dir(filepath.Clean(dir))} {
		d, err := os.Open(name)
		if err != nil {
			return err
		}
		err = d.Sync()
		d.Close()
		if err != nil {
			return fmt.Errorf("sync %s: %w", name, err)
		}
	}
	return nil
}

// Open checks every line of a file up to wholeSize bytes, about a second's work, and of a
// larger one the last tailSize bytes.
const (
	wholeSize = 64 << 20
	tailSize  = 4 << 20
)

// readTip checks the chain at the end of f and returns where it ends, and how many bytes
// of an unfinished line follow.
func readTip(f *os.File) (at tip, torn int64, err error) {
	return readEnd(f, wholeSize, tailSize)
}

func readEnd(f *os.File, whole, tail int64) (at tip, torn int64, err error) {
	info, err := f.Stat()
	if err != nil {
		return at, 0, err
	}
	var in io.Reader = io.NewSectionReader(f, 0, info.Size())
	trust := info.Size() > whole
	if trust {
		in, err = fromLine(f, info.Size()-tail, info.Size())
		if err != nil {
			return at, 0, err
		}
	}
	rep, err := verify(in, tip{}, trust)
	if err != nil {
		return at, 0, err
	}
	if trust && rep.Lines == 0 {
		return at, 0, fmt.Errorf("no record at the beginning of the last %d bytes", tail)
	}
	if rep.Bad != nil && rep.Torn == 0 {
		return at, 0, fmt.Errorf("line %d: %s", rep.Bad.Line, rep.Bad.Reason)
	}
	at.seq = rep.Last.Seq
	if rep.Lines > 0 {
		decodeHex(at.hash[:], []byte(rep.Last.Hash))
	}
	return at, rep.Torn, nil
}

// fromLine returns a reader of f from the first line that begins at or after offset, to
// end.
func fromLine(f io.ReaderAt, offset, end int64) (io.Reader, error) {
	in := bufio.NewReaderSize(io.NewSectionReader(f, offset-1, end-offset+1), maxLine)
	if _, err := in.ReadSlice('\n'); err != nil {
		return nil, fmt.Errorf("no line begins in the %d bytes after %d: %w", maxLine, offset, err)
	}
	return in, nil
}
