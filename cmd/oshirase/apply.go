package main

import (
	"path/filepath"

	"github.com/spf13/cobra"

	"oshirase/config"
	"oshirase/mailer"
)

func newApplyCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "apply [DIR]",
		Short: "Load incidents and merchants, and say what changed",
		Long: `apply reads the facts of all incidents and merchants and takes them over into the
database: all of them, or none where one has an error.

With DIR, DIR/incidents and DIR/merchants are read instead of the folders in the
config. What has no file any more stays in the database.

A change voids what was checked or approved with the old facts: a changed incident
takes all its campaigns back to draft, a changed merchant takes back its own.`,
		Example: "  oshirase apply\n  oshirase apply /srv/facts --json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := a.config()
			if err != nil {
				return err
			}
			incidents, merchants := cfg.IncidentsPath(), cfg.MerchantsPath()
			if len(args) == 1 {
				incidents, merchants = filepath.Join(args[0], "incidents"), filepath.Join(args[0], "merchants")
			}
			ins, ms, err := config.LoadFacts(incidents, merchants)
			if err != nil {
				return err
			}
			if _, err := a.newStore(cmd.Context()); err != nil {
				return err
			}
			f, err := a.facts(cmd.Context())
			if err != nil {
				return err
			}
			result, err := f.Apply(cmd.Context(), a.actor(), ins, ms)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(result)
			}
			t := newTable("種類", "ID", "変更")
			for _, c := range result.Incidents {
				t.add("事案", c.ID, changedJapanese(c))
			}
			for _, c := range result.Merchants {
				t.add("加盟店", c.ID, changedJapanese(c))
			}
			a.printTable(t)
			return nil
		},
	}
}

func changedJapanese(c mailer.Change) string {
	if c.Changed {
		return "反映しました"
	}
	return "変更なし"
}
