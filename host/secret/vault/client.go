package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"pointsman/host/broker"
	"pointsman/host/egress"
	"pointsman/host/secret"
)

const (
	// callTime bounds one exchange. Vault's own default for a request is 90 s; who waits here
	// is a request of a consumer, or an operator.
	callTime = 5 * time.Second
	// concurrent is how many exchanges run at the same time.
	concurrent = 8
)

// Client speaks with one server as one AppRole. It goes out through host/egress, like
// everything else: TLS verified, no redirects, no proxy, sizes and times bounded, and only
// addresses that are public or listed. Safe for concurrent use.
type Client struct {
	config        Config
	login, authed *egress.Backend

	mu    sync.Mutex // held while logging in or renewing, so that it happens once
	lease lease      // guarded by mu

	values values
	stop   context.CancelFunc // of Start
	done   chan struct{}
}

// lease is a token and how long it lives. The zero lease is none.
type lease struct {
	token     secret.Value
	renewable bool
	begun     time.Time
	length    time.Duration
}

// due reports whether a third of the lease is left, or less: Vault's own agents renew then.
func (l lease) due(now time.Time) bool {
	return l.length <= 0 || now.Sub(l.begun) >= l.length*2/3
}

// over reports whether the token is as good as expired.
func (l lease) over(now time.Time) bool {
	return l.length <= 0 || now.Sub(l.begun) >= l.length
}

// New returns a client. Nothing is sent before the first use.
func New(c Config) (*Client, error) {
	if c.AppRole == "" {
		c.AppRole = "approle"
	}
	if c.Refresh == 0 {
		c.Refresh = refreshTime
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	v := &Client{config: c}
	v.values.held = map[string]cached{}
	var err error
	if v.login, err = egress.New(v.backend(nil)); err == nil {
		v.authed, err = egress.New(v.backend(v.current))
	}
	return v, err
}

func (v *Client) backend(token func() secret.Value) egress.Config {
	return egress.Config{
		Name: "vault", URL: v.config.Address, Private: v.config.Private, Insecure: v.config.Insecure,
		TLS: egress.TLS{RootCAs: v.config.RootCAs}, Time: callTime, Concurrent: concurrent,
		Placement: placement{v.config.Namespace, token},
	}
}

func (v *Client) current() secret.Value {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.lease.token
}

// placement puts Vault's headers into a request; token is nil before the login.
type placement struct {
	namespace string
	token     func() secret.Value
}

// Place implements egress.Placement.
func (p placement) Place(_ context.Context, req *http.Request, body []byte) (egress.Used, error) {
	req.Header.Set("X-Vault-Request", "true") // what proxies of Vault ask for against SSRF
	if p.namespace != "" {
		req.Header.Set("X-Vault-Namespace", p.namespace)
	}
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	token := p.plain()
	if len(token) > 0 {
		req.Header.Set("X-Vault-Token", string(token[0]))
	}
	return token, nil
}

// Current implements egress.Placement.
func (p placement) Current() egress.Used { return p.plain() }

// plain is the token of now, in the clear, if there is one.
func (p placement) plain() used {
	if p.token == nil {
		return nil
	}
	return used{p.token().Expose()}
}

// Owns implements egress.Placement.
func (placement) Owns(where, name string) bool {
	return where == "header" && http.CanonicalHeaderKey(name) == "X-Vault-Token"
}

// Refused implements egress.Placement: the client logs in again by itself.
func (placement) Refused(egress.Used) bool { return false }

// used is a token that was sent.
type used [][]byte

// Forms implements egress.Used.
func (u used) Forms() [][]byte { return u }

// Wipe implements egress.Used.
func (u used) Wipe() {
	for _, f := range u {
		clear(f)
	}
}

// statusError is an answer that is not a success. What the server said is not repeated.
type statusError struct {
	status int
	what   string
}

func (e statusError) Error() string { return fmt.Sprintf("vault answered %d to %s", e.status, e.what) }

// do sends one request with a valid token. A token that is refused is replaced once: it may
// have been revoked.
func (v *Client) do(ctx context.Context, method, path string, body, answer any) error {
	began, err := v.ensure(ctx, time.Time{})
	if err != nil {
		return err
	}
	err = exchange(ctx, v.authed, method, path, body, answer)
	if s, ok := errors.AsType[statusError](err); ok && s.status == http.StatusForbidden {
		if again, lerr := v.ensure(ctx, began); lerr == nil && again != began {
			err = exchange(ctx, v.authed, method, path, body, answer)
		}
	}
	return err
}

// ensure sees to a token that is valid, and not the one that was got at refused. It
// returns when the token was got.
func (v *Client) ensure(ctx context.Context, refused time.Time) (time.Time, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.lease.over(time.Now()) && !v.lease.begun.Equal(refused) {
		return v.lease.begun, nil
	}
	return v.lease.begun, v.authenticate(ctx)
}

type authAnswer struct {
	Auth struct {
		ClientToken   string `json:"client_token"`
		LeaseDuration int64  `json:"lease_duration"` // seconds
		Renewable     bool   `json:"renewable"`
	} `json:"auth"`
}

// authenticate logs in. v.mu is held.
func (v *Client) authenticate(ctx context.Context) error {
	id, err := v.config.SecretID()
	if err != nil {
		return fmt.Errorf("vault: the secret id: %w", err)
	}
	defer clear(id)
	body := map[string]string{"role_id": v.config.RoleID, "secret_id": string(id)}
	var a authAnswer
	now := time.Now()
	if err := exchange(ctx, v.login, http.MethodPost, "/v1/auth/"+v.config.AppRole+"/login", body, &a); err != nil {
		return fmt.Errorf("log in to vault: %w", err)
	}
	if a.Auth.ClientToken == "" || a.Auth.LeaseDuration < 0 {
		return errors.New("log in to vault: the answer holds no token")
	}
	v.lease = lease{secret.Take([]byte(a.Auth.ClientToken)), a.Auth.Renewable, now, time.Duration(a.Auth.LeaseDuration) * time.Second}
	if v.lease.length == 0 { // a token without an end (root): look again at times
		v.lease.length = time.Hour
	}
	return nil
}

// renew prolongs the token when it is due, or gets another.
func (v *Client) renew(ctx context.Context) error {
	v.mu.Lock()
	l := v.lease
	v.mu.Unlock()
	if l.length == 0 || !l.due(time.Now()) {
		return nil
	}
	if l.renewable && !l.over(time.Now()) {
		var a authAnswer
		now := time.Now()
		err := exchange(ctx, v.authed, http.MethodPost, "/v1/auth/token/renew-self", nil, &a)
		if errors.Is(err, secret.ErrUnreachable) {
			return err
		}
		// A lease that hardly grew has come to its greatest length.
		if length := time.Duration(a.Auth.LeaseDuration) * time.Second; err == nil && length > l.length/3 {
			v.mu.Lock()
			defer v.mu.Unlock()
			if v.lease.begun.Equal(l.begun) {
				v.lease.begun, v.lease.length, v.lease.renewable = now, length, a.Auth.Renewable
			}
			return nil
		}
	}
	_, err := v.ensure(ctx, l.begun)
	return err
}

// exchange sends body as JSON and decodes the answer. No answer is secret.ErrUnreachable.
func exchange(ctx context.Context, b *egress.Backend, method, path string, body, answer any) error {
	r := egress.Request{Method: method, Path: path}
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		defer clear(text)
		r.Body = text
	}
	a, err := b.Do(ctx, r)
	if err != nil {
		return errors.Join(secret.ErrUnreachable, reason(err))
	}
	defer clear(a.Body)
	switch {
	case a.Status >= 500 || a.Status == http.StatusTooManyRequests:
		return errors.Join(secret.ErrUnreachable, statusError{a.Status, method + " " + path})
	case a.Status < 200 || a.Status > 299:
		return statusError{a.Status, method + " " + path}
	case answer == nil || len(a.Body) == 0:
		return nil
	}
	if err := json.Unmarshal(a.Body, answer); err != nil {
		return errors.New("vault: the answer is not what its manual says") // the cause may quote it
	}
	return nil
}

// reason is what the operator may know of a failed exchange.
func reason(err error) error {
	if e, ok := errors.AsType[*broker.Error](err); ok && e.Err != nil {
		return fmt.Errorf("%s: %w", e.Detail, e.Err)
	}
	return err
}

// Start renews the token and reads values again in the background, until Close.
func (v *Client) Start() {
	ctx, stop := context.WithCancel(context.Background())
	v.stop, v.done = stop, make(chan struct{})
	go func() {
		defer close(v.done)
		tick := time.NewTicker(v.config.Refresh)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			_ = v.renew(ctx) // the next use tells: it logs in, or fails
			v.refresh(ctx)
		}
	}()
}

// Close ends what Start began, gives the token back and closes connections. It waits for
// two seconds at most for a server that does not answer.
func (v *Client) Close() {
	if v.stop != nil {
		v.stop()
		<-v.done
	}
	v.mu.Lock()
	l := v.lease
	v.mu.Unlock()
	if !l.over(time.Now()) {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		_ = exchange(ctx, v.authed, http.MethodPost, "/v1/auth/token/revoke-self", nil, nil) // it ends by itself too
	}
	v.login.Close()
	v.authed.Close()
}
