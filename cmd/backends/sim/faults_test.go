package sim_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"pointsman/cmd/backends/sim"
)

// listen serves a handler over TLS and returns its origin and a client that trusts it.
func listen(t *testing.T, h http.Handler) (origin string, client *http.Client) {
	t.Helper()
	ca, err := sim.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	l, err := sim.Listen(h, ca, "127.0.0.1:0", "backend.example")
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}}
	client = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l.URL(), client
}

// fetch gets C-100042 from the simulated HubSpot and returns what arrived of the body.
func fetch(t *testing.T, client *http.Client, origin string) (*http.Response, string, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", origin+hsContacts+"/"+customer(t, "C-100042").HubSpotID, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := client.Do(r)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

func TestFaults(t *testing.T) {
	s := hubspot()
	origin, client := listen(t, s)
	_, whole, err := fetch(t, client, origin)
	if err != nil {
		t.Fatal(err)
	}
	isReset := func(err error) bool { return errors.Is(err, syscall.ECONNRESET) }
	isCut := func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }
	none := func(err error) bool { return err == nil }
	tests := []struct {
		name    string
		fault   sim.Fault
		status  int // 0 where no answer arrives
		err     func(error) bool
		headers map[string]string
		body    func(string) bool
	}{
		{"nothing", sim.Fault{}, 200, none, nil, func(b string) bool { return b == whole }},
		{"status", sim.Fault{Kind: sim.BadStatus}, 503, none, map[string]string{"Retry-After": ""}, func(b string) bool { return strings.Contains(b, `"category":"INTERNAL_ERROR"`) }},
		{"status with a time", sim.Fault{Kind: sim.BadStatus, Status: 500, RetryAfter: 7}, 500, none, map[string]string{"Retry-After": "7"}, json1},
		{"rate limit", sim.Fault{Kind: sim.RateLimit}, 429, none, map[string]string{"Retry-After": "1", "X-HubSpot-RateLimit-Remaining": "0"}, func(b string) bool { return strings.Contains(b, `"category":"RATE_LIMITS"`) }},
		{"rate limit with a time", sim.Fault{Kind: sim.RateLimit, RetryAfter: 3}, 429, none, map[string]string{"Retry-After": "3"}, json1},
		{"reset", sim.Fault{Kind: sim.Reset}, 0, isReset, nil, func(b string) bool { return b == "" }},
		{"reset in the body", sim.Fault{Kind: sim.ResetBody}, 200, func(err error) bool { return isReset(err) || isCut(err) }, nil, func(b string) bool { return len(b) < len(whole) }},
		{"half", sim.Fault{Kind: sim.HalfBody}, 200, isCut, map[string]string{"Content-Length": fmt.Sprint(len(whole))}, func(b string) bool { return b == whole[:len(whole)/2] }},
		{"garbage", sim.Fault{Kind: sim.Garbage}, 200, none, map[string]string{"Content-Type": "application/json;charset=utf-8"}, func(b string) bool { return !json1(b) && b != "" }},
		{"wrong type", sim.Fault{Kind: sim.WrongType}, 200, none, map[string]string{"Content-Type": "text/html; charset=utf-8"}, func(b string) bool { return strings.HasPrefix(b, "<!DOCTYPE html>") }},
		{"oversized", sim.Fault{Kind: sim.Oversized, Bytes: 3 << 20}, 200, none, map[string]string{"Content-Length": ""}, func(b string) bool { return len(b) == 3<<20 && json1(b) }},
		{"redirect", sim.Fault{Kind: sim.Redirected, Location: "http://169.254.169.254/"}, 302, none, map[string]string{"Location": "http://169.254.169.254/"}, func(b string) bool { return b == "" }},
		{"drip", sim.Fault{Kind: sim.Drip, Bytes: 100, Interval: sim.Duration(time.Millisecond)}, 200, none, nil, func(b string) bool { return b == whole }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.fault.Count = 1
			s.Faults().Set(tt.fault)
			client.CloseIdleConnections() // net/http would retry a reset on a connection used before
			resp, body, err := fetch(t, client, origin)
			if !tt.err(err) {
				t.Errorf("error %v", err)
			}
			if status := 0; resp != nil {
				if status = resp.StatusCode; status != tt.status {
					t.Errorf("status %d, want %d", status, tt.status)
				}
				for name, want := range tt.headers {
					if got := resp.Header.Get(name); got != want {
						t.Errorf("%s: %q, want %q", name, got, want)
					}
				}
			} else if tt.status != 0 {
				t.Errorf("no answer, want %d", tt.status)
			}
			if !tt.body(body) {
				t.Errorf("body of %d bytes: %.200q", len(body), body)
			}
			if _, body, err := fetch(t, client, origin); err != nil || body != whole || len(s.Faults().List()) != 0 {
				t.Errorf("the fault outlasts its count: %v %.200q", err, body)
			}
		})
	}
}

func json1(s string) bool { return json.Valid([]byte(s)) }

func TestEveryVendorReportsInItsOwnWay(t *testing.T) {
	tests := []struct {
		server *sim.Server
		target string
		status int
		want   string
	}{
		{salesforce(), "/", 403, `[{"message":"TotalRequests Limit exceeded.","errorCode":"REQUEST_LIMIT_EXCEEDED"}]`},
		{salesforce(), "/", 503, `"errorCode":"SERVER_UNAVAILABLE"}]`},
		{salesforce(), "/", 500, `"errorCode":"UNKNOWN_EXCEPTION"}]`},
		{salesforce(), "/", 401, `"errorCode":"INVALID_SESSION_ID"}]`},
		{hubspot(), "/", 401, `"category":"INVALID_AUTHENTICATION"}`},
		{hubspot(), "/", 403, `"category":"MISSING_SCOPES"}`},
		{hubspot(), "/", 429, `"category":"RATE_LIMITS","errorType":"RATE_LIMIT","policyName":"SECONDLY"}`},
		{square(), "/", 403, `"code":"FORBIDDEN"`},
		{square(), "/", 429, `{"errors":[{"category":"RATE_LIMIT_ERROR","code":"RATE_LIMITED"`},
		{square(), "/", 500, `"code":"INTERNAL_SERVER_ERROR"`},
		{square(), "/", 503, `"code":"SERVICE_UNAVAILABLE"`},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%s %d", tt.server.Name(), tt.status), func(t *testing.T) {
			tt.server.Faults().Set(sim.Fault{Kind: sim.BadStatus, Status: tt.status})
			w := call(t, tt.server, "GET", tt.target, "")
			if w.Code != tt.status || !json1(w.Body.String()) {
				t.Errorf("status %d: %s", w.Code, w.Body)
			}
			contains(t, w, tt.want)
		})
	}
}

func TestFaultSelection(t *testing.T) {
	s := square()
	s.Faults().Set(
		sim.Fault{Kind: sim.BadStatus, Status: 500, Path: "/v2/loyalty/accounts/search", Count: 2},
		sim.Fault{Kind: sim.RateLimit, Path: "/v2/loyalty/accounts/search"},
	)
	account := sqAccounts + customer(t, "C-100042").SquareID
	var got []int
	for range 3 {
		got = append(got, call(t, s, "POST", sqAccounts+"search", "{}").Code, call(t, s, "GET", account, "").Code)
	}
	if diff := cmp.Diff([]int{500, 200, 500, 200, 429, 200}, got); diff != "" {
		t.Error(diff)
	}
	s.Faults().Clear()
	if w := call(t, s, "POST", sqAccounts+"search", "{}"); w.Code != 200 {
		t.Errorf("status %d after Clear", w.Code)
	}
}

func TestLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := square()
		s.Faults().Set(sim.Fault{Latency: sim.Duration(250 * time.Millisecond)})
		start := time.Now()
		if w := call(t, s, "POST", sqAccounts+"search", "{}"); w.Code != 200 {
			t.Errorf("status %d", w.Code)
		}
		if took := time.Since(start); took != 250*time.Millisecond {
			t.Errorf("took %v", took)
		}
		s.Faults().Set(sim.Fault{Latency: sim.Duration(time.Hour)})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r, _ := http.NewRequestWithContext(ctx, "GET", "/", nil)
		start = time.Now()
		s.ServeHTTP(discard{}, r)
		if took := time.Since(start); took != time.Second {
			t.Errorf("a client that leaves is held for %v", took)
		}
	})
}

// discard is a ResponseWriter that keeps nothing.
type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}

func TestFaultsChangeWhileServing(t *testing.T) {
	s := hubspot()
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 50 {
				if w := call(t, s, "GET", hsContacts+"?limit=1", ""); w.Code != 200 && w.Code != 503 {
					t.Errorf("status %d", w.Code)
				}
			}
		})
	}
	group.Go(func() {
		for range 50 {
			s.Faults().Set(sim.Fault{Kind: sim.BadStatus, Count: 3})
			s.Faults().List()
			s.Faults().Clear()
			s.Keep(10)
			s.Requests()
		}
	})
	group.Wait()
}

func TestRequests(t *testing.T) {
	s := square()
	s.Keep(3)
	for i := range 5 {
		call(t, s, "POST", fmt.Sprintf("%ssearch%d%%2Fa?b=%d", sqAccounts, i, i), fmt.Sprint("body ", i), "X-Test: yes")
	}
	got := s.Requests()
	var bodies []string
	for _, r := range got {
		bodies = append(bodies, string(r.Body))
	}
	if diff := cmp.Diff([]string{"body 2", "body 3", "body 4"}, bodies); diff != "" {
		t.Fatal(diff)
	}
	r := got[0]
	if r.Method != "POST" || r.Target != sqAccounts+"search2%2Fa?b=2" || r.Path != sqAccounts+"search2/a" || r.Query().Get("b") != "2" || r.Host != "example.com" {
		t.Errorf("recorded %+v", r)
	}
	if r.Header.Get("X-Test") != "yes" || r.Header.Get("Authorization") != "Bearer "+token {
		t.Errorf("headers %v", r.Header)
	}
	call(t, s, "POST", sqAccounts+"search", strings.Repeat(" ", 70<<10))
	if got := s.Requests(); len(got[2].Body) != 64<<10 {
		t.Errorf("%d bytes of a long body are kept", len(got[2].Body))
	}
	s.Keep(0)
	call(t, s, "POST", sqAccounts+"search", "{}")
	if got := s.Requests(); len(got) != 0 {
		t.Errorf("recorded although switched off: %v", got)
	}
}

func TestControl(t *testing.T) {
	s, other := hubspot(), square()
	control := sim.Control(s, other)
	refused := []struct{ name, target, body, want string }{
		{"unknown server", "/oracle/faults", "[]", "no such server"},
		{"unknown kind", "/hubspot/faults", `[{"kind":"flood"}]`, `no fault kind "flood"`},
		{"unknown key", "/hubspot/faults", `[{"sort":"reset"}]`, "unknown field"},
		{"number as duration", "/hubspot/faults", `[{"latency":5}]`, "a duration is a string"},
		{"negative duration", "/hubspot/faults", `[{"latency":"-5s"}]`, "cannot be negative"},
		{"negative count", "/hubspot/faults", `[{"count":-1}]`, "cannot be negative"},
		{"status out of range", "/hubspot/faults", `[{"kind":"status","status":700}]`, "200 to 599"},
		{"redirect to nowhere", "/hubspot/faults", `[{"kind":"redirect"}]`, "needs a location"},
		{"one good, one bad", "/hubspot/faults", `[{"kind":"reset"},{"kind":"x"}]`, "no fault kind"},
		{"two lists", "/hubspot/faults", `[][]`, "one list"},
		{"not JSON", "/hubspot/faults", `reset`, "invalid character"},
	}
	for _, tt := range refused {
		t.Run(tt.name, func(t *testing.T) {
			w := call(t, control, "PUT", tt.target, tt.body)
			if w.Code < 400 || !strings.Contains(w.Body.String(), tt.want) {
				t.Errorf("status %d: %s", w.Code, w.Body)
			}
			if faults := s.Faults().List(); len(faults) != 0 {
				t.Errorf("faults were set: %v", faults)
			}
		})
	}

	if w := call(t, control, "GET", "/", ""); strings.TrimSpace(w.Body.String()) != `["hubspot","square"]` {
		t.Errorf("names: %s", w.Body)
	}
	const fault = `{"kind":"rate-limit","latency":"1ms","count":2,"retryAfter":5}`
	if w := call(t, control, "PUT", "/hubspot/faults", fault); w.Code != 204 {
		t.Errorf("set: %d %s", w.Code, w.Body)
	}
	if w := call(t, s, "GET", hsContacts, ""); w.Code != 429 || w.Header().Get("Retry-After") != "5" {
		t.Errorf("the fault does not show: %d", w.Code)
	}
	if w := call(t, control, "GET", "/hubspot/faults", ""); strings.TrimSpace(w.Body.String()) != strings.Replace("["+fault+"]", `"count":2`, `"count":1`, 1) {
		t.Errorf("faults: %s", w.Body)
	}
	if w := call(t, control, "DELETE", "/hubspot/faults", ""); w.Code != 204 || len(s.Faults().List()) != 0 {
		t.Errorf("clear: %d", w.Code)
	}
	if got := decode[[]sim.Recorded](t, call(t, control, "GET", "/hubspot/requests", ""), 200); len(got) != 1 || got[0].Target != hsContacts {
		t.Errorf("requests: %+v", got)
	}
	if w := call(t, control, "DELETE", "/hubspot/requests", ""); w.Code != 204 || len(s.Requests()) != 0 {
		t.Errorf("forget: %d", w.Code)
	}
	if w := call(t, control, "GET", "/square/requests", ""); strings.TrimSpace(w.Body.String()) != "[]" {
		t.Errorf("the other server's requests: %s", w.Body)
	}
}

func TestListenRefusesStrangers(t *testing.T) {
	origin, _ := listen(t, hubspot())
	otherCA, err := sim.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: otherCA.Pool()}}
	defer transport.CloseIdleConnections()
	if _, _, err := fetch(t, &http.Client{Transport: transport}, origin); err == nil {
		t.Error("a client that trusts another authority connects")
	}
	if _, err := sim.Listen(hubspot(), otherCA, strings.TrimPrefix(origin, "https://")); err == nil {
		t.Error("two listeners share an address")
	}
}
