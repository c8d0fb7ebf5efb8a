//go:build !linux

package main

// harden does nothing where we know no way; docs/SECURITY.md says so.
func harden() error { return nil }
