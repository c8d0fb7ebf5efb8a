package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"pointsman/host"
	"pointsman/host/secret"
)

// stateFlags adds the flags of every command that works on the broker's data folder.
func stateFlags(cmd *cobra.Command, c *host.Config) {
	cmd.Flags().StringVar(&c.Data, "data", fromEnv("DATA", "pointsman-data"), "folder of the broker's state (POINTSMAN_DATA)")
	cmd.Flags().StringVar(&c.Keyring, "keyring", fromEnv("KEYRING", ""), "file of the master keys; default DATA/keyring.json (POINTSMAN_KEYRING)")
}

// openState opens the keyring, making the folder and a new keyring where there is none yet.
func openState(c host.Config) (*secret.Keyring, error) {
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return nil, err
	}
	path := c.KeyringPath()
	fresh := false
	if _, err := os.Stat(path); os.IsNotExist(err) {
		// A new key over sealed data would make it unreadable and hide that the right one is missing.
		for _, name := range []string{secret.StoreFile, "consumers.json"} {
			if _, err := os.Stat(filepath.Join(c.Data, name)); err == nil {
				return nil, refused(fmt.Errorf("there is no keyring at %s, but %s holds data sealed with one; name its file with --keyring", path, c.Data))
			}
		}
		fresh = true
	}
	return secret.OpenKeyring(path, fresh)
}

// fromEnv is the default of a flag: POINTSMAN_name when it is set.
func fromEnv(name, otherwise string) string {
	if v, ok := os.LookupEnv("POINTSMAN_" + strings.ToUpper(name)); ok {
		return v
	}
	return otherwise
}
