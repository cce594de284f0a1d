package campaign

import (
	"context"
	"strings"

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

// Custody keeps the ledger.
type Custody struct{ Ledger Keeping }

// Checkpoint signs and writes a checkpoint now.
func (c *Custody) Checkpoint(ctx context.Context, _ mailer.Actor) error {
	return c.Ledger.WriteCheckpoint(ctx)
}

// AcceptRestore takes a ledger for the right one though it is older than what is known
// of it: whoever was told meanwhile may be told again. The reason is recorded.
func (c *Custody) AcceptRestore(ctx context.Context, by mailer.Actor, reason string) error {
	if reason = strings.TrimSpace(reason); reason == "" {
		return mailer.Invalid("restore.reason")
	}
	return c.Ledger.AcceptRestore(ctx, by, reason)
}
