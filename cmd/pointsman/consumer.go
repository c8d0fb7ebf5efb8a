package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"pointsman/host"
	"pointsman/host/broker"
	"pointsman/host/consumer"
)

func newConsumer(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "consumer",
		Short: "Give consumers their keys",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newConsumerKey(s))
	return cmd
}

func newConsumerKey(s streams) *cobra.Command {
	var c host.Config
	cmd := &cobra.Command{
		Use:   "key NAME",
		Short: "Make an API key for a consumer and print it, once",
		Long: `Makes a key for the consumer NAME and prints it. Only a keyed hash is kept: nobody can
print it again. The key works as soon as a Consumer manifest of that name with
auth.apiKey is deployed; a running broker takes it up at once. Earlier keys stay valid.`,
		Args: exactArgs(1, "NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			keyring, err := openState(c)
			if err != nil {
				return err
			}
			keys, err := consumer.OpenKeys(c.Data, keyring.MAC)
			if err != nil {
				return err
			}
			var key string
			make := func() (err error) { key, err = keys.New(broker.PrincipalID(args[0])); return err }
			if err := recorded(cmd.Context(), c, "consumer.key", args[0], make); err != nil {
				return refused(err)
			}
			return s.done(cmd, "a key for "+args[0], map[string]string{"consumer": args[0], "key": key}, fmt.Sprintln(key))
		},
	}
	stateFlags(cmd, &c)
	return cmd
}
