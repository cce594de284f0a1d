package campaign

import "oshirase/mailer"

// Result is what a check came to. JSON keys are the contract of `campaign check`.
type Result struct {
	Recipients int64            `json:"recipients"`
	Sendable   int64            `json:"sendable"`
	Suppressed map[string]int64 `json:"suppressed"`
	// Declared is the sum of the declared counts of the selected exposures; nil
	// where any is not declared.
	Declared *int64           `json:"declared"`
	Digest   string           `json:"digest"`
	Findings []mailer.Finding `json:"findings"`
}
