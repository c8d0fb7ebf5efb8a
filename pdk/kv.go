package pdk

import (
	"encoding/json"
	"time"

	"pointsman/pdk/wire"
)

// KVGet returns what the plugin keeps under key, and its version for KVSwap. Where there is
// nothing, or nothing any more, the version is 0 and no error is returned.
//
// A value that was put after its call had seen labelled data brings the labels along: what
// KVGet returns may then not leave without clearance.
func (h *Host) KVGet(key string) (value []byte, version uint64, err error) {
	payload, err := kvCall(h.kvGet, wire.KVKey{Key: key}, nil)
	if err != nil {
		return nil, 0, err
	}
	head, value, err := wire.SplitFrame(payload)
	if err != nil {
		return nil, 0, hostError(err)
	}
	var entry wire.KVEntry
	if err := json.Unmarshal(head, &entry); err != nil {
		return nil, 0, hostError(err)
	}
	return value, entry.Version, nil
}

// KVPut keeps value under key, in place of what was there, for ttl; 0 means as long as the
// grant allows, and more than that is refused. A key has 1 to 256 bytes of UTF-8 without
// control characters, a value 64 KiB at most. When KVPut returns, the value is on disk.
// The error is an *Error: Denied if the quota is used up, or if the plugin has seen data that
// the grant is not cleared for.
//
// Only this plugin sees it, whoever the consumer is: put the consumer's name or the sector in
// the key of what is theirs.
func (h *Host) KVPut(key string, value []byte, ttl time.Duration) (version uint64, err error) {
	done, err := kvVersion(kvCall(h.kvPut, wire.KVPut{Key: key, TTLMS: milliseconds(ttl)}, value))
	return done.Version, err
}

// KVSwap is KVPut if what is there has the version that KVGet told, or if version is 0 and
// nothing is there. It reports whether it has put, and the version that is there now.
func (h *Host) KVSwap(key string, version uint64, value []byte, ttl time.Duration) (now uint64, done bool, err error) {
	v, err := kvVersion(kvCall(h.kvSwap, wire.KVSwap{Key: key, Version: version, TTLMS: milliseconds(ttl)}, value))
	return v.Version, v.Done, err
}

// KVDelete takes away what is there under key, if there is something.
func (h *Host) KVDelete(key string) error {
	_, err := kvCall(h.kvDelete, wire.KVKey{Key: key}, nil)
	return err
}

func kvCall(op func(frame []byte) []byte, head any, value []byte) (payload []byte, err error) {
	frame, err := wire.Frame(head, value)
	if err != nil { // a string and numbers always marshal
		return nil, Errorf(Permanent, "the request cannot be written as a frame")
	}
	payload, err = wire.ParseReply(op(frame))
	if err != nil {
		return nil, hostError(err)
	}
	return payload, nil
}

func kvVersion(payload []byte, err error) (wire.KVVersion, error) {
	var v wire.KVVersion
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(payload, &v); err != nil {
		return wire.KVVersion{}, hostError(err)
	}
	return v, nil
}

// milliseconds rounds up, so that a short time does not become none.
func milliseconds(d time.Duration) int64 {
	ms := d.Milliseconds()
	if d > time.Duration(ms)*time.Millisecond {
		ms++
	}
	return ms
}

// rehearseKV answers as where nothing is kept yet.
func rehearseKV(op string) []byte {
	switch op {
	case "get":
		frame, _ := wire.Frame(wire.KVEntry{}, nil) // numbers always marshal
		return wire.Done(frame)
	case "delete":
		return wire.Done(nil)
	}
	return wire.Done([]byte(`{"done":true,"version":1}`))
}
