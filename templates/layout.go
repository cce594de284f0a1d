package templates

import "oshirase/mailer"

// Parts lists the names of the parts, in the order of a formal notice. A
// merchant may replace any of them.
var Parts = []string{
	"subject", "date", "salutation", "sender", "apology", "concerns", "outline",
	"exposures", "cause", "harm", "request", "measures", "timeline", "delay",
	"authorities", "publication", "additions", "corrections", "desk",
	"reference", "never-ask", "closing", "signature",
}

// unwrapped parts keep their lines: a name is never broken.
var unwrapped = map[string]bool{"subject": true, "salutation": true, "signature": true}

// layouts say which parts the body of a notice has. A part that renders to
// nothing is left out.
var layouts = map[mailer.Stage][]string{
	mailer.StageFirstWarning: {
		"date", "salutation", "sender", "apology", "concerns", "outline", "exposures", "request",
		"measures", "authorities", "publication", "desk", "reference", "never-ask", "closing", "signature",
	},
	mailer.StageFormal: formal,
	mailer.StageFollowUp: {
		"date", "salutation", "sender", "apology", "concerns", "additions", "exposures", "request",
		"publication", "desk", "reference", "never-ask", "closing", "signature",
	},
	mailer.StageCorrection: {
		"date", "salutation", "sender", "apology", "corrections", "concerns", "exposures", "request",
		"publication", "desk", "reference", "never-ask", "closing", "signature",
	},
}

var formal = []string{
	"date", "salutation", "sender", "apology", "concerns", "corrections", "outline", "exposures", "cause", "harm",
	"request", "measures", "timeline", "delay", "authorities", "publication", "desk", "reference", "never-ask",
	"closing", "signature",
}

// unconcerned is what somebody reads who is not affected: nothing of the breach.
var unconcerned = []string{
	"date", "salutation", "sender", "apology", "concerns", "corrections", "desk", "reference", "never-ask",
	"closing", "signature",
}

// layout returns the parts of a notice; the correction kind is empty but for corrections.
func layout(stage mailer.Stage, correction mailer.CorrectionKind) []string {
	switch correction {
	case mailer.CorrectionAdded: // told for the first time: the whole of Rule 10
		return formal
	case mailer.CorrectionRemoved, mailer.CorrectionMisdirected:
		return unconcerned
	}
	return layouts[stage]
}
