package mailer

import (
	"strconv"
	"strings"
	"time"
)

// What cmd and web show. The store fills these, so that both show the same
// things; JSON keys are a contract.

// Event is one line of a delivery's history.
type Event struct {
	At       time.Time `json:"at"`
	Kind     EventKind `json:"kind"`
	State    State     `json:"state"` // that the delivery went to
	Attempt  int       `json:"attempt"`
	Relay    string    `json:"relay,omitempty"`
	Point    Point     `json:"point,omitempty"`
	Code     int       `json:"code,omitempty"`
	Enhanced string    `json:"enhanced,omitempty"`
	Text     string    `json:"text,omitempty"`
	Damaged  bool      `json:"damaged,omitempty"` // the text is not as it was written, and left out
}

// EventKind is what kind of thing happened to a delivery.
type EventKind string

// The kinds.
const (
	EventAttempt EventKind = "attempt"
	EventLapse   EventKind = "lapse"   // its worker died over it
	EventResolve EventKind = "resolve" // a person, or policy, decided an unknown outcome
	EventCancel  EventKind = "cancel"
	// EventSuppress: nothing is to be sent any more; the text is a Suppression.
	EventSuppress EventKind = "suppress"
	EventReport   EventKind = "report"  // something came back
	EventRefusal  EventKind = "refusal" // a relay refused us, not the person: no attempt
	EventHold     EventKind = "hold"    // kept back until a person decides
	EventRequeue  EventKind = "requeue" // a person had it sent again
)

// Reply is what a relay said, in one line.
func (e *Event) Reply() string {
	o := Outcome{Code: e.Code, Enhanced: e.Enhanced, Text: e.Text}
	return o.Reply()
}

// DeliveryView is one delivery as lists and exports show it.
type DeliveryView struct {
	ID       int64  `json:"-"`
	Campaign string `json:"-"`
	Merchant string `json:"-"`
	Token    string `json:"-"` // names the delivery in its envelope sender
	// MessageName names it in its Message-ID.
	MessageName string `json:"-"`
	Person      Person `json:"-"` // empty where the incident's key is destroyed

	Ref        string      `json:"ref"`
	CustomerID string      `json:"customer_id,omitempty"`
	Email      string      `json:"email,omitempty"`
	State      State       `json:"state"`
	Suppressed Suppression `json:"suppressed,omitempty"`
	Held       Held        `json:"held,omitempty"`    // why it is kept back, while queued
	Damaged    bool        `json:"damaged,omitempty"` // the person or the reply is not as it was written, and left out
	Exposures  []string    `json:"exposures"`         // that the notice names
	Attempts   int         `json:"attempts"`
	FirstAt    time.Time   `json:"first_at,omitzero"` // of the first attempt
	NextAt     time.Time   `json:"next_at,omitzero"`  // of a deferred delivery
	LastAt     time.Time   `json:"last_at,omitzero"`  // of the last attempt's outcome
	Relay      string      `json:"relay,omitempty"`
	Point      Point       `json:"point,omitempty"`
	Code       int         `json:"code,omitempty"`
	Enhanced   string      `json:"enhanced,omitempty"`
	Text       string      `json:"text,omitempty"`
	MessageID  string      `json:"message_id,omitempty"` // put by the use case, which knows the sender
}

// Reply is what the relay said at the last attempt, in one line.
func (d *DeliveryView) Reply() string {
	o := Outcome{Code: d.Code, Enhanced: d.Enhanced, Text: d.Text}
	return o.Reply()
}

// DeliveryColumns are the columns of a table of deliveries; see Cells.
var DeliveryColumns = []string{
	"ref", "customer_id", "email", "state", "suppressed", "exposures", "attempts", "first_at",
	"next_at", "last_at", "relay", "point", "code", "enhanced", "text", "message_id", "held", "damaged",
}

// Cells is one row under DeliveryColumns: times in RFC 3339 and UTC, what is absent
// empty.
func (d *DeliveryView) Cells() []string {
	code := ""
	if d.Code != 0 {
		code = strconv.Itoa(d.Code)
	}
	damaged := ""
	if d.Damaged {
		damaged = "true"
	}
	return []string{
		d.Ref, d.CustomerID, d.Email, string(d.State), string(d.Suppressed), strings.Join(d.Exposures, " "), strconv.Itoa(d.Attempts),
		rfc3339(d.FirstAt), rfc3339(d.NextAt), rfc3339(d.LastAt), d.Relay, string(d.Point), code, d.Enhanced, d.Text, d.MessageID, string(d.Held), damaged,
	}
}

func rfc3339(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// DeliveryFilter says which deliveries of one campaign, and where a page begins:
// pages are by key, so that they stay right while rows change.
type DeliveryFilter struct {
	Campaign string
	State    State // empty: any
	Held     bool  // only those that are held; false: all
	After    int64 // only IDs beyond this
	Limit    int   // 0: no limit
}

// RecipientQuery says whose notice somebody reads, and what for.
type RecipientQuery struct {
	Campaign string
	Ref      string // reference number; empty: the first of the campaign
	For      Action // ActPreview or ActTest
	Domain   string // of the address that a test goes to; empty otherwise
}

// Detail is what the audit says of it. It holds no personal data: an address of the
// operator's stands there with its domain alone.
func (q *RecipientQuery) Detail() string {
	detail := "ref " + q.Ref
	if q.Ref == "" {
		detail = "ref the first"
	}
	if q.Domain != "" {
		detail += ", to " + q.Domain
	}
	return detail
}

// CampaignDetail is one campaign with all that is known of it but its recipients.
type CampaignDetail struct {
	Campaign
	Approvals []Approval `json:"approvals"`
	Counts    Counts     `json:"counts"`
	Total     int64      `json:"total"`
	// Held are those of the queued deliveries that are kept back; counted up to a bound.
	Held HeldCounts `json:"held,omitempty"`
	// Late are the people whom the campaign would select and who came after its check,
	// as long as no campaign of the stage is for them.
	Late int64 `json:"late"`
	// AllowRepeat: what was checked tells people again too.
	AllowRepeat bool      `json:"allow_repeat,omitempty"`
	Wait        Wait      `json:"-"`                 // why nothing is sent now; zero where it is
	Waiting     string    `json:"waiting,omitempty"` // Wait in words; put by cmd and web
	Findings    []Finding `json:"findings"`
	// AcceptedCounts are the declared counts whose missing somebody has accepted.
	AcceptedCounts []CountAcceptance `json:"accepted_counts"`
}

// Query is what a person on the phone can be found by; exactly one is set.
type Query struct {
	Ref, Email, CustomerID, Phone, Kana string
}

// Found is what a look-up came to. Nobody among Matches says nothing of whether
// somebody is affected: Searched says what was looked through.
type Found struct {
	Matches []Match `json:"matches"`
	// Similar are people whose customer number is written almost as was asked:
	// other people, unless they say so themselves.
	Similar  []Match    `json:"similar"`
	Searched []Searched `json:"searched"`
	// NotSearched are the merchants of whom no list was taken in, by id.
	NotSearched []string `json:"not_searched"`
}

// Searched is the people of one merchant in one incident, as a look-up went through
// them.
type Searched struct {
	Incident string `json:"incident"`
	Title    string `json:"title"` // of the incident
	Merchant string `json:"merchant"`
	Sender   string `json:"sender"` // name of the merchant
	People   int64  `json:"people"`
	// Destroyed: the incident's key is gone, and nobody is found but by reference
	// number.
	Destroyed bool `json:"destroyed,omitempty"`
}

// Match is one recipient that a look-up found, with all that was done.
type Match struct {
	Incident string `json:"incident"`
	Title    string `json:"title"` // of the incident
	Merchant string `json:"merchant"`
	Sender   string `json:"sender"` // name of the merchant
	Ref      string `json:"ref"`
	Person          // empty where the incident's key is destroyed
	// Damaged: the person is not as it was written, and left out.
	Damaged bool `json:"damaged,omitempty"`
	// Similar: the customer number is another one than was asked for, written
	// almost alike.
	Similar   bool            `json:"-"`
	Exposures []string        `json:"exposures"`
	Notices   []NoticeHistory `json:"notices"`
}

// NoticeHistory is one notice to a person, with all that happened to it.
type NoticeHistory struct {
	Campaign   string      `json:"campaign"`
	Name       string      `json:"name"`
	Stage      Stage       `json:"stage"`
	Phase      Phase       `json:"phase"`
	State      State       `json:"state"`
	Attempts   int         `json:"attempts"`
	NextAt     time.Time   `json:"next_at,omitzero"`
	Suppressed Suppression `json:"suppressed,omitempty"`
	Held       Held        `json:"held,omitempty"` // why it is kept back, while queued
	Events     []Event     `json:"events"`
}

// Act is one line of who did what. It holds no personal data.
type Act struct {
	At      time.Time `json:"at"`
	By      string    `json:"by"` // empty: the program
	Proof   Proof     `json:"proof"`
	Action  Action    `json:"action"`
	Subject string    `json:"subject"`
	Detail  string    `json:"detail"`
}

// Action is what was done.
type Action string

// The actions.
const (
	ActApply      Action = "apply"
	ActImport     Action = "import"
	ActTakeBack   Action = "remove list"
	ActCreate     Action = "create"
	ActCheck      Action = "check"
	ActCount      Action = "accept count" // a declared count that was missed
	ActVoid       Action = "void"
	ActApprove    Action = "approve"
	ActStart      Action = "start"
	ActPause      Action = "pause"
	ActResume     Action = "resume"
	ActCancel     Action = "cancel"
	ActSet        Action = "set"
	ActWake       Action = "wake"
	ActFinish     Action = "finish"
	ActResolve    Action = "resolve"
	ActRequeue    Action = "requeue"
	ActDestroyKey Action = "destroy key"
	ActRekey      Action = "rekey"
	ActBackup     Action = "backup"
	ActLookUp     Action = "lookup"
	ActDeliveries Action = "deliveries" // read, with personal data
	ActPreview    Action = "preview"    // read, with personal data
	ActEndChain   Action = "end chain"  // a worker is gone: the last entry of its part of the journal
	ActVerify     Action = "verify"     // and checkpoints
	ActRestore    Action = "restore"    // an older ledger is taken for the right one
	ActTest       Action = "test"       // sent to an address of the operator's
	ActPerson     Action = "person"     // a person who may act was proposed, added or ended
	ActConsent    Action = "consent"    // an approver signed a change of persons or policy
	ActPolicy     Action = "policy"     // what it takes to approve was changed
	ActView       Action = "view"       // read, without personal data: in no record
	ActSheet      Action = "sheet"      // made, for approvers to read
	ActAudit      Action = "audit"      // the audit itself was read: in no record
)

// Change says what became of one incident or merchant that was applied.
type Change struct {
	ID      string `json:"id"`
	Changed bool   `json:"changed"` // new, or its facts differ from before
}

// ApplyResult is what an apply came to, or would come to.
type ApplyResult struct {
	Incidents []Change     `json:"incidents"`
	Merchants []Change     `json:"merchants"`
	Diff      []FactChange `json:"diff"`  // of what was known before
	Voids     []Voided     `json:"voids"` // what was checked or approved and no longer stands
}

// FactChange is one fact that differs from what was known.
type FactChange struct {
	Kind string `json:"kind"` // incident or merchant
	ID   string `json:"id"`
	Path string `json:"path"` // as a key of the facts' file: desks[2].hours, exposures[A].count
	Old  string `json:"old"`  // empty: there was none
	New  string `json:"new"`  // empty: there is none
}

// Voided is a campaign whose check and approvals no longer stand.
type Voided struct {
	Campaign string `json:"campaign"`
	Phase    Phase  `json:"phase"` // that it was in
	Sendable int64  `json:"sendable"`
}
