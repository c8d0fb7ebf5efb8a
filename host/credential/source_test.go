package credential_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pointsman/host/broker"
	"pointsman/host/credential"
	"pointsman/host/egress"
)

// TestOneFetchForAll: a thousand first requests, and then a thousand whose token was
// refused, make one fetch each.
func TestOneFetchForAll(t *testing.T) {
	var n atomic.Int64
	release := make(chan struct{})
	w := newWorld(t, nil, func(rw http.ResponseWriter, r *http.Request) {
		<-release
		answer(200, fmt.Sprintf(`{"access_token":"canary-token-%d","expires_in":3600}`, n.Add(1)))(rw, r)
	}, "client", clientSecret)
	s := newSession(t, shop(), w.parts)
	all := func(want string, began func()) {
		t.Helper()
		var waiting, done sync.WaitGroup
		got := make([]string, 1000)
		for i := range got {
			waiting.Add(1)
			done.Go(func() {
				req := request(t, "GET", "/x", "")
				waiting.Done()
				if used, err := s.Place(t.Context(), req, nil); err != nil {
					t.Error(err)
				} else {
					got[i] = req.Header.Get("Authorization")
					used.Wipe()
				}
			})
		}
		waiting.Wait()
		began()
		done.Wait()
		if i := slices.IndexFunc(got, func(s string) bool { return s != want }); i >= 0 {
			t.Errorf("request %d was sent with %q, want %q", i, got[i], want)
		}
	}
	all("Bearer canary-token-1", func() { close(release) })
	if w.asked() != 1 {
		t.Fatalf("%d fetches for a thousand first requests", w.asked())
	}
	used, err := s.Place(t.Context(), request(t, "GET", "/x", ""), nil)
	if err != nil {
		t.Fatal(err)
	}
	w.move(time.Minute)
	var group sync.WaitGroup
	for range 1000 {
		group.Go(func() {
			if !s.Refused(used) {
				t.Error("no other try for a token that was refused")
			}
			if _, err := s.Place(t.Context(), request(t, "GET", "/x", ""), nil); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if w.asked() != 2 {
		t.Errorf("%d fetches, want a second one for a thousand refusals", w.asked())
	}
}

// TestLifetimes: how long a token is used, for what servers say.
func TestLifetimes(t *testing.T) {
	const hour = time.Hour
	tests := []struct {
		name, expires  string // ,"expires_in":... in the answer
		admin          time.Duration
		least, longest time.Duration // it is still used after, and no longer used after
	}{
		{"nothing", ``, 0, 4*time.Minute + 50*time.Second, 5 * time.Minute},
		{"nothing, but the admin knows", ``, 30 * time.Minute, 29 * time.Minute, 30 * time.Minute},
		{"a number", `,"expires_in":600`, 0, 9*time.Minute + 50*time.Second, 10 * time.Minute},
		{"a text", `,"expires_in":"600"`, 0, 9*time.Minute + 50*time.Second, 10 * time.Minute},
		{"a fraction", `,"expires_in":600.9`, 0, 9*time.Minute + 50*time.Second, 10 * time.Minute},
		{"longer than the admin allows", `,"expires_in":600`, time.Minute, 50 * time.Second, time.Minute},
		{"shorter than the admin allows", `,"expires_in":60`, hour, 50 * time.Second, time.Minute},
		{"longer than is sensible", `,"expires_in":31536000`, 0, hour - 10*time.Second, hour},
		{"longer than is sensible, as the admin wants", `,"expires_in":7200`, 2 * hour, 2*hour - 10*time.Second, 2 * hour},
		{"beyond every number", `,"expires_in":999999999999999999999999999`, 0, 4*time.Minute + 50*time.Second, 5 * time.Minute},
		{"zero", `,"expires_in":0`, 0, 4*time.Minute + 50*time.Second, 5 * time.Minute},
		{"in the past", `,"expires_in":-3600`, 0, 4*time.Minute + 50*time.Second, 5 * time.Minute},
		{"null", `,"expires_in":null`, 0, 4*time.Minute + 50*time.Second, 5 * time.Minute},
		{"garbage", `,"expires_in":"soon"`, 0, 4*time.Minute + 50*time.Second, 5 * time.Minute},
		{"an object", `,"expires_in":{"s":600}`, 0, 4*time.Minute + 50*time.Second, 5 * time.Minute},
		{"exponent", `,"expires_in":1e9`, 0, 4*time.Minute + 50*time.Second, 5 * time.Minute},
		{"one second", `,"expires_in":1`, 0, 800 * time.Millisecond, time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var n atomic.Int64
			w := newWorld(t, nil, func(rw http.ResponseWriter, r *http.Request) {
				answer(200, fmt.Sprintf(`{"access_token":"token-%d"%s}`, n.Add(1), tt.expires))(rw, r)
			}, "client", clientSecret)
			c := shop()
			c.Lifetime = tt.admin
			s := newSession(t, c, w.parts)
			if got := bearerOf(t, s); got != "token-1" {
				t.Fatalf("first %q", got)
			}
			w.move(tt.least)
			if got := bearerOf(t, s); got != "token-1" {
				t.Errorf("after %v it is %q already", tt.least, got)
			}
			s.Close() // the fetch ahead of time has ended
			s = newSession(t, c, w.parts)
			first := bearerOf(t, s)
			w.move(tt.longest)
			if got := bearerOf(t, s); got == first {
				t.Errorf("after %v it is used still", tt.longest)
			}
		})
	}
}

// TestEarlyRefresh: a token that ends soon is replaced while it is used, and a failure to
// replace it is nobody's concern before its end.
func TestEarlyRefresh(t *testing.T) {
	var n, status atomic.Int64
	status.Store(200)
	asked := make(chan struct{}, 100)
	w := newWorld(t, nil, func(rw http.ResponseWriter, r *http.Request) {
		answer(int(status.Load()), fmt.Sprintf(`{"access_token":"token-%d","expires_in":3600}`, n.Add(1)))(rw, r)
		asked <- struct{}{}
	}, "client", clientSecret)
	s := newSession(t, shop(), w.parts)
	bearerOf(t, s)
	<-asked
	w.move(time.Hour - 66*time.Second) // 30 s of margin, as much of jitter, 5 s for the way
	if got := bearerOf(t, s); got != "token-1" || w.asked() != 1 {
		t.Errorf("too early: %q after %d fetches", got, w.asked())
	}
	status.Store(500)
	w.move(32 * time.Second) // even without jitter
	if got := bearerOf(t, s); got != "token-1" {
		t.Errorf("ahead of time: %q, want the old one without waiting", got)
	}
	<-asked
	status.Store(200)
	await(t, func() bool { return strings.Contains(w.log.String(), "status 500") })
	for range 20 {
		if got := bearerOf(t, s); got != "token-1" {
			t.Errorf("after a failure: %q, want the old one", got)
		}
	}
	time.Sleep(50 * time.Millisecond) // for a fetch that should not be
	if w.asked() != 2 {
		t.Errorf("%d fetches, want a pause after the failure", w.asked())
	}
	w.move(2 * time.Second)
	bearerOf(t, s)
	<-asked
	await(t, func() bool { return bearerOf(t, s) == "token-3" })
	if _, forms := place(t, s, request(t, "GET", "/", ""), ""); !has(forms, "token-1", "token-3", clientSecret) {
		t.Errorf("forms %q lack the token before", forms)
	}
}

func await(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain")
		}
	}
}

// TestFormerTokens: what was replaced is looked for a while longer, and then no more.
func TestFormerTokens(t *testing.T) {
	w := newWorld(t, nil, tokens("token-1", "token-2", "token-3", "token-4", "token-5"), "client", clientSecret)
	s := newSession(t, shop(), w.parts)
	next := func(age time.Duration) []string {
		used, err := s.Place(t.Context(), request(t, "GET", "/", ""), nil)
		if err != nil {
			t.Fatal(err)
		}
		w.move(age)
		s.Refused(used)
		_, forms := place(t, s, request(t, "GET", "/", ""), "")
		return forms
	}
	if forms := next(20 * time.Second); !has(forms, "token-2", "token-1") {
		t.Errorf("forms %q", forms)
	}
	if forms := next(20 * time.Second); !has(forms, "token-3", "token-2", "token-1") {
		t.Errorf("forms %q", forms)
	}
	if forms := next(20 * time.Second); !has(forms, "token-4", "token-3", "token-2") || slices.Contains(forms, "token-1") {
		t.Errorf("forms %q, want two former ones", forms)
	}
	if forms := next(2 * time.Minute); !has(forms, "token-5", "token-4") || slices.Contains(forms, "token-3") {
		t.Errorf("forms %q, want none that is long past", forms)
	}
}

// TestHostileEndpoints: what brings no token, through a real back end of host/egress.
func TestHostileEndpoints(t *testing.T) {
	const page = `<html><body>Please log in, canary-page</body></html>`
	tests := []struct {
		name   string
		handle http.HandlerFunc
		log    string // what the operator is told
	}{
		{"a page", answer(200, page), "not the JSON"},
		{"nothing", answer(200, ""), "not the JSON"},
		{"half an answer", answer(200, `{"access_token":"canary-half`), "not the JSON"},
		{"two answers", answer(200, `{"access_token":"canary-a"}{"access_token":"canary-b"}`), "not the JSON"},
		{"a list", answer(200, `["canary-a"]`), "not the JSON"},
		{"two tokens", answer(200, `{"access_token":"canary-a","access_token":"canary-b"}`), "not the JSON"},
		{"another case", answer(200, `{"Access_Token":"canary-a"}`), "no access_token"},
		{"a number for a token", answer(200, `{"access_token":7}`), "not the JSON"},
		{"no token", answer(200, `{"token_type":"Bearer"}`), "no access_token"},
		{"an empty token", answer(200, `{"access_token":""}`), "no access_token"},
		{"a token with a line end", answer(200, `{"access_token":"canary-a\r\nX-Admin: true"}`), "cannot be placed"},
		{"a token with a space", answer(200, `{"access_token":"canary a"}`), "cannot be placed"},
		{"a token in another script", answer(200, `{"access_token":"canary-ü"}`), "cannot be placed"},
		{"a token too long for a header", answer(200, `{"access_token":"canary-`+strings.Repeat("a", 9000)+`"}`), "cannot be placed"},
		{"a token of 10 MB", answer(200, `{"access_token":"canary-`+strings.Repeat("a", 10<<20)+`"}`), "not reached or did not answer"},
		{"a token of another type", answer(200, `{"access_token":"canary-a","token_type":"mac"}`), "other than bearer"},
		{"deep nesting", answer(200, `{"access_token":"canary-a","x":`+strings.Repeat("[", 70)+strings.Repeat("]", 70)+`}`), "not the JSON"},
		{"an error with status 200", answer(200, `{"error":"invalid_grant","error_description":"canary"}`), "status 200 and says invalid_grant"},
		{"an error that is no word", answer(400, `{"error":"canary-`+clientSecret+`"}`), "status 400"},
		{"an error of the vendor's own", answer(400, `{"error":"invalid_client_id","error_description":"canary"}`), "status 400"},
		{"500", answer(500, `{"error":"server_error"}`), "status 500 and says server_error"},
		{"a redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://evil.example/?canary", http.StatusTemporaryRedirect)
		}, "not reached or did not answer"},
		{"a reset", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "not reached or did not answer"},
		{"slowness", func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-time.After(20 * time.Second):
			}
		}, "not reached or did not answer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil, tt.handle, "client", clientSecret)
			w.endpoint = backend(t, w.server.URL, nil, time.Second)
			s := newSession(t, shop(), w.parts)
			_, err := s.Place(t.Context(), request(t, "GET", "/x", ""), nil)
			e := refusedWith(t, err, w.log.String(), "canary", clientSecret, "evil", "invalid_client_id")
			if e.After <= 0 || !strings.Contains(w.log.String(), tt.log) {
				t.Errorf("after %v, log %s, want %q", e.After, w.log.String(), tt.log)
			}
			asked := w.asked()
			if _, err := s.Place(t.Context(), request(t, "GET", "/x", ""), nil); broker.KindOf(err) != broker.Unavailable || w.asked() != asked {
				t.Errorf("right after it: %v, and %d fetches more", err, w.asked()-asked)
			}
		})
	}
}

// TestBackoff: an account is not locked by asking again and again, a fault that passes is
// soon over, and an admin who sets another secret does not wait.
func TestBackoff(t *testing.T) {
	tests := []struct {
		name   string
		status int
		body   string
		within map[time.Duration]int // fetches after that time at most, when there are many requests
	}{
		{"refused", 400, `{"error":"invalid_client"}`, map[time.Duration]int{15 * time.Minute: 5, time.Hour: 7, 24 * time.Hour: 55}},
		{"refused without a word", 401, ``, map[time.Duration]int{15 * time.Minute: 5, time.Hour: 7}},
		{"down", 503, ``, map[time.Duration]int{time.Minute: 8, time.Hour: 140}},
		{"too many", 429, ``, map[time.Duration]int{time.Minute: 8}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil, answer(tt.status, tt.body), "client", clientSecret)
			s := newSession(t, shop(), w.parts)
			passed := time.Duration(0)
			for passed < 24*time.Hour && len(tt.within) > 0 {
				if _, err := s.Place(t.Context(), request(t, "GET", "/x", ""), nil); broker.KindOf(err) != broker.Unavailable {
					t.Fatal(err)
				}
				passed += 500 * time.Millisecond
				w.move(500 * time.Millisecond)
				if most, ok := tt.within[passed]; ok {
					if n := w.asked(); n > most || n < 2 {
						t.Errorf("%d fetches in %v, want 2 to %d", n, passed, most)
					}
					delete(tt.within, passed)
				}
			}
			asked := w.asked()
			w.rotate("client", "another-secret")
			_, err := s.Place(t.Context(), request(t, "GET", "/x", ""), nil)
			if w.asked() != asked+1 {
				t.Errorf("with another secret: %d fetches more, want 1 (%v)", w.asked()-asked, err)
			}
		})
	}
	t.Run("Retry-After", func(t *testing.T) {
		w := newWorld(t, nil, func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Retry-After", "100")
			answer(503, "")(rw, r)
		}, "client", clientSecret)
		s := newSession(t, shop(), w.parts)
		_, err := s.Place(t.Context(), request(t, "GET", "/x", ""), nil)
		if e := refusedWith(t, err, w.log.String()); e.After < 100*time.Second || e.After > 110*time.Second {
			t.Errorf("after %v, want the 100 s that were asked for", e.After)
		}
	})
	t.Run("recovery", func(t *testing.T) {
		var bad atomic.Bool
		bad.Store(true)
		w := newWorld(t, nil, func(rw http.ResponseWriter, r *http.Request) {
			if bad.Load() {
				answer(503, "")(rw, r)
				return
			}
			tokens(token1)(rw, r)
		}, "client", clientSecret)
		s := newSession(t, shop(), w.parts)
		_, err := s.Place(t.Context(), request(t, "GET", "/x", ""), nil)
		refusedWith(t, err, "")
		bad.Store(false)
		w.move(2 * time.Second)
		if got := bearerOf(t, s); got != token1 {
			t.Errorf("got %q", got)
		}
	})
}

// TestRefused: through host/egress, a token that the back end refuses is replaced once.
func TestRefused(t *testing.T) {
	var good atomic.Value
	good.Store(token1)
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+good.Load().(string) {
			w.WriteHeader(http.StatusUnauthorized)
		}
		_, _ = io.WriteString(w, "you sent "+r.Header.Get("Authorization")+"; before it was "+token1+"; the client has "+clientSecret)
	}))
	defer api.Close()
	w := newWorld(t, nil, tokens(token1, token2), "client", clientSecret)
	s := newSession(t, shop(), w.parts)
	b := backend(t, api.URL, s, 10*time.Second)
	get := func() egress.Answer {
		t.Helper()
		a, err := b.Do(t.Context(), egress.Request{Method: "GET", Path: "/x"})
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(a.Body), "canary") {
			t.Errorf("an answer repeats a credential: %s", a.Body)
		}
		return a
	}
	if a := get(); a.Status != 200 || w.asked() != 1 {
		t.Fatalf("%d after %d fetches", a.Status, w.asked())
	}
	good.Store(token2)
	if a := get(); a.Status != 401 || w.asked() != 1 {
		t.Errorf("a token of no age: %d after %d fetches, want no other", a.Status, w.asked())
	}
	w.move(11 * time.Second)
	if a := get(); a.Status != 200 || w.asked() != 2 {
		t.Errorf("%d after %d fetches, want a second try with a second token", a.Status, w.asked())
	}
	good.Store("nobody's")
	w.move(11 * time.Second)
	if a := get(); a.Status != 401 || w.asked() != 3 {
		t.Errorf("%d after %d fetches, want one more and the refusal", a.Status, w.asked())
	}
	if s.Refused(nil) {
		t.Error("a use that is none may be repeated")
	}
}

// TestWaiters: who goes away does not take the fetch from those who stay.
func TestWaiters(t *testing.T) {
	release := make(chan struct{})
	w := newWorld(t, nil, func(rw http.ResponseWriter, r *http.Request) {
		<-release
		tokens(token1)(rw, r)
	}, "client", clientSecret)
	s := newSession(t, shop(), w.parts)
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() {
		_, err := s.Place(ctx, request(t, "GET", "/x", ""), nil)
		gone <- err
	}()
	await(t, func() bool { return w.asked() == 1 })
	cancel()
	if err := <-gone; broker.KindOf(err) != broker.Canceled {
		t.Errorf("who went away got %v", err)
	}
	late, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := s.Place(late, request(t, "GET", "/x", ""), nil); broker.KindOf(err) != broker.UpstreamTimeout {
		t.Errorf("who has no time got %v", err)
	}
	close(release)
	if got := bearerOf(t, s); got != token1 || w.asked() != 1 {
		t.Errorf("who stayed got %q after %d fetches", got, w.asked())
	}
}

// TestClose: the fetch that runs is ended and waited for, and nothing is given out after it.
func TestClose(t *testing.T) {
	var ended error
	fetching := make(chan struct{})
	s := newSession(t, shop(), credential.Parts{Secret: newVault("client", clientSecret).open, Fetch: func(ctx context.Context, _ credential.Request) (credential.Answer, error) {
		close(fetching)
		<-ctx.Done()
		ended = ctx.Err()
		return credential.Answer{Status: 200, Body: []byte(`{"access_token":"canary"}`)}, nil
	}})
	got := make(chan error)
	go func() {
		_, err := s.Place(t.Context(), request(t, "GET", "/x", ""), nil)
		got <- err
	}()
	<-fetching
	s.Close()
	if !errors.Is(ended, context.Canceled) {
		t.Errorf("the fetch ended with %v, want it to be canceled before Close returns", ended)
	}
	refusedWith(t, <-got, "", clientSecret, "canary")
	if _, err := s.Place(t.Context(), request(t, "GET", "/x", ""), nil); broker.KindOf(err) != broker.Unavailable {
		t.Errorf("after Close: %v", err)
	}
	s.Close()
}

// TestRefreshTokenRotation: a refresh token that the server replaces is used, until the
// admin sets another or it is refused.
func TestRefreshTokenRotation(t *testing.T) {
	var status atomic.Int64
	status.Store(200)
	var n atomic.Int64
	w := newWorld(t, nil, func(rw http.ResponseWriter, r *http.Request) {
		i := n.Add(1)
		answer(int(status.Load()), fmt.Sprintf(`{"access_token":"token-%d","expires_in":60,"refresh_token":"canary-refresh-%d"}`, i, i))(rw, r)
	}, "client", clientSecret, "refresh", "canary-refresh-0")
	c := shop()
	c.Grant, c.Refresh = "refresh_token", "refresh"
	s := newSession(t, c, w.parts)
	next := func(want string) {
		t.Helper()
		_, err := s.Place(t.Context(), request(t, "GET", "/", ""), nil)
		if status.Load() == 200 && err != nil {
			t.Fatal(err)
		}
		if got := w.form(w.asked() - 1).Get("refresh_token"); got != want {
			t.Errorf("sent %s, want %s", got, want)
		}
		w.move(2 * time.Minute)
	}
	next("canary-refresh-0")
	next("canary-refresh-1")
	w.rotate("refresh", "canary-refresh-new")
	next("canary-refresh-new")
	next("canary-refresh-3")
	status.Store(400)
	next("canary-refresh-4")
	w.move(time.Hour)
	next("canary-refresh-new")
	if log := w.log.String(); strings.Count(log, "replaced the refresh token") != 1 || strings.Contains(log, "canary") {
		t.Errorf("log %s", log)
	}
}

// TestFetchPanics: a bug met while a stranger's answer is read takes nothing down.
func TestFetchPanics(t *testing.T) {
	v := newVault("client", clientSecret)
	s := newSession(t, shop(), credential.Parts{Secret: v.open, Fetch: func(context.Context, credential.Request) (credential.Answer, error) {
		panic(errors.New("canary"))
	}})
	_, err := s.Place(t.Context(), request(t, "GET", "/x", ""), nil)
	refusedWith(t, err, "", "canary")
}
