package pointer

// DecodeBase64 decodes the payload of a pointer.
func DecodeBase64(text string) ([]byte, bool) {
	room := make([]byte, len(text)*6/8)
	return room, decode(room, text)
}

// Kept is how many pointers e holds, and for how many sectors and domains.
func (e *Ephemeral) Kept() (pointers, owners int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.live) != len(e.due) {
		panic("what lives and what is due differ")
	}
	return len(e.live), len(e.count)
}
