package main

import (
	"errors"
	"path/filepath"

	"github.com/spf13/cobra"

	"pointsman/host"
	"pointsman/host/adminsock"
)

func newUnseal(s streams) *cobra.Command {
	var c host.Config
	from := "prompt"
	cmd := &cobra.Command{
		Use:   "unseal",
		Short: "Give a sealed broker the passphrase of its keyring",
		Long: `A broker whose keyring is wrapped by a passphrase that it was not given starts sealed: it
serves nobody and waits on DATA/admin.sock. This gives it the passphrase, which is asked for
on the terminal, or read from --from.`,
		Example: "  pointsman unseal --data /var/lib/pointsman",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := harden(); err != nil {
				return err
			}
			client := adminsock.NewClient(filepath.Join(c.Data, adminsock.FileName))
			state, err := client.State(cmd.Context())
			if errors.Is(err, adminsock.ErrNobody) {
				return unreachable(err)
			}
			if err != nil {
				return err
			}
			if state != stateSealed {
				return s.done(cmd, "the broker is not sealed: "+state, map[string]string{"state": state}, "")
			}
			passphrase, err := readSource(from, "passphrase of the keyring", false)
			if err != nil {
				return refused(err)
			}
			defer clear(passphrase)
			if err := client.Unseal(cmd.Context(), passphrase); err != nil {
				return refused(err)
			}
			return s.done(cmd, "the broker is unsealed", map[string]string{"state": "unsealed"}, "")
		},
	}
	cmd.Flags().StringVar(&c.Data, "data", fromEnv("DATA", "pointsman-data"), "folder of the broker's state (POINTSMAN_DATA)")
	cmd.Flags().StringVar(&from, "from", "prompt", "where the passphrase is: prompt, file:PATH, fd:N or credential:NAME")
	return cmd
}
