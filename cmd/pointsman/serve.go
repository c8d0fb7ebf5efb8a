package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"pointsman/host"
	"pointsman/host/broker"
	"pointsman/host/deploy"
	"pointsman/host/manifest"
	"pointsman/host/sandbox"
)

// operator is who acts when somebody with access to the machine runs a command.
var operator = broker.Principal{ID: "operator"}

type serveConfig struct {
	host                host.Config
	manifests, modules  string
	listen              string
	tlsCert, tlsKey     string
	plainHTTP, logsJSON bool
	sandboxMemory       string
}

func newServe(s streams) *cobra.Command {
	var c serveConfig
	cmd := &cobra.Command{
		Use:   "serve --manifests DIR",
		Short: "Run the broker on a folder of manifests",
		Long: `Deploys the manifests in DIR and answers consumers until SIGTERM or SIGINT; then it
finishes what runs, for 15 seconds at most, and exits 0. A second signal ends it at once.

SIGHUP deploys the folder again. A folder that is not valid changes nothing: the release
that is live goes on serving, and the log says what is wrong.

Every flag can be given as an environment variable where its help names one; the flag wins.`,
		Example: `  pointsman serve --manifests manifests/demo --modules bin/plugins --data /var/lib/pointsman \
    --listen :8443 --tls-cert cert.pem --tls-key key.pem`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return serve(cmd.Context(), c, s) },
	}
	f := cmd.Flags()
	stateFlags(cmd, &c.host)
	f.StringVar(&c.manifests, "manifests", fromEnv("MANIFESTS", ""), "folder of manifests (POINTSMAN_MANIFESTS)")
	f.StringVar(&c.modules, "modules", fromEnv("MODULES", ""), "folder of plugin modules; default: the manifests' folder (POINTSMAN_MODULES)")
	f.StringVar(&c.listen, "listen", fromEnv("LISTEN", "127.0.0.1:8443"), "address for consumers (POINTSMAN_LISTEN)")
	f.StringVar(&c.tlsCert, "tls-cert", fromEnv("TLS_CERT", ""), "certificate chain, PEM (POINTSMAN_TLS_CERT)")
	f.StringVar(&c.tlsKey, "tls-key", fromEnv("TLS_KEY", ""), "its private key, PEM (POINTSMAN_TLS_KEY)")
	f.BoolVar(&c.plainHTTP, "plain-http", false, "serve without TLS; only behind something that terminates it on this machine")
	f.StringVar(&c.host.Engine, "engine", fromEnv("ENGINE", "auto"), "what runs plugins: auto, snapshot or extism (POINTSMAN_ENGINE)")
	f.StringVar(&c.sandboxMemory, "sandbox-memory", fromEnv("SANDBOX_MEMORY", ""),
		"memory of all sandboxes together, such as 4GiB; default: half of the machine's or of the cgroup's limit, whichever is less (POINTSMAN_SANDBOX_MEMORY)")
	databasesFlag(cmd, &c.host)
	f.BoolVar(&c.logsJSON, "log-json", fromEnv("LOG_JSON", "") == "true", "log as JSON lines (POINTSMAN_LOG_JSON=true)")
	return cmd
}

// databasesFlag is that of every command that opens back ends.
func databasesFlag(cmd *cobra.Command, c *host.Config) {
	cmd.Flags().StringVar(&c.Databases, "databases", fromEnv("DATABASES", ""), "folder of the SQLite files of back ends (POINTSMAN_DATABASES)")
}

func serve(ctx context.Context, c serveConfig, s streams) (err error) {
	if c.manifests == "" {
		return refused(errors.New("serve needs --manifests DIR"))
	}
	if err = folders(c.manifests, c.modules); err != nil {
		return err
	}
	if c.host.TLS, err = c.tls(); err != nil {
		return refused(err)
	}
	if c.sandboxMemory != "" {
		size, err := manifest.ParseSize(c.sandboxMemory)
		if err != nil {
			return refused(fmt.Errorf("--sandbox-memory: %w", err))
		}
		c.host.SandboxMemory = uint64(size)
	}
	c.host.Plain = c.plainHTTP
	c.host.CompileWorker = true // main sees to it
	c.host.Log = newLog(s.err, c.logsJSON)
	c.host.Pages = sandbox.FindPages()
	if err := harden(); err != nil {
		return err
	}
	hup := make(chan os.Signal, 1) // from here on: one that comes while modules compile must not end us
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	secrets, err := openSecretsOf(ctx, &c.host)
	if errors.Is(err, errStopped) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, secrets.close()) }()
	h, err := host.New(c.host)
	if err != nil {
		return refused(err)
	}
	src := source(c.manifests, c.modules)
	if err := h.Apply(ctx, operator, src); err != nil {
		c.host.Log.Error("manifests were not deployed", "codes", codesOf(err)) // main says the rest
		return errors.Join(refused(err), closeHost(h))
	}
	l, err := net.Listen("tcp", c.listen)
	if err != nil {
		return errors.Join(err, closeHost(h))
	}
	c.host.Log.Info("serving consumers", "address", l.Addr().String(), "tls", c.host.TLS != nil)
	return runHost(ctx, h, l, hup, func(ctx context.Context) {
		if err := h.Apply(ctx, operator, src); err != nil {
			c.host.Log.Error("manifests were not deployed; the live release serves on", "codes", codesOf(err), "err", err)
		}
	})
}

// codesOf are the codes of the faults in err, for pointsman explain, each once.
func codesOf(err error) string {
	faults, _ := errors.AsType[manifest.Faults](err)
	var codes []string
	for _, f := range faults {
		if f.Severity == manifest.SeverityError {
			codes = append(codes, f.Code)
		}
	}
	slices.Sort(codes)
	return strings.Join(slices.Compact(codes), " ")
}

// auditCheck is how often a broker looks whether it can still record.
const auditCheck = time.Second

// runHost serves on l until ctx ends, calling reload at everything that hup says, and
// closes h. A reload never delays the end: its context ends first. A broker that cannot
// record answers nothing but 503 and would never again; it ends with an error, so that a
// supervisor starts it anew and the log is looked at.
func runHost(ctx context.Context, h *host.Host, l net.Listener, hup <-chan os.Signal, reload func(context.Context)) error {
	served := make(chan error, 1)
	go func() { served <- h.Serve(l) }()
	var reloads sync.WaitGroup
	tick := time.NewTicker(auditCheck)
	defer tick.Stop()
	reloading := make(chan struct{}, 1)
	var err error
	for done := false; !done; {
		select {
		case <-hup:
			select {
			case reloading <- struct{}{}:
				reloads.Go(func() { reload(ctx); <-reloading })
			default: // one is under way: it may have read the folder already
				reloads.Go(func() { reloading <- struct{}{}; reload(ctx); <-reloading })
			}
		case <-tick.C:
			if err = h.RecordErr(); err != nil {
				err = fmt.Errorf("the audit log cannot be written any more: %w", err)
				done = true
			}
		case ended := <-served:
			served <- ended
			done = true
		case <-ctx.Done():
			done = true
		}
	}
	err = errors.Join(err, closeHost(h))
	reloads.Wait()
	if serr := <-served; serr != nil && !errors.Is(serr, http.ErrServerClosed) {
		err = errors.Join(err, serr)
	}
	return err
}

func closeHost(h *host.Host) error {
	ctx, cancel := host.StopContext()
	defer cancel()
	return h.Close(ctx)
}

// source reads manifests and modules from folders; empty modules means the manifests' one.
// Names that lead out of a folder, by dots or by links, are refused.
func source(manifests, modules string) deploy.Source {
	if modules == "" {
		modules = manifests
	}
	return deploy.Source{Manifests: rootFS(manifests), Modules: rootFS(modules)}
}

func (c serveConfig) tls() (*tls.Config, error) {
	switch {
	case c.plainHTTP && (c.tlsCert != "" || c.tlsKey != ""):
		return nil, errors.New("--plain-http and --tls-cert exclude each other")
	case c.plainHTTP:
		return nil, nil
	case c.tlsCert == "" || c.tlsKey == "":
		return nil, errors.New("serve needs --tls-cert and --tls-key, or --plain-http when something in front terminates TLS")
	}
	cert, err := tls.LoadX509KeyPair(c.tlsCert, c.tlsKey)
	if err != nil {
		return nil, fmt.Errorf("TLS certificate: %w", err)
	}
	return serverTLS(cert), nil
}

// serverTLS asks clients for a certificate, which they need not have: whether it is anyone's
// is said by the release that is live when a request comes, not by the handshake. Go's
// servers never renegotiate.
func serverTLS(cert tls.Certificate) *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		ClientAuth: tls.RequestClientCert,
	}
}

func newLog(w io.Writer, asJSON bool) *slog.Logger {
	if asJSON {
		return slog.New(slog.NewJSONHandler(w, nil))
	}
	return slog.New(slog.NewTextHandler(w, nil))
}
