package main

import (
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"pointsman/host/deploy"
	"pointsman/host/manifest"
)

func newSchema(s streams) *cobra.Command {
	return &cobra.Command{
		Use:   "schema [KIND]",
		Short: "Print the JSON Schema of the manifests",
		Long: `Prints the JSON Schema (draft-07) of one kind of document, or without KIND the one that
covers all, for editors to check and complete with. Kinds: ` + strings.Join(kinds(), ", ") + ".",
		Example: "  pointsman schema > pointsman.schema.json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			kind := "pointsman"
			if len(args) == 1 {
				kind = strings.ToLower(args[0])
			}
			text, ok := manifest.Schemas()[kind]
			if !ok {
				return refused(fmt.Errorf("no kind %q; there are %s", kind, strings.Join(kinds(), ", ")))
			}
			_, err := s.out.Write(text)
			return err
		},
	}
}

func kinds() []string { return slices.Sorted(maps.Keys(manifest.Schemas())) }

func newExplain(s streams) *cobra.Command {
	return &cobra.Command{
		Use:     "explain CODE",
		Short:   "Say what a fault's code means and what to do",
		Long:    "Explains one code that validate reports with --json, such as PM2001.",
		Example: "  pointsman explain PM2001",
		Args:    exactArgs(1, "CODE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			code, ok := manifest.Explain(args[0])
			if !ok {
				code, ok = deploy.Explain(args[0])
			}
			if !ok {
				return refused(fmt.Errorf("there is no code %q; validate --json shows the codes of faults", args[0]))
			}
			return s.done(cmd, code.ID+": "+code.Title, code, fmt.Sprintf("%s: %s\n\n%s\n", code.ID, code.Title, code.Explanation))
		},
	}
}

func newVersion(s streams) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version, and those of the parts that matter for security",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			parts := map[string]string{"pointsman": version}
			text := "pointsman " + version + "\n"
			if info, ok := debug.ReadBuildInfo(); ok {
				parts["go"] = info.GoVersion
				text += "go " + info.GoVersion + "\n"
				for _, dep := range info.Deps {
					switch dep.Path {
					case "github.com/tetratelabs/wazero", "github.com/extism/go-sdk", "github.com/labstack/echo/v4", "github.com/tink-crypto/tink-go/v2":
						parts[dep.Path] = dep.Version
						text += dep.Path + " " + dep.Version + "\n"
					}
				}
			}
			return s.done(cmd, "pointsman "+version, parts, text)
		},
	}
}
