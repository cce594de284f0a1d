package main

import (
	"context"

	"github.com/spf13/cobra"

	"oshirase/mailer"
)

func newPolicyCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "policy",
		Short: "Show what it takes to approve, and change it",
		Long: `policy shows the approval policy in force beside the one that the config asks for.

As long as fewer than two approvers have a key, the config's is taken over by itself;
what was checked or approved under another one is void then. From two on it changes
only by policy set, with the signatures of two approvers.`,
		Example: "  oshirase policy",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := a.persons(cmd.Context())
			if err != nil {
				return err
			}
			now, err := p.InForce(cmd.Context(), a.actor())
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]any{"policy": now, "config": p.Policy, "differs": now != p.Policy})
			}
			t := newTable("項目", "有効", "設定ファイル")
			t.add("承認者の数", number(int64(now.People)), number(int64(p.Policy.People)))
			t.add("証明", string(now.Proof), string(p.Policy.Proof))
			t.add("作成・検査した者の承認", yes(now.MakerMayApprove), yes(p.Policy.MakerMayApprove))
			a.printTable(t)
			return nil
		},
	}
	c.AddCommand(&cobra.Command{
		Use:   "set",
		Short: "Have the config's approval policy come into force",
		Long: `set has what [approval] in the config says come into force. With two approvers
registered it takes their signatures: --sign for each key at hand, or person sign for
those on other machines. What was checked or approved before is void then.`,
		Example: "  oshirase policy set --by admin --sign sato.key --sign suzuki.key",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.amend(cmd.Context(), func(p persons) (mailer.Amendment, error) { return p.SetPolicy(cmd.Context(), a.actor()) })
		},
	})
	return c
}

func yes(b bool) string {
	if b {
		return "可"
	}
	return "不可"
}

// policyAgrees refuses to send under another policy than the config's.
func (a *app) policyAgrees(ctx context.Context) error {
	p, err := a.persons(ctx)
	if err != nil {
		return err
	}
	return p.Agrees(ctx)
}
