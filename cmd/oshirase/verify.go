package main

import (
	"github.com/spf13/cobra"

	"oshirase/mailer"
)

func newVerifyCommand(a *app) *cobra.Command {
	var checkpoints []string
	c := &cobra.Command{
		Use:   "verify",
		Short: "Look whether the ledger is as it was written",
		Long: `verify goes through the whole ledger and names what does not fit: whatever was changed,
taken away, put in or put back by something other than this program, in what happened,
states, counts, facts, lists, people, campaigns, approvals and persons. It holds the
ledger against the signed checkpoint beside it, those of [journal] checkpoints, and the
files given: kept elsewhere, they show also what somebody did who has all of this machine.

Exit code 3: something does not fit.`,
		Example: "  oshirase verify\n  oshirase verify --checkpoint /mnt/audit/pay.checkpoints --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.config()
			if err != nil {
				return err
			}
			u, err := a.auditing(cmd.Context())
			if err != nil {
				return err
			}
			bar := a.newProgress("verifying", "rows", 0)
			res, err := u.Verify(cmd.Context(), a.actor(), mailer.VerifyOptions{
				Checkpoints: append(cfg.CheckpointPaths(), checkpoints...),
				Progress:    func(rows int64) { bar.set(rows, 0) },
			})
			bar.end()
			if err != nil {
				return err
			}
			if a.json {
				err = a.printJSON(res)
			} else {
				a.printVerification(&res)
			}
			if err != nil || res.OK {
				return err
			}
			return checkError{
				errors: len(res.Findings),
				hint:   "send nothing; keep the database, its checkpoints and the logs as they are, and find out who had access (docs/guarantees.md)",
			}
		},
	}
	c.Flags().StringArrayVar(&checkpoints, "checkpoint", nil, "`FILE` with checkpoints that were kept elsewhere")
	return c
}

func (a *app) printVerification(v *mailer.Verification) {
	if v.OK {
		a.printf("台帳に不整合はありません（記録 %s件を確認）。\n", number(v.Entries))
		return
	}
	for _, d := range v.Findings {
		a.printf("%s  %s\n    %s\n", d.Rule, d.Where, d.Detail)
	}
	a.printf("台帳に不整合が %s件あります（記録 %s件を確認）。\n", number(int64(len(v.Findings))), number(v.Entries))
}
