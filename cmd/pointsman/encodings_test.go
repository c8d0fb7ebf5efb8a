package main

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

// encodings are the forms in which a secret could be found.
func encodings(secret string) []string {
	b := []byte(secret)
	forms := []string{secret, hex.EncodeToString(b), url.QueryEscape(secret)}
	for shift := range 3 { // base64 looks different at each alignment; its middle does not depend on the neighbours
		padded := append(make([]byte, shift), b...)
		for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			text := enc.EncodeToString(padded)
			forms = append(forms, text[4:len(text)-4])
		}
	}
	reversed := make([]byte, len(b))
	for i, c := range b {
		reversed[len(b)-1-i] = c
	}
	return append(forms, string(reversed))
}

// flip changes the character in the middle.
func flip(key string) string {
	b := []byte(key)
	if i := len(b) / 2; b[i] == 'a' {
		b[i] = 'b'
	} else {
		b[i] = 'a'
	}
	return string(b)
}

var requestID = regexp.MustCompile(`[0-9A-HJKMNP-TV-Z]{26}`)

// stripInstance is a reply without what differs from request to request.
func stripInstance(r reply) string {
	header := r.header.Clone()
	header.Del("Date")
	header.Del("Request-Id")
	text, err := json.Marshal(header)
	if err != nil {
		return err.Error()
	}
	return string(text) + requestID.ReplaceAllString(r.body, "ID")
}

// wait returns after d or when the client has gone.
func wait(r *http.Request, d time.Duration) {
	select {
	case <-r.Context().Done():
	case <-time.After(d):
	}
}

// drip sends a byte every 100 ms and never ends by itself.
func drip(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Length", "1000") // within the limit: it is the time that ends it
	for r.Context().Err() == nil {
		if _, err := w.Write([]byte("x")); err != nil {
			return
		}
		w.(http.Flusher).Flush()
		wait(r, 100*time.Millisecond)
	}
}

// file is the text of a file of the broker's folder.
func (r *running) file(name string) string {
	r.t.Helper()
	text, err := os.ReadFile(filepath.Join(r.dir, name))
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}
