package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"pointsman/cmd/backends/sim"
	"pointsman/cmd/backends/store"
	"pointsman/host"
	"pointsman/host/broker"
	"pointsman/host/consumer"
	"pointsman/host/manifest"
	"pointsman/host/secret"
)

// demoSeed and demoCustomers make the demo's people: the same at every start.
const (
	demoSeed      = 1
	demoCustomers = 3000
)

// demoWorld is everything that a demo runs: the systems behind the broker and the broker.
type demoWorld struct {
	dir      string
	ca       *sim.CA
	people   *sim.Data
	systems  []*sim.Listener
	store    *store.Postgres // nil: the customer store is a file
	keep     bool            // what was written stays
	host     *host.Host
	listener net.Listener
	log      *os.File
	keys     map[string]string // consumer -> API key
}

// newDemoWorld does what an admin does, in that order: back ends, secrets, keys, manifests,
// broker. On an error it has ended what it began.
func newDemoWorld(ctx context.Context, dir string, c demoConfig) (*demoWorld, error) {
	w := &demoWorld{dir: dir, keep: c.dir != "", keys: map[string]string{}, people: sim.NewData(demoSeed, demoCustomers)}
	if err := w.begin(ctx, c); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

func (w *demoWorld) begin(ctx context.Context, c demoConfig) error {
	var err error
	if w.ca, err = sim.NewCA(); err != nil {
		return err
	}
	if err := w.write("ca.pem", w.ca.PEM()); err != nil {
		return err
	}
	set, faults := manifest.Load(rootFS(c.manifests))
	if err := faults.Err(); err != nil {
		return refused(err)
	}
	state := host.Config{Data: filepath.Join(w.dir, "data"), Databases: filepath.Join(w.dir, "databases"), Pages: c.pages}
	keyring, err := openState(state)
	if err != nil {
		return err
	}
	secrets, err := secret.OpenStore(state.Data, keyring)
	if err != nil {
		return err
	}
	moved, err := w.startSystems(set, secrets)
	if err != nil {
		return err
	}
	rewritten, err := w.startStore(ctx, set, c, state.Databases, secrets)
	if err != nil {
		return err
	}
	if err := w.copyManifests(c.manifests, moved, rewritten); err != nil {
		return err
	}
	keys, err := consumer.OpenKeys(state.Data, keyring.MAC)
	if err != nil {
		return err
	}
	for _, m := range set.Consumers {
		if w.keys[m.Name], err = keys.New(broker.PrincipalID(m.Name)); err != nil {
			return err
		}
	}
	return w.startBroker(ctx, state, c)
}

// startSystems starts a simulation for every HTTP origin that the manifests name, each with a
// credential of its own that is sealed for the broker. It returns which origins had to move
// because their port was taken.
func (w *demoWorld) startSystems(set *manifest.Set, secrets *secret.Store) (moved map[string]string, err error) {
	moved = map[string]string{}
	for _, b := range set.Backends {
		if b.HTTP == nil {
			continue
		}
		if b.HTTP.Auth == nil {
			return nil, refused(fmt.Errorf("back end %s has no auth, but its simulation asks for a credential", b.Name))
		}
		name, token := b.HTTP.Auth.Secret, rand.Text()+rand.Text()
		var system *sim.Server
		switch b.Name {
		case "salesforce": // which gives tokens to a client that proves itself
			o := b.HTTP.Auth.OAuth2
			if o == nil || o.Client.Secret == "" {
				return nil, refused(fmt.Errorf("back end %s: its simulation gives tokens to an OAuth client with a secret; see manifests/demo", b.Name))
			}
			name = o.Client.Secret
			system = sim.Salesforce(w.people, sim.SalesforceConfig{ClientID: o.Client.ID, ClientSecret: token})
		case "hubspot":
			token = "pat-eu1-" + token
			system = sim.HubSpot(w.people, sim.HubSpotConfig{Token: token})
		case "square":
			token = "EAAA" + base64.RawURLEncoding.EncodeToString([]byte(token))
			system = sim.Square(w.people, sim.SquareConfig{Token: token})
		default:
			return nil, refused(fmt.Errorf("the demo simulates salesforce, hubspot and square; the manifests name a back end %q", b.Name))
		}
		if name == "" {
			return nil, refused(fmt.Errorf("back end %s: its simulation takes a token that never changes; write auth with secret", b.Name))
		}
		if err := secrets.Set(name, []byte(token)); err != nil {
			return nil, err
		}
		if err := w.startSystem(system, b.HTTP.URL, moved); err != nil {
			return nil, fmt.Errorf("start the simulated %s: %w", b.Name, err)
		}
	}
	return moved, nil
}

func (w *demoWorld) startSystem(system *sim.Server, origin string, moved map[string]string) error {
	u, err := url.Parse(origin)
	if err != nil {
		return err
	}
	l, err := sim.Listen(system, w.ca, net.JoinHostPort("127.0.0.1", u.Port()))
	if err != nil {
		if l, err = sim.Listen(system, w.ca, "127.0.0.1:0"); err != nil {
			return err
		}
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			return err
		}
		moved[origin] = "https://" + net.JoinHostPort(u.Hostname(), port)
	}
	w.systems = append(w.systems, l)
	return nil
}

// copyManifests puts the manifests and the CA that they name into the demo's folder, with the
// origins that moved and the files that were rewritten.
func (w *demoWorld) copyManifests(from string, moved map[string]string, rewritten map[string]string) error {
	if err := w.write("manifests/ca.pem", w.ca.PEM()); err != nil {
		return err
	}
	return fs.WalkDir(rootFS(from), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(rootFS(from), name)
		if err != nil {
			return err
		}
		if is, ok := rewritten[name]; ok {
			text = []byte(is)
		}
		for was, is := range moved {
			text = []byte(strings.ReplaceAll(string(text), was, is))
		}
		return w.write(filepath.Join("manifests", name), text)
	})
}

func (w *demoWorld) startBroker(ctx context.Context, state host.Config, c demoConfig) error {
	cert, err := w.ca.Leaf("localhost")
	if err != nil {
		return err
	}
	if w.log, err = os.OpenFile(filepath.Join(w.dir, "broker.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600); err != nil {
		return err
	}
	state.Log = newLog(w.log, false)
	state.TLS = serverTLS(cert)
	state.CompileWorker = true // main sees to it
	if w.host, err = host.New(state); err != nil {
		return err
	}
	if err := w.host.Apply(ctx, operator, source(filepath.Join(w.dir, "manifests"), c.modules)); err != nil {
		return errors.Join(refused(err), closeHost(w.host))
	}
	if w.listener, err = listenOr(c.listen); err != nil {
		return errors.Join(err, closeHost(w.host))
	}
	return nil
}

func (w *demoWorld) write(name string, text []byte) error {
	path := filepath.Join(w.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

func (w *demoWorld) transport() *http.Transport {
	return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: w.ca.Pool(), MinVersion: tls.VersionTLS12}}
}

// close ends the simulated systems and the log. The broker is closed by who serves it.
func (w *demoWorld) close() error {
	var errs []error
	if w.store != nil {
		if err := w.store.Close(w.keep); err != nil {
			errs = append(errs, fmt.Errorf("remove the table %s.%s: %w", store.Schema, store.Table, err))
		}
	}
	for _, l := range w.systems {
		errs = append(errs, l.Close())
	}
	if w.log != nil {
		errs = append(errs, w.log.Close())
	}
	return errors.Join(errs...)
}
