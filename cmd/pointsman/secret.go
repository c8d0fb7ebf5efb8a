package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"pointsman/host"
	"pointsman/host/adminsock"
	"pointsman/host/secret"
)

// defaultOverlap is for how long a value that rotate replaced is still taken out of what
// back ends say: caches and logs of theirs that repeat it turn over in a day.
const defaultOverlap = 24 * time.Hour

func newSecret(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "secret",
		Short: "Keep the credentials of back ends, sealed",
		Long: `Secrets are sealed with the broker's master key and used by name in manifests
(spec.http.auth.secret). No command prints one. Values are read from standard input, a file
or the terminal, never from the command line, where others could see them.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		newSecretSet(s), newSecretList(s), newSecretCheck(s), newSecretRotate(s), newSecretRevoke(s),
		newSecretSeal(s), newSecretRewrap(s), newSecretKeys(s),
	)
	return cmd
}

func newSecretSet(s streams) *cobra.Command {
	var c host.Config
	var in valueFlags
	memory := false
	cmd := &cobra.Command{
		Use:   "set NAME",
		Short: "Seal a secret read from standard input",
		Long: `Reads the secret from standard input, from --file, or without echo from the terminal. One
line end at its end is taken off. A value that is there is replaced and forgotten: to keep
taking the old one out of what back ends say, rotate it. A running broker uses the new value
from the next request on.

With --memory the secret is given to the running broker, which never writes it down and
forgets it when it ends. The broker must have been started with memory among its --secrets.`,
		Example: `  pointsman secret set hubspot-token < token.txt
  pointsman secret set hubspot-token --expires 90d --file token.txt`,
		Args: nameOnly,
		RunE: func(cmd *cobra.Command, args []string) error {
			plain, expires, err := in.read(s, args[0])
			if err != nil {
				return err
			}
			defer clear(plain)
			short := len(plain) < secret.Redactable
			if memory {
				if err := putInMemory(cmd, c, args[0], plain, expires); err != nil {
					return err
				}
				return s.secretDone(cmd, args[0], "is in the broker's memory", expires, short)
			}
			terms := secret.Terms{Expires: expires}
			set := func(store *secret.Store) error { return store.Put(args[0], plain, terms) }
			if err := changeSecrets(cmd, c, "secret.set", args[0], set); err != nil {
				return err
			}
			return s.secretDone(cmd, args[0], "is sealed", expires, short)
		},
	}
	stateFlags(cmd, &c)
	in.add(cmd)
	cmd.Flags().BoolVar(&memory, "memory", false, "give it to the running broker, to be kept in memory only")
	return cmd
}

// changeSecrets does what change says to the secret of that name, once that is recorded.
func changeSecrets(cmd *cobra.Command, c host.Config, action, name string, change func(*secret.Store) error) error {
	store, err := openSecrets(c)
	if err != nil {
		return err
	}
	if err := recorded(cmd.Context(), c, action, name, func() error { return change(store) }); err != nil {
		return refused(err)
	}
	return nil
}

// putInMemory gives a secret to the broker that runs on c.Data, which records it.
func putInMemory(cmd *cobra.Command, c host.Config, name string, plain []byte, expires time.Time) error {
	if err := errors.Join(secret.CheckName(name), secret.CheckSize(len(plain))); err != nil {
		return refused(err)
	}
	client := adminsock.NewClient(filepath.Join(c.Data, adminsock.FileName))
	err := client.PutSecret(cmd.Context(), name, plain, expires, defaultOverlap)
	if errors.Is(err, adminsock.ErrNobody) {
		return unreachable(err)
	}
	if err != nil {
		return refused(err)
	}
	return nil
}

// secretDone reports that something was done with a secret, and what is to be known of it.
func (s streams) secretDone(cmd *cobra.Command, name, what string, expires time.Time, short bool) error {
	text := fmt.Sprintf("secret %s %s", name, what)
	if !expires.IsZero() {
		text += " until " + expires.UTC().Format(time.RFC3339)
	}
	if short {
		text += fmt.Sprintf(" (shorter than %d bytes: it cannot be searched for in what back ends answer)", secret.Redactable)
	}
	result := map[string]any{"name": name, "redactable": !short}
	if !expires.IsZero() {
		result["expires"] = expires.UTC()
	}
	return s.done(cmd, text, result, "")
}

func newSecretRotate(s streams) *cobra.Command {
	var c host.Config
	var in valueFlags
	overlap := defaultOverlap
	cmd := &cobra.Command{
		Use:   "rotate NAME",
		Short: "Replace a secret, and go on taking the old value out of answers",
		Long: `Seals a new value for a secret that is there. From the next request on a running broker
sends the new one only. The old one is kept, sealed, for --overlap: it is never sent again,
but is still taken out of what back ends answer.`,
		Example: "  pointsman secret rotate hubspot-token < token.txt",
		Args:    nameOnly,
		RunE: func(cmd *cobra.Command, args []string) error {
			plain, expires, err := in.read(s, args[0])
			if err != nil {
				return err
			}
			defer clear(plain)
			terms := secret.Terms{Expires: expires, Overlap: overlap}
			rotate := func(store *secret.Store) error { return store.Rotate(args[0], plain, terms) }
			if err := changeSecrets(cmd, c, "secret.rotate", args[0], rotate); err != nil {
				return err
			}
			return s.secretDone(cmd, args[0], "is rotated", expires, len(plain) < secret.Redactable)
		},
	}
	stateFlags(cmd, &c)
	in.add(cmd)
	cmd.Flags().DurationVar(&overlap, "overlap", defaultOverlap, "for how long the old value is still taken out of answers")
	return cmd
}

func newSecretRevoke(s streams) *cobra.Command {
	var c host.Config
	cmd := &cobra.Command{
		Use:   "revoke NAME",
		Short: "Take a secret away at once",
		Long: `Removes a secret, and the values that it replaced. A running broker answers 503 where it
would be needed, from the next request on. At the back end it stays valid: revoke it there too.`,
		Args: nameOnly,
		RunE: func(cmd *cobra.Command, args []string) error {
			remove := func(store *secret.Store) error { return store.Remove(args[0]) }
			if err := changeSecrets(cmd, c, "secret.revoke", args[0], remove); err != nil {
				return err
			}
			return s.done(cmd, fmt.Sprintf("secret %s is gone", args[0]), map[string]any{"name": args[0]}, "")
		},
	}
	stateFlags(cmd, &c)
	return cmd
}

func openSecrets(c host.Config) (*secret.Store, error) {
	keyring, err := openState(c)
	if err != nil {
		return nil, err
	}
	store, err := secret.OpenStore(c.Data, keyring)
	if err != nil {
		return nil, refused(err)
	}
	return store, nil
}

// nameOnly takes one NAME, and tells whoever writes the value behind it what they did.
func nameOnly(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return refused(fmt.Errorf("%s takes NAME only. A secret on the command line is seen by others and kept by the shell: "+
			"if that was one, replace it at its back end. Give the new one on standard input", cmd.CommandPath()))
	}
	return exactArgs(1, "NAME")(cmd, args)
}

// exactArgs is cobra.ExactArgs with an error that names what is missing.
func exactArgs(n int, names string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return refused(fmt.Errorf("%s takes %s; see %s --help", cmd.CommandPath(), names, cmd.CommandPath()))
		}
		return nil
	}
}

// noArgs is cobra.NoArgs with the exit code of what is invalid.
func noArgs(cmd *cobra.Command, args []string) error {
	if err := cobra.NoArgs(cmd, args); err != nil {
		return refused(err)
	}
	return nil
}
