package sim

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// tokenMint issues session ids that carry their time of issue and prove themselves, so that none need be stored.
type tokenMint struct {
	key    []byte
	life   time.Duration
	serial *counter
}

func newTokenMint(life time.Duration) tokenMint {
	key := make([]byte, 32)
	rand.Read(key)
	return tokenMint{key, life, &counter{}}
}

// new returns a token of the form ORG!AQ<milliseconds>.<serial>.<MAC>.
func (m tokenMint) new(now time.Time) string {
	claim := strconv.FormatInt(now.UnixMilli(), 10) + "." + strconv.FormatInt(m.serial.next(), 10)
	return orgID[:15] + "!AQ" + claim + "." + m.mac(claim)
}

func (m tokenMint) valid(token string) bool {
	rest, ok := strings.CutPrefix(token, orgID[:15]+"!AQ")
	at := strings.LastIndexByte(rest, '.')
	if !ok || at < 0 || !hmac.Equal([]byte(m.mac(rest[:at])), []byte(rest[at+1:])) {
		return false
	}
	issued, _, _ := strings.Cut(rest, ".")
	milliseconds, err := strconv.ParseInt(issued, 10, 64)
	return err == nil && time.Since(time.UnixMilli(milliseconds)) < m.life
}

func (m tokenMint) mac(claim string) string {
	h := hmac.New(sha256.New, m.key)
	h.Write([]byte(claim))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// token answers the OAuth 2.0 token endpoint for the client credentials flow. The client proves itself in the form or
// by HTTP basic authentication (RFC 6749, section 2.3.1).
func (s *salesforce) token(r *http.Request, body []byte, header http.Header) (int, []byte) {
	header.Set("Cache-Control", "no-cache, no-store")
	if r.Method != http.MethodPost {
		return oauthError(http.StatusBadRequest, "invalid_request", "must use HTTP POST")
	}
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/x-www-form-urlencoded" {
		return oauthError(http.StatusBadRequest, "unsupported_grant_type", "grant type not supported")
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return oauthError(http.StatusBadRequest, "invalid_request", "malformed form")
	}
	if form.Get("grant_type") != "client_credentials" {
		return oauthError(http.StatusBadRequest, "unsupported_grant_type", "grant type not supported")
	}
	id, secret, ok := r.BasicAuth()
	if !ok {
		id, secret = form.Get("client_id"), form.Get("client_secret")
	}
	if id == "" || id != s.config.ClientID {
		return oauthError(http.StatusBadRequest, "invalid_client_id", "client identifier invalid")
	}
	if secret == "" || secret != s.config.ClientSecret {
		return oauthError(http.StatusBadRequest, "invalid_client", "invalid client credentials")
	}
	now := time.Now()
	identity := "https://" + r.Host + "/id/" + orgID + "/" + salesforceID("005", 1)
	issued := strconv.FormatInt(now.UnixMilli(), 10)
	sign := hmac.New(sha256.New, []byte(secret)) // as documented: SHA-256 HMAC of id and issued_at under the secret
	sign.Write([]byte(identity + issued))
	return http.StatusOK, []byte(`{"access_token":` + quote(s.tokens.new(now)) +
		`,"signature":` + quote(base64.StdEncoding.EncodeToString(sign.Sum(nil))) +
		`,"scope":"api","instance_url":` + quote("https://"+r.Host) +
		`,"id":` + quote(identity) +
		`,"token_type":"Bearer","issued_at":` + quote(issued) + `}`)
}

func oauthError(status int, code, description string) (int, []byte) {
	return status, []byte(`{"error":` + quote(code) + `,"error_description":` + quote(description) + `}`)
}
