package main

import (
	"github.com/spf13/cobra"

	"oshirase/mailer"
)

func newAuditCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "audit",
		Short: "Show who did what",
		Long: `audit lists who imported, approved, started, decided, looked up and destroyed, oldest
first, and how it was proved who they are: 証明なし (none) is a name that was typed (--by,
OSHIRASE_BY), os-user the user of the operating system, ssh-key a registered key, program
nobody but the program.
Lines are only ever added. Personal search terms stand there as keyed hashes.`,
		Example: "  oshirase audit --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := a.register(cmd.Context())
			if err != nil {
				return err
			}
			each := func(fn func(mailer.Act) error) error { return r.Audit(cmd.Context(), a.actor(), fn) }
			if a.json {
				return streamJSON(a.stdout, "audit", each)
			}
			t := newTable("日時", "担当", "操作", "対象", "内容", "証明")
			err = each(func(e mailer.Act) error {
				t.add(jst(e.At), e.By, string(e.Action), e.Subject, e.Detail, e.Proof.Japanese())
				return nil
			})
			if err == nil {
				a.printTable(t)
			}
			return err
		},
	}
}
