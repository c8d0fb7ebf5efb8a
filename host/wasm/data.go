package wasm

import (
	"cmp"
	"slices"
)

// Segments that lie close together are joined, with zeros in the gaps. The Go linker
// cuts its data at every few zeros; instantiating tens of thousands of segments takes
// longer than copying the zeros.
const (
	maxGap     = 4 << 10 // bytes; more is kept as two segments
	maxGapsSum = 4 << 20 // bytes: what joining may add to a module
)

// dataSections returns the contents of the sections data count and data.
func (w *rewriter) dataSections() (count, data []byte) {
	runs := w.runs()
	if w.hasDataCount {
		count = putU32(nil, uint32(len(runs)))
	}
	if len(runs) == 0 {
		return count, nil
	}
	data = putU32(nil, uint32(len(runs)))
	for _, run := range runs {
		first, last := run[0], run[len(run)-1]
		if first.passive {
			data = putBlob(append(data, 1), w.raw[first.data.from:first.data.to])
			continue
		}
		data = append(data, 0, opI32Const)
		data = append(putSigned(data, int64(int32(first.offset))), opEnd)
		data = putU32(data, uint32(last.end()-uint64(first.offset)))
		at := uint64(first.offset)
		for _, s := range run {
			for ; at < uint64(s.offset); at++ {
				data = append(data, 0)
			}
			data = append(data, w.raw[s.data.from:s.data.to]...)
			at = s.end()
		}
	}
	return count, data
}

func (s *segment) end() uint64 { return uint64(s.offset) + uint64(s.data.to-s.data.from) }

// runs decides which segments are joined: the members of a run become one. The check has
// made sure that all lie within the memory, so none of them can trap; when in addition
// no two overlap, their order makes no difference and the gaps hold zeros. Otherwise
// every segment stays what it is. So it does when the code names segments by number;
// when it does not, passive segments are out of everyone's reach and go.
func (m *module) runs() [][]segment {
	if !m.namesData {
		if runs, ok := joined(m.data); ok {
			return runs
		}
	}
	runs := make([][]segment, len(m.data))
	for i := range m.data {
		runs[i] = m.data[i : i+1]
	}
	return runs
}

// joined returns the runs of the active segments, and false when two overlap.
func joined(data []segment) ([][]segment, bool) {
	var active []segment
	for _, s := range data {
		if !s.passive && s.data.from < s.data.to {
			active = append(active, s)
		}
	}
	slices.SortFunc(active, func(a, b segment) int { return cmp.Compare(a.offset, b.offset) })

	var runs [][]segment
	begin, gaps := 0, uint64(0)
	for i := 1; i <= len(active); i++ {
		if i < len(active) {
			before, at := active[i-1].end(), uint64(active[i].offset)
			if at < before {
				return nil, false
			}
			if gap := at - before; gap <= maxGap && gaps+gap <= maxGapsSum {
				gaps += gap
				continue
			}
		}
		runs = append(runs, active[begin:i])
		begin = i
	}
	return runs, true
}
