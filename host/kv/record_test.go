package kv_test

import (
	"bytes"
	"errors"
	"testing"

	"pointsman/host/kv"
)

// FuzzRecord: what is a record is the same one again, but for the order of its labels.
func FuzzRecord(f *testing.F) {
	head := append([]byte{1}, make([]byte, 16)...)
	f.Add(append(bytes.Clone(head), "\x00\x00value"...))
	f.Add(append(bytes.Clone(head), "\x00\x03a bvalue"...))
	f.Add(append(bytes.Clone(head), "\xff\xff"...))
	f.Add([]byte{2})
	f.Fuzz(func(t *testing.T, b []byte) {
		again, err := kv.ParseRecord(b)
		if err != nil {
			if !errors.Is(err, kv.ErrDamaged) {
				t.Errorf("error %v", err)
			}
			return
		}
		third, err := kv.ParseRecord(again)
		if err != nil || !bytes.Equal(again, third) || len(again) > len(b) || !bytes.HasPrefix(again, b[:17]) {
			t.Errorf("%q, then %q, then %q, %v", b, again, third, err)
		}
	})
}
