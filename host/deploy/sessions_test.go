package deploy_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"pointsman/host/deploy"
	"pointsman/host/egress"
)

// authorizer gives a token and a new refresh token for each refresh token, once.
type authorizer struct {
	mu    sync.Mutex
	good  string   // guarded by mu: the refresh token of now
	asked []string // guarded by mu: the refresh tokens that were shown
}

func (a *authorizer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/token" {
		fmt.Fprint(w, strings.Join(strings.Split(r.Header.Get("Authorization"), ""), ".")) // spelt so that it is not taken out
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	shown := r.PostFormValue("refresh_token")
	a.asked = append(a.asked, shown)
	if shown != a.good {
		http.Error(w, `{"error":"invalid_grant"}`, http.StatusBadRequest)
		return
	}
	a.good = fmt.Sprintf("refresh-token-%d-0123456789", len(a.asked)+1)
	fmt.Fprintf(w, `{"access_token":"t%d","token_type":"bearer","expires_in":3600,"refresh_token":%q}`, len(a.asked), a.good)
}

func (a *authorizer) current() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.good
}

func (a *authorizer) shown() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked
}

// TestDeploymentsKeepTokens: a deployment that says the same of a back end's credential
// fetches no token, nor loses the refresh token that the server gave; another that says
// something else fetches one.
func TestDeploymentsKeepTokens(t *testing.T) {
	const first = "refresh-token-1-0123456789"
	a := &authorizer{good: first}
	srv := httptest.NewServer(a)
	defer srv.Close()
	s := newSite(t)
	must(t, s.secrets.Set("client", []byte(clientSecret)))
	must(t, s.secrets.Set("refresh", []byte(first)))
	const auth = "{oauth2: {token: /token, grant: refresh_token, refreshToken: refresh, client: {id: shop, secret: client}LIFE}}"
	deployed := func(auth, also string) {
		files := backendYAML(srv.URL, auth)
		files["a.yaml"].Data = append(files["a.yaml"].Data, also...)
		s.apply(deploy.Source{Manifests: files, Modules: files})
	}
	token := func() string {
		s.mu.Lock()
		live := s.backends[len(s.backends)-1]["crm"]
		s.mu.Unlock()
		answer, err := live.Do(context.Background(), egress.Request{Method: "GET", Path: "/x"})
		if err != nil {
			return err.Error()
		}
		return strings.ReplaceAll(strings.TrimPrefix(string(answer.Body), "B.e.a.r.e.r. ."), ".", "")
	}
	same := strings.ReplaceAll(auth, "LIFE", "")
	deployed(same, "")
	if got := token(); got != "t1" {
		t.Fatalf("token %s, want t1", got)
	}
	must(t, s.deployer.Check(context.Background(), deploy.Source{Manifests: backendYAML(srv.URL, same), Modules: backendYAML(srv.URL, same)}))
	for _, also := range []string{"", "    limits: {time: 3s}\n", "    retries: {}\n"} {
		deployed(same, also)
		within(t, "what was replaced has drained", func() bool { return strings.Count(s.log.String(), "release drained") == int(s.number())-1 })
		if got := token(); got != "t1" {
			t.Errorf("token %s after a deployment with %q, want t1", got, also)
		}
	}
	if shown := a.shown(); len(shown) != 1 {
		t.Errorf("%d tokens were fetched, want one: %q", len(shown), shown)
	}

	// Something else is another credential, which begins with what is sealed.
	must(t, s.secrets.Set("refresh", []byte(a.current())))
	deployed(strings.ReplaceAll(auth, "LIFE", ", lifetime: 5m"), "")
	if got := token(); got != "t2" {
		t.Errorf("token %s with another lifetime, want t2", got)
	}
	if shown := a.shown(); len(shown) != 2 {
		t.Errorf("%d tokens were fetched, want two: %q", len(shown), shown)
	}
}
