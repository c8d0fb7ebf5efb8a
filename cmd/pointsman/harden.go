package main

import (
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
)

// harden keeps the memory of a process that opens secrets to itself. Every command that
// does calls it before it reads the first one: no core dumps, no reading by other processes
// of the same user, and after a crash the stack of one goroutine only.
//
// Go lets nobody ask for less than GOTRACEBACK in the environment does, so a process that
// was started with more starts itself anew, with the same arguments and open files: call it
// before doing anything that would have to be undone.
func harden() error {
	if level := os.Getenv("GOTRACEBACK"); !slices.Contains([]string{"", "none", "0", "single", "1"}, level) {
		return restart("GOTRACEBACK=single")
	}
	debug.SetTraceback("single")
	if err := hardenMemory(); err != nil {
		return fmt.Errorf("harden the process: %w", err)
	}
	return nil
}

// restart replaces the process by itself with one variable set. It returns on failure only.
func restart(variable string) error {
	path, err := os.Executable()
	if err != nil {
		return err
	}
	name, _, _ := strings.Cut(variable, "=")
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, name+"=") })
	return fmt.Errorf("start anew with %s: %w", variable, syscall.Exec(path, os.Args, append(env, variable)))
}
