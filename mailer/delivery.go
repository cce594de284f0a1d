package mailer

import (
	"strconv"
	"strings"
	"time"
)

// State is where the delivery of one notice to one recipient stands.
type State string

// The states. See docs/states.md for the diagram.
const (
	StateQueued     State = "queued"
	StateClaimed    State = "claimed"  // queued, and leased by a worker; see transitions
	StateSending    State = "sending"  // committed before the last byte can leave
	StateAccepted   State = "accepted" // 受付済み: a relay took custody
	StateDeferred   State = "deferred" // refused temporarily; tried again at NextAt
	StateRejected   State = "rejected"
	StateUnknown    State = "unknown" // the relay may or may not have it; held for a decision
	StateDelivered  State = "delivered"
	StateBounced    State = "bounced"
	StateExpired    State = "expired" // deferred beyond the deadline
	StateSuppressed State = "suppressed"
	StateCancelled  State = "cancelled"
)

// States lists all states in the order of reports.
var States = []State{
	StateQueued, StateClaimed, StateSending, StateAccepted, StateDeferred, StateRejected, StateUnknown,
	StateDelivered, StateBounced, StateExpired, StateSuppressed, StateCancelled,
}

// transitions is the whole of what may happen to a delivery. A refusal of the
// envelope needs no intent (nothing that a relay could keep has left), hence
// queued → deferred and queued → rejected; everything after the body passes
// through sending. What is no matter of the person (a relay refused us, or we could
// not compose) leaves the delivery queued, or brings it back there, with an event and
// without an attempt. From rejected and expired a person alone leads back. Claimed is
// no step of its own: so a queued delivery is called
// while the chunk in which it lies is leased by a worker, and a lapsed lease takes
// nothing back.
var transitions = map[State][]State{
	StateQueued:   {StateQueued, StateSending, StateDeferred, StateRejected, StateExpired, StateCancelled, StateSuppressed},
	StateSending:  {StateQueued, StateAccepted, StateDeferred, StateRejected, StateUnknown, StateExpired},
	StateDeferred: {StateQueued, StateExpired, StateCancelled, StateSuppressed},
	StateUnknown:  {StateAccepted, StateQueued, StateDeferred, StateRejected, StateExpired},
	StateRejected: {StateQueued},
	StateExpired:  {StateQueued},
	StateAccepted: {StateDelivered, StateBounced},
}

// CanBecome reports whether a delivery in state s may go to state t.
func (s State) CanBecome(t State) bool {
	for _, u := range transitions[s] {
		if u == t {
			return true
		}
	}
	return false
}

// Open reports whether something is still to be sent or decided. A campaign
// with open deliveries is never finished.
func (s State) Open() bool {
	switch s {
	case StateQueued, StateClaimed, StateSending, StateDeferred, StateUnknown:
		return true
	}
	return false
}

// Pending reports whether the program itself still has to send something; an
// unknown delivery is open but waits for a person.
func (s State) Pending() bool { return s.Open() && s != StateUnknown }

// Japanese returns the word for tables and reports.
func (s State) Japanese() string {
	switch s {
	case StateQueued:
		return "待機"
	case StateClaimed:
		return "準備中"
	case StateSending:
		return "送信中"
	case StateAccepted:
		return "受付済み"
	case StateDeferred:
		return "再試行待ち"
	case StateRejected:
		return "拒否"
	case StateUnknown:
		return "結果不明"
	case StateDelivered:
		return "配達確認"
	case StateBounced:
		return "不達"
	case StateExpired:
		return "期限切れ"
	case StateSuppressed:
		return "対象外"
	case StateCancelled:
		return "取消"
	}
	return string(s)
}

// Delivery is one claimed row of the ledger with all that sending it needs.
type Delivery struct {
	ID       int64
	Campaign string
	// Epoch is the lease under which the row was claimed. Intents and outcomes
	// are written only while it still matches.
	Epoch    int64
	Attempts int       // finished before this one
	FirstAt  time.Time // of the first attempt; zero before it
	Hash     [32]byte  // of the approved notice
	// Token names the delivery in envelope senders, and in no header. It is opaque
	// (lower-case letters and digits) and always the same for one delivery.
	Token string
	// MessageName names it in Message-IDs: of the same form, and another.
	MessageName string
	// Group is the domain group of the address; see Grouping.
	Group     string
	Recipient Recipient
	// Damaged: what the ledger has of the recipient is not as it was written, and
	// Recipient has the reference number alone. It is not to be sent.
	Damaged bool
}

// Lease is a batch of deliveries that one worker may send until a time.
type Lease struct {
	Epoch      int64
	Campaign   string
	Owner      string
	Until      time.Time
	Deliveries []Delivery
}

// Point is where in the SMTP dialogue an outcome was decided.
type Point string

// The points, in order of the dialogue.
const (
	AtConnect Point = "connect" // dial, TLS, EHLO, AUTH
	AtMail    Point = "mail"
	AtRcpt    Point = "rcpt"
	AtData    Point = "data"
	AtBody    Point = "body" // the body was being written, the final dot had not left
	AtDot     Point = "dot"  // after the final dot (or BDAT LAST)
)

// Outcome is what one attempt came to.
type Outcome struct {
	// State is Accepted, Deferred, Rejected or Unknown; or Queued, where the sender
	// found that the attempt says nothing about the recipient: see Advice.RefusesUs and
	// Advice.Ours. It is no attempt then.
	State State
	Point Point
	// Code is the reply code, 0 where no reply came; Enhanced is the status
	// code of RFC 3463 as text, empty where the reply had none. They are for people
	// and the ledger: what a relay asks for by them stands in Advice.
	Code     int
	Enhanced string
	// Text is the reply or the error; personal data is masked before it is stored.
	Text string
	// Raw is the text of the reply as it came, where cleaning, cutting or masking made
	// another one of Text; empty where it did not. It may hold personal data and
	// any octets, up to some thousand.
	Raw   string
	Relay string // name of the relay in the config
	At    time.Time
	// NextAt is when a deferred delivery is tried again; the sender sets it, a
	// transport asks for a time with Advice.Wait.
	NextAt time.Time
	// Held keeps a queued delivery back until a person decides; empty: it is not.
	Held   Held
	Advice Advice
}

// Advice is what the end of an attempt says about going on. A transport gives it,
// since it alone knows its codes; the sender heeds it. The zero Advice is that of
// an attempt like any other.
type Advice struct {
	// Wait is how long the relay asks to wait before the next attempt of a deferred
	// message; 0: it does not say, and the schedule of retries decides.
	Wait time.Duration
	// NotLeft: nothing was wrong with the message and it has certainly not left, so
	// that it may go at once over another connection; false: it waits its time.
	NotLeft bool
	// RelaySlower: the relay asks for fewer connections or less mail, or behaves as one
	// that is overloaded (a cut, a time-out); false: it does not mind.
	RelaySlower bool
	// GroupSlower: the provider behind the message's domain group asks for less mail;
	// false: it does not mind, or nobody asked it.
	GroupSlower bool
	// RefusesUs: the relay refuses to relay for us, the sender, this client or its
	// authentication, for good or for now, which says nothing about the recipient;
	// false: it does not, or it cannot be told.
	RefusesUs bool
	// Ours: the message was refused by ourselves, before anything of it was said to the
	// relay, or does not fit this relay, whoever it is to; false: it was not.
	Ours bool
	// Impersonal: a temporary refusal that came before the recipient was spoken of, or
	// that ends the connection: nobody expires by it; false: it may be the recipient's.
	Impersonal bool
	// Gone: the connection is of no further use, and a message that was begun on it
	// behind this one has not left; false: it may be used as Usable says.
	Gone bool
}

// Reply is code, enhanced status code and text in one line.
func (o *Outcome) Reply() string {
	var parts []string
	if o.Code != 0 {
		parts = append(parts, strconv.Itoa(o.Code))
	}
	for _, s := range []string{o.Enhanced, o.Text} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, " ")
}

// Record is one thing that a worker asks the ledger to commit: an intent
// (Outcome nil, claimed → sending) or the outcome of an attempt.
type Record struct {
	Delivery int64
	Epoch    int64
	Campaign string
	At       time.Time
	Outcome  *Outcome
	// Intended tells an outcome whose intent was committed from one of an envelope
	// that was refused before; it spares the ledger a look.
	Intended bool
}

// Counts is the number of deliveries per state.
type Counts map[State]int64

// Total is the number of all deliveries.
func (c Counts) Total() (n int64) {
	for _, k := range c {
		n += k
	}
	return n
}

// Open is the number of open deliveries.
func (c Counts) Open() (n int64) {
	for s, k := range c {
		if s.Open() {
			n += k
		}
	}
	return n
}

// Pending is the number of deliveries that the program still has to send.
func (c Counts) Pending() (n int64) {
	for s, k := range c {
		if s.Pending() {
			n += k
		}
	}
	return n
}
