package clientcert

// Remembered is how many chains a Trust remembers, and MostRemembered how many it may.
func Remembered(t *Trust) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.young) + len(t.old)
}

const MostRemembered = 2 * cacheHalf
