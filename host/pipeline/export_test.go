package pipeline

// Check is what the output of a step must pass.
func Check(text []byte) error { return check(text) }

// Find selects a field of a valid JSON text.
func Find(text []byte, path ...string) []byte { return new(selector).find(text, path) }
