package parcel

// Remembered is how many facts m holds.
func Remembered(m *Memo) int {
	n := 0
	m.known.Range(func(any, any) bool { n++; return true })
	return n
}
