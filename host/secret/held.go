package secret

import (
	"bytes"
	"runtime"
)

// held is a few bytes outside Go's heap: in pages of their own, which where the system
// allows it are locked into memory, left out of core dumps and empty in forked children.
// They are wiped and given back when nothing refers to them any more. Safe for concurrent
// use; the bytes never change.
type held struct{ page []byte }

// hold moves plain into a held, and wipes it.
func hold(plain []byte) *held {
	page := newPage(len(plain))
	copy(page, plain)
	clear(plain)
	h := &held{page[:len(plain)]}
	runtime.AddCleanup(h, freePage, page)
	return h
}

// copy returns a copy that the caller wipes.
func (h *held) copy() []byte {
	b := bytes.Clone(h.page)
	runtime.KeepAlive(h)
	return b
}

// with gives f the bytes themselves, which f must not keep.
func (h *held) with(f func([]byte)) {
	f(h.page)
	runtime.KeepAlive(h)
}
