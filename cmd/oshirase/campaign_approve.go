package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"oshirase/mailer"
)

func newCampaignApproveCommand(a *app) *cobra.Command {
	var n count
	var signature string
	c := &cobra.Command{
		Use:   "approve ID... --by PERSON --count N [--sign KEYFILE | --signature FILE]",
		Short: "Approve what was checked, typing how many notices will be sent",
		Long: `approve records one person's consent to exactly what the last check rendered. As
many different people as the config says must approve, each typing the number of
notices that will be sent; for several campaigns at once, all of theirs together. Any
change of list, facts, template or campaign voids all approvals.

With [approval] proof = "signature" each of them signs the sheet (campaign sheet) with
the SSH key that they are registered with: --sign names a private key, or a .pub whose
private half ssh-agent has. Who has the key on another machine signs there
(ssh-keygen -Y sign -n oshirase-approval-v1 -f KEY sheet.txt) and hands in
--signature sheet.txt.sig. A signature over the sheet of several campaigns approves any
of them.`,
		Example: `  oshirase campaign approve c-20261201-7f3a --by sato --count 5283 --sign ~/.ssh/id_ed25519
  oshirase campaign approve c-20261201-7f3a --by sato --count 5283 --signature sheet.txt.sig`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.takeSignature(signature); err != nil {
				return err
			}
			s, err := a.approvals(cmd.Context())
			if err != nil {
				return err
			}
			out, err := s.Approve(cmd.Context(), a.actor(), args, int64(n))
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(newApproveResult(out))
			}
			for _, r := range out {
				a.printf("%s ", r.Campaign)
				if r.Approved {
					a.printf("承認が揃いました（%d名、%s）。\n", r.Approvals, r.Proof.Japanese())
				} else {
					a.printf("承認 %d名（%s）、あと%d名の承認が必要です。\n", r.Approvals, r.Proof.Japanese(), r.Missing)
				}
			}
			return nil
		},
	}
	c.Flags().Var(&n, "count", "how many notices will be sent")
	c.Flags().StringVar(&signature, "signature", "", "take a signature over the sheet that was made elsewhere (`FILE`)")
	required(c, "count")
	return c
}

// approveResult is the JSON of campaign approve. For several campaigns the fields above
// are of them all: the fewest approvals, whether all are approved, their digests.
type approveResult struct {
	Approvals int               `json:"approvals"`
	Approved  bool              `json:"approved"`
	Digest    string            `json:"digest"`
	Proof     mailer.Proof      `json:"proof"`
	Campaigns []mailer.Approved `json:"campaigns"`
}

func newApproveResult(out []mailer.Approved) approveResult {
	r := approveResult{Approved: true, Campaigns: out}
	var digests []string
	for i, one := range out {
		if i == 0 || one.Approvals < r.Approvals {
			r.Approvals = one.Approvals
		}
		r.Approved = r.Approved && one.Approved
		r.Proof = one.Proof
		digests = append(digests, one.Digest)
	}
	r.Digest = strings.Join(digests, " ")
	return r
}

// approvalJapanese is who approved, for tables.
func approvalJapanese(ap *mailer.Approval) string {
	proof := ap.Proof.Japanese()
	if ap.Key != "" {
		proof += " " + ap.Key
	}
	return fmt.Sprintf("%s（%s件、%s、%s）", ap.By, number(ap.Count), jst(ap.At), proof)
}
