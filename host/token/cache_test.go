package token_test

import (
	"strconv"
	"testing"
	"time"

	"pointsman/host/token"
)

func TestVerdictEndsWithToken(t *testing.T) {
	ed := keys()[token.EdDSA]
	now := start
	v := open(t, config(newSite(ed.jwk()), func() time.Time { return now }), nil)
	text := ed.token(start, object{"exp": start.Add(time.Minute).Unix()})
	taken(t, v, text, "shop")
	if token.Cached(v) != 1 {
		t.Errorf("%d verdicts are remembered", token.Cached(v))
	}
	now = start.Add(time.Minute + 29*time.Second) // by the skew, not by memory
	taken(t, v, text, "shop")
	now = start.Add(time.Minute + 30*time.Second)
	refused(t, v, text, token.Expired)
	now = start
	taken(t, v, text, "shop")
}

// A token that differs by one byte from one that is remembered is another token.
func TestMemoryIsOfWholeTokens(t *testing.T) {
	ed := keys()[token.EdDSA]
	v := open(t, config(newSite(ed.jwk()), at(start)), nil)
	text := ed.token(start, nil)
	taken(t, v, text, "shop")
	for i := range text {
		changed := []byte(text)
		changed[i] ^= 1
		if got, err := v.Verify(t.Context(), string(changed)); err == nil {
			t.Errorf("byte %d changed, and it is %s's", i, got.Principal.ID)
		}
	}
	for _, other := range []string{text[1:], text[:len(text)-1], text + "A", " " + text, text + " "} {
		if _, err := v.Verify(t.Context(), other); err == nil {
			t.Errorf("%q is taken", other)
		}
	}
}

func TestMemoryIsBounded(t *testing.T) {
	ed := keys()[token.EdDSA]
	v := open(t, config(newSite(ed.jwk()), at(start)), nil)
	first := ed.token(start, nil)
	verdict := taken(t, v, first, "shop")
	for i := range 3 * token.CacheSize {
		token.Remember(v, strconv.Itoa(i), verdict)
		if i%500 == 0 {
			taken(t, v, first, "shop")
		}
	}
	if n := token.Cached(v); n > token.CacheSize || n < token.CacheSize/4 {
		t.Errorf("%d verdicts are remembered; at most %d may be", n, token.CacheSize)
	}
}
