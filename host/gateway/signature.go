package gateway

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"pointsman/host/clientcert"
)

// The header of a signed request, version 1:
//
//	Pointsman-Gateway: t=1772366407123,n=8fKq…,bd=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,v1=…
//
// t is the time in milliseconds since 1970, n a text that is another for every request of one
// millisecond (1 to 64 letters, digits, - and _), bd the SHA-256 of the body and v1 the
// HMAC-SHA256, both in base64url without padding, of
//
//	pointsman-gateway/v1 LF
//	t LF
//	n LF
//	method LF
//	path and query, as in the request line LF
//	bd LF
//	SHA-256, in hex, of the consumer's credential: for each value of the headers
//	  authorization, x-api-key, client-cert, client-cert-chain, in this order, if they are
//	  there, the name in lower case, a colon, the value, LF
//	LF
const signatureVersion = "pointsman-gateway/v1"

// maxHeader is the most bytes of the header: twice what version 1 has, for secrets.
const maxHeader = 512

var (
	covered    = []string{"Authorization", "X-Api-Key", clientcert.Header, clientcert.HeaderChain}
	headerText = regexp.MustCompile(`^t=([1-9][0-9]{12}),n=([A-Za-z0-9_-]{1,64}),bd=([A-Za-z0-9_-]{43}),v1=([A-Za-z0-9_-]{43})$`)
	methodText = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}$") // RFC 9110 §5.6.2
	strict64   = base64.RawURLEncoding.Strict()
)

// credential is the digest of the consumer's credential.
func credential(h http.Header) string {
	d := sha256.New()
	for _, name := range covered {
		for _, v := range h.Values(name) {
			d.Write([]byte(strings.ToLower(name) + ":" + v + "\n"))
		}
	}
	return hex.EncodeToString(d.Sum(nil))
}

// message is what is signed. ok is false if a part could be taken for two.
func message(t, nonce, method, target, digest string, h http.Header) (text []byte, ok bool) {
	ok = methodText.MatchString(method) && strings.IndexFunc(target, func(r rune) bool { return r <= ' ' || r == 0x7f }) < 0
	return []byte(strings.Join([]string{signatureVersion, t, nonce, method, target, digest, credential(h), ""}, "\n")), ok
}

func sign(secret, message []byte) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write(message)
	return h.Sum(nil)
}

// standIn is checked when there is nothing to be checked.
const standIn = "t=1000000000000,n=0,bd=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA,v1=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

func (g *Gateway) signature(r Request) (Proof, error) {
	sent, there := single(r.Header)
	parts := headerText.FindStringSubmatch(sent)
	if !there || parts == nil {
		there = false
		parts = headerText.FindStringSubmatch(standIn)
	}
	body, err1 := strict64.DecodeString(parts[3])
	mac, err2 := strict64.DecodeString(parts[4])
	text, ok := message(parts[1], parts[2], r.Method, r.Target, parts[3], r.Header)
	same := 0
	for _, secret := range *g.secrets.Load() {
		same |= subtle.ConstantTimeCompare(mac, sign(secret, text))
	}
	switch {
	case !there || !ok || err1 != nil || err2 != nil:
		return Proof{}, refuse(Missing)
	case same != 1:
		return Proof{}, refuse(Signature)
	}
	millis, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil { // thirteen digits always fit
		return Proof{}, refuse(Missing)
	}
	now := g.now()
	if at := time.UnixMilli(millis); at.After(now.Add(g.skew)) || at.Before(now.Add(-g.skew)) {
		return Proof{}, refuse(Time)
	}
	p := Proof{verified: true, signed: true, digest: [sha256.Size]byte(body)}
	if r.Length == 0 && p.digest != sha256.Sum256(nil) {
		return Proof{}, refuse(Body)
	}
	if reason := g.seen.first([16]byte(mac), now); reason != "" {
		return Proof{}, refuse(reason)
	}
	return p, nil
}

// Signer signs requests as a gateway does: for tests, and for gateways that are written in
// Go. It may be used concurrently.
type Signer struct {
	Secret []byte
	Now    func() time.Time // nil: time.Now
}

// Sign sets the header on r. It is called last: the method, the URL and the consumer's
// credential are signed as they are then. body is all of the request's body.
func (s Signer) Sign(r *http.Request, body []byte) {
	now := time.Now
	if s.Now != nil {
		now = s.Now
	}
	nonce := make([]byte, 12)
	randomize(nonce)
	t, n := strconv.FormatInt(now().UnixMilli(), 10), strict64.EncodeToString(nonce)
	sum := sha256.Sum256(body)
	digest := strict64.EncodeToString(sum[:])
	method := r.Method
	if method == "" {
		method = http.MethodGet
	}
	text, _ := message(t, n, method, r.URL.RequestURI(), digest, r.Header)
	r.Header.Set(Header, "t="+t+",n="+n+",bd="+digest+",v1="+strict64.EncodeToString(sign(s.Secret, text)))
}
