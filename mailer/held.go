package mailer

// Held is why a queued delivery is not sent, though its campaign may run; empty: it
// is sent. What is held is open: its campaign does not finish.
type Held string

// The reasons.
const (
	// HeldChanged: a list, or another hand, changed the person since the check, so that
	// the notice is not the one that was approved. A person decides.
	HeldChanged Held = "person-changed"
	// HeldDamaged: what the ledger has of the person cannot be read.
	HeldDamaged Held = "damaged"
	// HeldNotified: another campaign is about to tell the person all of this, or may have
	// told it. It is decided by what becomes of that one.
	HeldNotified Held = "already-notified"
	// HeldCompose: our own composing or addressing refused it. A person decides.
	HeldCompose Held = "compose"
	// HeldRefused: a relay refused us over it, again and again, or over its domain, while
	// it took others. A person decides.
	HeldRefused Held = "refused"
)

// HeldReasons lists all reasons in the order of reports.
var HeldReasons = []Held{HeldChanged, HeldDamaged, HeldCompose, HeldRefused, HeldNotified}

// Japanese returns the word for tables and reports.
func (h Held) Japanese() string {
	switch h {
	case HeldChanged:
		return "確認後に変更された方"
	case HeldDamaged:
		return "記録の破損"
	case HeldCompose:
		return "作成できない通知"
	case HeldRefused:
		return "当方への拒否"
	case HeldNotified:
		return "ほかの配信の結果待ち"
	}
	return string(h)
}

// HeldCounts is the number of deliveries that are held, by reason; a reason for which
// none is has no key.
type HeldCounts map[Held]int64

// Total is the number of all that are held.
func (h HeldCounts) Total() (n int64) {
	for _, k := range h {
		n += k
	}
	return n
}

// Deciding is the number of those that wait for a person.
func (h HeldCounts) Deciding() int64 { return h.Total() - h[HeldNotified] }

// Wait is why nothing of a campaign is sent, where all that the program still has to send
// is held: for a person where one is needed, else for other campaigns. Zero: something
// else is to be sent, or nothing.
func (h HeldCounts) Wait(c Counts) Wait {
	switch held := h.Total(); {
	case held == 0 || held < c.Pending():
		return Wait{}
	case h.Deciding() > 0:
		return Wait{Reason: WaitHeld, Count: h.Deciding()}
	default:
		return Wait{Reason: WaitOthers, Count: held}
	}
}
