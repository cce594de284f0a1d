package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"oshirase/mailer"
	"oshirase/store"
)

// campaignStatus is one campaign in the JSON of `status`.
type campaignStatus struct {
	ID        string        `json:"id"`
	Name      string        `json:"name"`
	Incident  string        `json:"incident"`
	Merchant  string        `json:"merchant"`
	Stage     mailer.Stage  `json:"stage"`
	Phase     mailer.Phase  `json:"phase"`
	Counts    mailer.Counts `json:"counts"` // every state, zero included
	Total     int64         `json:"total"`
	Remaining int64         `json:"remaining"`
	// PerMinute is how many messages were accepted in the last full minute.
	PerMinute     int64     `json:"per_minute"`
	FirstAccepted time.Time `json:"first_accepted,omitzero"`
	LastAccepted  time.Time `json:"last_accepted,omitzero"`
	NextDue       time.Time `json:"next_due,omitzero"`
	// Ends is when the rest will be sent at the present rate or pace, windows
	// counted in; absent where that cannot be told.
	Ends    time.Time `json:"ends,omitzero"`
	Waiting string    `json:"waiting,omitempty"` // why nothing is sent now
	Reason  string    `json:"reason,omitempty"`
	// Groups are the domain groups that are not sent to now, while the campaign is
	// running and something waits for them.
	Groups []groupStatus `json:"groups,omitempty"`
}

func newStatusCommand(a *app) *cobra.Command {
	var id string
	var watch bool
	c := &cobra.Command{
		Use:   "status",
		Short: "Say how far the campaigns are, and why they wait",
		Long: `status counts the deliveries of each campaign by state, with the rate of the last
minute, an estimate of the end, and why nothing is sent where that is so. Domain groups
that are not sent to now, and relays that are set aside, follow with the reason, as the
working processes see it: a group of a campaign is counted up to 100,000.

受付済み (accepted) means that a relay took custody of the message. It does not mean that
the message arrived.`,
		Example: "  oshirase status\n  oshirase status --campaign c-20261201-7f3a --watch",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			db, err := a.store(ctx)
			if err != nil {
				return err
			}
			if !watch {
				st, err := a.status(ctx, db, id)
				if err != nil {
					return err
				}
				return a.printStatus(st)
			}
			return a.watchStatus(ctx, db, id)
		},
	}
	c.Flags().StringVar(&id, "campaign", "", "only this campaign (`ID`)")
	c.Flags().BoolVar(&watch, "watch", false, "show it again every second, until stopped")
	return c
}

// watchStatus repeats: on a terminal in place, elsewhere one after the other.
func (a *app) watchStatus(ctx context.Context, db *store.DB, id string) error {
	every := time.NewTicker(time.Second)
	defer every.Stop()
	for {
		st, err := a.status(ctx, db, id)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		if terminal(a.stdout) && !a.json {
			a.printf("\x1b[H\x1b[2J")
		}
		if err := a.printStatus(st); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-every.C:
		}
	}
}

// status is the JSON of `status`.
type status struct {
	Campaigns []campaignStatus `json:"campaigns"`
	// Relays are those that are set aside now.
	Relays []relayStatus `json:"relays,omitempty"`
}

func (a *app) status(ctx context.Context, db *store.DB, id string) (*status, error) {
	rows, err := db.Status(ctx, id)
	if err != nil {
		return nil, err
	}
	relays, err := db.RelaysAside(ctx)
	if err != nil {
		return nil, err
	}
	st := &status{Campaigns: make([]campaignStatus, len(rows)), Relays: relayStatuses(relays)}
	for i, s := range rows {
		st.Campaigns[i] = campaignStatus{
			ID: s.ID, Name: s.Name, Incident: s.Incident, Merchant: s.Merchant, Stage: s.Stage, Phase: s.Phase,
			Counts: s.Counts, Total: s.Total, Remaining: s.Counts.Pending(), PerMinute: s.PerMinute,
			FirstAccepted: s.FirstAccepted, LastAccepted: s.LastAccepted, NextDue: s.NextDue,
			Ends: estimate(&s, a.now()), Waiting: waiting(&s, a.now()), Reason: s.Reason,
			Groups: groupStatuses(s.Groups),
		}
	}
	return st, nil
}

// waiting says why nothing of a campaign is sent now; empty where it is, or
// where nothing is left.
func waiting(s *store.CampaignStatus, now time.Time) string {
	switch {
	case s.Counts.Open() == 0:
		return ""
	case s.Counts.Pending() == 0:
		return fmt.Sprintf("%d unknown deliveries wait for a decision (oshirase resolve)", s.Counts[mailer.Unknown])
	case s.Phase == mailer.Paused:
		return "paused"
	case s.Phase == mailer.Scheduled:
		return "starts at " + s.At.In(mailer.JST).Format(time.RFC3339)
	case s.Phase == mailer.Overdue:
		return "its time has passed: start it by hand"
	case s.Phase != mailer.Running:
		return ""
	}
	if w, err := mailer.ParseWindow(s.Window); err == nil && !w.Open(now) {
		return "window: opens " + w.NextOpen(now).In(mailer.JST).Format(time.RFC3339)
	}
	if s.Leases == 0 && (s.Waiting == "" || stale(s, now)) {
		return "no worker is sending: oshirase run, or serve"
	}
	return s.Waiting
}

// stale reports whether a worker would have gone on long ago, had there been one
// since it noted why it waits.
func stale(s *store.CampaignStatus, now time.Time) bool {
	const late = 30 * time.Second
	return strings.HasPrefix(s.Waiting, "window: ") || // it is open
		strings.HasPrefix(s.Waiting, "next attempt: ") && s.NextDue.Before(now.Add(-late))
}

// waitingWords are the reasons for waiting as operators read them; what comes
// behind one, up to the words that end it, is kept.
var waitingWords = []struct{ reason, end, before, behind string }{
	{"window: opens ", "", "送信時間帯の外です（次の開始 ", "）"},
	{"no relay takes connections since ", "", "中継サーバに接続できません（", "から）"},
	{"next attempt: ", "", "次の再試行 ", ""},
	{"starts at ", "", "開始予定 ", ""},
	{"domain groups: ", " take no more now", "宛先ドメインの上限に達しています（", "）"},
	{"pace", "", "送信速度の上限に合わせています", ""},
	{"paused", "", "一時停止中です", ""},
	{"its time has passed: start it by hand", "", "開始時刻を過ぎました（手動で開始してください）", ""},
	{"no worker is sending: ", "", "送信の処理が動いていません（", "）"},
	{"another worker is sending the rest", "", "残りは別の処理が送信しています", ""},
	{"the campaign is ", "", "配信の状況: ", ""},
}

// waitingJapanese is why a campaign waits, in the words of tables.
func waitingJapanese(why string) string {
	for _, w := range waitingWords {
		rest, found := strings.CutPrefix(why, w.reason)
		if !found {
			continue
		}
		rest = strings.TrimSuffix(rest, w.end)
		if t, err := time.Parse(time.RFC3339, rest); err == nil {
			rest = jst(t)
		}
		if p := mailer.Phase(rest); p.Japanese() != rest {
			rest = p.Japanese()
		}
		return w.before + rest + w.behind
	}
	if n, _, found := strings.Cut(why, " unknown deliveries wait for a decision"); found {
		return "結果不明の" + n + "件が判断を待っています（oshirase resolve）"
	}
	return why
}

// estimate is when the rest will be sent; zero where that cannot be told.
func estimate(s *store.CampaignStatus, now time.Time) time.Time {
	perHour := float64(s.PerMinute) * 60
	if pace := float64(s.PerHour); pace > 0 && (perHour == 0 || perHour > pace) {
		perHour = pace
	}
	left := s.Counts.Pending()
	w, err := mailer.ParseWindow(s.Window)
	if err != nil || s.Phase != mailer.Running || left == 0 || perHour == 0 {
		return time.Time{}
	}
	need := time.Duration(float64(left) / perHour * float64(time.Hour))
	at := now
	// A window is open for some hours at least on most days: a year of days is
	// far beyond any campaign.
	for range 366 {
		at = w.NextOpen(at)
		closes, ok := w.NextClose(at)
		if !ok || closes.Sub(at) >= need {
			return at.Add(need)
		}
		need -= closes.Sub(at)
		at = closes
	}
	return time.Time{}
}

func (a *app) printStatus(st *status) error {
	if a.json {
		return a.printJSON(st)
	}
	t := newTable("配信", "加盟店", "段階", "状況", "対象", "受付済み", "待機", "再試行待ち", "拒否", "結果不明", "その他", "毎分", "終了見込み", "待機の理由")
	t.alignRight(4, 5, 6, 7, 8, 9, 10, 11)
	for _, c := range st.Campaigns {
		n := c.Counts
		queued := n[mailer.Queued] + n[mailer.Claimed] + n[mailer.Sending]
		known := n[mailer.Accepted] + queued + n[mailer.Deferred] + n[mailer.Rejected] + n[mailer.Unknown]
		why := waitingJapanese(c.Waiting)
		if why == "" {
			why = c.Reason
		}
		t.add(c.ID, c.Merchant, c.Stage.Japanese(), c.Phase.Japanese(), number(c.Total), number(n[mailer.Accepted]), number(queued),
			number(n[mailer.Deferred]), number(n[mailer.Rejected]), number(n[mailer.Unknown]), number(c.Total-known),
			number(c.PerMinute), jst(c.Ends), why)
	}
	a.printTable(t)
	a.printGroups(st.Campaigns)
	a.printRelays(st.Relays)
	return nil
}

// pending is how many deliveries of running campaigns are still to be sent.
func pending(ctx context.Context, db *store.DB) (n int64, err error) {
	rows, err := db.Status(ctx, "")
	for _, s := range rows {
		if s.Phase == mailer.Running {
			n += s.Counts.Pending()
		}
	}
	return n, err
}
