package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"oshirase/config"
	"oshirase/mailer/campaign"
	"oshirase/store"
	"oshirase/store/keyring"
)

// reader is a handle of the ledger for commands that change nothing, apart from the
// acts that showing personal data is.
type reader interface {
	campaign.Records
	campaign.Proofs
	campaign.Previews
}

// reader opens the ledger to read it, on first use: it changes nothing, but records
// who is shown personal data. Where there is no ledger yet, an empty one is made, so
// that a new working folder can be looked at.
func (a *app) reader(ctx context.Context) (reader, error) {
	if a.db != nil {
		return a.db, nil
	}
	if a.read != nil {
		return a.read, nil
	}
	o, err := a.storeOptions()
	if err != nil {
		return nil, err
	}
	r, err := store.OpenReader(ctx, o)
	if errors.Is(err, fs.ErrNotExist) {
		return a.store(ctx)
	}
	if err != nil {
		return nil, err
	}
	a.read = r
	a.onClose(func() error {
		a.read = nil
		return r.Close()
	})
	return r, nil
}

// store opens the ledger of the config on first use; it is closed when the
// command is over.
func (a *app) store(ctx context.Context) (*store.DB, error) {
	if a.db != nil {
		return a.db, nil
	}
	o, err := a.storeOptions()
	if err != nil {
		return nil, err
	}
	db, err := store.Open(ctx, o)
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

func (a *app) storeOptions() (store.Options, error) {
	cfg, err := a.config()
	if err != nil {
		return store.Options{}, err
	}
	key, err := cfg.MasterKey()
	if err != nil {
		return store.Options{}, err
	}
	keys, err := keyringOf(cfg)
	if err != nil {
		return store.Options{}, err
	}
	return store.Options{
		Path: cfg.DatabasePath(), MasterKey: key, Keys: keys, Durability: cfg.Ledger.Durability,
		Checkpoints: cfg.CheckpointPaths(), Random: a.random, Now: a.now, Logger: a.logger(),
	}, nil
}

// keyringOf is where the config keeps the keys of the incidents.
func keyringOf(cfg *config.Config) (keyring.Keyring, error) {
	argv, err := cfg.KeyCommand()
	if err != nil {
		return nil, fmt.Errorf("key.command: %w", err)
	}
	if len(argv) > 0 {
		return keyring.NewCommand(argv, cfg.Path("."), cfg.Secrets()...), nil
	}
	return keyring.NewFolder(cfg.KeysPath()), nil
}
