package main

import (
	"cmp"
	"strings"

	"github.com/spf13/cobra"

	"oshirase/mailer"
	"oshirase/mailer/intake"
	"oshirase/mailer/words"
)

func newListsCommand(a *app) *cobra.Command {
	var of mailer.ListFilter
	c := &cobra.Command{
		Use:   "lists",
		Short: "Show the lists that were imported, or take one back",
		Long: `lists shows which lists were imported, oldest first, how many people each of them
brought, and whether it can be taken back (lists remove LIST).`,
		Example: "  oshirase lists\n  oshirase lists --incident pay --merchant housing --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			db, err := a.reader(cmd.Context())
			if err != nil {
				return err
			}
			all, err := (&intake.Lists{Ledger: db}).List(cmd.Context(), a.actor(), of)
			if err != nil {
				return err
			}
			for i := range all {
				if all[i].Kept != nil {
					all[i].Why = words.Error(all[i].Kept)
				}
			}
			if a.json {
				return a.printJSON(map[string]any{"lists": all})
			}
			a.printLists(all)
			return nil
		},
	}
	c.Flags().StringVar(&of.Incident, "incident", "", "only lists of this incident's `ID`")
	c.Flags().StringVar(&of.Merchant, "merchant", "", "only lists of this merchant's `ID`")
	c.AddCommand(newListsRemoveCommand(a))
	return c
}

// printLists fits what is usual into 80 columns.
func (a *app) printLists(all []mailer.ListView) {
	t := newTable("リスト", "事案", "加盟店", "ファイル", "行数", "新規", "取消").alignRight(4, 5)
	for i := range all {
		l := &all[i]
		t.add(l.ID, l.Incident, l.Merchant, cut(l.Name, 16), number(l.Rows), number(l.Imported), keptJapanese(l))
	}
	a.printTable(t)
}

// keptJapanese says in a word whether a list can be taken back.
func keptJapanese(l *mailer.ListView) string {
	switch mailer.CodeOf(l.Kept) {
	case "":
		return "可"
	case "list.sent":
		return "送信済み"
	case "list.named-later":
		return "後続あり"
	}
	return "不可"
}

// cut shortens a text to so many characters.
func cut(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

func newListsRemoveCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "remove LIST",
		Short: "Take an imported list back",
		Long: `remove takes a list back as if it had never been imported: people whom it alone brought
are gone, and of people whom earlier lists had brought stands again what was said there.
Campaigns that were to tell any who are gone are void; what is still to be sent to the
others is held (resolve --held). It is refused once a notice to any of them began to be
handed over, and where a later list builds upon it. The act is recorded; reference
numbers of people who are gone are never given to others.`,
		Example: "  oshirase lists remove l-20261201-7f3a --by 佐藤",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if strings.TrimSpace(args[0]) == "" {
				return usagef("name the list: see `oshirase lists`")
			}
			db, err := a.store(cmd.Context())
			if err != nil {
				return err
			}
			res, err := (&intake.Removal{Ledger: db}).Remove(cmd.Context(), a.actor(), args[0])
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(res)
			}
			a.printVoids(res.Voids, "無効になった配信")
			a.printf("リスト %s を取り消しました（対象者 %s名を削除、%s名を元に戻しました）。\n", res.List, number(res.People), number(res.Restored))
			if res.Held > 0 {
				a.printf("元に戻した方への未送信の通知 %s件を保留しました（resolve --held で決めてください）。\n", number(res.Held))
			}
			return nil
		},
	}
}

// printWrongMerchant warns of a list that seems to be another merchant's.
func (a *app) printWrongMerchant(res *intake.Result) {
	if e := res.Elsewhere; e != nil {
		a.printf("注意: はじめの%d名のうち%d名は、加盟店 %s のリストにもあります。\n", e.Sampled, e.Same, e.Merchant)
	}
	if res.Named != "" {
		a.printf("注意: ファイル名に別の加盟店 %s の名があります。\n", res.Named)
	}
	if res.Elsewhere != nil || res.Named != "" {
		a.printf("加盟店の指定に誤りがあれば、取り消せます: oshirase lists remove %s\n", cmp.Or(res.List, "LIST"))
	}
}
