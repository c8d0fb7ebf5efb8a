package main

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"pointsman/cmd/backends/sim"
	"pointsman/pdk"
)

// config is what a child reads from its file: one for all parts.
type config struct {
	Dir      string             // of ca.pem, cert.pem, key.pem
	Backends map[string]backend // by name
	Key      string             // the consumer's
	Guest    string             // file of the naive contender's module
}

type backend struct{ URL, Token string }

// play is a child: it serves its part, prints where as one line of JSON, and ends when its
// standard input does. So it ends with its parent, however that one ended.
func play(ctx context.Context, part, file string, stdin io.Reader, stdout io.Writer) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var c config
	if err := json.Unmarshal(text, &c); err != nil {
		return err
	}
	cert, err := tls.LoadX509KeyPair(filepath.Join(c.Dir, "cert.pem"), filepath.Join(c.Dir, "key.pem"))
	if err != nil {
		return err
	}
	var where any
	var end func() error
	switch part {
	case "backends":
		where, end, err = playBackends(c, cert)
	case "go":
		var p *plain
		if p, err = newPlain(c); err == nil {
			where, end, err = serve(c, cert, p.profile)
		}
	case "naive":
		var n *naive
		if n, err = newNaive(ctx, c); err == nil {
			where, end, err = serve(c, cert, n.profile)
		}
	default:
		err = fmt.Errorf("no part %q", part)
	}
	if err != nil {
		return err
	}
	if err := json.NewEncoder(stdout).Encode(where); err != nil {
		return errors.Join(err, end())
	}
	gone := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, stdin)
		gone <- err
	}()
	select {
	case err = <-gone:
	case <-ctx.Done():
	}
	return errors.Join(err, end())
}

// The customers: the demo's.
const (
	seed      = 1
	customers = 3000
)

func playBackends(c config, cert tls.Certificate) (origins map[string]string, end func() error, err error) {
	var listeners []*sim.Listener
	end = func() error {
		var errs []error
		for _, l := range listeners {
			errs = append(errs, l.Close())
		}
		return errors.Join(errs...)
	}
	people := sim.NewData(seed, customers)
	origins = map[string]string{}
	for _, s := range []*sim.Server{
		sim.Salesforce(people, sim.SalesforceConfig{
			Token: c.Backends["salesforce"].Token, // for those who know no OAuth
			// As manifests/demo wants it of the broker; the secret is the same.
			ClientID: "pointsman-demo", ClientSecret: c.Backends["salesforce"].Token,
		}),
		sim.HubSpot(people, sim.HubSpotConfig{Token: c.Backends["hubspot"].Token}),
		sim.Square(people, sim.SquareConfig{Token: c.Backends["square"].Token}),
	} {
		s.Keep(0)
		l, err := sim.ListenWith(s, cert, "127.0.0.1:0")
		if err != nil {
			return nil, nil, errors.Join(err, end())
		}
		listeners = append(listeners, l)
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			return nil, nil, errors.Join(err, end())
		}
		origins[s.Name()] = "https://" + net.JoinHostPort("localhost", port)
	}
	return origins, end, nil
}

// serve answers consumers over TLS by profile, whose answer is a JSON text.
func serve(c config, cert tls.Certificate, profile func(ctx context.Context, customer string) ([]byte, error)) (address string, end func() error, err error) {
	want := []byte("Bearer " + c.Key)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/customers/{customer}", func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), want) != 1 {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		customer := r.PathValue("customer")
		if !isCustomer(customer) {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), 4*time.Second) // the route's deadline
		defer cancel()
		body, err := profile(ctx, customer)
		switch {
		case err == nil:
			w.Header().Set("Content-Type", "application/json")
			w.Write(body) // a consumer that has gone is no matter of ours
		case pdk.CodeOf(err) == pdk.NotFound:
			w.WriteHeader(http.StatusNotFound)
		default:
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	s := &http.Server{
		Handler: mux, TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12},
		ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0),
	}
	served := make(chan error, 1)
	go func() { served <- s.ServeTLS(l, "", "") }()
	end = func() error {
		err := s.Close()
		if serr := <-served; !errors.Is(serr, http.ErrServerClosed) {
			err = errors.Join(err, serr)
		}
		return err
	}
	return l.Addr().String(), end, nil
}

// isCustomer is what the route's manifest says of its parameter: C-[0-9]{6}.
func isCustomer(s string) bool {
	digits, ok := strings.CutPrefix(s, "C-")
	return ok && len(digits) == 6 && strings.Trim(digits, "0123456789") == ""
}
