package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"pointsman/host"
	"pointsman/host/deploy"
)

func newValidate(s streams) *cobra.Command {
	var modules string
	cmd := &cobra.Command{
		Use:   "validate DIR",
		Short: "Check a folder of manifests and the modules they name",
		Long: `Checks everything that can be known without secrets and without the network: the
documents, what refers to what, the modules, and whether each is granted what it imports.
Every fault is reported in one run. Exit code 2 when there is one.`,
		Example: "  pointsman validate manifests/demo --modules bin/plugins",
		Args:    exactArgs(1, "DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := folders(args[0], modules); err != nil {
				return err
			}
			sum, faults := deploy.Validate(source(args[0], modules), host.Offered())
			if err := faults.Err(); err != nil {
				return refused(err)
			}
			for _, f := range faults {
				fmt.Fprintln(s.err, f.Error())
			}
			return s.done(cmd, fmt.Sprintf("valid: %s, %s, %s, %s", count(sum.Backends, "backend"),
				count(sum.Plugins, "plugin"), count(sum.Routes, "route"), count(sum.Consumers, "consumer")), sum, "")
		},
	}
	cmd.Flags().StringVar(&modules, "modules", fromEnv("MODULES", ""), "folder of plugin modules; default: DIR (POINTSMAN_MODULES)")
	return cmd
}
