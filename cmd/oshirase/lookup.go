package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"oshirase/mailer"
)

func newLookupCommand(a *app) *cobra.Command {
	var q mailer.Query
	c := &cobra.Command{
		Use:   "lookup --ref REF | --email ADDRESS | --customer-id ID --by NAME",
		Short: "Find a person who calls, and what was sent to them",
		Long: `lookup finds a person by the reference number in the notice, by e-mail address or by
customer number, over all incidents and merchants, with the history of every notice.
Every look-up is logged with the name of the person who made it.`,
		Example: `  oshirase lookup --ref 3F7KQ-9XTW4 --by 窓口担当
  oshirase lookup --email taro@example.jp --by 窓口担当 --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkRef(q.Ref); err != nil {
				return err
			}
			r, err := a.register(cmd.Context())
			if err != nil {
				return err
			}
			matches, err := r.LookUp(cmd.Context(), a.actor(), q)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]any{"matches": matches})
			}
			if len(matches) == 0 {
				a.printf("該当する方は見つかりませんでした。\n")
			}
			for i := range matches {
				a.printMatch(&matches[i])
			}
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&q.Ref, "ref", "", "reference `NUMBER`, as read out: any case, blanks and hyphens anywhere")
	f.StringVar(&q.Email, "email", "", "e-mail `ADDRESS`")
	f.StringVar(&q.CustomerID, "customer-id", "", "the merchant's customer `NUMBER`")
	c.MarkFlagsMutuallyExclusive("ref", "email", "customer-id")
	c.MarkFlagsOneRequired("ref", "email", "customer-id")
	return c
}

func (a *app) printMatch(m *mailer.Match) {
	t := newTable("項目", "内容")
	t.add("お問い合わせ番号", m.Ref)
	t.add("加盟店", fmt.Sprintf("%s（%s）", m.Sender, m.Merchant))
	t.add("事案", fmt.Sprintf("%s（%s）", m.Title, m.Incident))
	t.addKnown("会員番号", m.CustomerID)
	t.addKnown("氏名", m.Name)
	t.addKnown("メールアドレス", m.Email)
	t.addKnown("住所", strings.TrimSpace(m.PostalCode+" "+m.Address))
	t.addKnown("電話番号", m.Phone)
	t.add("漏えい区分", strings.Join(m.Exposures, "、"))
	a.printTable(t)
	a.printf("\n")
	t = newTable("日時", "配信", "段階", "状態", "応答")
	for _, n := range m.Notices {
		state := n.State.Japanese()
		if n.Suppressed != "" {
			state += "（" + n.Suppressed.Japanese() + "）"
		}
		if n.Held != "" {
			state += "（" + n.Held.Japanese() + "）"
		}
		t.add("現在", n.Campaign, n.Stage.Japanese(), state, "")
		for _, e := range n.Events {
			t.add(jst(e.At), n.Campaign, n.Stage.Japanese(), e.State.Japanese(), e.Reply())
		}
	}
	a.printTable(t)
	a.printf("\n")
}
