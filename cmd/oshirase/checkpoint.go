package main

import (
	"os"

	"github.com/spf13/cobra"
)

func newCheckpointCommand(a *app) *cobra.Command {
	var public bool
	c := &cobra.Command{
		Use:   "checkpoint",
		Short: "Write a signed checkpoint of the ledger now",
		Long: `checkpoint signs how far the journal has come, and writes it beside the database
(DATABASE-checkpoint) and to the end of the files of [journal] checkpoints, and prints it.
Every command and worker does so by itself within a second.

With --public-key it prints the key that verifies checkpoints instead: keep it where
the checkpoints are kept. It stays the same as long as the ledger lives. Checkpoints are
signed notes (C2SP signed-note): other tools can verify them too.`,
		Example: "  oshirase checkpoint --public-key > pay.vkey",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if public {
				u, err := a.auditing(cmd.Context())
				if err != nil {
					return err
				}
				key, err := u.CheckpointKey(cmd.Context(), a.actor())
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(map[string]string{"public_key": key})
				}
				a.printf("%s\n", key)
				return nil
			}
			cfg, err := a.config()
			if err != nil {
				return err
			}
			u, err := a.keeping(cmd.Context())
			if err != nil {
				return err
			}
			if err := u.Checkpoint(cmd.Context(), a.actor()); err != nil {
				return err
			}
			signed, err := os.ReadFile(cfg.DatabasePath() + "-checkpoint")
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]string{"checkpoint": string(signed)})
			}
			a.printf("%s", signed)
			return nil
		},
	}
	c.Flags().BoolVar(&public, "public-key", false, "print the key that verifies checkpoints")
	return c
}
