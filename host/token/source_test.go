package token_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pointsman/host/token"
)

// bubble runs a test on a clock of its own, which begins in the year 2000; tokens are made
// and checked by it.
func bubble(t *testing.T, f func(t *testing.T)) {
	keys() // made outside, where time is real
	synctest.Test(t, f)
}

func TestUnknownKidStorm(t *testing.T) {
	mallory := newPair("?", token.ES256)
	bubble(t, func(t *testing.T) {
		es := keys()[token.ES256]
		s := newSite(es.jwk())
		s.slow = 200 * time.Millisecond
		v := open(t, config(s, nil), nil)
		v.Start()
		synctest.Wait()
		taken(t, v, es.token(time.Now(), nil), "shop")
		var wg sync.WaitGroup
		for worker := range 10 { // for ten minutes, each with a kid of its own every time
			wg.Go(func() {
				for i := range 600 {
					p := pair{fmt.Sprintf("kid-%d-%d", worker, i), token.ES256, mallory.private}
					refused(t, v, p.token(time.Now(), nil), token.UnknownKey)
					time.Sleep(time.Second)
				}
			})
		}
		wg.Wait()
		taken(t, v, es.token(time.Now(), nil), "shop")
		if got := s.mostInAMinute(); got > 2 {
			t.Errorf("%d fetches in a minute", got)
		}
		if got := s.count(); got < 15 { // it does look, as often as it may
			t.Errorf("%d fetches in ten minutes", got)
		}
		v.Close()
	})
}

// The same with discovery, whose document is a fetch too, while the issuer fails.
func TestStormOfAnIssuerThatIsDown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		es := keys()[token.ES256]
		s := newSite(es.jwk())
		s.fail(errors.New("connection refused"))
		c := config(s, nil)
		c.Issuers[0].JWKS = ""
		v := open(t, c, nil)
		v.Start()
		for range 600 {
			refused(t, v, es.token(time.Now(), nil), token.NoKeys)
			time.Sleep(time.Second)
		}
		if got := s.mostInAMinute(); got > 2 {
			t.Errorf("%d fetches in a minute", got)
		}
		if st := v.Status(); len(st) != 1 || st[0].Failed == nil || st[0].Keys != 0 || !st[0].Fetched.IsZero() {
			t.Errorf("status %+v", st)
		}
		// It comes up, and nobody has to do anything.
		s.fail(nil)
		s.set(issuerURL+"/.well-known/openid-configuration", []byte(`{"issuer":"`+issuerURL+`","jwks_uri":"`+jwksURL+`"}`))
		time.Sleep(2 * time.Minute)
		taken(t, v, es.token(time.Now(), nil), "shop")
		v.Close()
	})
}

func TestRotationUnderLoad(t *testing.T) {
	next := newPair("next", token.ES256)
	bubble(t, func(t *testing.T) {
		es := keys()[token.ES256]
		s := newSite(es.jwk())
		s.slow = 50 * time.Millisecond
		v := open(t, config(s, nil), nil)
		v.Start()
		var signs atomic.Pointer[pair]
		signs.Store(&es)
		ctx, stop := context.WithCancel(t.Context())
		var asked, waited atomic.Int64
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for ctx.Err() == nil {
					begun := time.Now()
					taken(t, v, signs.Load().token(time.Now(), nil), "shop")
					asked.Add(1)
					if time.Since(begun) > 0 {
						waited.Add(1)
					}
					time.Sleep(300 * time.Millisecond)
				}
			})
		}
		time.Sleep(7 * time.Minute)
		s.set(jwksURL, set(es.jwk(), next.jwk())) // published, and at once signed with
		signs.Store(&next)
		time.Sleep(7 * time.Minute)
		stop()
		wg.Wait()
		s.set(jwksURL, set(next.jwk())) // the old one is withdrawn
		held := es.token(time.Now(), nil)
		taken(t, v, held, "shop")
		time.Sleep(token.RefreshEvery + time.Second)
		refused(t, v, held, token.UnknownKey)
		taken(t, v, next.token(time.Now(), nil), "shop")
		if waited.Load() > 16 { // at the beginning and at the rotation, each worker once
			t.Errorf("%d of %d waited", waited.Load(), asked.Load())
		}
		if got := s.mostInAMinute(); got > 2 {
			t.Errorf("%d fetches in a minute", got)
		}
		v.Close()
	})
}

func TestIssuerDown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		es := keys()[token.ES256]
		s := newSite(es.jwk())
		var warned atomic.Int64
		c := config(s, nil)
		c.Warn = func(issuer string, err error) {
			if issuer != "login" || !strings.Contains(err.Error(), "login") {
				t.Errorf("warning about %q: %v", issuer, err)
			}
			warned.Add(1)
		}
		v := open(t, c, nil)
		v.Start()
		time.Sleep(time.Minute)
		last := v.Status()[0].Fetched
		for _, broken := range [][]byte{[]byte("<html>sorry</html>"), []byte(`{"keys":null}`), make([]byte, token.MaxDocument+1)} {
			s.set(jwksURL, broken)
			time.Sleep(token.RefreshEvery + time.Minute)
			taken(t, v, es.token(time.Now(), nil), "shop")
		}
		s.fail(errors.New("connection refused"))
		time.Sleep(token.MaxAge - time.Since(last) - time.Second)
		lives := es.token(time.Now(), nil)
		taken(t, v, lives, "shop") // the last good set
		time.Sleep(2 * time.Second)
		refused(t, v, lives, token.NoKeys) // though it was remembered
		if warned.Load() < 10 {
			t.Errorf("%d warnings", warned.Load())
		}
		s.fail(nil)
		s.set(jwksURL, set(es.jwk()))
		time.Sleep(time.Minute)
		taken(t, v, lives, "shop")
		v.Close()
	})
}

// A set without keys that can be used is what the issuer says: nothing is taken any more.
func TestEverythingWithdrawn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		es := keys()[token.ES256]
		s := newSite(es.jwk())
		v := open(t, config(s, nil), nil)
		v.Start()
		held := es.token(time.Now(), nil)
		taken(t, v, held, "shop")
		s.set(jwksURL, set())
		time.Sleep(token.RefreshEvery + time.Second)
		refused(t, v, held, token.UnknownKey)
		v.Close()
	})
}

func TestFetchedAheadOfTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		es := keys()[token.ES256]
		s := newSite(es.jwk())
		s.slow = 4 * time.Second
		v := open(t, config(s, nil), nil)
		v.Start()
		time.Sleep(5 * time.Second)
		for range 30 * 60 {
			begun := time.Now()
			taken(t, v, es.token(time.Now(), nil), "shop")
			if time.Since(begun) > 0 {
				t.Fatal("a token with a known key waited")
			}
			time.Sleep(time.Second)
		}
		if got := s.count(); got < 5 || got > 8 {
			t.Errorf("%d fetches in 30 minutes", got)
		}
		v.Close()
	})
}

// One fetch serves all that wait for it, and who gives up gives up alone.
func TestSingleFlight(t *testing.T) {
	bubble(t, func(t *testing.T) {
		es := keys()[token.ES256]
		s := newSite(es.jwk())
		s.slow = 2 * time.Second
		v := open(t, config(s, nil), nil) // not started: the first token has it fetched
		var wg sync.WaitGroup
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := v.Verify(ctx, es.token(time.Now(), nil)); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error %v", err)
			}
		})
		for range 50 {
			wg.Go(func() { taken(t, v, es.token(time.Now(), nil), "shop") })
		}
		wg.Wait()
		if got := s.count(); got != 1 {
			t.Errorf("%d fetches", got)
		}
		v.Close()
	})
}

func TestFetchIsBoundedAndEndsWithClose(t *testing.T) {
	bubble(t, func(t *testing.T) {
		es := keys()[token.ES256]
		s := newSite(es.jwk())
		s.slow = time.Hour
		v := open(t, config(s, nil), nil)
		begun := time.Now()
		refused(t, v, es.token(time.Now(), nil), token.NoKeys)
		if took := time.Since(begun); took != 5*time.Second {
			t.Errorf("a fetch took %s", took)
		}
		time.Sleep(time.Minute)
		v.Start()
		synctest.Wait()
		begun = time.Now()
		v.Close()
		if took := time.Since(begun); took != 0 {
			t.Errorf("Close took %s", took)
		}
		refused(t, v, es.token(time.Now(), nil), token.NoKeys) // and no fetch is begun
		if got := s.count(); got != 2 {
			t.Errorf("%d fetches", got)
		}
	})
}

// A release that reaches an issuer as the last one did has its keys; one that does not, not.
func TestKeysOutliveReleases(t *testing.T) {
	bubble(t, func(t *testing.T) {
		es := keys()[token.ES256]
		s := newSite(es.jwk())
		first := open(t, config(s, nil), nil)
		first.Start()
		held := es.token(time.Now(), nil)
		taken(t, first, held, "shop")
		previous := first
		for range 20 { // deployments
			v := open(t, config(s, nil), previous)
			v.Start()
			previous.Close()
			taken(t, v, held, "shop")
			previous = v
			time.Sleep(time.Second)
		}
		if got := s.count(); got != 1 {
			t.Errorf("%d fetches", got)
		}
		// What the new release says counts, also for what the old one remembered.
		c := config(s, nil)
		c.Consumers[0].Claims = map[string]string{"azp": "other"}
		v := open(t, c, previous)
		refused(t, v, held, token.NoConsumer)
		c.Issuers[0].Reach = "other roots"
		s.fail(errors.New("unknown authority"))
		refused(t, open(t, c, v), held, token.NoKeys)
		previous.Close()
	})
}

func TestDiscovery(t *testing.T) {
	es := keys()[token.ES256]
	good := `{"issuer":"` + issuerURL + `","jwks_uri":"` + jwksURL + `","x":[1]}`
	tests := []struct {
		name, issuer, document string
		insecure               bool
		want                   token.Reason
	}{
		{"good", issuerURL, good, false, ""},
		{"of another issuer", issuerURL, strings.Replace(good, issuerURL, "https://mallory.example", 1), false, token.NoKeys},
		{"issuer with a slash more", issuerURL, strings.Replace(good, issuerURL, issuerURL+"/", 1), false, token.NoKeys},
		{"no issuer", issuerURL, `{"jwks_uri":"` + jwksURL + `"}`, false, token.NoKeys},
		{"no keys", issuerURL, `{"issuer":"` + issuerURL + `"}`, false, token.NoKeys},
		{"keys by plain HTTP", issuerURL, strings.Replace(good, "https://login.example/keys", "http://login.example/keys", 1), false, token.NoKeys},
		{"keys in a file", issuerURL, strings.Replace(good, "https://login.example/keys", "file:///etc/keys", 1), false, token.NoKeys},
		{"keys with a password", issuerURL, strings.Replace(good, "https://login.example/keys", "https://a:b@login.example/keys", 1), false, token.NoKeys},
		{"jwks_uri twice", issuerURL, strings.Replace(good, `"x"`, `"jwks_uri":"https://mallory.example/keys","x"`, 1), false, token.NoKeys},
		{"not JSON", issuerURL, "<html>", false, token.NoKeys},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(es.jwk())
			s.set(issuerURL+"/.well-known/openid-configuration", []byte(tt.document))
			c := config(s, at(start))
			c.Issuers[0].JWKS = ""
			v := open(t, c, nil)
			if tt.want == "" {
				taken(t, v, es.token(start, nil), "shop")
				return
			}
			refused(t, v, es.token(start, nil), tt.want)
		})
	}
}

// An issuer whose name ends with a slash is discovered below it, and iss has the slash.
func TestIssuerWithSlash(t *testing.T) {
	es := keys()[token.ES256]
	s := newSite(es.jwk())
	s.set(issuerURL+"/t/.well-known/openid-configuration", []byte(`{"issuer":"`+issuerURL+`/t/","jwks_uri":"`+jwksURL+`"}`))
	c := config(s, at(start))
	c.Issuers[0].URL, c.Issuers[0].JWKS = issuerURL+"/t/", ""
	v := open(t, c, nil)
	taken(t, v, es.token(start, object{"iss": issuerURL + "/t/"}), "shop")
	refused(t, v, es.token(start, object{"iss": issuerURL + "/t"}), token.WrongIssuer)
}

// The URL of the keys may change: a failed fetch has it discovered anew.
func TestKeysMove(t *testing.T) {
	bubble(t, func(t *testing.T) {
		es := keys()[token.ES256]
		s := newSite(es.jwk())
		document := issuerURL + "/.well-known/openid-configuration"
		s.set(document, []byte(`{"issuer":"`+issuerURL+`","jwks_uri":"`+jwksURL+`"}`))
		c := config(s, nil)
		c.Issuers[0].JWKS = ""
		v := open(t, c, nil)
		v.Start()
		taken(t, v, es.token(time.Now(), nil), "shop")
		next := keys()[token.EdDSA]
		s.set(document, []byte(`{"issuer":"`+issuerURL+`","jwks_uri":"https://keys.example/new"}`))
		s.set(jwksURL, []byte("gone"))
		s.set("https://keys.example/new", set(next.jwk()))
		time.Sleep(token.RefreshEvery + 3*time.Minute)
		taken(t, v, next.token(time.Now(), nil), "shop")
		refused(t, v, es.token(time.Now(), nil), token.UnknownKey)
		if got := s.mostInAMinute(); got > 2 {
			t.Errorf("%d fetches in a minute", got)
		}
		v.Close()
	})
}
