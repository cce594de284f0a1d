package mailer

// Verification is what going through a whole ledger came to.
type Verification struct {
	OK      bool  `json:"ok"`
	Entries int64 `json:"entries"` // of the journal
	// Findings are what does not fit, at most MaxDiscrepancies of each rule: a last one
	// counts the rest.
	Findings []Discrepancy `json:"findings"`
}

// MaxDiscrepancies is how many findings of one rule a verification names.
const MaxDiscrepancies = 100

// Discrepancy is one thing in a ledger that does not fit.
type Discrepancy struct {
	Rule   string `json:"rule"`
	Where  string `json:"where"` // ids and reference numbers; no personal data
	Detail string `json:"detail"`
}

// VerifyOptions are what a ledger is held against beside itself.
type VerifyOptions struct {
	// Checkpoints are files with signed checkpoints, one behind another. The one beside
	// the database is always looked at.
	Checkpoints []string
	Progress    func(rows int64) // called now and then; may be nil
}
