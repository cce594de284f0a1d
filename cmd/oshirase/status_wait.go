package main

import (
	"time"

	"oshirase/mailer"
	"oshirase/mailer/words"
)

// groupStatus is what waits of a campaign for a domain group, in the JSON of
// `status`.
type groupStatus struct {
	Name   string `json:"name"`
	Queued int64  `json:"queued"`
	Held   int64  `json:"held"` // claimed by a worker, not begun
	// Deferred ones were refused for now; each has its own next attempt.
	Deferred int64 `json:"deferred"`
	// DeferredMore says that there are more: counting ends at 100,000.
	DeferredMore bool `json:"deferred_more,omitempty"`
	// Obstacles are why: one, or one of each worker.
	Obstacles []obstacle `json:"obstacles"`
}

// obstacle is why one worker does not send to a group, or through a relay, now.
type obstacle struct {
	wait mailer.Wait
	// Why is rest (the provider asks for patience), rate or connections (a limit of
	// the group in the config), or down (the relay takes no connections).
	Why   mailer.WaitReason `json:"why"`
	Limit int               `json:"limit,omitempty"` // of rate, a second; of connections, at once
	Reply string            `json:"reply,omitempty"` // what the other side said last, masked, or the error
	Since time.Time         `json:"since"`
	// Until is when it is tried again; absent: as soon as there is room, or now.
	Until time.Time `json:"until,omitzero"`
}

// relayStatus is a relay that one worker has set aside, in the JSON of `status`.
type relayStatus struct {
	Name string `json:"name"`
	obstacle
}

func newObstacle(o *mailer.Wait) obstacle {
	return obstacle{wait: *o, Why: o.Reason, Limit: o.Limit, Reply: o.Reply, Since: o.Since, Until: o.Until}
}

func groupStatuses(groups []mailer.GroupStatus) (out []groupStatus) {
	for _, g := range groups {
		v := groupStatus{
			Name: g.Name, Queued: g.Queued, Held: g.Held, Deferred: g.Deferred.N, DeferredMore: g.Deferred.More,
		}
		for i := range g.Waits {
			v.Obstacles = append(v.Obstacles, newObstacle(&g.Waits[i]))
		}
		out = append(out, v)
	}
	return out
}

func relayStatuses(relays []mailer.Wait) (out []relayStatus) {
	for i := range relays {
		out = append(out, relayStatus{relays[i].Name, newObstacle(&relays[i])})
	}
	return out
}

// counted writes a number behind which there may be more.
func counted(n int64, more bool) string {
	if more {
		return number(n) + "以上"
	}
	return number(n)
}

// printGroups prints the domain groups that are not sent to now, where there are any.
func (a *app) printGroups(campaigns []campaignStatus) {
	t := newTable("配信", "宛先グループ", "待機", "再試行待ち", "待機の理由", "開始", "再開予定").alignRight(2, 3)
	for _, c := range campaigns {
		for _, g := range c.Groups {
			for _, o := range g.Obstacles {
				t.add(c.ID, g.Name, number(g.Queued+g.Held), counted(g.Deferred, g.DeferredMore), words.Wait(o.wait, words.Japanese), jst(o.Since), jst(o.Until))
			}
		}
	}
	a.printBelow(t)
}

// printRelays prints the relays that are set aside, where there are any.
func (a *app) printRelays(relays []relayStatus) {
	t := newTable("中継サーバ", "状況", "開始", "次の接続")
	for _, r := range relays {
		t.add(r.Name, words.Wait(r.wait, words.Japanese), jst(r.Since), jst(r.Until))
	}
	a.printBelow(t)
}

// printBelow prints a table below another one, unless it is empty.
func (a *app) printBelow(t *table) {
	if len(t.rows) > 0 {
		a.printf("\n")
		a.printTable(t)
	}
}
