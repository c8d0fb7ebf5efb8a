package main

import "golang.org/x/sys/unix"

// hardenMemory lets nobody else read the memory of this process, alive or dead.
func hardenMemory() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return err
	}
	return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}
