package main

import (
	"io"

	"github.com/spf13/cobra"
)

func newCampaignSheetCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "sheet ID...",
		Short: "Print the text that approvers read and sign",
		Long: `sheet prints what an approval is about, alone on standard output: incident, merchant,
stage, subject, counts, what the check found, a sample of the notice, the random number
of this check, the approval policy and the fingerprints of the approvers. For several
campaigns it is one text with a total.

The text is made once for each check and kept: it is the same however often it is
printed, and a signature is over its bytes. A new check has a new one.`,
		Example: "  oshirase campaign sheet c-20261201-7f3a > sheet.txt",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.approvals(cmd.Context())
			if err != nil {
				return err
			}
			text, err := s.Sheet(cmd.Context(), a.actor(), args)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]string{"sheet": text})
			}
			_, err = io.WriteString(a.stdout, text)
			return err
		},
	}
}
