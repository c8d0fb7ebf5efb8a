package consumer

// StandIn is what is hashed in place of something that is not a key.
const StandIn = standIn

// ParseKey reports whether s has the form of a key.
func ParseKey(s string) (id string, ok bool) { return parseKey(s) }
