package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"oshirase/config"
	"oshirase/mailer"
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
	Lists(ctx context.Context, of mailer.ListFilter) ([]mailer.ListView, error)
}

// reader opens the ledger to read it, on first use: it changes nothing, but records
// who is shown personal data. It never makes one: a database path that was mistyped
// would be an empty ledger, in which nobody is affected.
func (a *app) reader(ctx context.Context) (reader, error) {
	if a.db != nil {
		return a.db, nil
	}
	if a.read != nil {
		return a.read, nil
	}
	o, err := a.ledgerThere()
	if err != nil {
		return nil, err
	}
	r, err := store.OpenReader(ctx, o)
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

// store opens the ledger of the config on first use, to write; it is closed when the
// command is over. Only newStore makes one.
func (a *app) store(ctx context.Context) (*store.DB, error) {
	if a.db != nil {
		return a.db, nil
	}
	o, err := a.ledgerThere()
	if err != nil {
		return nil, err
	}
	return a.openStore(ctx, o)
}

// newStore opens the ledger, and makes it where there is none; it says so.
func (a *app) newStore(ctx context.Context) (*store.DB, error) {
	o, err := a.ledgerThere()
	made := errors.Is(err, fs.ErrNotExist)
	if made {
		o, err = a.storeOptions()
	}
	if err != nil {
		return nil, err
	}
	db, err := a.openStore(ctx, o)
	if err == nil && made {
		to := a.stdout
		if a.json {
			to = a.stderr
		}
		fmt.Fprintf(to, "新しい台帳を作成しました: %s\n", o.Path)
	}
	return db, err
}

func (a *app) openStore(ctx context.Context, o store.Options) (*store.DB, error) {
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

// ledgerThere are the options of a ledger that must exist, or fs.ErrNotExist. An
// empty file is none: something else made it.
func (a *app) ledgerThere() (store.Options, error) {
	o, err := a.storeOptions()
	if err != nil {
		return o, err
	}
	st, err := os.Stat(o.Path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && st.Mode().IsRegular() && st.Size() == 0 {
		return o, mailer.NewError(fs.ErrNotExist, "ledger.none", "path", o.Path)
	}
	return o, nil // what else is wrong, opening it says better
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
