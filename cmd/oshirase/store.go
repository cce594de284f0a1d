package main

import (
	"context"

	"oshirase/mailer/campaign"
	"oshirase/store"
)

// reader is a handle of the ledger for commands that change nothing, apart from the
// acts that showing personal data is.
type reader interface {
	campaign.Records
	campaign.Previews
}

// reader opens the ledger to read it.
func (a *app) reader(ctx context.Context) (reader, error) { return a.store(ctx) }

// store opens the ledger of the config on first use; it is closed when the
// command is over.
func (a *app) store(ctx context.Context) (*store.DB, error) {
	if a.db != nil {
		return a.db, nil
	}
	cfg, err := a.config()
	if err != nil {
		return nil, err
	}
	key, err := cfg.MasterKey()
	if err != nil {
		return nil, err
	}
	db, err := store.Open(ctx, store.Options{
		Path:       cfg.DatabasePath(),
		MasterKey:  key,
		Durability: cfg.Ledger.Durability,
		Random:     a.random,
		Now:        a.now,
		Logger:     a.logger(),
	})
	if err != nil {
		return nil, err
	}
	a.db = db
	a.onClose(func() error {
		a.db = nil
		return db.Close()
	})
	return db, nil
}
