package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"pointsman/host/secret"
)

func newSecretSeal(s streams) *cobra.Command {
	var in valueFlags
	var public string
	cmd := &cobra.Command{
		Use:   "seal NAME --for KEY.pub",
		Short: "Seal a secret that only one broker can open, for a file that may be published",
		Long: `Reads a secret like set, and prints a document that only the broker whose public key
KEY.pub is can open, and only under that name. It needs nothing else of the broker: an admin
can run it anywhere, and commit the result. Save it as NAME` + secret.SealedSuffix + ` in the folder that the
broker's --secrets sealed-for=DIR names.

pointsman secret keys public prints a broker's public key. Whoever has it can seal: who may
put files into that folder decides what the broker uses.`,
		Example: "  pointsman secret seal crm-token --for broker.pub < token.txt > crm-token" + secret.SealedSuffix,
		Args:    nameOnly,
		RunE: func(cmd *cobra.Command, args []string) error {
			if public == "" {
				return refused(fmt.Errorf("%s needs --for KEY.pub, the broker's public key; pointsman secret keys public prints it", cmd.CommandPath()))
			}
			text, err := os.ReadFile(public)
			if err != nil {
				return refused(err)
			}
			key, err := secret.ParsePublic(text)
			if err != nil {
				return refused(fmt.Errorf("%s: %w", public, err))
			}
			plain, expires, err := in.read(s, args[0])
			if err != nil {
				return err
			}
			defer clear(plain)
			doc, err := secret.SealFor(key, args[0], plain, time.Now(), secret.Terms{Expires: expires})
			if err != nil {
				return refused(err)
			}
			return s.done(cmd, "secret "+args[0]+" is sealed", map[string]string{"name": args[0], "document": string(doc)}, string(doc))
		},
	}
	in.add(cmd)
	cmd.Flags().StringVar(&public, "for", "", "file of the broker's public key")
	return cmd
}
