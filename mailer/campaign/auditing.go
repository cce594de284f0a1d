package campaign

import (
	"context"

	"oshirase/mailer"
	"oshirase/mailer/authority"
)

// Auditing looks whether the ledger is as the program wrote it. It changes nothing.
type Auditing struct{ Ledger Proofs }

// Verify goes through the whole ledger.
func (a *Auditing) Verify(ctx context.Context, by mailer.Actor, o mailer.VerifyOptions) (mailer.Verification, error) {
	if _, err := authority.May(ctx, a.Ledger, by, mailer.ActVerify, ""); err != nil {
		return mailer.Verification{}, err
	}
	return a.Ledger.Verify(ctx, o)
}

// CheckpointKey is the public key with which checkpoints are verified elsewhere, in the
// form of signed notes.
func (a *Auditing) CheckpointKey(ctx context.Context, by mailer.Actor) (string, error) {
	if _, err := authority.May(ctx, a.Ledger, by, mailer.ActVerify, ""); err != nil {
		return "", err
	}
	return a.Ledger.CheckpointKey()
}
