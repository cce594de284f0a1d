package mailer

import "time"

// CheckResult is what a check came to. JSON keys are a contract; see CheckReport.
type CheckResult struct {
	Recipients int64                 `json:"recipients"`
	Sendable   int64                 `json:"sendable"`
	Suppressed map[Suppression]int64 `json:"suppressed"`
	// Declared is the sum of the declared counts of the selected exposures; nil
	// where one of them is not declared.
	Declared *int64 `json:"declared"`
	// AllowRepeat says that people are taken too who were told all of this before.
	AllowRepeat bool `json:"allow_repeat,omitempty"`
	// AcceptedCounts are the differences from declared counts that stand since somebody
	// has accepted them.
	AcceptedCounts []CountAcceptance `json:"accepted_counts,omitempty"`
	Digest         string            `json:"digest"`
	Findings       []Finding         `json:"findings"`
}

// CheckReport is a check with how fast it was. JSON keys are the contract of
// `campaign check`.
type CheckReport struct {
	CheckResult
	Seconds float64 `json:"seconds"`
	// PerSecond is how many recipients were read, rendered, checked and frozen a second.
	PerSecond float64 `json:"per_second"`
}

// CountAcceptance is somebody's word that a declared count may be missed: this one,
// by this much. With any other number it says nothing.
type CountAcceptance struct {
	Exposure string    `json:"exposure"`
	Declared int64     `json:"declared"`
	Found    int64     `json:"found"` // people of the exposure in the lists
	By       string    `json:"by"`
	Proof    Proof     `json:"proof"`
	Reason   string    `json:"reason"`
	At       time.Time `json:"at"`
}

// Covers reports whether the acceptance is of this very difference.
func (a *CountAcceptance) Covers(exposure string, declared, found int64) bool {
	return a.Exposure == exposure && a.Declared == declared && a.Found == found
}

// Errors counts the findings that forbid approval.
func (r *CheckResult) Errors() (n int) {
	for _, f := range r.Findings {
		if f.Severity == SeverityError {
			n++
		}
	}
	return n
}

// Frozen is one delivery as the check freezes it.
type Frozen struct {
	Recipient int64
	Hash      [32]byte // of the rendered notice; zero where suppressed
	// Suppressed says why nothing is sent; empty: it is queued.
	Suppressed Suppression
	Told       []Told   // as the notice was rendered with
	Exposures  []string // that the notice names
	Group      string   // domain group of the address; see Grouping
}

// Suppression is why a recipient gets nothing by a campaign; empty: the recipient
// gets a notice.
type Suppression string

// The reasons.
const (
	SuppressedNoEmail         Suppression = "no-email"         // the list has no address: a letter is needed
	SuppressedBadAddress      Suppression = "bad-address"      // the address cannot be sent to
	SuppressedAlreadyNotified Suppression = "already-notified" // other campaigns of this stage (and cause) said the same
	SuppressedNeverTold       Suppression = "never-told"       // a follow-up or correction to somebody without a notice before
	SuppressedUndecided       Suppression = "undecided"        // the same, while a notice before may have come or is about to
	SuppressedNotConcerned    Suppression = "not-concerned"    // a correction that the list names others for
)

// Japanese returns the word for tables and reports.
func (s Suppression) Japanese() string {
	switch s {
	case SuppressedNoEmail:
		return "メールアドレスなし"
	case SuppressedBadAddress:
		return "メールアドレス不備"
	case SuppressedAlreadyNotified:
		return "通知済み"
	case SuppressedNeverTold:
		return "先の通知なし"
	case SuppressedUndecided:
		return "先の通知の結果待ち"
	case SuppressedNotConcerned:
		return "訂正の対象外"
	}
	return string(s)
}
