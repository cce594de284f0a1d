package main

import (
	"fmt"
	"time"

	"oshirase/mailer"
	"oshirase/store"
)

// groupStatus is what waits of a campaign for a domain group, in the JSON of
// `status`.
type groupStatus struct {
	Name   string `json:"name"`
	Queued int64  `json:"queued"`
	Held   int64  `json:"held"` // claimed by a worker, not begun
	// Deferred ones were refused for now; each has its own next attempt.
	Deferred int64 `json:"deferred"`
	// QueuedMore and DeferredMore say that there are more: counting ends at 100,000.
	QueuedMore   bool `json:"queued_more,omitempty"`
	DeferredMore bool `json:"deferred_more,omitempty"`
	// Obstacles are why: one, or one of each worker.
	Obstacles []obstacle `json:"obstacles"`
}

// obstacle is why one worker does not send to a group, or through a relay, now.
type obstacle struct {
	// Why is rest (the provider asks for patience), rate or connections (a limit of
	// the group in the config), or down (the relay takes no connections).
	Why   mailer.ObstacleReason `json:"why"`
	Limit int                   `json:"limit,omitempty"` // of rate, a second; of connections, at once
	Reply string                `json:"reply,omitempty"` // what the other side said last, masked, or the error
	Since time.Time             `json:"since"`
	// Until is when it is tried again; absent: as soon as there is room, or now.
	Until time.Time `json:"until,omitzero"`
}

// relayStatus is a relay that one worker has set aside, in the JSON of `status`.
type relayStatus struct {
	Name string `json:"name"`
	obstacle
}

func newObstacle(o *mailer.Obstacle) obstacle {
	return obstacle{Why: o.Why, Limit: o.Limit, Reply: o.Reply, Since: o.Since, Until: o.Until}
}

func groupStatuses(groups []store.GroupStatus) (out []groupStatus) {
	for _, g := range groups {
		v := groupStatus{
			Name: g.Name, Queued: g.Queued.N, Held: g.Held, Deferred: g.Deferred.N, QueuedMore: g.Queued.More, DeferredMore: g.Deferred.More,
		}
		for i := range g.Obstacles {
			v.Obstacles = append(v.Obstacles, newObstacle(&g.Obstacles[i]))
		}
		out = append(out, v)
	}
	return out
}

func relayStatuses(relays []mailer.Obstacle) (out []relayStatus) {
	for i := range relays {
		out = append(out, relayStatus{relays[i].Name, newObstacle(&relays[i])})
	}
	return out
}

// japanese is why, in the words of tables.
func (o *obstacle) japanese() string {
	switch o.Why {
	case mailer.Resting:
		return "送信先から抑制を求められ、休止中です" + inBrackets(o.Reply)
	case mailer.AtRate:
		return fmt.Sprintf("送信速度の上限に達しています（毎秒%d通）", o.Limit)
	case mailer.AtConnections:
		return fmt.Sprintf("同時に送信できる上限に達しています（%d通）", o.Limit)
	case mailer.Down:
		return "接続できず、使用を見合わせています" + inBrackets(o.Reply)
	}
	return string(o.Why)
}

func inBrackets(s string) string {
	if s == "" {
		return ""
	}
	return "（" + s + "）"
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
				t.add(c.ID, g.Name, counted(g.Queued+g.Held, g.QueuedMore), counted(g.Deferred, g.DeferredMore), o.japanese(), jst(o.Since), jst(o.Until))
			}
		}
	}
	a.printBelow(t)
}

// printRelays prints the relays that are set aside, where there are any.
func (a *app) printRelays(relays []relayStatus) {
	t := newTable("中継サーバ", "状況", "開始", "次の接続")
	for _, r := range relays {
		t.add(r.Name, r.japanese(), jst(r.Since), jst(r.Until))
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
