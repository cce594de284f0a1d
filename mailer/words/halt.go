package words

import (
	"fmt"
	"strings"

	"oshirase/mailer"
)

// haltEnglish is why the program paused a campaign.
func haltEnglish(h mailer.Halt) string {
	said := inBrackets(h.Reply(), " (", ")")
	switch h.Why {
	case mailer.HaltSender:
		return "relay " + h.Relay + " refuses the sender" + said
	case mailer.HaltGroups:
		return "relay " + h.Relay + " refuses us" + said + " at " + strings.Join(h.Groups, ", ")
	case mailer.HaltRow:
		return fmt.Sprintf("relay %s refused us %d times in a row%s", h.Relay, h.Count, said)
	case mailer.HaltFirst:
		return fmt.Sprintf("the first %d replies were refusals%s", h.Count, said)
	case mailer.HaltCompose:
		return fmt.Sprintf("%d notices could not be composed", h.Count)
	}
	return string(h.Why)
}

// haltJapanese is the same in Japanese.
func haltJapanese(h mailer.Halt) string {
	said := inBrackets(h.Reply(), "（", "）")
	switch h.Why {
	case mailer.HaltSender:
		return "中継サーバ" + h.Relay + "が差出人を拒否しました" + said
	case mailer.HaltGroups:
		return "中継サーバ" + h.Relay + "が当方を拒否しました" + said + groupsJapanese(h.Groups)
	case mailer.HaltRow:
		return fmt.Sprintf("中継サーバ%sが当方を%d回続けて拒否しました%s", h.Relay, h.Count, said)
	case mailer.HaltFirst:
		return fmt.Sprintf("最初の%d件の応答がすべて拒否でした%s", h.Count, said)
	case mailer.HaltCompose:
		return fmt.Sprintf("%d件の通知を電子メールとして作成できませんでした", h.Count)
	}
	return string(h.Why)
}

func groupsJapanese(groups []string) string {
	return inBrackets(strings.Join(groups, ", "), "（宛先グループ: ", "）")
}

// inBrackets is nothing where there is nothing to put in them.
func inBrackets(s, open, end string) string {
	if s == "" {
		return ""
	}
	return open + s + end
}
