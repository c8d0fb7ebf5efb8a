package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"pointsman/host"
	"pointsman/host/secret"
)

// sealedFiles are what lies in the data folder only if a keyring once sealed it.
var sealedFiles = []string{secret.StoreFile, secret.RecipientFile, "consumers.json"}

// createKeyring makes the keyring of a new broker, wrapped by what --unlock names, or in the
// clear. Over data that another keyring sealed none is made: it would make them unreadable
// and hide that the right one is missing.
func createKeyring(c host.Config) error {
	for _, name := range sealedFiles {
		if _, err := os.Stat(filepath.Join(c.Data, name)); err == nil {
			return refused(fmt.Errorf("there is no keyring at %s, but %s holds data sealed with one; name its file with --keyring", c.KeyringPath(), c.Data))
		}
	}
	with := c.Unlock
	if with == "" {
		with = "clear"
	}
	return withProtection(with, func(p secret.Protection) error {
		return secret.CreateKeyring(context.Background(), c.KeyringPath(), p)
	})
}

// unlockKeyring opens the keyring with what --unlock names. Without, one that is wrapped by
// a passphrase asks for it on the terminal if ask, and is secret.ErrSealed otherwise.
func unlockKeyring(ctx context.Context, c host.Config, mayAsk bool) (*secret.Keyring, error) {
	var u secret.Unlock
	const what = "passphrase of the keyring"
	switch file, isVault := strings.CutPrefix(c.Unlock, "vault:"); {
	case isVault:
		client, err := newVault(file)
		if err != nil {
			return nil, refused(err)
		}
		defer client.Close()
		u.KMS = client
	case c.Unlock != "":
		u.Passphrase = func() ([]byte, error) { return readSource(c.Unlock, what, false) }
	case mayAsk:
		u.Passphrase = func() ([]byte, error) {
			text, err := askTerminal(what, false)
			if errors.Is(err, errNoTerminal) {
				err = fmt.Errorf("%w: it needs its passphrase; say with --unlock where it is", secret.ErrSealed)
			}
			return text, err
		}
	}
	k, err := secret.UnlockKeyring(ctx, c.KeyringPath(), u)
	switch {
	case errors.Is(err, secret.ErrUnreachable):
		return nil, unreachable(err)
	case errors.Is(err, secret.ErrSealed), errors.Is(err, secret.ErrWrongPassphrase):
		return nil, refused(err)
	}
	return k, err
}
