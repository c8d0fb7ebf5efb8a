//go:build race

package kv_test

// race says that the race detector makes everything ten times as slow.
const race = true
