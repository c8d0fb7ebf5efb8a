package httpcap

// Recorded is true: every request leaves the house.
func (*HTTP) Recorded() bool { return true }
