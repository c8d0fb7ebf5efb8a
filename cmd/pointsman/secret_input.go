package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"pointsman/host/secret"
)

// valueFlags are those of commands that take a value.
type valueFlags struct{ file, expires string }

func (v *valueFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&v.file, "file", "", "read the secret from this file, which only its owner may read")
	cmd.Flags().StringVar(&v.expires, "expires", "", "refuse it from then on: a duration (90d, 12h), a day or a time (RFC 3339)")
}

// read returns the value of a secret and when it expires. The caller wipes the value.
func (v valueFlags) read(s streams, name string) (plain []byte, expires time.Time, err error) {
	if err := harden(); err != nil {
		return nil, expires, err
	}
	if err := secret.CheckName(name); err != nil {
		return nil, expires, refused(err)
	}
	if expires, err = parseExpiry(v.expires, time.Now()); err != nil {
		return nil, expires, refused(err)
	}
	plain, err = v.value(s, name)
	if err != nil {
		return nil, expires, err
	}
	plain = trimLineEnd(plain)
	switch {
	case len(plain) == 0:
		return nil, expires, refused(errors.New("standard input held no secret; try: pointsman secret set NAME < FILE"))
	case len(plain) > secret.MaxSize:
		clear(plain)
		return nil, expires, refused(fmt.Errorf("the secret is larger than %d bytes", secret.MaxSize))
	}
	return plain, expires, nil
}

func (v valueFlags) value(s streams, name string) ([]byte, error) {
	if v.file != "" {
		text, err := readOwn(v.file, secret.MaxSize+2)
		if err != nil {
			return nil, refused(fmt.Errorf("%s: %w", v.file, err))
		}
		return text, nil
	}
	if f, ok := s.in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return ask(f, s.err, "value of "+name, true)
	}
	plain, err := io.ReadAll(io.LimitReader(s.in, secret.MaxSize+3))
	if err != nil {
		return nil, fmt.Errorf("read standard input: %w", err)
	}
	return plain, nil
}

// readOwn reads a file that nobody but its owner may read.
func readOwn(path string, most int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe does not block
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only: nothing to lose
	if _, err := secret.CheckPrivate(f); err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(f, most+1))
}

// ask reads a line from a terminal without echo, twice if it is new.
func ask(tty *os.File, prompt io.Writer, what string, again bool) ([]byte, error) {
	read := func(words string) ([]byte, error) {
		fmt.Fprint(prompt, words+": ")
		line, err := term.ReadPassword(int(tty.Fd()))
		fmt.Fprintln(prompt)
		return line, err
	}
	first, err := read(what)
	if err != nil || !again {
		return first, err
	}
	second, err := read("again")
	if err != nil {
		clear(first)
		return nil, err
	}
	defer clear(second)
	if !bytes.Equal(first, second) {
		clear(first)
		return nil, refused(errors.New("the two are not the same"))
	}
	return first, nil
}

// askTerminal is ask on the terminal that controls the process, whatever standard input is.
func askTerminal(what string, again bool) ([]byte, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil, errNoTerminal
	}
	defer tty.Close() // nothing was written that could be lost
	return ask(tty, tty, what, again)
}

var errNoTerminal = errors.New("there is no terminal to ask on")

// readSource reads what is too secret for a flag from where a flag says it is: file:PATH,
// fd:N, credential:NAME (of systemd's LoadCredential) or prompt. One line end at its end is
// taken off. The caller wipes it.
func readSource(source, what string, isNew bool) ([]byte, error) {
	kind, arg, _ := strings.Cut(source, ":")
	const most = secret.MaxPassphrase + 2
	var text []byte
	var err error
	switch kind {
	case "prompt":
		return askTerminal(what, isNew)
	case "file":
		text, err = readOwn(arg, most)
	case "credential":
		dir := os.Getenv("CREDENTIALS_DIRECTORY")
		if dir == "" || arg != filepath.Base(arg) {
			return nil, fmt.Errorf("%s: systemd gave no credentials ($CREDENTIALS_DIRECTORY), or that is not a name of one", source)
		}
		text, err = readOwn(filepath.Join(dir, arg), most)
	case "fd":
		text, err = readFD(arg, most)
	default:
		return nil, fmt.Errorf("%.80q is none of file:PATH, fd:N, credential:NAME and prompt", source)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", source, err)
	}
	text = trimLineEnd(text)
	if len(text) == 0 || len(text) > secret.MaxPassphrase {
		clear(text)
		return nil, fmt.Errorf("%s: holds nothing, or more than %d bytes", source, secret.MaxPassphrase)
	}
	return text, nil
}

// readFD reads a file descriptor that who started this process left open, and closes it.
func readFD(arg string, most int64) ([]byte, error) {
	n, err := strconv.ParseUint(arg, 10, 16)
	if err != nil || n == 1 || n == 2 {
		return nil, errors.New("not a file descriptor to read from")
	}
	f := os.NewFile(uintptr(n), "fd")
	if f == nil {
		return nil, errors.New("not a file descriptor")
	}
	defer f.Close() // read only: nothing to lose
	return io.ReadAll(io.LimitReader(f, most+1))
}

// parseExpiry reads --expires; empty means never.
func parseExpiry(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	const most = 100 * 366 // days: whoever writes more means never
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 32); err == nil && n > 0 && n <= most {
			return now.AddDate(0, 0, int(n)), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return now.Add(d), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil && t.After(now) {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("--expires %q is neither a duration (90d, 12h) nor a day or time to come (2030-01-31)", text)
}

func trimLineEnd(b []byte) []byte {
	b = bytes.TrimSuffix(b, []byte("\n"))
	return bytes.TrimSuffix(b, []byte("\r"))
}
