package credential

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// HMAC says how requests are signed with a key that both sides know (RFC 2104). Every
// header that it names is the host's.
type HMAC struct {
	Secret    string // name of the key's secret
	Key       string // how the secret is written: text, hex or base64; "" means text
	Hash      string // sha256, sha384 or sha512; "" means sha256
	Over      []string
	Join      string // between the parts of Over
	Signature HMACField
	Digest    HMACField // of the body; the zero HMACField sends none
	Timestamp HMACTime  // the zero HMACTime sends none
	Nonce     string    // header for 128 random bits in hex; "" sends none
	KeyIDName string    // header for KeyID; "" sends none
	KeyID     string
}

// HMACField is a header with a signature or digest.
type HMACField struct {
	Name, Prefix string
	Encoding     string // hex or base64; "" means hex
}

// HMACTime is a header with the time of the request.
type HMACTime struct {
	Name   string
	Format string // unix, unixMillis, rfc3339 or http; "" means unix
}

// HMACPlacement signs requests. Safe for concurrent use.
type HMACPlacement struct {
	conf  HMAC
	parts Parts
	hash  func() hash.Hash
}

var hashes = map[string]func() hash.Hash{"": sha256.New, "sha256": sha256.New, "sha384": sha512.New384, "sha512": sha512.New}

// minKey is the shortest key, in bytes: RFC 2104 §3 discourages keys shorter than the
// hash, but vendors hand out 128 bits.
const minKey = 16

// NewHMAC checks c and returns a placement for it. The key is opened once, so that one
// that is missing or cannot be used is found now.
func NewHMAC(c HMAC, p Parts) (*HMACPlacement, error) {
	h := &HMACPlacement{c, p.filled(), hashes[c.Hash]}
	if h.hash == nil {
		return nil, errors.New("hash must be sha256, sha384 or sha512")
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	_, forms, err := h.key()
	wipe(forms...)
	if err != nil {
		return nil, err
	}
	return h, nil
}

func (c HMAC) check() error {
	names := c.headers()
	for i, name := range names {
		if !headerName(name) {
			return errors.New("a header of hmac has a name that cannot carry it")
		}
		if slices.ContainsFunc(names[:i], func(other string) bool { return sameHeader(other, name) }) {
			return errors.New("two parts of hmac have the same header")
		}
	}
	if c.Signature.Name == "" {
		return errors.New("the signature needs a header")
	}
	if !printable(c.KeyID) || (c.KeyIDName == "") != (c.KeyID == "") {
		return errors.New("a key's id needs a header, and is printable ASCII")
	}
	if len(c.Over) == 0 {
		return errors.New("the signature covers nothing")
	}
	for i, part := range c.Over {
		switch {
		case slices.Contains(c.Over[:i], part):
			return errors.New("the signature covers a part twice")
		case part == "timestamp" && c.Timestamp.Name == "", part == "nonce" && c.Nonce == "", part == "keyId" && c.KeyIDName == "":
			return errors.New("the signature covers a header that is not sent")
		case !slices.Contains([]string{"method", "host", "path", "query", "target", "timestamp", "nonce", "keyId", "digest", "body"}, part):
			return errors.New("the signature covers a part that is unknown")
		}
	}
	for _, f := range []HMACField{c.Signature, c.Digest} {
		if !slices.Contains([]string{"", "hex", "base64"}, f.Encoding) || !printable(f.Prefix) || strings.HasPrefix(f.Prefix, " ") {
			return errors.New("an encoding is hex or base64, and a prefix printable ASCII")
		}
	}
	if !slices.Contains([]string{"", "unix", "unixMillis", "rfc3339", "http"}, c.Timestamp.Format) {
		return errors.New("a timestamp is unix, unixMillis, rfc3339 or http")
	}
	if !slices.Contains([]string{"", "text", "hex", "base64"}, c.Key) {
		return errors.New("a key is written as text, hex or base64")
	}
	return nil
}

// headers are the names of the headers that are sent.
func (c HMAC) headers() []string {
	return slices.DeleteFunc([]string{c.Signature.Name, c.Digest.Name, c.Timestamp.Name, c.Nonce, c.KeyIDName},
		func(name string) bool { return name == "" })
}

// key opens the secret. forms are all that is to be looked for, key among them, and the
// caller's to wipe, with an error too; nil when the secret cannot be opened.
func (h *HMACPlacement) key() (key []byte, forms [][]byte, err error) {
	plain, old, err := h.parts.openAll(h.conf.Secret)
	if err != nil {
		return nil, nil, err
	}
	forms = append(old, plain)
	for _, written := range old {
		if was, err := h.decode(written); err == nil { // else it was written in another way
			forms = append(forms, was)
		}
	}
	if key, err = h.decode(plain); err != nil { // whose words quote a byte of the secret
		return nil, forms, fmt.Errorf("the secret %s is not %s", h.conf.Secret, h.conf.Key)
	}
	forms = append(forms, key)
	if len(key) < minKey {
		return nil, forms, fmt.Errorf("the secret %s has fewer than %d bytes, which is no key", h.conf.Secret, minKey)
	}
	return key, forms, nil
}

// decode returns the key that is written so, in bytes of its own.
func (h *HMACPlacement) decode(written []byte) ([]byte, error) {
	switch h.conf.Key {
	case "hex":
		return hex.AppendDecode(nil, written)
	case "base64":
		return base64.StdEncoding.Strict().AppendDecode(nil, written)
	}
	return bytes.Clone(written), nil
}

// Place implements egress.Placement.
func (h *HMACPlacement) Place(_ context.Context, req *http.Request, body []byte) (Used, error) {
	key, forms, err := h.key()
	if err != nil {
		wipe(forms...)
		if forms == nil {
			return nil, missing(err)
		}
		return nil, unfit(err)
	}
	c, parts := h.conf, map[string]string{}
	sum := h.hash()
	sum.Write(body) // a hash takes everything
	parts["digest"] = encode(c.Digest.Encoding, sum.Sum(nil))
	if c.Digest.Name != "" {
		req.Header.Set(c.Digest.Name, c.Digest.Prefix+parts["digest"])
	}
	if c.Timestamp.Name != "" {
		parts["timestamp"] = c.Timestamp.write(h.parts.Now())
		req.Header.Set(c.Timestamp.Name, parts["timestamp"])
	}
	if c.Nonce != "" {
		nonce := make([]byte, 16)
		rand.Read(nonce) // never fails, by its documentation
		parts["nonce"] = hex.EncodeToString(nonce)
		req.Header.Set(c.Nonce, parts["nonce"])
	}
	if c.KeyIDName != "" {
		parts["keyId"] = c.KeyID
		req.Header.Set(c.KeyIDName, c.KeyID)
	}
	mac := hmac.New(h.hash, key)
	for i, part := range c.Over {
		if i > 0 {
			mac.Write([]byte(c.Join))
		}
		if part == "body" {
			mac.Write(body)
			continue
		}
		text, ok := parts[part]
		if !ok {
			text = ofRequest(req, part)
		}
		mac.Write([]byte(text))
	}
	req.Header.Set(c.Signature.Name, c.Signature.Prefix+encode(c.Signature.Encoding, mac.Sum(nil)))
	return used(forms), nil
}

// Current implements egress.Placement.
func (h *HMACPlacement) Current() Used {
	_, forms, _ := h.key() // one that is no key may be known all the same
	if forms == nil {
		return nil
	}
	return used(forms)
}

// ofRequest is a part of the request itself, byte for byte as it is sent.
func ofRequest(req *http.Request, part string) string {
	switch part {
	case "method":
		return req.Method
	case "host":
		return hostOf(req)
	case "path":
		return sentPath(req.URL)
	case "query":
		return req.URL.RawQuery
	}
	if req.URL.RawQuery == "" {
		return sentPath(req.URL)
	}
	return sentPath(req.URL) + "?" + req.URL.RawQuery
}

func hostOf(req *http.Request) string {
	if req.Host != "" {
		return req.Host
	}
	return req.URL.Host
}

func encode(encoding string, sum []byte) string {
	if encoding == "base64" {
		return base64.StdEncoding.EncodeToString(sum)
	}
	return hex.EncodeToString(sum)
}

func (t HMACTime) write(now time.Time) string {
	switch t.Format {
	case "unixMillis":
		return strconv.FormatInt(now.UnixMilli(), 10)
	case "rfc3339":
		return now.UTC().Format(time.RFC3339)
	case "http":
		return now.UTC().Format(http.TimeFormat)
	}
	return strconv.FormatInt(now.Unix(), 10)
}

// Owns implements egress.Placement.
func (h *HMACPlacement) Owns(where, name string) bool {
	return where == "header" && slices.ContainsFunc(h.conf.headers(), func(own string) bool { return sameHeader(own, name) })
}

// Refused implements egress.Placement: another signature would be no better.
func (h *HMACPlacement) Refused(Used) bool { return false }
