package store

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"errors"
	"sync"

	"github.com/jmoiron/sqlx"

	"oshirase/mailer"
	"oshirase/store/seal"
)

// trust is what this handle has found to be as it was written, so that it is looked
// at once, and again where it changed.
type trust struct {
	mu       sync.Mutex
	newest   bool                // the ledger is not older than the checkpoint beside it
	approved map[int64]seal.Code // campaigns whose approvals stand, as they were then
}

// mayClaim refuses a campaign that is not as the program wrote it, or that nobody
// approved as it is; and everything where the ledger is an older one.
func (db *DB) mayClaim(ctx context.Context, campaign string, k campaignKey) error {
	t := &db.trust
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.newest {
		if err := db.mustBeNewest(ctx); err != nil {
			return err
		}
		t.newest = true
	}
	return db.read(ctx, func(tx *sqlx.Tx) error {
		code, err := db.proved(ctx, tx, controlRow{"campaign", `num = ?`, []any{k.num}})
		if err != nil || t.approved[k.num] == code {
			return err
		}
		row, err := findCampaign(ctx, tx, campaign)
		if err != nil {
			return err
		}
		if err := db.approvalsStand(ctx, tx, row); err != nil {
			return mailer.NewError(mailer.ErrDamaged, "campaign.unapproved", "campaign", campaign, "cause", err)
		}
		if t.approved == nil {
			t.approved = map[int64]seal.Code{}
		}
		t.approved[k.num] = code
		return nil
	})
}

func publicOf(key ed25519.PrivateKey) ed25519.PublicKey { return key.Public().(ed25519.PublicKey) }

// ignoreNone takes no row for no error.
func ignoreNone(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return err
}
