// Command backends runs the simulated back ends of package sim over TLS until it is interrupted.
//
// It prints the origin of each server, one on a line as "name origin", when all of them are listening:
//
//	$ backends --ca-out /tmp/ca.pem
//	salesforce https://127.0.0.1:9441
//	hubspot https://127.0.0.1:9442
//	square https://127.0.0.1:9443
//	control https://127.0.0.1:9440
//
// Faults are switched through the control origin while it runs (sim.Control describes it):
//
//	$ curl --cacert /tmp/ca.pem -X PUT https://127.0.0.1:9440/hubspot/faults -d '{"kind":"rate-limit","retryAfter":2,"count":3}'
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"pointsman/cmd/backends/sim"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "backends:", err)
		stop()
		os.Exit(1)
	}
}

// options are the flags. The credentials are those of a simulation and protect nothing.
type options struct {
	salesforceAddr, hubspotAddr, squareAddr, controlAddr string
	cert, key, caOut                                     string
	seed                                                 uint64
	customers                                            int
	latency                                              time.Duration
	salesforce                                           sim.SalesforceConfig
	hubspot                                              sim.HubSpotConfig
	square                                               sim.SquareConfig
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("backends", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.salesforceAddr, "salesforce", "127.0.0.1:9441", "`address` of the simulated Salesforce")
	f.StringVar(&o.hubspotAddr, "hubspot", "127.0.0.1:9442", "`address` of the simulated HubSpot")
	f.StringVar(&o.squareAddr, "square", "127.0.0.1:9443", "`address` of the simulated Square")
	f.StringVar(&o.controlAddr, "control", "127.0.0.1:9440", "`address` of the control endpoint, which is open to everyone who reaches it; empty for none")
	f.StringVar(&o.cert, "cert", "", "PEM `file` with the server certificate; without it a CA is made on the spot")
	f.StringVar(&o.key, "key", "", "PEM `file` with the key of --cert")
	f.StringVar(&o.caOut, "ca-out", "", "`file` to write the certificate of the CA made on the spot to")
	f.Uint64Var(&o.seed, "seed", 1, "seed of the generated customers")
	f.IntVar(&o.customers, "customers", 3000, "number of generated customers, 50 to 10000")
	f.DurationVar(&o.latency, "latency", 0, "time every answer takes at least, until the control endpoint says otherwise")
	f.StringVar(&o.salesforce.Token, "salesforce-token", "sim-salesforce-token", "bearer `token` that the simulated Salesforce accepts")
	f.StringVar(&o.salesforce.ClientID, "salesforce-client-id", "sim-client", "`id` of the OAuth client that may get tokens")
	f.StringVar(&o.salesforce.ClientSecret, "salesforce-client-secret", "sim-client-secret", "`secret` of the OAuth client")
	f.DurationVar(&o.salesforce.TokenLife, "salesforce-token-life", 2*time.Hour, "`time` that a token of the OAuth client is good")
	f.StringVar(&o.hubspot.Token, "hubspot-token", "sim-hubspot-token", "bearer `token` that the simulated HubSpot accepts")
	f.StringVar(&o.square.Token, "square-token", "sim-square-token", "bearer `token` that the simulated Square accepts")
	if err := f.Parse(args); err != nil {
		return options{}, err
	}
	switch {
	case f.NArg() > 0:
		return options{}, fmt.Errorf("unexpected argument %q", f.Arg(0))
	case (o.cert == "") != (o.key == ""):
		return options{}, errors.New("--cert and --key go together")
	case o.cert != "" && o.caOut != "":
		return options{}, errors.New("--ca-out is for the CA made on the spot, which --cert replaces")
	case o.latency < 0:
		return options{}, errors.New("--latency cannot be negative")
	case o.salesforce.TokenLife <= 0:
		return options{}, errors.New("--salesforce-token-life must be more than nothing")
	}
	return o, nil
}

// run serves until the context ends. An address that cannot be listened on is an error, and nothing is served then.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	cert, err := o.certificate()
	if err != nil {
		return err
	}
	data := sim.NewData(o.seed, o.customers)
	servers := []*sim.Server{sim.Salesforce(data, o.salesforce), sim.HubSpot(data, o.hubspot), sim.Square(data, o.square)}
	addrs := []string{o.salesforceAddr, o.hubspotAddr, o.squareAddr}
	var listeners []*sim.Listener
	defer func() {
		for _, l := range listeners {
			l.Close()
		}
	}()
	origins := ""
	listen := func(name string, h http.Handler, addr string) error {
		l, err := sim.ListenWith(h, cert, addr)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		listeners = append(listeners, l)
		origins += name + " " + l.URL() + "\n"
		return nil
	}
	for i, s := range servers {
		if o.latency > 0 {
			s.Faults().Set(sim.Fault{Latency: sim.Duration(o.latency)})
		}
		if err := listen(s.Name(), s, addrs[i]); err != nil {
			return err
		}
	}
	if o.controlAddr != "" {
		if err := listen("control", sim.Control(servers...), o.controlAddr); err != nil {
			return err
		}
	}
	if _, err := io.WriteString(stdout, origins); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// certificate reads the certificate from its files, or makes one and writes its authority for clients to trust.
func (o options) certificate() (tls.Certificate, error) {
	if o.cert != "" {
		return tls.LoadX509KeyPair(o.cert, o.key)
	}
	ca, err := sim.NewCA()
	if err != nil {
		return tls.Certificate{}, err
	}
	if o.caOut != "" {
		if err := os.WriteFile(o.caOut, ca.PEM(), 0o644); err != nil {
			return tls.Certificate{}, fmt.Errorf("write CA certificate: %w", err)
		}
	}
	return ca.Leaf()
}
