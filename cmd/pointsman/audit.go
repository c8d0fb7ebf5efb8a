package main

import (
	"errors"
	"fmt"
	"io/fs"
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
		Args:  noArgs,
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
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			reports := map[string]audit.Report{}
			text := ""
			for _, name := range []string{audit.FileName, filepath.Join(adminLog, audit.FileName)} {
				report, err := verifyLog(filepath.Join(c.Data, name))
				if errors.Is(err, fs.ErrNotExist) && len(reports) > 0 { // no command was recorded yet
					continue
				}
				if err != nil {
					return err
				}
				reports[name] = report
				text += fmt.Sprintf("%s: %s verified, last hash %s\n", name, count(report.Lines, "record"), report.Last.Hash)
			}
			return s.done(cmd, "the chain holds", reports, text)
		},
	}
	stateFlags(cmd, &c)
	return cmd
}

func verifyLog(path string) (audit.Report, error) {
	f, err := os.Open(path)
	if err != nil {
		return audit.Report{}, err
	}
	defer f.Close()
	report, err := audit.Verify(f)
	if err != nil {
		return audit.Report{}, err
	}
	if report.Bad != nil {
		return audit.Report{}, refused(fmt.Errorf("%s: the chain breaks at line %d: %s", path, report.Bad.Line, report.Bad.Reason))
	}
	return report, nil
}
