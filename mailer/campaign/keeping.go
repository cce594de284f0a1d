package campaign

import (
	"context"
	"strings"

	"oshirase/mailer"
	"oshirase/mailer/authority"
)

// Keeping looks after what the ledger stands on: its master key, copies of it and its
// checkpoints.
type Keeping struct {
	Ledger Keeper
}

// Keeper is what that needs of the ledger.
type Keeper interface {
	authority.Register
	// Rekey has everything wrapped by another master key, and goes on where an earlier
	// call was cut off.
	Rekey(ctx context.Context, by mailer.Actor, to []byte) (mailer.Rekeyed, error)
	// Backup copies the database into a folder, BackupKeys the incidents' keys.
	Backup(ctx context.Context, by mailer.Actor, dir string, progress func(done, total int64)) (mailer.Backup, error)
	BackupKeys(ctx context.Context, by mailer.Actor, dir string) (mailer.Backup, error)
	// WriteCheckpoint signs and writes a checkpoint now.
	WriteCheckpoint(ctx context.Context) error
	// AcceptRestore lets an older ledger be sent from; ErrConflict where it is none.
	AcceptRestore(ctx context.Context, by mailer.Actor, reason string) error
}

// Rekey changes the master key to another one of 32 bytes.
func (k *Keeping) Rekey(ctx context.Context, by mailer.Actor, to []byte) (mailer.Rekeyed, error) {
	by, err := authority.May(ctx, k.Ledger, by, mailer.ActRekey, "")
	if err != nil {
		return mailer.Rekeyed{}, err
	}
	return k.Ledger.Rekey(ctx, by, to)
}

// Backup copies the database; progress, in bytes, may be nil.
func (k *Keeping) Backup(ctx context.Context, by mailer.Actor, dir string, progress func(done, total int64)) (mailer.Backup, error) {
	by, err := authority.May(ctx, k.Ledger, by, mailer.ActBackup, "")
	if err != nil {
		return mailer.Backup{}, err
	}
	return k.Ledger.Backup(ctx, by, dir, progress)
}

// BackupKeys copies the keys of the incidents, never into a folder that has a database.
func (k *Keeping) BackupKeys(ctx context.Context, by mailer.Actor, dir string) (mailer.Backup, error) {
	by, err := authority.May(ctx, k.Ledger, by, mailer.ActBackup, "")
	if err != nil {
		return mailer.Backup{}, err
	}
	return k.Ledger.BackupKeys(ctx, by, dir)
}

// Checkpoint signs and writes a checkpoint now.
func (k *Keeping) Checkpoint(ctx context.Context, by mailer.Actor) error {
	if _, err := authority.May(ctx, k.Ledger, by, mailer.ActVerify, ""); err != nil {
		return err
	}
	return k.Ledger.WriteCheckpoint(ctx)
}

// AcceptRestore takes a ledger for the right one though it is older than what is known
// of it: whoever was told meanwhile may be told again. The reason is recorded.
func (k *Keeping) AcceptRestore(ctx context.Context, by mailer.Actor, reason string) error {
	by, err := authority.May(ctx, k.Ledger, by, mailer.ActRestore, "")
	if err != nil {
		return err
	}
	if reason = strings.TrimSpace(reason); reason == "" {
		return mailer.Invalid("restore.reason")
	}
	return k.Ledger.AcceptRestore(ctx, by, reason)
}
