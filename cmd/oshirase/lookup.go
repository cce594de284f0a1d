package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"oshirase/mailer"
	"oshirase/mailer/campaign"
)

func newLookupCommand(a *app) *cobra.Command {
	var q mailer.Query
	c := &cobra.Command{
		Use:   "lookup --ref REF | --email ADDRESS | --customer-id ID --by NAME",
		Short: "Find a person who calls, and what was sent to them",
		Long: `lookup finds a person by the reference number in the notice, by e-mail address or by
customer number, over all incidents and merchants, with the history of every notice.
Every look-up is logged with the name of the person who made it.

People whose customer number differs in case, width, hyphens, blanks or leading zeros
alone are shown apart, as similar: they are other people until they say so. Where nobody
is found, it says what was searched. That is never "not affected": where nothing could
be searched, the command fails.`,
		Example: `  oshirase lookup --ref 3F7KQ-9XTW4 --by 窓口担当
  oshirase lookup --email taro@example.jp --by 窓口担当 --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, name := range []string{"ref", "email", "customer-id"} {
				if f := cmd.Flags().Lookup(name); f.Changed && strings.TrimSpace(f.Value.String()) == "" {
					return usagef("--%s is empty", name)
				}
			}
			asked := q
			if err := campaign.Askable(&asked); err != nil {
				return usageError{err: err, command: cmd.CommandPath()}
			}
			r, err := a.register(cmd.Context())
			if err != nil {
				return err
			}
			found, err := r.LookUp(cmd.Context(), a.actor(), q)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(found)
			}
			a.printFound(&found, &q)
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

// printFound prints whom a look-up found, or where nobody was found and what that
// does not mean.
func (a *app) printFound(f *mailer.Found, q *mailer.Query) {
	for i := range f.Matches {
		a.printMatch(&f.Matches[i])
	}
	if len(f.Matches) == 0 {
		by := "お問い合わせ番号"
		switch {
		case q.Email != "":
			by = "メールアドレス"
		case q.CustomerID != "":
			by = "会員番号"
		}
		a.printf("該当する方は見つかりませんでした（%sで検索）。\n", by)
		a.printf("「漏えいの対象ではない」という意味ではありません。書き方、別の加盟店、取り込んでいないリストを確かめてください。\n\n")
		a.printSearched(f.Searched, q.Ref == "")
		if n := len(f.NotSearched); n > 0 {
			a.printf("リストを取り込んでいない加盟店（%d）: %s\n\n", n, strings.Join(f.NotSearched[:min(n, 10)], "、"))
		}
	}
	if len(f.Similar) == 0 {
		return
	}
	a.printf("似た会員番号の方がいます。入力した番号とは異なりますので、ご本人かどうかを必ず確かめてください。\n\n")
	for i := range f.Similar {
		a.printMatch(&f.Similar[i])
	}
}

func (a *app) printSearched(all []mailer.Searched, byData bool) {
	const shown = 30
	t := newTable("検索した事案", "加盟店", "対象者").alignRight(2)
	for _, s := range all[:min(shown, len(all))] {
		people := number(s.People)
		if s.Destroyed && byData {
			people = "検索不可（データ破棄済み）"
		}
		t.add(s.Incident, s.Merchant, people)
	}
	a.printTable(t)
	if more := len(all) - shown; more > 0 {
		a.printf("ほか%d加盟店分\n", more)
	}
	a.printf("\n")
}

func (a *app) printMatch(m *mailer.Match) {
	t := newTable("項目", "内容")
	t.add("お問い合わせ番号", m.Ref)
	t.add("加盟店", fmt.Sprintf("%s（%s）", m.Sender, m.Merchant))
	t.add("事案", fmt.Sprintf("%s（%s）", m.Title, m.Incident))
	if m.Damaged {
		t.add("個人情報", "記録が壊れているか書き換えられているため、表示できません（管理者は oshirase verify で確認してください）")
	}
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
