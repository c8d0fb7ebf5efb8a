package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// process is a child that serves. stop must be called, once.
type process struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	exited chan error // gets what Wait returned
}

const (
	startTime = 2 * time.Minute  // compiling Go guests on a busy machine
	stopTime  = 20 * time.Second // more than the 15 s that a broker may take
)

// start runs cmd until it prints, on standard output or standard error, a line that matches
// ready, and returns the last group of the match. The line is not kept anywhere else.
func start(ctx context.Context, cmd *exec.Cmd, ready *regexp.Regexp) (*process, string, error) {
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, "", err
	}
	out, in, err := os.Pipe()
	if err != nil {
		return nil, "", err
	}
	cmd.Stdout, cmd.Stderr = in, in
	if err := cmd.Start(); err != nil {
		return nil, "", errors.Join(err, in.Close(), out.Close())
	}
	in.Close() // the child has it; what it writes ends when it does
	p := &process{cmd: cmd, stdin: stdin, exited: make(chan error, 1)}
	matched, said := make(chan string, 1), make(chan string, 1)
	go func() { // ends with the child
		defer out.Close()
		said <- follow(out, ready, matched)
		p.exited <- cmd.Wait()
	}()
	timer := time.NewTimer(startTime)
	defer timer.Stop()
	select {
	case found := <-matched:
		return p, found, nil
	case text := <-said:
		return nil, "", fmt.Errorf("ended before it served: %w\n%s", <-p.exited, text)
	case <-timer.C:
		err = errors.New("does not serve")
	case <-ctx.Done():
		err = ctx.Err()
	}
	return nil, "", errors.Join(err, p.stop())
}

// follow reads lines until there are none, telling the first match, and returns the last of
// what it read.
func follow(out io.Reader, ready *regexp.Regexp, matched chan<- string) string {
	const keep = 4 << 10 // bytes: enough for an error's text
	var last strings.Builder
	found := false
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if m := ready.FindStringSubmatch(lines.Text()); m != nil && !found {
			found = true
			matched <- m[len(m)-1]
			continue
		}
		if last.Len() > keep {
			last.Reset()
		}
		last.WriteString(lines.Text() + "\n")
	}
	io.Copy(io.Discard, out) // a line too long for the scanner must not block the child
	return last.String()
}

// stop ends the child and waits for it.
func (p *process) stop() error {
	p.stdin.Close()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	timer := time.NewTimer(stopTime)
	defer timer.Stop()
	select {
	case err := <-p.exited:
		if err != nil {
			return fmt.Errorf("%s: %w", p.cmd.Path, err)
		}
		return nil
	case <-timer.C:
		return errors.Join(fmt.Errorf("%s did not end when told to", p.cmd.Path), p.cmd.Process.Kill(), <-p.exited)
	}
}
