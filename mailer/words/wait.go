package words

import (
	"fmt"
	"strings"
	"time"

	"oshirase/mailer"
)

// Wait is why something is not sent now, in one line; empty: nothing waits.
func Wait(w mailer.Wait, lang Language) string {
	if lang == Japanese {
		return waitJapanese(w)
	}
	switch w.Reason {
	case mailer.WaitWindow:
		return "window: opens " + value(w.Until)
	case mailer.WaitPace:
		return "pace"
	case mailer.WaitTurn:
		return "its turn: other campaigns go first"
	case mailer.WaitNoRelay:
		return "no relay takes connections since " + value(w.Since)
	case mailer.WaitGroups:
		return "domain groups: " + strings.Join(w.Groups, ", ") + " take no more now"
	case mailer.WaitRetry:
		return "next attempt: " + value(w.Until)
	case mailer.WaitDecision:
		return fmt.Sprintf("%d unknown deliveries wait for a decision (oshirase resolve)", w.Count)
	case mailer.WaitHeld:
		return fmt.Sprintf("%d held deliveries wait for a decision (oshirase deliveries --held, then resolve --held or requeue)", w.Count)
	case mailer.WaitOthers:
		return fmt.Sprintf("%d people wait for what becomes of another campaign's notice to them", w.Count)
	case mailer.WaitElsewhere:
		return "another worker is sending the rest"
	case mailer.WaitPaused:
		return "paused"
	case mailer.WaitHalted:
		return "paused by the program: " + haltEnglish(w.Halt)
	case mailer.WaitVoided:
		return "its approval is void: check it, have it approved, and start it again"
	case mailer.WaitAltered:
		return "it was changed in the ledger by something other than this program: nothing of it is sent (oshirase verify)"
	case mailer.WaitRefused:
		return "a relay refuses us" + inBrackets(w.Reply, " (", ")") + " at " + strings.Join(w.Groups, ", ") + ": held until the next run, or campaign pause and resume"
	case mailer.WaitSender:
		return "a relay refuses the sender for now" + inBrackets(w.Reply, " (", ")") + ": asked again at " + value(w.Until)
	case mailer.WaitScheduled:
		return "starts at " + value(w.Until)
	case mailer.WaitOverdue:
		return "its time has passed: start it by hand"
	case mailer.WaitPhase:
		return "the campaign is " + string(w.Phase)
	case mailer.WaitNoWorker:
		return "no worker is sending: oshirase run, or serve"
	}
	return string(w.Reason)
}

func waitJapanese(w mailer.Wait) string {
	reply := ""
	if w.Reply != "" {
		reply = "（" + w.Reply + "）"
	}
	switch w.Reason {
	case mailer.WaitWindow:
		return "送信時間帯の外です（次の開始 " + clock(w.Until) + "）"
	case mailer.WaitPace:
		return "送信速度の上限に合わせています"
	case mailer.WaitTurn:
		return "順番を待っています（ほかの配信が先です）"
	case mailer.WaitNoRelay:
		return "中継サーバに接続できません（" + clock(w.Since) + "から）"
	case mailer.WaitGroups:
		return "宛先ドメインの上限に達しています（" + strings.Join(w.Groups, ", ") + "）"
	case mailer.WaitRetry:
		return "次の再試行 " + clock(w.Until)
	case mailer.WaitDecision:
		return fmt.Sprintf("結果不明の%d件が判断を待っています（oshirase resolve）", w.Count)
	case mailer.WaitHeld:
		return fmt.Sprintf("保留の%d件が判断を待っています（deliveries --held で確かめ、resolve --held または requeue）", w.Count)
	case mailer.WaitOthers:
		return fmt.Sprintf("%d名が、ほかの配信の結果を待っています", w.Count)
	case mailer.WaitElsewhere:
		return "残りは別の処理が送信しています"
	case mailer.WaitPaused:
		return "一時停止中です"
	case mailer.WaitHalted:
		return "自動で一時停止しました: " + haltJapanese(w.Halt)
	case mailer.WaitVoided:
		return "承認が無効になりました（確認と承認をやり直してください）"
	case mailer.WaitAltered:
		return "台帳が本プログラム以外により変更されています。送信しません（oshirase verify）"
	case mailer.WaitRefused:
		return "中継サーバが当方を拒否したため保留しています" + reply + groupsJapanese(w.Groups)
	case mailer.WaitSender:
		return "中継サーバが差出人を一時的に拒否しています" + reply + "（次の確認 " + clock(w.Until) + "）"
	case mailer.WaitScheduled:
		return "開始予定 " + clock(w.Until)
	case mailer.WaitOverdue:
		return "開始時刻を過ぎました（手動で開始してください）"
	case mailer.WaitPhase:
		return "配信の状況: " + w.Phase.Japanese()
	case mailer.WaitNoWorker:
		return "送信の処理が動いていません（oshirase run または serve）"
	case mailer.WaitRest:
		return "送信先から抑制を求められ、休止中です" + reply
	case mailer.WaitRate:
		return fmt.Sprintf("送信速度の上限に達しています（毎秒%d通）", w.Limit)
	case mailer.WaitConnections:
		return fmt.Sprintf("同時に送信できる上限に達しています（%d通）", w.Limit)
	case mailer.WaitDown:
		return "接続できず、使用を見合わせています" + reply
	}
	return string(w.Reason)
}

// clock is a time as tables have it.
func clock(t time.Time) string { return t.In(mailer.JST).Format("2006-01-02 15:04:05") }
