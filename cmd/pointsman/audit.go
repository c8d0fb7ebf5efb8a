package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"pointsman/host"
	"pointsman/host/audit"
)

func newAudit(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Look after the audit log",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newAuditVerify(s))
	return cmd
}

func newAuditVerify(s streams) *cobra.Command {
	var c host.Config
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check the hash chain of the audit log from its first line to its last",
		Long: `Recomputes every link of the chain and names the first line that was changed, moved or
taken out. Lines cut off the end cannot be seen from the file alone: compare the last hash
with one that was noted elsewhere. Exit code 2 when the chain is broken.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := os.Open(filepath.Join(c.Data, audit.FileName))
			if err != nil {
				return err
			}
			defer f.Close()
			report, err := audit.Verify(f)
			if err != nil {
				return err
			}
			if report.Bad != nil {
				return refused(fmt.Errorf("the chain breaks at line %d: %s", report.Bad.Line, report.Bad.Reason))
			}
			return s.done(cmd, fmt.Sprintf("%s verified, last hash %s", count(report.Lines, "record"), report.Last.Hash), report, "")
		},
	}
	stateFlags(cmd, &c)
	return cmd
}
