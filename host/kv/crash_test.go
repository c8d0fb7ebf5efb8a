package kv_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"pointsman/host/kv"
)

// writerDir is the variable that makes the test's program a writer in that folder.
const writerDir = "POINTSMAN_KV_WRITER"

// writer puts values until it is killed, and prints the number of each that was acknowledged.
func writer(dir string) error {
	k, err := keyringOf(dir)
	if err != nil {
		return err
	}
	s, err := kv.Open(context.Background(), filepath.Join(dir, "kv"), kv.Options{Keyring: k})
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		key := fmt.Sprint("key", i%50) // most of them replace
		e, err := s.Get(context.Background(), "writer", key)
		if err != nil {
			return err
		}
		before, _ := strconv.Atoi(string(e.Value))
		p := kv.Put{Key: key, Value: []byte(strconv.Itoa(before + 1))}
		if _, err := s.Put(context.Background(), "writer", wide, p); err != nil {
			return err
		}
		if _, err := fmt.Println(key, before+1); err != nil {
			return err
		}
	}
}

// A writer that is killed in the midst loses nothing that it acknowledged.
func TestKilled(t *testing.T) {
	dir := home(t)
	acknowledged := map[string]int{}
	for cycle := range 5 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), writerDir+"="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			var key string
			var count int
			if _, err := fmt.Sscan(lines.Text(), &key, &count); err != nil {
				t.Error(err)
			}
			acknowledged[key] = count
			if n == 30+17*cycle { // what it writes meanwhile is read until the pipe ends
				if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
					t.Error(err)
				}
			}
		}
		if exit, ok := errors.AsType[*exec.ExitError](cmd.Wait()); !ok || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Fatalf("the writer ended by itself: %v", exit)
		}
		s := openAt(t, dir, nil)
		for key, count := range acknowledged {
			// One put may have been done and not said.
			if got, _ := strconv.Atoi(value(t, s, "writer", key)); got != count && got != count+1 {
				t.Errorf("cycle %d: %s holds %d, acknowledged was %d", cycle, key, got, count)
			}
		}
		closes(t, s)
	}
}
