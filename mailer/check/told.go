package check

import (
	"fmt"

	"oshirase/mailer"
)

// passOver says why somebody with a good address gets nothing; empty: they do.
func (r *renderer) passOver(rec *mailer.Recipient) mailer.Suppression {
	if r.stage.Repeats() && !warned(rec) {
		if rec.Undecided {
			return mailer.SuppressedUndecided
		}
		return mailer.SuppressedNeverTold
	}
	if !r.repeat && alreadyTold(rec) {
		return mailer.SuppressedAlreadyNotified
	}
	return ""
}

// warned reports whether a first warning or a formal notice has reached the person.
func warned(r *mailer.Recipient) bool {
	for _, t := range r.Told {
		if !t.Stage.Repeats() {
			return true
		}
	}
	return false
}

// alreadyTold reports whether earlier notices of the stage and cause already said to the
// person all that this one would.
func alreadyTold(r *mailer.Recipient) bool {
	var told []string
	for _, t := range r.Told {
		if t.Same {
			told = append(told, t.Exposures...)
		}
	}
	return mailer.Covers(told, r.Exposures)
}

// repeats warns that the check was asked to tell people again: whoever approves has to
// know, also where nobody would be by now.
func (t *tally) repeats() {
	t.find(mailer.Finding{
		Severity: mailer.SeverityWarning, Rule: "allow-repeat",
		Message: fmt.Sprintf("%d of them were told all of this before, and are told again; whoever another campaign tells meanwhile is as well (--allow-repeat)", t.again),
	})
}
