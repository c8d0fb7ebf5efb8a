// Command pointsman is the data broker and everything to work with it: one binary that
// serves, shows a demo, checks manifests, looks into plugins and keeps secrets and keys.
package main

import (
	"context"
	"errors"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"pointsman/host/sandbox"
)

// version is set by the linker: -ldflags "-X main.version=v1.2.3".
var version = "devel"

func main() {
	if isWorker, code := sandbox.CompileWorker(os.Args[1:]); isWorker {
		os.Exit(code)
	}
	os.Exit(run(os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr}))
}

// run executes one command line and returns the exit code. The context ends at the first
// SIGINT or SIGTERM; a second one ends the process at once.
func run(args []string, s streams) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)

	// net/http writes bytes of back ends into the standard logger; nothing of ours uses it.
	log.SetOutput(io.Discard)

	root := newRoot(s)
	root.SetArgs(args)
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	cmd, err := root.ExecuteContextC(ctx)
	return s.finish(cmd, err)
}

func newRoot(s streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "pointsman",
		Short: "A data broker that runs connectors as sandboxed WebAssembly plugins",
		Long: `Pointsman stands between those who ask for data and the systems that hold it.
Connectors and transforms are WebAssembly plugins that reach only what a manifest grants.

Start here:
  pointsman demo                    see it work: simulated systems, a database, one merged answer
  pointsman validate DIR            check a folder of manifests
  pointsman serve --manifests DIR   run the broker

Exit codes: 0 ok, 1 failed, 2 invalid or refused, 3 could not be reached.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cmd.Help()
		},
	}
	root.PersistentFlags().Bool("json", false, "answer with one JSON document on standard output")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return refused(err) })
	root.AddCommand(
		newServe(s), newDemo(s), newValidate(s), newPlugin(s), newSecret(s), newUnseal(s), newBackend(s),
		newConsumer(s), newAudit(s), newReach(s), newSuggest(s), newSchema(s), newExplain(s), newVersion(s),
	)
	return root
}

// Exit codes of every command.
const (
	exitOK          = 0
	exitFailed      = 1
	exitRefused     = 2
	exitUnreachable = 3
)

// codedError is an error with an exit code, and what --json shows beside it.
type codedError struct {
	code   int
	err    error
	result any
}

func (e *codedError) Error() string { return e.err.Error() }
func (e *codedError) Unwrap() error { return e.err }

func refused(err error) error { return &codedError{code: exitRefused, err: err} }

func unreachable(err error) error { return &codedError{code: exitUnreachable, err: err} }

func exitCode(err error) int {
	if err == nil {
		return exitOK
	}
	if e, ok := errors.AsType[*codedError](err); ok {
		return e.code
	}
	return exitFailed
}
