package main

import (
	"context"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"pointsman/host"
	"pointsman/host/secret"
)

// stateFlags adds the flags of every command that works on the broker's data folder.
func stateFlags(cmd *cobra.Command, c *host.Config) {
	cmd.Flags().StringVar(&c.Data, "data", fromEnv("DATA", "pointsman-data"), "folder of the broker's state (POINTSMAN_DATA)")
	cmd.Flags().StringVar(&c.Keyring, "keyring", fromEnv("KEYRING", ""), "file of the master keys; default DATA/keyring.json (POINTSMAN_KEYRING)")
	cmd.Flags().StringVar(&c.Unlock, "unlock", fromEnv("UNLOCK", ""), "what opens a wrapped keyring: prompt, file:PATH, fd:N, credential:NAME or vault:FILE (POINTSMAN_UNLOCK)")
	cmd.Flags().StringVar(&c.Providers, "secrets", fromEnv("SECRETS", "sealed"), "who provides secrets: a list of "+providerWords+" (POINTSMAN_SECRETS)")
}

// openState opens the keyring, making the folder and a new keyring where there is none yet.
func openState(c host.Config) (*secret.Keyring, error) {
	if err := prepareState(c); err != nil {
		return nil, err
	}
	return unlockKeyring(context.Background(), c, true)
}

// fromEnv is the default of a flag: POINTSMAN_name when it is set.
func fromEnv(name, otherwise string) string {
	if v, ok := os.LookupEnv("POINTSMAN_" + strings.ToUpper(name)); ok {
		return v
	}
	return otherwise
}
