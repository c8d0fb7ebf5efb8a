package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"pointsman/host"
	"pointsman/host/kv"
	"pointsman/host/secret"
)

func newSecretKeys(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Look after the master keys",
		Long: `The master keys seal everything. To change them:

  pointsman secret keys rotate       a new key seals from now on; earlier ones still open
  pointsman secret rewrap            everything is sealed anew
  pointsman secret keys retire ID    the earlier key opens nothing any more
  pointsman secret keys delete ID    and is taken out of the file

A running broker follows each step. Keep a backup of the keyring until the last.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newKeysList(s), newKeysRotate(s),
		newKeysChange(s, "retire", "Make a key open nothing, unless something is sealed with it", "secret.keys.retire", retire),
		newKeysChange(s, "restore", "Undo retire", "secret.keys.restore",
			func(_ host.Config, k *secret.Keyring, id secret.KeyID) error { return k.Restore(id) }),
		newKeysChange(s, "delete", "Take a retired key out of the keyring, for ever", "secret.keys.delete", deleteKey),
		newKeysProtect(s), newKeysPublic(s))
	return cmd
}

func newKeysList(s streams) *cobra.Command {
	var c host.Config
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Name the master keys and what protects them",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			keyring, err := openState(c)
			if err != nil {
				return err
			}
			use, err := keyUse(c, keyring)
			if err != nil {
				return refused(err)
			}
			type key struct {
				ID    string `json:"id"`
				State string `json:"state"` // primary, opens or retired
				Seals int    `json:"seals"` // how many secrets are sealed with it
			}
			var keys []key
			text := "protected by " + keyring.Protection() + "\n"
			for _, k := range keyring.Keys() {
				state := "opens"
				if k.Primary {
					state = "primary"
				} else if k.Retired {
					state = "retired"
				}
				keys = append(keys, key{k.ID.String(), state, use[k.ID]})
				text += fmt.Sprintf("%s  %-7s  %d sealed with it\n", k.ID, state, use[k.ID])
			}
			result := map[string]any{"protection": keyring.Protection(), "clear": keyring.Clear(), "keys": keys}
			return s.done(cmd, count(len(keys), "key"), result, text)
		},
	}
	stateFlags(cmd, &c)
	return cmd
}

// keyUse tells how much of what lies in the data folder is sealed with each key.
func keyUse(c host.Config, k *secret.Keyring) (map[secret.KeyID]int, error) {
	store, err := secret.OpenStore(c.Data, k)
	if err != nil {
		return nil, err
	}
	use, err := store.KeyUse()
	if err != nil {
		return nil, err
	}
	use = maps.Clone(use)
	id, ok, err := secret.RecipientKeyUse(c.Data)
	if ok {
		use[id]++
	}
	return use, err
}

func newKeysRotate(s streams) *cobra.Command {
	var c host.Config
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Seal with a new key from now on",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			keyring, err := openState(c)
			if err != nil {
				return err
			}
			var id secret.KeyID
			rotate := func() (err error) { id, err = keyring.Rotate(); return err }
			if err := recorded(cmd.Context(), c, "secret.keys.rotate", "keyring", rotate); err != nil {
				return err
			}
			return s.done(cmd, fmt.Sprintf("key %v seals from now on; seal what there is anew with: pointsman secret rewrap", id), map[string]string{"id": id.String()}, "")
		},
	}
	stateFlags(cmd, &c)
	return cmd
}

type keyChange func(host.Config, *secret.Keyring, secret.KeyID) error

// newKeysChange is a command that does something to one key.
func newKeysChange(s streams, verb, short, action string, change keyChange) *cobra.Command {
	var c host.Config
	cmd := &cobra.Command{
		Use:   verb + " ID",
		Short: short,
		Args:  exactArgs(1, "ID, of pointsman secret keys list"),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := strconv.ParseUint(args[0], 16, 32)
			if err != nil {
				return refused(fmt.Errorf("%.20q is not the id of a key; pointsman secret keys list shows them", args[0]))
			}
			keyring, err := openState(c)
			if err != nil {
				return err
			}
			do := func() error { return change(c, keyring, secret.KeyID(n)) }
			if err := recorded(cmd.Context(), c, action, args[0], do); err != nil {
				return refused(err)
			}
			return s.done(cmd, fmt.Sprintf("key %s: %s done", args[0], verb), map[string]string{"id": args[0]}, "")
		},
	}
	stateFlags(cmd, &c)
	return cmd
}

func retire(c host.Config, k *secret.Keyring, id secret.KeyID) error {
	if err := unused(c, k, id); err != nil {
		return err
	}
	return k.Retire(id)
}

func deleteKey(c host.Config, k *secret.Keyring, id secret.KeyID) error {
	if err := unused(c, k, id); err != nil {
		return err
	}
	return k.Delete(id)
}

// unused refuses a key that something is sealed with. What plugins keep is sealed anew: nobody
// would know what to do about it.
func unused(c host.Config, k *secret.Keyring, id secret.KeyID) error {
	use, err := keyUse(c, k)
	if err != nil {
		return err
	}
	if n := use[id]; n > 0 {
		return fmt.Errorf("%d of what is in %s is sealed with key %v; first: pointsman secret rewrap", n, c.Data, id)
	}
	_, err = resealKept(c, k)
	return err
}

// resealKept seals what plugins keep with the primary key and returns how many entries that
// were; none where no broker has served yet.
func resealKept(c host.Config, k *secret.Keyring) (n int, err error) {
	dir := host.KeptDir(c.Data)
	if _, err := os.Stat(filepath.Join(dir, kv.File)); errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	store, err := kv.Open(context.Background(), dir, kv.Options{Keyring: k})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	return store.Reseal(context.Background())
}

func newSecretRewrap(s streams) *cobra.Command {
	var c host.Config
	cmd := &cobra.Command{
		Use:   "rewrap",
		Short: "Seal everything anew with the primary master key",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			keyring, err := openState(c)
			if err != nil {
				return err
			}
			store, err := secret.OpenStore(c.Data, keyring)
			if err != nil {
				return refused(err)
			}
			values, kept := 0, 0
			rewrap := func() (err error) {
				if values, err = store.Rewrap(); err != nil {
					return err
				}
				if kept, err = resealKept(c, keyring); err != nil {
					return err
				}
				return secret.RewrapRecipient(c.Data, keyring)
			}
			if err := recorded(cmd.Context(), c, "secret.rewrap", secret.StoreFile, rewrap); err != nil {
				return refused(err)
			}
			return s.done(cmd, count(values, "value")+" sealed anew", map[string]int{"values": values, "kept": kept}, "")
		},
	}
	stateFlags(cmd, &c)
	return cmd
}

func newKeysProtect(s streams) *cobra.Command {
	var c host.Config
	var with string
	cmd := &cobra.Command{
		Use:   "protect --with SOURCE",
		Short: "Wrap the keyring with a passphrase or a KMS",
		Long: `Wraps the master keys on disk anew. SOURCE is where the new passphrase comes from (prompt,
file:PATH, fd:N, credential:NAME), vault:FILE for the Transit engine of Vault or OpenBao, or
clear for none, which is for development. --unlock opens the keyring as it is now.

A keyring that lay in the clear before may lie in free blocks of the disk and in backups
still: rotate the keys, rewrap, and delete the old ones. A running broker goes on with the
keys that it has, and needs the new passphrase at its next start.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if with == "" {
				return refused(errors.New("secret keys protect needs --with SOURCE; see --help"))
			}
			keyring, err := openState(c)
			if err != nil {
				return err
			}
			protect := func() error {
				return withProtection(with, func(p secret.Protection) error { return keyring.Protect(cmd.Context(), p) })
			}
			if err := recorded(cmd.Context(), c, "secret.keys.protect", strings.SplitN(with, ":", 2)[0], protect); err != nil {
				return refused(err)
			}
			return s.done(cmd, "the keyring is protected by "+keyring.Protection(), map[string]string{"protection": keyring.Protection()}, "")
		},
	}
	stateFlags(cmd, &c)
	cmd.Flags().StringVar(&with, "with", "", "what is to protect it: prompt, file:PATH, fd:N, credential:NAME, vault:FILE or clear")
	return cmd
}

// withProtection calls do with the protection that a flag names.
func withProtection(with string, do func(secret.Protection) error) error {
	if with == "clear" {
		return do(secret.Protection{})
	}
	if file, ok := strings.CutPrefix(with, "vault:"); ok {
		client, err := newVault(file)
		if err != nil {
			return err
		}
		defer client.Close()
		return do(secret.Protection{KMS: client})
	}
	passphrase, err := readSource(with, "new passphrase of the keyring", true)
	if err != nil {
		return err
	}
	defer clear(passphrase)
	if err := secret.CheckPassphrase(passphrase); err != nil {
		return err
	}
	return do(secret.Protection{Passphrase: passphrase})
}

func newKeysPublic(s streams) *cobra.Command {
	var c host.Config
	cmd := &cobra.Command{
		Use:   "public",
		Short: "Print the key that secrets can be sealed for this broker with",
		Long: `Prints the broker's public key, making the pair if there is none. It is not secret. The
private half is sealed with the master key in the data folder.`,
		Example: "  pointsman secret keys public > broker.pub",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			keyring, err := openState(c)
			if err != nil {
				return err
			}
			var public []byte
			open := func() error {
				r, err := secret.OpenRecipient(c.Data, keyring, true)
				if err != nil {
					return err
				}
				public, err = r.Public()
				return err
			}
			if err := recorded(context.WithoutCancel(cmd.Context()), c, "secret.keys.public", secret.RecipientFile, open); err != nil {
				return refused(err)
			}
			return s.done(cmd, "the broker's public key", map[string]string{"public": string(public)}, string(public))
		},
	}
	stateFlags(cmd, &c)
	return cmd
}
