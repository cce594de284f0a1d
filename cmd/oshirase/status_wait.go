package main

import (
	"oshirase/mailer"
	"oshirase/mailer/words"
)

// counted writes a number behind which there may be more.
func counted(n int64, more bool) string {
	if more {
		return number(n) + "以上"
	}
	return number(n)
}

// printGroups prints the domain groups that are not sent to now, where there are any.
func (a *app) printGroups(campaigns []mailer.CampaignProgress) {
	t := newTable("配信", "宛先グループ", "待機", "再試行待ち", "待機の理由", "開始", "再開予定").alignRight(2, 3)
	for _, c := range campaigns {
		for _, g := range c.Groups {
			for _, o := range g.Obstacles {
				t.add(c.ID, g.Name, number(g.Queued+g.Held), counted(g.Deferred, g.DeferredMore), words.Wait(o.Wait, words.Japanese), jst(o.Since), jst(o.Until))
			}
		}
	}
	a.printBelow(t)
}

// printRelays prints the relays that are set aside, where there are any.
func (a *app) printRelays(relays []mailer.RelayObstacle) {
	t := newTable("中継サーバ", "状況", "開始", "次の接続")
	for _, r := range relays {
		t.add(r.Name, words.Wait(r.Wait, words.Japanese), jst(r.Since), jst(r.Until))
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
