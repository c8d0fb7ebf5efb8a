package consumer

import (
	"crypto/rand"
	"hash/crc32"
	"strings"
)

// An API key, 63 characters:
//
//	pmk_<8: id>_<43: secret>_<6: checksum>
//
// All three parts are base62. The id finds the record and is not secret. The secret is
// uniform: 43 characters carry 256 bits. The checksum is CRC-32 (IEEE) of everything
// before its underscore, most significant digit first. Prefix and checksum are there for
// secret scanners and against typing errors; they add no strength. For scanners:
//
//	pmk_[0-9A-Za-z]{8}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}
const (
	keyPrefix = "pmk_"
	idLen     = 8
	secretLen = 43
	sumLen    = 6 // 62^6 > 2^32
	bodyLen   = len(keyPrefix) + idLen + 1 + secretLen
	keyLen    = bodyLen + 1 + sumLen
)

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// mint returns a new key and its id.
func mint() (key, id string) {
	id = random(idLen)
	body := keyPrefix + id + "_" + random(secretLen)
	return body + "_" + checksum(body), id
}

// random returns n uniform base62 characters.
func random(n int) string {
	out := make([]byte, 0, n)
	var b [64]byte
	for {
		rand.Read(b[:]) // never fails: crypto/rand ends the process instead
		for _, c := range b {
			// Of the 64 values of six bits the last two are rejected: the rest is uniform.
			if i := int(c & 63); i < len(base62) {
				if out = append(out, base62[i]); len(out) == n {
					return string(out)
				}
			}
		}
	}
}

func checksum(body string) string {
	sum := crc32.ChecksumIEEE([]byte(body))
	var out [sumLen]byte
	for i := range out {
		out[sumLen-1-i] = base62[sum%uint32(len(base62))]
		sum /= uint32(len(base62))
	}
	return string(out[:])
}

// parseKey returns the id of a well-formed key, and false for anything else.
func parseKey(s string) (id string, ok bool) {
	if len(s) != keyLen || !strings.HasPrefix(s, keyPrefix) ||
		s[len(keyPrefix)+idLen] != '_' || s[bodyLen] != '_' {
		return "", false
	}
	id = s[len(keyPrefix) : len(keyPrefix)+idLen]
	if !isBase62(id) || !isBase62(s[len(keyPrefix)+idLen+1:bodyLen]) || s[bodyLen+1:] != checksum(s[:bodyLen]) {
		return "", false
	}
	return id, true
}

func isBase62(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}
