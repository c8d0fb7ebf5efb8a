//go:build !linux

package sandbox

import (
	"errors"

	"github.com/tetratelabs/wazero/experimental"
)

// Elsewhere than on Linux there is no snapshot engine: its self-test fails at the first
// reservation, and New takes the portable one.

type mappedMemory struct {
	guestMemory
	answer []byte
}

func reserve(uint64) (*mappedMemory, error) { return nil, errors.ErrUnsupported }

func (m *mappedMemory) Allocate(_, _ uint64) experimental.LinearMemory { return m }
func (m *mappedMemory) Reallocate(uint64) []byte                       { return nil }
func (m *mappedMemory) Free()                                          {}
func (m *mappedMemory) overlay(*image) error                           { return errors.ErrUnsupported }
func (m *mappedMemory) drop(uint64, uint64) error                      { return errors.ErrUnsupported }
func (m *mappedMemory) truncate(uint64) error                          { return errors.ErrUnsupported }

type imageFile struct {
	size  int
	bytes []byte
}

func newImageFile([]byte) (imageFile, error) { return imageFile{}, errors.ErrUnsupported }
func (imageFile) close()                     {}

type way string

const byRemap way = "remapping"

type dirtyPages struct{ way way }

func openDirtyPages() *dirtyPages { return &dirtyPages{way: byRemap} }
func (*dirtyPages) close()        {}
func (*dirtyPages) each([]byte, *scratch, func(from, to int) error) error {
	return errors.ErrUnsupported
}

type scratch struct{}

func newScratch() *scratch { return new(scratch) }
