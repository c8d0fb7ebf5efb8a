package wire

// KVKey is the head of the frame that kv.get and kv.delete take; the frame has no body. Get
// answers a frame of KVEntry and the value, delete answers nothing, whether there was
// something or not.
type KVKey struct {
	// Key has 1 to 256 bytes and no control characters. Keys are compared byte for byte and
	// mean nothing to the host: "../x" is a key.
	Key string `json:"key"`
}

// KVPut is the head of the frame that kv.put takes; the frame's body is the value, of 64 KiB
// at most. It answers KVVersion, as JSON.
type KVPut struct {
	Key   string `json:"key"`              // as in KVKey
	TTLMS int64  `json:"ttl_ms,omitempty"` // milliseconds until it is gone; 0: as long as the grant allows
}

// KVSwap is the head of the frame that kv.swap takes, which puts if what is there has this
// version; the frame's body is the value. It answers KVVersion, as JSON.
type KVSwap struct {
	Key     string `json:"key"`              // as in KVKey
	Version uint64 `json:"version"`          // 0: nothing must be there
	TTLMS   int64  `json:"ttl_ms,omitempty"` // as in KVPut
}

// KVEntry is the head of the frame that kv.get answers; the frame's body is the value.
type KVEntry struct {
	Version   uint64 `json:"version"`              // below 2^53; 0: there is nothing under the key
	ExpiresMS int64  `json:"expires_ms,omitempty"` // when it is gone, in milliseconds since 1970
}

// KVVersion is what kv.put and kv.swap answer.
type KVVersion struct {
	// Done is false when kv.swap found another version and changed nothing.
	Done bool `json:"done"`
	// Version is that of the value that is there now; 0: there is none.
	Version uint64 `json:"version"`
}
