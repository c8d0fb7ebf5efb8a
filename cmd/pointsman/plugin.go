package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"pointsman/host"
	"pointsman/host/deploy"
	"pointsman/host/manifest"
	"pointsman/host/wasm"
	"pointsman/pdk/wire"
)

// maxModule is the size of a module that is read at all. SECURITY-RULES: 16 MiB.
const maxModule = 16 << 20

func newPlugin(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plugin",
		Short: "Build plugins, look into them and try them",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newPluginInspect(s), newPluginBuild(s), newPluginRun(s))
	return cmd
}

func newPluginInspect(s streams) *cobra.Command {
	return &cobra.Command{
		Use:   "inspect FILE",
		Short: "Show what a module imports, exports and wants",
		Long: `Reads a module without running it: size, digest, limits, exports, imports with the grant
that each one needs, and what its author says it wants. Exit code 2, with every reason,
when no host would run it.`,
		Example: "  pointsman plugin inspect bin/plugins/salesforce.wasm",
		Args:    exactArgs(1, "FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			module, err := readModule(args[0])
			if err != nil {
				return err
			}
			report, err := deploy.Inspect(module, host.Lendable())
			if err != nil {
				return refused(fmt.Errorf("%s: %w", args[0], err))
			}
			if len(report.Refused) == 0 {
				return s.done(cmd, args[0], report, inspectText(report))
			}
			if !asJSON(cmd) {
				fmt.Fprint(s.out, inspectText(report))
			}
			return &codedError{code: exitRefused, result: report,
				err: fmt.Errorf("%s would be refused: %s", args[0], strings.Join(report.Refused, "; "))}
		},
	}
}

func inspectText(r *deploy.Inspection) string {
	var b bytes.Buffer
	if r.Name != "" {
		fmt.Fprintf(&b, "plugin   %s %s: %s\n", r.Name, r.Version, r.Description)
	}
	fmt.Fprintf(&b, "sha256   %s\n", r.SHA256)
	fmt.Fprintf(&b, "size     %d bytes, %s, %d KiB of memory at the start\n", r.Size, count(r.Functions, "function"), r.MemoryKiB)
	if r.Restorable {
		fmt.Fprintln(&b, "restore  yes: an instance is used again when all that a call changed is undone")
	} else {
		fmt.Fprintf(&b, "restore  no, each call gets a new instance, which is slower, because of %s\n", r.Lasting)
	}
	for _, e := range r.Exports {
		fmt.Fprintf(&b, "export   %s\n", strings.TrimSuffix(e.Name+": "+e.Summary, ": "))
	}
	always := map[string]int{} // by module: a Go guest imports some thirty
	for _, i := range r.Imports {
		if i.Offer == deploy.AlwaysOffered {
			always[i.Module]++
			continue
		}
		fmt.Fprintf(&b, "import   %s.%s: %s\n", i.Module, i.Name, i.Offer)
	}
	for _, module := range slices.Sorted(maps.Keys(always)) {
		fmt.Fprintf(&b, "import   %s from %s: %s\n", count(always[module], "function"), module, deploy.AlwaysOffered)
	}
	if !r.Declared {
		fmt.Fprintln(&b, "wants    not declared: the module carries no plugin.yaml; the admin's grants alone decide")
	}
	for _, want := range r.Wants {
		fmt.Fprintf(&b, "wants    %s (%s)\n", want.What, want.Reason)
	}
	return b.String()
}

func readModule(path string) ([]byte, error) {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() { // a pipe would never end
		return nil, refused(errors.Join(fmt.Errorf("%s is not a file to read", path), err))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	module, err := io.ReadAll(io.LimitReader(f, maxModule+1))
	if err != nil {
		return nil, err
	}
	if len(module) > maxModule {
		return nil, refused(fmt.Errorf("%s is larger than %d MiB", path, maxModule>>20))
	}
	return module, nil
}

func newPluginBuild(s streams) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "build DIR",
		Short: "Build a plugin written in Go",
		Long: `Builds the Go program in DIR to WebAssembly with the Go toolchain on the PATH and puts
DIR/plugin.yaml into the module, so that one file is the plugin.`,
		Example: "  pointsman plugin build plugins/salesforce --output bin/plugins/salesforce.wasm",
		Args:    exactArgs(1, "DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := filepath.Clean(args[0])
			if output == "" {
				output = filepath.Base(dir) + ".wasm"
			}
			if err := buildPlugin(cmd.Context(), dir, output, s.err); err != nil {
				return err
			}
			return s.done(cmd, "built "+output, map[string]string{"file": output}, "")
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "file to write; default NAME.wasm here")
	return cmd
}

func buildPlugin(ctx context.Context, dir, output string, diagnostics io.Writer) error {
	about, err := os.ReadFile(filepath.Join(dir, "plugin.yaml"))
	if err != nil {
		return refused(err)
	}
	if _, faults := manifest.ParseAbout(filepath.Join(dir, "plugin.yaml"), about); len(faults) > 0 {
		return refused(faults)
	}
	if err := os.MkdirAll(filepath.Dir(output), 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp("", "pointsman-build-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	built := filepath.Join(tmp, "plugin.wasm")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildmode=c-shared", "-o", built, ".")
	build.Dir = dir
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	build.Stdout, build.Stderr = diagnostics, diagnostics
	if err := build.Run(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return fmt.Errorf("building a Go plugin needs the Go toolchain on the PATH: %w", err)
		}
		return fmt.Errorf("go build in %s: %w", dir, err)
	}
	module, err := readModule(built)
	if err != nil {
		return err
	}
	if module, err = wasm.AppendCustom(module, wire.PluginSection, about); err != nil {
		return fmt.Errorf("put plugin.yaml into the module: %w", err)
	}
	// Written beside and renamed: a broker that reads the folder never sees half a module.
	partial := output + ".partial"
	if err := os.WriteFile(partial, module, 0o644); err != nil {
		return err
	}
	return os.Rename(partial, output)
}
