package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"pointsman/host/sandbox"
)

type demoConfig struct {
	dir                string
	manifests, modules string
	listen             string
	once               bool
	postgres           string         // URL of a database for the customer store; "": SQLite
	pages              *sandbox.Pages // set by demo
}

// The request that the demo shows: a customer whom all three systems know, not all alike.
const (
	demoCustomer = "C-100042"
	demoPath     = "/v1/customers/" + demoCustomer
	demoConsumer = "web-shop"
)

func newDemo(s streams) *cobra.Command {
	var c demoConfig
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show the broker at work on simulated systems and a database",
		Long: `Starts simulations of Salesforce, HubSpot and Square Loyalty over TLS with a certificate
authority made on the spot, seals a credential for each, makes a customer store in SQLite,
deploys manifests/demo on a broker and asks it for one customer. The broker is the one that
serve runs, the manifests are files to read and change. Ctrl-C ends everything and removes
what was written.

With --postgres the customer store is a table in a database of yours, customers in the schema
pointsman_demo, made now and removed at the end (kept with --dir). A table of that name that
the demo did not make is left alone, and the demo refuses to start. The URL must say
sslmode=disable or sslmode=verify-full; the password may be in PGPASSWORD instead.`,
		Example: `  pointsman demo
  pointsman demo --once
  pointsman demo --postgres 'postgres://me@localhost:5432/shop?sslmode=disable'`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// A terminal that is closed ends the demo like Ctrl-C: its files must not stay.
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGHUP)
			defer stop()
			return demo(ctx, c, s)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&c.once, "once", false, "print only the merged answer, then end")
	f.StringVar(&c.dir, "dir", "", "folder for the demo's files, kept afterwards; must be empty or not there")
	f.StringVar(&c.postgres, "postgres", "", "URL of a PostgreSQL database for the customer store; default: a file of SQLite")
	f.StringVar(&c.manifests, "manifests", beside("manifests/demo"), "folder of manifests to deploy")
	f.StringVar(&c.modules, "modules", beside("bin/plugins"), "folder of plugin modules")
	f.StringVar(&c.listen, "listen", "127.0.0.1:8443", "address for consumers; another port when it is taken")
	return cmd
}

// beside returns path as it is below the working folder, or else below the folder that the
// binary's own folder is in, so that bin/pointsman works from anywhere.
func beside(path string) string {
	if _, err := os.Stat(path); err == nil {
		return path
	}
	exe, err := os.Executable()
	if err != nil {
		return path
	}
	return filepath.Join(filepath.Dir(filepath.Dir(exe)), path)
}

func demo(ctx context.Context, c demoConfig, s streams) (err error) {
	progress := s.err
	if c.once {
		progress = io.Discard
	}
	if err := folders(c.manifests, c.modules); err != nil {
		return fmt.Errorf("%w; make build makes bin/plugins", err)
	}
	c.pages = sandbox.FindPages()    // which a hardened process cannot
	if err := harden(); err != nil { // it may start the process anew, which would leave files behind
		return err
	}
	dir, remove, err := demoDir(c.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()

	fmt.Fprintln(progress, "starting three systems, a database and the broker ...")
	w, err := newDemoWorld(ctx, dir, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()

	served := make(chan error, 1)
	go func() { served <- w.host.Serve(w.listener) }()
	reply, err := w.ask(ctx, demoConsumer, demoPath)
	if err == nil {
		err = w.show(ctx, s.out, reply, c)
	}
	if err == nil && !c.once {
		select {
		case <-ctx.Done():
			fmt.Fprintln(progress, "\nending ...")
		case ended := <-served:
			served <- ended
		}
	}
	err = errors.Join(err, closeHost(w.host))
	if serr := <-served; serr != nil && !errors.Is(serr, http.ErrServerClosed) {
		err = errors.Join(err, serr)
	}
	return err
}

// demoDir returns the folder of a demo and what to do with it at the end.
func demoDir(dir string) (string, func() error, error) {
	if dir == "" {
		tmp, err := os.MkdirTemp("", "pointsman-demo-")
		return tmp, func() error { return os.RemoveAll(tmp) }, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", nil, err
	}
	if len(entries) > 0 {
		return "", nil, refused(fmt.Errorf("%s is not empty; the demo writes into an empty folder only", dir))
	}
	dir, err = filepath.Abs(dir)
	return dir, func() error { return nil }, err
}

type demoReply struct {
	status   int
	complete string
	sources  string
	body     []byte
	took     time.Duration
}

// ask sends one request as a consumer would, over TLS with the demo's authority.
func (w *demoWorld) ask(ctx context.Context, consumer, path string) (demoReply, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.origin()+path, nil)
	if err != nil {
		return demoReply{}, err
	}
	req.Header.Set("Authorization", "Bearer "+w.keys[consumer])
	client := &http.Client{Transport: w.transport()}
	defer client.CloseIdleConnections()
	began := time.Now()
	res, err := client.Do(req)
	if err != nil {
		return demoReply{}, unreachable(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return demoReply{}, err
	}
	r := demoReply{
		status: res.StatusCode, complete: res.Header.Get("Pointsman-Complete"),
		sources: res.Header.Get("Pointsman-Sources"), body: body, took: time.Since(began),
	}
	if res.StatusCode != http.StatusOK {
		return r, fmt.Errorf("the broker answered %d: %s", res.StatusCode, body)
	}
	return r, nil
}

// listenOr listens on addr, or on a free port of the same host when addr is taken.
func listenOr(addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err == nil {
		return l, nil
	}
	hostname, _, serr := net.SplitHostPort(addr)
	if serr != nil {
		return nil, refused(serr)
	}
	return net.Listen("tcp", net.JoinHostPort(hostname, "0"))
}

func (w *demoWorld) origin() string {
	_, port, err := net.SplitHostPort(w.listener.Addr().String())
	if err != nil { // a TCP address always splits
		panic(err)
	}
	return "https://localhost:" + port
}
