package mailer

import "time"

// WaitScope is what waits.
type WaitScope string

// The scopes.
const (
	WaitCampaign WaitScope = "campaign"
	WaitGroup    WaitScope = "group" // a domain group
	WaitRelay    WaitScope = "relay"
)

// WaitReason is why something is not sent now.
type WaitReason string

// The reasons. Those of a campaign as a whole:
const (
	WaitWindow    WaitReason = "window"    // the window opens at Until
	WaitPace      WaitReason = "pace"      // as many as the paces allow
	WaitTurn      WaitReason = "turn"      // other campaigns are sent before its turn comes
	WaitNoRelay   WaitReason = "no-relay"  // no relay takes connections since Since
	WaitGroups    WaitReason = "groups"    // the domain groups in Groups take no more now
	WaitRetry     WaitReason = "retry"     // the next attempt is at Until
	WaitDecision  WaitReason = "decision"  // Count unknown deliveries wait for a person
	WaitHeld      WaitReason = "held"      // Count held deliveries wait for a person
	WaitOthers    WaitReason = "others"    // Count deliveries wait for what becomes of other campaigns
	WaitElsewhere WaitReason = "elsewhere" // another worker is sending the rest
	WaitPaused    WaitReason = "paused"
	WaitHalted    WaitReason = "halted"    // the program paused it, as Halt says
	WaitVoided    WaitReason = "voided"    // it had been started, and its approval no longer stands
	WaitAltered   WaitReason = "altered"   // something other than the program changed it in the ledger
	WaitRefused   WaitReason = "refused"   // a relay refuses us at the domain groups in Groups
	WaitSender    WaitReason = "sender"    // a relay refuses the sender for now; asked again at Until
	WaitScheduled WaitReason = "scheduled" // it starts at Until
	WaitOverdue   WaitReason = "overdue"   // its time has passed: started by hand only
	WaitPhase     WaitReason = "phase"     // it is in Phase
	WaitNoWorker  WaitReason = "no-worker" // nobody is sending
)

// Those of a domain group; WaitDown is of a relay.
const (
	WaitRest        WaitReason = "rest"        // its provider asks for patience
	WaitRate        WaitReason = "rate"        // as many a second as the config allows
	WaitConnections WaitReason = "connections" // as many on the wire as the config allows
	WaitDown        WaitReason = "down"        // takes no connections
)

// Wait is why a campaign, a domain group or a relay is not sent to now, as one
// worker sees it. It is for people to see: nothing is decided by it. The zero Wait
// is none.
type Wait struct {
	Scope  WaitScope
	Name   string // of the campaign (its ID), the group or the relay
	Reason WaitReason
	Limit  int // messages a second (WaitRate) or at once (WaitConnections); else 0
	// Reply is what the provider or relay said last, or the error; masked.
	Reply  string
	Groups []string // of WaitGroups and WaitRefused
	Count  int64    // of WaitDecision, WaitHeld and WaitOthers
	Halt   Halt     // of WaitHalted
	Phase  Phase    // of WaitPhase
	Since  time.Time
	// Until is when it is tried again; zero: as soon as there is room, or now.
	Until time.Time
	// Held has, of a group, the campaigns that the worker sends, by ID, each with the
	// number of its deliveries to the group that the worker has claimed and not begun.
	Held map[string]int
}

// NeedsPerson reports whether nothing but a person ends the wait.
func (w Wait) NeedsPerson() bool {
	switch w.Reason {
	case WaitDecision, WaitPaused, WaitHalted, WaitVoided, WaitAltered, WaitRefused, WaitHeld, WaitOverdue:
		return true
	}
	return false
}

// IsZero reports whether nothing waits.
func (w Wait) IsZero() bool { return w.Reason == "" }
