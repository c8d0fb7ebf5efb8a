package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"pointsman/host"
	"pointsman/host/secret"
)

func newSecret(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "secret",
		Short: "Keep the credentials of back ends, sealed",
		Long: `Secrets are sealed with the broker's master key and used by name in manifests
(spec.http.auth.secret). No command prints one.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newSecretSet(s), newSecretList(s))
	return cmd
}

func newSecretSet(s streams) *cobra.Command {
	var c host.Config
	cmd := &cobra.Command{
		Use:   "set NAME",
		Short: "Seal a secret read from standard input",
		Long: `Reads the secret from standard input, never from the command line, where others could
see it. One line end at its end is taken off. A running broker uses the new value from
the next request on.`,
		Example: "  pointsman secret set salesforce-token < token.txt",
		Args:    exactArgs(1, "NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			plain, err := io.ReadAll(io.LimitReader(s.in, secret.MaxSize+1))
			if err != nil {
				return fmt.Errorf("read standard input: %w", err)
			}
			plain = trimLineEnd(plain)
			switch {
			case len(plain) == 0:
				return refused(errors.New("standard input held no secret; try: pointsman secret set NAME < FILE"))
			case len(plain) > secret.MaxSize:
				return refused(fmt.Errorf("the secret is larger than %d bytes", secret.MaxSize))
			}
			store, err := openSecrets(c)
			if err != nil {
				return err
			}
			set := func() error { return store.Set(args[0], plain) }
			if err := recorded(cmd.Context(), c, "secret.set", args[0], set); err != nil {
				return refused(err)
			}
			note := ""
			if len(plain) < secret.Redactable {
				note = fmt.Sprintf(" (shorter than %d bytes: it cannot be searched for in what back ends answer)", secret.Redactable)
			}
			return s.done(cmd, fmt.Sprintf("secret %s is sealed%s", args[0], note), map[string]any{"name": args[0], "redactable": note == ""}, "")
		},
	}
	stateFlags(cmd, &c)
	return cmd
}

func newSecretList(s streams) *cobra.Command {
	var c host.Config
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Name the secrets that are sealed",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			store, err := openSecrets(c)
			if err != nil {
				return err
			}
			names := store.Names()
			var text bytes.Buffer
			for _, n := range names {
				fmt.Fprintln(&text, n)
			}
			return s.done(cmd, count(len(names), "secret"), names, text.String())
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
	return secret.OpenStore(c.Data, keyring)
}

func trimLineEnd(b []byte) []byte {
	b = bytes.TrimSuffix(b, []byte("\n"))
	return bytes.TrimSuffix(b, []byte("\r"))
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
