package main

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pointsman/host"
	"pointsman/host/deploy"
	"pointsman/host/rehearse"
	"pointsman/host/sandbox"
)

// maxInput is the size of an input that a sandbox takes, in bytes.
const maxInput = 1 << 20

type runConfig struct {
	rehearse          bool
	input             string
	exchanges, urls   []string
	manifests, plugin string
}

func newPluginRun(s streams) *cobra.Command {
	var c runConfig
	cmd := &cobra.Command{
		Use:   "run FILE [FUNCTION]",
		Short: "Call functions of a plugin with recorded answers, and learn its grants",
		Long: `Runs a module in the sandbox, with the answers of exchange files in place of back ends,
databases and other plugins. Nothing is sent anywhere; what a plugin keeps is forgotten. Each
exchange file is played: the call must ask for what is recorded, in that order, and answer
what is recorded. With --input one FUNCTION is called with that input instead, and answers are
looked up in the files. A request that no file answers is refused and named; exit code 1.

--rehearse prints the smallest grants with which the calls do the same, as a Plugin manifest:
the rules that the author wants where one matches, templates where a path has values in it,
and of each view the fields without which something changes. Then what the author wants and no
call used, and with --manifests what the plugin's manifest there grants and no call used.
It can learn only from what is recorded: clear is not learned.

An exchange file is what pointsman's PDK tests play: sections call, request and reply, and
response or error. Requests are GET NAME /path, QUERY NAME statement or CALL plugin function.`,
		Example: `  pointsman plugin run bin/plugins/hubspot.wasm --exchanges plugins/hubspot/testdata
  pointsman plugin run bin/plugins/hubspot.wasm find --exchanges plugins/hubspot/testdata --rehearse
  pointsman plugin run bin/plugins/hubspot.wasm --exchanges plugins/hubspot/testdata --rehearse --manifests manifests/demo
  echo '{"id":"501"}' | pointsman plugin run bin/plugins/hubspot.wasm get --input - --exchanges plugins/hubspot/testdata`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return refused(errors.New("pointsman plugin run takes FILE and at most one FUNCTION; see pointsman plugin run --help"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return s.pluginRun(cmd, c, args) },
	}
	f := cmd.Flags()
	f.BoolVar(&c.rehearse, "rehearse", false, "print the smallest grants that the calls need")
	f.StringVar(&c.input, "input", "", "file with the input of one call, JSON; - for standard input")
	f.StringArrayVar(&c.exchanges, "exchanges", nil, "exchange file, or folder of *.txtar; may be repeated")
	f.StringVar(&c.manifests, "manifests", "", "folder with the plugin's manifest, to compare its grants with what was used")
	f.StringVar(&c.plugin, "plugin", "", "the plugin's name in the manifests; default: its own")
	f.StringArrayVar(&c.urls, "backend", nil, "NAME=URL of a back end that the plugin asks by URL; may be repeated")
	return cmd
}

// runResult is what plugin run answers with --json.
type runResult struct {
	Plugin   string            `json:"plugin"`
	SHA256   string            `json:"sha256"`
	Calls    []rehearse.Played `json:"calls"`
	Lesson   *rehearse.Lesson  `json:"lesson,omitempty"`
	Manifest string            `json:"manifest,omitempty"` // YAML
}

func (s streams) pluginRun(cmd *cobra.Command, c runConfig, args []string) (err error) {
	if (c.manifests != "" || c.plugin != "") && !c.rehearse {
		return refused(errors.New("--manifests and --plugin go with --rehearse"))
	}
	module, err := readModule(args[0])
	if err != nil {
		return err
	}
	calls, err := c.calls(s.in, args[1:])
	if err != nil {
		return refused(err)
	}
	report, err := deploy.Inspect(module, host.Lendable())
	if err != nil {
		return refused(fmt.Errorf("%s: %w", args[0], err))
	}
	result := &runResult{Plugin: report.Name, SHA256: report.SHA256}
	if result.Plugin == "" {
		result.Plugin = strings.TrimSuffix(filepath.Base(args[0]), ".wasm")
	}
	granted, backends, err := c.granted(result.Plugin)
	if err != nil {
		return refused(err)
	}
	engine, remove, err := runEngine(s.err)
	if err != nil {
		return err
	}
	defer remove()
	r, err := rehearse.Open(cmd.Context(), rehearse.Config{Engine: engine, Module: module, Calls: calls, Lookup: c.input != "", Backends: backends})
	if err != nil {
		return refused(fmt.Errorf("%s: %w", args[0], err))
	}
	defer func() { err = errors.Join(err, r.Close(context.WithoutCancel(cmd.Context()))) }()
	if result.Calls, err = r.Play(cmd.Context()); err != nil {
		return err
	}
	if err := faulty(result); err != nil {
		return err
	}
	if !c.rehearse {
		return s.done(cmd, "played "+count(len(calls), "call"), result, playedText(result))
	}
	if result.Lesson, err = r.Learn(cmd.Context(), result.Calls, granted); err != nil {
		return err
	}
	name := result.Plugin
	if granted != nil {
		name = granted.Name
	}
	result.Manifest = result.Lesson.Manifest(name, filepath.Base(args[0]))
	return s.done(cmd, "rehearsed "+count(len(calls), "call"), result, lessonText(result, c.manifests))
}

// runEngine is the broker's engine, without its data folder: what it compiles is forgotten. Its
// clock stands still, so that the same call gives the same twice.
func runEngine(diagnostics io.Writer) (sandbox.Engine, func(), error) {
	dir, err := os.MkdirTemp("", "pointsman-run-")
	if err != nil {
		return nil, nil, err
	}
	remove := func() { os.RemoveAll(dir) }
	key := make([]byte, 32)
	rand.Read(key) // never fails
	compiler, err := sandbox.NewCompiler(sandbox.CompilerOptions{
		Dir: filepath.Join(dir, "compiled"), Worker: true,
		MAC: func(purpose string, data []byte) []byte {
			m := hmac.New(sha256.New, key)
			fmt.Fprintf(m, "%q ", purpose)
			m.Write(data)
			return m.Sum(nil)
		},
	})
	if err != nil {
		remove()
		return nil, nil, err
	}
	now := time.Now()
	engine, err := sandbox.New(sandbox.Options{
		Compiler: compiler, Clock: func() time.Time { return now },
		Log: slog.New(slog.NewTextHandler(diagnostics, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		remove()
		return nil, nil, err
	}
	return engine, func() {
		if c, ok := engine.(io.Closer); ok {
			c.Close()
		}
		remove()
	}, nil
}
