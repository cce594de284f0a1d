package mailer

import (
	"strconv"
	"time"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// Stage is the place of a notice in the course of telling people.
type Stage string

// The stages.
const (
	StageFirstWarning Stage = "first-warning" // 第一報
	StageFormal       Stage = "formal"        // 通知
	StageFollowUp     Stage = "follow-up"     // 続報
	StageCorrection   Stage = "correction"    // 訂正
)

// Stages lists all stages, in order.
var Stages = []Stage{StageFirstWarning, StageFormal, StageFollowUp, StageCorrection}

// Repeats reports whether a person gets a notice of the stage once for each cause, and
// only after a first warning or a formal notice.
func (s Stage) Repeats() bool { return s == StageFollowUp || s == StageCorrection }

// Japanese returns the word for tables and reports.
func (s Stage) Japanese() string {
	switch s {
	case StageFirstWarning:
		return "第一報"
	case StageFormal:
		return "通知"
	case StageFollowUp:
		return "続報"
	case StageCorrection:
		return "訂正"
	}
	return string(s)
}

// Phase is where a campaign stands.
type Phase string

// The phases. See docs/states.md.
const (
	PhaseDraft     Phase = "draft"     // created, or voided by a change: to be checked
	PhaseChecked   Phase = "checked"   // frozen, rendered and hashed: to be approved
	PhaseApproved  Phase = "approved"  // approved by enough people: may be started
	PhaseScheduled Phase = "scheduled" // approved, and starts by itself at its time
	PhaseOverdue   Phase = "overdue"   // its time passed beyond the grace: started by hand only
	PhaseRunning   Phase = "running"
	PhasePaused    Phase = "paused"
	PhaseFinished  Phase = "finished" // no delivery is open
	PhaseCancelled Phase = "cancelled"
)

// Japanese returns the word for tables and reports.
func (p Phase) Japanese() string {
	switch p {
	case PhaseDraft:
		return "作成中"
	case PhaseChecked:
		return "承認待ち"
	case PhaseApproved:
		return "承認済み"
	case PhaseScheduled:
		return "開始待ち"
	case PhaseOverdue:
		return "時刻超過"
	case PhaseRunning:
		return "送信中"
	case PhasePaused:
		return "一時停止"
	case PhaseFinished:
		return "完了"
	case PhaseCancelled:
		return "中止"
	}
	return string(p)
}

// Campaign is one notice to a frozen set of recipients of one merchant.
type Campaign struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Incident string `json:"incident"`
	Merchant string `json:"merchant"`
	Stage    Stage  `json:"stage"`
	// Cause names why people get one more notice of a stage that repeats (see
	// Stage.Repeats): nobody gets two of one cause.
	Cause string `json:"cause,omitempty"`
	// Exposures selects recipients with any of them; empty selects all.
	Exposures []string `json:"exposures,omitempty"`
	// Certainty selects recipients for whom some exposure is confirmed, or for
	// whom all are only possible; empty selects both.
	Certainty Certainty  `json:"certainty,omitempty"`
	At        time.Time  `json:"at,omitzero"` // zero: started by hand
	Window    WindowSpec `json:"window"`
	PerHour   int        `json:"per_hour"` // 0 is no limit
	Phase     Phase      `json:"phase"`
	// Reason says why the campaign stands where it does, where that is not its own step
	// (voided by a change, paused by the runner); English, empty otherwise.
	Reason string `json:"reason,omitempty"`
	// Halt is why the program paused it by itself; zero: it did not.
	Halt      Halt      `json:"halt,omitzero"`
	CreatedAt time.Time `json:"created_at"`
	// Digest covers the snapshot and every rendered notice; empty before the check.
	Digest string `json:"digest,omitempty"`
}

// Snapshot is everything but the person that a notice is rendered from. It is
// stored when a campaign is checked, and what is sent is rendered from it.
type Snapshot struct {
	Incident Incident `json:"incident"`
	Merchant Merchant `json:"merchant"`
	Stage    Stage    `json:"stage"`
	Cause    string   `json:"cause,omitempty"` // of the campaign; see Campaign
	// AllowRepeat: people are taken too whom the ledger says were told all of this.
	AllowRepeat bool      `json:"allow_repeat,omitempty"`
	Certainty   Certainty `json:"certainty,omitempty"` // of the campaign's selection; empty is mixed
	Exposures   []string  `json:"exposures,omitempty"` // of the campaign's selection; empty is all
	// NoticeOn is the date that the notice bears: the day of the check.
	NoticeOn Date `json:"notice_on"`
	// Templates is the digest of the built-in templates that the check used.
	Templates string `json:"templates"`
}

// Approval is one person's consent to what was checked.
type Approval struct {
	By     string    `json:"by"`
	ID     string    `json:"person,omitempty"` // of the member; empty: none was registered
	Proof  Proof     `json:"proof"`
	Count  int64     `json:"count"`
	Digest string    `json:"digest"`
	Key    string    `json:"key,omitempty"` // fingerprint of the key that signed; empty: no signature
	At     time.Time `json:"at"`
}

// Finding is something that a check has to say.
type Finding struct {
	Severity Severity `json:"severity"`
	Rule     string   `json:"rule"`    // name of the rule, as in docs/rules.md
	Message  string   `json:"message"` // English, one line
	// Ref is the reference number of the recipient concerned; empty: the campaign.
	Ref string `json:"ref,omitempty"`
}

// Severity of a finding. An error forbids approval.
type Severity string

// The severities.
const (
	SeverityError   Severity = "error"
	SeverityWarning Severity = "warning"
	SeverityInfo    Severity = "info"
)

// Japanese returns the word for tables and reports.
func (s Severity) Japanese() string {
	switch s {
	case SeverityError:
		return "誤り"
	case SeverityWarning:
		return "注意"
	case SeverityInfo:
		return "参考"
	}
	return string(s)
}

// Notice is one rendered notice.
type Notice struct {
	Subject string
	Body    string // plain text, lines ended by LF, no line over 78 columns unless it is a URL
}
