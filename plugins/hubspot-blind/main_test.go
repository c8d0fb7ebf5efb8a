package main

import "testing"

// What every call's sandbox starts from: a rehearsal that fails only costs time, so nobody
// but this would see it.
func TestRehearsal(t *testing.T) {
	if err := rehearse(); err != nil {
		t.Error(err)
	}
}
