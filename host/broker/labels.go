package broker

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Labels is a sorted set of names for what data is about, such as pii.contact. Admins give
// them to fields of back ends' answers and to columns. The zero value is the empty set. A
// Labels does not change and may be used concurrently.
type Labels struct{ names []string }

// NewLabels returns the set of names.
func NewLabels(names ...string) Labels {
	s := slices.Clone(names)
	slices.Sort(s)
	return Labels{slices.Compact(s)}
}

// Empty reports whether the set has no labels.
func (l Labels) Empty() bool { return len(l.names) == 0 }

// Names are the labels, sorted. The caller owns the slice.
func (l Labels) Names() []string { return slices.Clone(l.names) }

// Has reports whether name is in the set.
func (l Labels) Has(name string) bool {
	_, ok := slices.BinarySearch(l.names, name)
	return ok
}

// Union is what is in l or in m.
func (l Labels) Union(m Labels) Labels {
	switch {
	case len(m.names) == 0:
		return l
	case len(l.names) == 0:
		return m
	}
	return NewLabels(slices.Concat(l.names, m.names)...)
}

// Minus is what is in l and not in m.
func (l Labels) Minus(m Labels) Labels {
	if len(l.names) == 0 || len(m.names) == 0 {
		return l
	}
	return Labels{slices.DeleteFunc(slices.Clone(l.names), m.Has)}
}

func (l Labels) String() string { return strings.Join(l.names, ", ") }

// Seen is the labels of everything that was handed to one sandbox during its call. It only
// grows. The zero Seen is empty; safe for concurrent use.
type Seen struct {
	labels  atomic.Pointer[Labels]
	refused sync.Map // of capabilities that were refused a use
}

// Add notes that data with labels l is handed over. It comes before the data. A nil Seen
// panics when there is something to note: what is forgotten could leave.
func (s *Seen) Add(l Labels) {
	if l.Empty() {
		return
	}
	for {
		old := s.labels.Load()
		sum := l
		if old != nil {
			sum = old.Union(l)
		}
		if s.labels.CompareAndSwap(old, &sum) {
			return
		}
	}
}

// Labels is what was noted so far; none of a nil Seen.
func (s *Seen) Labels() Labels {
	if s == nil {
		return Labels{}
	}
	if l := s.labels.Load(); l != nil {
		return *l
	}
	return Labels{}
}

// FirstRefusal reports whether this is the first time in the call that capability was
// refused a use for want of clearance: the one that is worth a record where uses are not.
func (s *Seen) FirstRefusal(capability string) bool {
	if s == nil {
		return true
	}
	_, before := s.refused.LoadOrStore(capability, true)
	return !before
}
