package words

import (
	"testing"
	"time"

	"oshirase/mailer"
)

// TestWait: every reason has words of its own, in both languages.
func TestWait(t *testing.T) {
	at := time.Date(2026, 11, 25, 9, 0, 0, 0, mailer.JST)
	for _, c := range []struct {
		w      mailer.Wait
		en, ja string
	}{
		{mailer.Wait{}, "", ""},
		{mailer.Wait{Reason: mailer.WaitWindow, Until: at}, "window: opens 2026-11-25T09:00:00+09:00", "送信時間帯の外です（次の開始 2026-11-25 09:00:00）"},
		{mailer.Wait{Reason: mailer.WaitPace}, "pace", "送信速度の上限に合わせています"},
		{mailer.Wait{Reason: mailer.WaitTurn}, "its turn: other campaigns go first", "順番を待っています（ほかの配信が先です）"},
		{mailer.Wait{Reason: mailer.WaitRetry, Until: at}, "next attempt: 2026-11-25T09:00:00+09:00", "次の再試行 2026-11-25 09:00:00"},
		{mailer.Wait{Reason: mailer.WaitPhase, Phase: mailer.PhaseDraft}, "the campaign is draft", "配信の状況: 作成中"},
		{mailer.Wait{Reason: mailer.WaitDecision, Count: 3}, "3 unknown deliveries wait for a decision (oshirase resolve)", "結果不明の3件が判断を待っています（oshirase resolve）"},
		{mailer.Wait{Reason: mailer.WaitHeld, Count: 2}, "2 held deliveries wait for a decision (oshirase deliveries --held, then resolve --held or requeue)", "保留の2件が判断を待っています（deliveries --held で確かめ、resolve --held または requeue）"},
		{mailer.Wait{Reason: mailer.WaitOthers, Count: 2}, "2 people wait for what becomes of another campaign's notice to them", "2名が、ほかの配信の結果を待っています"},
		{mailer.Wait{Reason: mailer.WaitGroups, Groups: []string{"docomo", "au"}}, "domain groups: docomo, au take no more now", "宛先ドメインの上限に達しています（docomo, au）"},
		{mailer.Wait{Reason: mailer.WaitNoRelay, Since: at}, "no relay takes connections since 2026-11-25T09:00:00+09:00", "中継サーバに接続できません（2026-11-25 09:00:00から）"},
		{mailer.Wait{Reason: mailer.WaitNoWorker}, "no worker is sending: oshirase run, or serve", "送信の処理が動いていません（oshirase run または serve）"},
		{mailer.Wait{Reason: "something-new"}, "something-new", "something-new"},
	} {
		if got := Wait(c.w, English); got != c.en {
			t.Errorf("%s: %s, want %s", c.w.Reason, got, c.en)
		}
		if got := Wait(c.w, Japanese); got != c.ja {
			t.Errorf("%s: %s, want %s", c.w.Reason, got, c.ja)
		}
	}
}
