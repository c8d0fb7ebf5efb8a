package main

import (
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"

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

func newVersion(s streams) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version, and those of the parts that matter for security",
		Args:  cobra.NoArgs,
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
