package store

import (
	"context"
	"database/sql"
	"errors"
	"io"

	"github.com/jmoiron/sqlx"

	"oshirase/mailer"
	"oshirase/store/seal"
)

const secretAAD = "oshirase ledger secret v1"

// openSecret opens the ledger's secret, or makes it in a new ledger where it may.
func (db *DB) openSecret(ctx context.Context, mayMake bool) error {
	var wrapped []byte
	err := get(ctx, db.pool(), &wrapped, `SELECT wrapped FROM secret`)
	if errors.Is(err, sql.ErrNoRows) && mayMake {
		wrapped, err = db.makeSecret(ctx)
	}
	if err != nil {
		return err
	}
	secret, err := seal.Open(db.master, wrapped, secretAAD)
	if err != nil {
		return mailer.NewError(mailer.ErrWrongKey, "ledger.wrong-key")
	}
	if db.names, err = seal.NewNames(secret); err != nil {
		return err
	}
	db.codes, err = seal.NewCodes(secret)
	return err
}

func (db *DB) makeSecret(ctx context.Context) (wrapped []byte, err error) {
	secret := make([]byte, 32)
	if _, err := io.ReadFull(db.random, secret); err != nil {
		return nil, err
	}
	if wrapped, err = seal.Seal(db.master, db.random, secret, secretAAD); err != nil {
		return nil, err
	}
	err = db.eng.Write(ctx, func(tx *sqlx.Tx) error {
		// Another process may have made it meanwhile; the first one stands.
		if _, err := do(ctx, tx, `INSERT INTO secret (id, wrapped, made_at) VALUES (1, ?, ?) ON CONFLICT (id) DO NOTHING`,
			wrapped, db.now().UnixMilli()); err != nil {
			return err
		}
		return get(ctx, tx, &wrapped, `SELECT wrapped FROM secret`)
	})
	return wrapped, err
}

func incidentAAD(incident string) string { return "oshirase incident key v1\x00" + incident }

// newIncidentKey makes the key of an incident, wrapped by the master key.
func (db *DB) newIncidentKey(incident string) (wrapped []byte, err error) {
	key := make([]byte, 32)
	if _, err := io.ReadFull(db.random, key); err != nil {
		return nil, err
	}
	return seal.Seal(db.master, db.random, key, incidentAAD(incident))
}

// incidentKeys opens the key of an incident. It asks the database each time, so
// that a key destroyed by another process is gone here too.
func (r *Reader) incidentKeys(ctx context.Context, h handle, incident int64) (*seal.Keys, error) {
	var row struct {
		ID      string
		Wrapped []byte `db:"sealed_key"`
	}
	if err := get(ctx, h, &row, `SELECT id, sealed_key FROM incident WHERE num = ?`, incident); err != nil {
		return nil, err
	}
	if row.Wrapped == nil {
		r.keys.Delete(incident)
		return nil, mailer.NewError(mailer.ErrKeyDestroyed, "incident.key-destroyed", "incident", row.ID)
	}
	if k, ok := r.keys.Load(incident); ok {
		return k.(*seal.Keys), nil
	}
	key, err := seal.Open(r.master, row.Wrapped, incidentAAD(row.ID))
	if err != nil {
		return nil, mailer.NewError(mailer.ErrWrongKey, "incident.wrong-key", "incident", row.ID)
	}
	k, err := seal.Derive(key)
	if err != nil {
		return nil, err
	}
	r.keys.Store(incident, k)
	return k, nil
}

// keysOrNone returns nil keys, and no error, where the key is destroyed: what is
// not personal stays to be seen.
func (r *Reader) keysOrNone(ctx context.Context, h handle, incident int64) (*seal.Keys, error) {
	k, err := r.incidentKeys(ctx, h, incident)
	if errors.Is(err, mailer.ErrKeyDestroyed) {
		return nil, nil
	}
	return k, err
}
