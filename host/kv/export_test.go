package kv

// ParseRecord takes a record apart and puts it together again.
func ParseRecord(b []byte) (again []byte, err error) {
	r, err := parseRecord(b)
	if err != nil {
		return nil, err
	}
	return r.append(nil)
}
