package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"oshirase/mailer"
	"oshirase/store"
)

// match is one person in the JSON of `lookup`.
type match struct {
	Incident   string            `json:"incident"`
	Title      string            `json:"title"`
	Merchant   string            `json:"merchant"`
	Sender     string            `json:"sender"`
	Ref        string            `json:"ref"`
	CustomerID string            `json:"customer_id,omitempty"`
	Name       string            `json:"name,omitempty"`
	NameKana   string            `json:"name_kana,omitempty"`
	Email      string            `json:"email,omitempty"`
	PostalCode string            `json:"postal_code,omitempty"`
	Address    string            `json:"address,omitempty"`
	Phone      string            `json:"phone,omitempty"`
	Attributes map[string]string `json:"attributes,omitempty"`
	Exposures  []string          `json:"exposures"`
	Notices    []noticeHistory   `json:"notices"`
}

// noticeHistory is one notice to the person, with all that happened to it.
type noticeHistory struct {
	Campaign   string        `json:"campaign"`
	Name       string        `json:"name"`
	Stage      mailer.Stage  `json:"stage"`
	Phase      mailer.Phase  `json:"phase"`
	State      mailer.State  `json:"state"`
	Attempts   int           `json:"attempts"`
	NextAt     time.Time     `json:"next_at,omitzero"`
	Suppressed string        `json:"suppressed,omitempty"`
	Events     []store.Event `json:"events"`
}

func newLookupCommand(a *app) *cobra.Command {
	var ref, email, customer, by string
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
			q := store.Query{Email: email, CustomerID: customer}
			if ref != "" {
				var err error
				if q.Ref, err = mailer.ParseRef(ref); err != nil {
					return usageError{err: err}
				}
			}
			if strings.TrimSpace(by) == "" {
				return usagef("--by: say who looks; it is logged")
			}
			db, err := a.store(cmd.Context())
			if err != nil {
				return err
			}
			found, err := db.Lookup(cmd.Context(), by, q)
			if err != nil {
				return err
			}
			matches := make([]match, len(found))
			for i := range found {
				matches[i] = newMatch(&found[i])
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
	f.StringVar(&ref, "ref", "", "reference `NUMBER`, as read out: any case, blanks and hyphens anywhere")
	f.StringVar(&email, "email", "", "e-mail `ADDRESS`")
	f.StringVar(&customer, "customer-id", "", "the merchant's customer `NUMBER`")
	f.StringVar(&by, "by", "", "`NAME` of the person who looks")
	required(c, "by")
	c.MarkFlagsMutuallyExclusive("ref", "email", "customer-id")
	c.MarkFlagsOneRequired("ref", "email", "customer-id")
	return c
}

func newMatch(m *store.Match) match {
	p := m.Recipient.Person
	out := match{
		Incident: m.Recipient.Incident, Title: m.Title, Merchant: m.Recipient.Merchant, Sender: m.Sender, Ref: m.Recipient.Ref,
		CustomerID: p.CustomerID, Name: p.Name, NameKana: p.NameKana, Email: p.Email, PostalCode: p.PostalCode,
		Address: p.Address, Phone: p.Phone, Attributes: p.Attributes, Exposures: m.Recipient.Exposures,
		Notices: []noticeHistory{},
	}
	for _, c := range m.Campaigns {
		h := noticeHistory{
			Campaign: c.Campaign, Name: c.Name, Stage: c.Stage, Phase: c.Phase, State: c.State,
			Attempts: c.Attempts, NextAt: c.NextAt, Suppressed: c.Reason, Events: c.Events,
		}
		if h.Events == nil {
			h.Events = []store.Event{}
		}
		out.Notices = append(out.Notices, h)
	}
	return out
}

func (a *app) printMatch(m *match) {
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
			state += "（" + suppressedJapanese(n.Suppressed) + "）"
		}
		t.add("現在", n.Campaign, n.Stage.Japanese(), state, "")
		for _, e := range n.Events {
			t.add(jst(e.At), n.Campaign, n.Stage.Japanese(), e.State.Japanese(), reply(&e))
		}
	}
	a.printTable(t)
	a.printf("\n")
}

// reply is what a relay said, in one line.
func reply(e *store.Event) string {
	var parts []string
	if e.Code != 0 {
		parts = append(parts, fmt.Sprint(e.Code))
	}
	for _, s := range []string{e.Enhanced, e.Text} {
		if s != "" && !strings.HasPrefix(e.Text, s+" ") {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, " ")
}
