package campaign

import (
	"context"

	"oshirase/mailer"
)

// Auditing looks whether the ledger is as the program wrote it. It changes nothing.
type Auditing struct{ Ledger Proofs }

// Verify goes through the whole ledger.
func (a *Auditing) Verify(ctx context.Context, _ mailer.Actor, o mailer.VerifyOptions) (mailer.Verification, error) {
	return a.Ledger.Verify(ctx, o)
}

// CheckpointKey is the public key with which checkpoints are verified elsewhere, in the
// form of signed notes.
func (a *Auditing) CheckpointKey(_ context.Context, _ mailer.Actor) (string, error) {
	return a.Ledger.CheckpointKey()
}
