package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"pointsman/host"
	"pointsman/host/broker"
	"pointsman/host/credential"
	"pointsman/host/deploy"
	"pointsman/host/egress"
	"pointsman/host/secret"
	"pointsman/host/sqldb"
)

func newBackend(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backend",
		Short: "Look at the systems behind the broker",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newBackendCheck(s))
	return cmd
}

// checkTime bounds a check: five phases of at most 30 s would try anyone's patience.
const checkTime = time.Minute

func newBackendCheck(s streams) *cobra.Command {
	var c host.Config
	var manifests string
	cmd := &cobra.Command{
		Use:   "check NAME --manifests DIR",
		Short: "Go through what a request to a back end needs, one step after the other",
		Long: `Resolves the back end's host, dials the first address that may be dialled, makes TLS, gets
the credential and sees whether it can be placed, and asks what the manifest declares
harmless (check: GET /health), if anything. It stops at the first step that fails and says
what to do. It goes the way that requests of plugins go: the same guard on addresses, the
same trust, the same credential.

Of a database it says what it is, how long an answer takes, when its certificate ends, and
which statements it does not take; none is run.

It uses the back end's credential, so it is recorded in DATA/admin.

Exit codes: 0 all is well; 1 a step failed; 2 the manifests are not valid, there is no such
back end or no such secret, the address may not be dialled, or the credential is not taken;
3 the host cannot be resolved or dialled.`,
		Example: "  pointsman backend check acme-crm --manifests manifests/demo --data /var/lib/pointsman",
		Args:    exactArgs(1, "NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if manifests == "" {
				return refused(errors.New("backend check needs --manifests DIR"))
			}
			if err := folders(manifests); err != nil {
				return err
			}
			if err := harden(); err != nil {
				return fmt.Errorf("harden the process: %w", err)
			}
			return withProviders(c, func(chain *secret.Chain) error {
				return recorded(cmd.Context(), c, "backend.check", args[0], func() error {
					return s.checkBackend(cmd, chain, manifests, c.Databases, args[0])
				})
			})
		},
	}
	stateFlags(cmd, &c)
	databasesFlag(cmd, &c)
	cmd.Flags().StringVar(&manifests, "manifests", fromEnv("MANIFESTS", ""), "folder of manifests (POINTSMAN_MANIFESTS)")
	return cmd
}

func (s streams) checkBackend(cmd *cobra.Command, secrets host.Secrets, manifests, databases, name string) error {
	opener := deploy.Opener{
		Manifests: rootFS(manifests), Log: slog.New(slog.DiscardHandler), Databases: databases,
		Secret: func(name string) (credential.Secret, error) {
			value, err := secrets.Get(name)
			if err != nil {
				return nil, err // not a nil Value inside a Secret that is not nil
			}
			return value, nil
		},
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), checkTime)
	defer cancel()
	backend, db, faults := opener.Open(name)
	switch {
	case db != nil:
		defer db.Close()
		return s.checkDatabase(ctx, cmd, db)
	case backend == nil:
		return refused(faults.Err())
	}
	defer backend.Close()
	report := backend.Probe(ctx)
	text := reportText(report)
	if report.OK() {
		return s.done(cmd, "back end "+name+" is well", report, string(text))
	}
	if !asJSON(cmd) {
		if _, err := s.out.Write(text); err != nil {
			return err
		}
	}
	failed := report.Phases[len(report.Phases)-1]
	return &codedError{code: checkCode(failed), err: fmt.Errorf("back end %s: %s: %s", name, failed.Name, failed.Detail), result: report}
}

// checkDatabase is checkBackend for a database.
func (s streams) checkDatabase(ctx context.Context, cmd *cobra.Command, db *sqldb.DB) error {
	r, err := db.Check(ctx)
	if err != nil { // the database's own words are what the operator needs, and nobody else gets them
		return &codedError{code: exitUnreachable, err: fmt.Errorf("back end %s: %w", db.Name(), err)}
	}
	result := databaseReport{Server: r.Server, LatencyMS: float64(r.Latency.Microseconds()) / 1000, ReadOnly: r.ReadOnly, Faults: []string{}}
	if !r.TLSExpires.IsZero() {
		result.TLSExpires = r.TLSExpires.UTC().Format(time.RFC3339)
	}
	for _, f := range r.Faults {
		result.Faults = append(result.Faults, f.Error())
	}
	if len(result.Faults) > 0 {
		return &codedError{code: exitFailed, err: fmt.Errorf("back end %s: %s", db.Name(), strings.Join(result.Faults, "; ")), result: result}
	}
	text := fmt.Sprintf("server   %s\nlatency  %.1fms\n", result.Server, result.LatencyMS)
	if result.TLSExpires != "" {
		text += "tls      until " + result.TLSExpires + "\n"
	}
	if result.ReadOnly {
		text += "it takes no writes\n"
	}
	return s.done(cmd, "back end "+db.Name()+" is well", result, text)
}

// databaseReport is what a check of a database says.
type databaseReport struct {
	Server     string   `json:"server"`
	LatencyMS  float64  `json:"latency_ms"`
	ReadOnly   bool     `json:"read_only"`
	TLSExpires string   `json:"tls_expires,omitempty"` // RFC 3339; none without TLS
	Faults     []string `json:"faults"`                // statements that it does not take
}

// checkCode is the exit code for the phase that failed.
func checkCode(p egress.Phase) int {
	switch {
	case p.Kind == broker.Denied || p.Kind == broker.Invalid || p.Kind == broker.Unauthenticated:
		return exitRefused
	case p.Name == "resolve" || p.Name == "dial":
		return exitUnreachable
	}
	return exitFailed
}

func reportText(r egress.Report) []byte {
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, p := range r.Phases {
		word := "ok"
		if !p.OK {
			word = "FAILED"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", p.Name, word, shortPhase(p.Took), p.Detail)
		for _, a := range p.Seen {
			if a.Refused != "" {
				fmt.Fprintf(w, "\t\t\t  %s: %s\n", a.Addr, a.Refused)
			}
		}
	}
	_ = w.Flush() // a Buffer takes everything
	return b.Bytes()
}

// shortPhase is a time in milliseconds, as people compare them.
func shortPhase(d time.Duration) string { return fmt.Sprintf("%.1fms", float64(d.Microseconds())/1000) }
