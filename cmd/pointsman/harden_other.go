//go:build !linux

package main

// hardenMemory does nothing where we know no way; docs/SECURITY.md says so.
func hardenMemory() error { return nil }
