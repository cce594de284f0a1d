package main

import (
	"fmt"
	"strings"
	"testing"

	"oshirase/mailer"
	"oshirase/mailer/send"
)

// TestExitCodesAreDocumented: each stands in the help and in the table for operators.
func TestExitCodesAreDocumented(t *testing.T) {
	doc, help := document(t, "docs/operating.md"), exitHelp()
	for i, e := range exitCodes {
		if e.code != i {
			t.Errorf("code %d at %d", e.code, i)
		}
		short, _, _ := strings.Cut(e.meaning, ":")
		if !strings.Contains(doc, fmt.Sprintf("| %d | %s", e.code, strings.Split(short, ",")[0])) || !strings.Contains(help, fmt.Sprintf("  %d  %s", e.code, e.meaning)) {
			t.Errorf("%d (%s) is not documented", e.code, short)
		}
	}
}

// TestOutcomeOfRun: what a run says to its caller.
func TestOutcomeOfRun(t *testing.T) {
	stuck := map[string]mailer.Wait{"c-1": {Reason: mailer.WaitVoided}}
	for _, tt := range []struct {
		sum  send.Summary
		code int
	}{
		{send.Summary{Accepted: 3}, exitDone},
		{send.Summary{Deferred: 1, Remaining: 1, Waits: map[string]mailer.Wait{"c-1": {Reason: mailer.WaitRetry}}}, exitDone},
		{send.Summary{Remaining: 2, Waits: stuck, Stuck: stuck}, exitPerson},
		{send.Summary{Interrupted: true, Remaining: 2, Stuck: stuck}, exitInterrupted},
		{send.Summary{Interrupted: true}, exitDone},
	} {
		code := exitDone
		if err := outcomeOf(&tt.sum); err != nil {
			code = exitCode(err)
		}
		if code != tt.code {
			t.Errorf("%+v: %d, want %d", tt.sum, code, tt.code)
		}
	}
}
