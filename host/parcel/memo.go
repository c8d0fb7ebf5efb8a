package parcel

import (
	"sync"
	"sync/atomic"
)

// Memo remembers Facts: what an operation lets be known of its result depends on the operation and
// on what is known before, and is the same for every request. The zero Memo is empty, a nil one
// remembers nothing. Safe for concurrent use.
type Memo struct {
	known sync.Map // memoKey -> Facts
	size  atomic.Int64
}

// Limits of a Memo: what the operations of one plugin come to, with room.
const (
	maxMemo    = 1024
	memoInputs = 4
)

type memoKey struct {
	operation any
	inputs    int
	of        [memoInputs]Facts
}

// Facts returns what make returns for an operation, which can be compared, on documents of which
// is known what of says.
func (m *Memo) Facts(operation any, of []Facts, make func([]Facts) Facts) Facts {
	if m == nil || len(of) > memoInputs {
		return make(of)
	}
	key := memoKey{operation: operation, inputs: len(of)}
	copy(key.of[:], of)
	if f, ok := m.known.Load(key); ok {
		return f.(Facts)
	}
	f := make(of)
	if m.size.Load() < maxMemo {
		m.size.Add(1)
		m.known.Store(key, f)
	}
	return f
}
