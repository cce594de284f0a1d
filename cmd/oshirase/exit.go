package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"oshirase/mailer"
	"oshirase/mailer/send"
	"oshirase/mailer/words"
)

// Exit codes. They are a contract: docs/operating.md has the same table.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitCheck       = 3
	exitPerson      = 4
	exitInterrupted = 5
)

// exitCodes is what they mean, in the help and in the documents.
var exitCodes = []struct {
	code    int
	meaning string
}{
	{exitDone, "done, or waiting as planned"},
	{exitFailed, "failed"},
	{exitUsage, "wrong usage: nothing was done"},
	{exitCheck, "a check found errors"},
	{exitPerson, "a person is needed: something is paused, voided, held, unknown or overdue, or the ledger is not as it was written"},
	{exitInterrupted, "interrupted, with work left"},
}

// exitHelp is the table for the help.
func exitHelp() string {
	var b strings.Builder
	b.WriteString("Exit codes:\n")
	for _, e := range exitCodes {
		fmt.Fprintf(&b, "  %d  %s\n", e.code, e.meaning)
	}
	return strings.TrimRight(b.String(), "\n")
}

// personError says that nothing but a person brings some campaigns on. What was done
// has been printed.
type personError struct{ waits map[string]mailer.Wait }

func (e personError) Error() string {
	lines := make([]string, 0, len(e.waits))
	for _, id := range sortedKeys(e.waits) {
		lines = append(lines, "campaign "+id+": "+words.Wait(e.waits[id], words.English))
	}
	return strings.Join(lines, "\n")
}

func (e personError) Hint() string {
	for _, w := range e.waits {
		if w.Reason == mailer.WaitHalted {
			return "mend what it says (`oshirase relay check`, `oshirase deliveries`), then `oshirase campaign resume ID`; nobody is lost meanwhile"
		}
	}
	return "a person has to decide: see `oshirase status` and `oshirase campaign show ID`"
}

// interruptedError says that a stop came before the work was done. What was done has
// been printed.
type interruptedError struct{ remaining int64 }

func (e interruptedError) Error() string {
	if e.remaining == 1 {
		return "stopped: 1 delivery is left"
	}
	return fmt.Sprintf("stopped: %s deliveries are left", number(e.remaining))
}

func (e interruptedError) Hint() string { return "nothing is lost: the next run goes on" }

// outcomeOf is what a run that did not fail says to its caller; nil: it is done, or
// waits as planned.
func outcomeOf(sum *send.Summary) error {
	switch {
	case sum.Interrupted && sum.Remaining > 0:
		return interruptedError{sum.Remaining}
	case len(sum.Stuck) > 0:
		return personError{sum.Stuck}
	}
	return nil
}

// exitCode is the exit code for an error.
func exitCode(err error) int {
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	if _, ok := errors.AsType[checkError](err); ok {
		return exitCheck
	}
	if _, ok := errors.AsType[personError](err); ok || errors.Is(err, mailer.ErrRestored) || errors.Is(err, mailer.ErrDamaged) {
		return exitPerson
	}
	if _, ok := errors.AsType[interruptedError](err); ok || errors.Is(err, context.Canceled) {
		return exitInterrupted
	}
	return exitFailed
}
