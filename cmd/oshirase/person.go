package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"oshirase/mailer"
	"oshirase/mailer/campaign"
)

// persons is what the commands of persons and policy call.
type persons = *campaign.Persons

func newPersonCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "person",
		Short: "Register who may act: roles, keys, users",
		Long: `person registers the people who work with the program. As long as nobody is
registered, every name is free and recorded as unproved. From the first one on, who
acts has to be one of them, in a role that may: admin, operator, approver, merchant,
desk, auditor. run and serve need no role.

Who has an SSH key or a user of the machine proves by it who they are: run the command
as that user, or give --sign KEYFILE. The first two approvers with a key are registered
like everybody. From then on it takes the signatures of two of them to add, end or
change an approver, or the approval policy.`,
		Example: "  oshirase person add sato --name 佐藤 --role approver --ssh-key sato.pub\n  oshirase person list",
		Args:    cobra.ArbitraryArgs,
		RunE:    needsCommand,
	}
	c.AddCommand(newPersonAddCommand(a), newPersonListCommand(a), newPersonEndCommand(a), newPersonPendingCommand(a),
		newPersonSignCommand(a), newPersonSignersCommand(a))
	return c
}

func newPersonAddCommand(a *app) *cobra.Command {
	var m mailer.Member
	var roles []string
	var key string
	var replace bool
	c := &cobra.Command{
		Use:   "add ID --name NAME --role ROLE",
		Short: "Register a person",
		Long: `add has a person act from now on. The ID is what is typed, and the principal of the
person's signatures. With --replace somebody who is registered has other facts (a new
key, another role) from now on; the old ones stay in the ledger.

Where two approvers have to consent, and their keys are not all at hand with --sign, the
change is kept, its sheet is printed, and it takes effect once the second one has run
person sign.`,
		Example: `  oshirase person add admin --name 情報管理責任者 --role admin --os-user root
  oshirase person add sato --name 佐藤 --role approver,operator --ssh-key sato.pub
  oshirase person add shop1 --name 店舗担当 --role merchant --merchant shop --os-user shop`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			m.ID = args[0]
			for _, s := range roles {
				r, err := mailer.ParseRole(s)
				if err != nil {
					return usageError{err: fmt.Errorf("--role: %w", err)}
				}
				m.Roles = append(m.Roles, r)
			}
			if key != "" {
				b, err := os.ReadFile(key)
				if err != nil {
					return fmt.Errorf("--ssh-key: %w", err)
				}
				m.Key = strings.TrimSpace(string(b))
			}
			return a.amend(cmd.Context(), func(p persons) (mailer.Amendment, error) { return p.Add(cmd.Context(), a.actor(), m, replace) })
		},
	}
	f := c.Flags()
	f.StringVar(&m.Name, "name", "", "the person's `NAME`, as it is recorded")
	f.StringSliceVar(&roles, "role", nil, "admin (管理), operator (運用), approver (承認), merchant (加盟店), desk (窓口) or auditor (監査); may be repeated")
	f.StringSliceVar(&m.Merchants, "merchant", nil, "only for this merchant (`ID`); may be repeated (default: all)")
	f.StringVar(&key, "ssh-key", "", "the person's public key (`FILE`.pub)")
	f.StringVar(&m.OSUser, "os-user", "", "the person's `USER` on this machine")
	f.BoolVar(&replace, "replace", false, "the person is registered: have other facts stand from now on")
	required(c, "name", "role")
	return c
}

func newPersonEndCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "end ID",
		Short: "End a person, who stays in the ledger",
		Long: `end lets a person act no more. What they did, and what they approved while they
could, stands. The same ID may be added again later.`,
		Example: "  oshirase person end sato --by admin",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.amend(cmd.Context(), func(p persons) (mailer.Amendment, error) { return p.End(cmd.Context(), a.actor(), args[0]) })
		},
	}
}

func newPersonSignCommand(a *app) *cobra.Command {
	var signature string
	c := &cobra.Command{
		Use:   "sign CHANGE --by APPROVER (--sign KEYFILE | --signature FILE)",
		Short: "Consent to a change of approvers or policy",
		Long: `sign consents to a change that waits (person pending) with an approver's key. With
the last signature that it needs the change takes effect.`,
		Example: "  oshirase person sign p-20261201-7f3a --by suzuki --sign ~/.ssh/id_ed25519",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.takeSignature(signature); err != nil {
				return err
			}
			return a.amend(cmd.Context(), func(p persons) (mailer.Amendment, error) { return p.Sign(cmd.Context(), a.actor(), args[0]) })
		},
	}
	c.Flags().StringVar(&signature, "signature", "", "take a signature over the change's sheet that was made elsewhere (`FILE`)")
	return c
}

// amendResult is the JSON of what changes persons or policy.
type amendResult struct {
	Persons []mailer.MemberView `json:"persons"` // as they are now
	Change  string              `json:"change"`  // ID
	Missing int                 `json:"missing"` // signatures, until it takes effect
	Sheet   string              `json:"sheet,omitempty"`
}

// amend changes persons or policy, and says what came of it.
func (a *app) amend(ctx context.Context, change func(persons) (mailer.Amendment, error)) error {
	p, err := a.persons(ctx)
	if err != nil {
		return err
	}
	done, err := change(p)
	if err != nil {
		return err
	}
	if a.json {
		now, err := p.Ledger.Members(ctx)
		if err != nil {
			return err
		}
		out := amendResult{Persons: []mailer.MemberView{}, Change: done.ID, Missing: done.Missing}
		for i := range now {
			if now[i].Until.IsZero() {
				out.Persons = append(out.Persons, now[i].View())
			}
		}
		if done.Missing > 0 {
			out.Sheet = done.Text
		}
		return a.printJSON(out)
	}
	if done.Missing == 0 {
		a.printf("%s 有効になりました。\n", done.ID)
		return nil
	}
	a.printf("%s あと%d名の承認者の署名で有効になります（oshirase person sign %s --by ID --sign KEYFILE）。\n\n%s", done.ID, done.Missing, done.ID, done.Text)
	return nil
}

func newPersonListCommand(a *app) *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use:     "list",
		Short:   "List who may act",
		Long:    "list shows who may act, in which roles, and the fingerprints of their keys; with --all\nalso those who have ended.",
		Example: "  oshirase person list\n  oshirase person list --all --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := a.persons(cmd.Context())
			if err != nil {
				return err
			}
			list, err := p.List(cmd.Context(), a.actor(), all)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]any{"persons": list})
			}
			t := newTable("ID", "氏名", "役割", "加盟店", "SSH鍵", "OSユーザー", "開始", "終了")
			for _, m := range list {
				roles := make([]string, len(m.Roles))
				for i, r := range m.Roles {
					roles[i] = r.Japanese()
				}
				t.add(m.ID, m.Name, strings.Join(roles, "、"), strings.Join(m.Merchants, "、"), m.Key, m.OSUser, jst(m.From), jst(m.Until))
			}
			a.printTable(t)
			return nil
		},
	}
	c.Flags().BoolVar(&all, "all", false, "also those who have ended")
	return c
}

func newPersonPendingCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "pending [CHANGE]",
		Short:   "List changes that wait for approvers, or print the sheet of one",
		Long:    "pending lists the changes of approvers and policy that wait for signatures. With the ID\nof one it prints the text that is signed, alone on standard output.",
		Example: "  oshirase person pending\n  oshirase person pending p-20261201-7f3a > change.txt",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := a.persons(cmd.Context())
			if err != nil {
				return err
			}
			waiting, err := p.Pending(cmd.Context(), a.actor())
			if err != nil {
				return err
			}
			if len(args) == 1 {
				for _, w := range waiting {
					if w.ID == args[0] {
						_, err := io.WriteString(a.stdout, w.Text)
						return err
					}
				}
				return mailer.NotFound("amendment.none", "id", args[0])
			}
			if a.json {
				return a.printJSON(map[string]any{"pending": waiting})
			}
			t := newTable("変更", "日時", "起案者", "証明", "署名", "不足")
			for _, w := range waiting {
				t.add(w.ID, jst(w.At), w.By, w.Proof.Japanese(), strings.Join(w.Signed, "、"), number(int64(w.Missing)))
			}
			a.printTable(t)
			return nil
		},
	}
}

func newPersonSignersCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "signers",
		Short: "Print the approvers' keys for ssh-keygen -Y verify",
		Long: `signers prints an allowed-signers file (ssh-keygen(1)): every approver who ever had a
key, for as long as it was theirs. To verify what was signed by a key that has ended,
give ssh-keygen the time: -Overify-time=YYYYMMDDHHMMSSZ.`,
		Example: "  oshirase person signers > allowed_signers",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := a.persons(cmd.Context())
			if err != nil {
				return err
			}
			text, err := p.Signers(cmd.Context(), a.actor())
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]string{"signers": text})
			}
			_, err = io.WriteString(a.stdout, text)
			return err
		},
	}
}
