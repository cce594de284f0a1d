package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"oshirase/mailer"
	"oshirase/mailer/campaign"
)

func newCampaignApprovalsCommand(a *app) *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "approvals ID --dir DIR",
		Short: "Write sheet and signatures, to be verified without oshirase",
		Long: `approvals writes who approved a campaign, and what: the sheet, a signature for each
approver, the allowed signers, and a README with the commands by which ssh-keygen
verifies them on any machine. It verifies them itself first. Files that are there
already are not overwritten.`,
		Example: "  oshirase campaign approvals c-20261201-7f3a --dir proof",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.approvals(cmd.Context())
			if err != nil {
				return err
			}
			b, err := s.Bundle(cmd.Context(), a.actor(), args[0])
			if err != nil {
				return err
			}
			files := bundleFiles(args[0], &b)
			if err := writeNew(dir, files); err != nil {
				return err
			}
			names := make([]string, len(files))
			for i, f := range files {
				names[i] = f.name
			}
			if a.json {
				return a.printJSON(map[string]any{"dir": dir, "files": names, "approvals": len(b.Given)})
			}
			for _, name := range names {
				a.printf("%s\n", filepath.Join(dir, name))
			}
			return nil
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "the `DIR` that gets the files; made where it is not there")
	required(c, "dir")
	return c
}

// bundleFiles are what shows without the program who approved a campaign, and what.
func bundleFiles(id string, b *campaign.Bundle) (files []newFile) {
	add := func(name, text string) { files = append(files, newFile{name, []byte(text), 0o600}) }
	sheet := func(i int) string {
		if i == 0 {
			return "sheet.txt"
		}
		return fmt.Sprintf("sheet-%d.txt", i+1)
	}
	for i, text := range b.Sheets {
		add(sheet(i), text)
	}
	var readme strings.Builder
	fmt.Fprintf(&readme, "配信 %s の承認\n\n", id)
	for i := range b.Given {
		g := &b.Given[i]
		fmt.Fprintf(&readme, "%s（%s、%s）\n", g.Name, jst(g.At), g.Proof.Japanese())
		if g.Signature == "" {
			readme.WriteString("  署名はありません。\n\n")
			continue
		}
		add(g.Person+".sig", g.Signature)
		fmt.Fprintf(&readme, "  鍵 %s\n  ssh-keygen -Y verify -f allowed_signers -I %s -n %s -s %s.sig < %s\n\n",
			mailer.Fingerprint(g.Key), g.Person, mailer.NamespaceApproval, g.Person, sheet(b.SheetOf(g)))
	}
	readme.WriteString("鍵の指紋が本人のものであることは、本人か、別に保管した記録で確かめてください。\n")
	add("allowed_signers", b.Signers)
	add("README.txt", readme.String())
	return files
}
