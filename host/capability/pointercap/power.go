package pointercap

// Recorded is true: opening a pointer is learning who somebody is.
func (*Pointer) Recorded() bool { return true }
