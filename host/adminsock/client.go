package adminsock

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// callTime bounds one request of a client: deriving a key takes a second on a slow machine.
const callTime = 30 * time.Second

// ErrNobody is returned when no broker listens.
var ErrNobody = errors.New("no broker listens")

// Client asks the broker that listens on a socket. Safe for concurrent use.
type Client struct{ http *http.Client }

// NewClient returns a client for the socket at path. It says nothing to a process of
// another user than its own or root.
func NewClient(path string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, "unix", path)
		if err != nil {
			return nil, fmt.Errorf("%w on %s: %w", ErrNobody, path, err)
		}
		if _, err := checkPeer(c); err != nil {
			return nil, errors.Join(err, c.Close())
		}
		return c, nil
	}
	return &Client{&http.Client{
		Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true},
		Timeout:   callTime,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return errors.New("the broker does not redirect")
		},
	}}
}

// State is the broker's word for how far it is.
func (c *Client) State(ctx context.Context) (string, error) {
	answer, err := c.do(ctx, http.MethodGet, "/livez", nil, nil)
	return answer["state"], err
}

// Unseal gives the passphrase of the keyring. The caller wipes it.
func (c *Client) Unseal(ctx context.Context, passphrase []byte) error {
	_, err := c.do(ctx, http.MethodPost, "/v1/unseal", nil, passphrase)
	return err
}

// PutSecret gives a secret to be kept in memory. The caller wipes it. A zero expires means
// never.
func (c *Client) PutSecret(ctx context.Context, name string, value []byte, expires time.Time, overlap time.Duration) error {
	q := url.Values{"overlap": {overlap.String()}}
	if !expires.IsZero() {
		q.Set("expires", expires.UTC().Format(time.RFC3339))
	}
	_, err := c.do(ctx, http.MethodPut, "/v1/secrets/"+name, q, value)
	return err
}

func (c *Client) do(ctx context.Context, method, path string, query url.Values, body []byte) (map[string]string, error) {
	u := url.URL{Scheme: "http", Host: "broker", Path: path, RawQuery: query.Encode()}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // the rest is an address that is none
		}
		return nil, err
	}
	defer res.Body.Close() // what it could report, the read before it has
	var answer map[string]string
	if err := json.NewDecoder(io.LimitReader(res.Body, maxBody)).Decode(&answer); err != nil {
		return nil, fmt.Errorf("the broker's answer: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return nil, errors.New(answer["error"])
	}
	return answer, nil
}
