package callcap

// Recorded is true: another plugin acts, with powers of its own.
func (*Call) Recorded() bool { return true }
