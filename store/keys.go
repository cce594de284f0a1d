package store

import (
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"io"
	"strings"

	"github.com/jmoiron/sqlx"

	"oshirase/mailer"
	"oshirase/store/keyring"
	"oshirase/store/seal"
)

// The master key wraps the ledger's secret, which stands in the database, and the
// keys of the incidents, which stand in the keyring. The ids of master key and ledger
// are derived from them and say nothing of them; each wrap names the master key that
// made it, so that another key and damage are told apart.

const secretAAD = "oshirase ledger secret v1"

// masterID names a master key.
func masterID(master []byte) (string, error) {
	id, err := hkdf.Key(sha256.New, master, nil, "oshirase master key id", 4)
	return hex.EncodeToString(id), err
}

// ledgerID names a ledger, and all copies of it, by its secret.
func ledgerID(secret []byte) (string, error) {
	id, err := hkdf.Key(sha256.New, secret, nil, "oshirase ledger id", 8)
	return hex.EncodeToString(id), err
}

// openSecret opens the ledger's secret, or makes it in a new ledger where it may.
func (db *DB) openSecret(ctx context.Context, mayMake bool) error {
	secret, err := db.readSecret(ctx, db.pool())
	if errors.Is(err, sql.ErrNoRows) && mayMake {
		secret, err = db.makeSecret(ctx)
	}
	if err != nil {
		return err
	}
	if db.ledger, err = ledgerID(secret); err != nil {
		return err
	}
	if db.names, err = seal.NewNames(secret); err != nil {
		return err
	}
	db.codes, err = seal.NewCodes(secret)
	return err
}

// readSecret opens the ledger's secret; sql.ErrNoRows where it has none yet.
func (r *Reader) readSecret(ctx context.Context, h handle) ([]byte, error) {
	var rows []struct {
		Master  string
		Wrapped []byte
	}
	if err := find(ctx, h, &rows, `SELECT master, wrapped FROM secret ORDER BY made_at, master`); err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, sql.ErrNoRows
	}
	var others []string
	for _, row := range rows {
		if row.Master != r.masterID {
			others = append(others, row.Master)
			continue
		}
		secret, err := seal.Open(r.master, row.Wrapped, secretAAD)
		if err != nil {
			return nil, mailer.NewError(mailer.ErrDamaged, "ledger.secret-damaged")
		}
		return secret, nil
	}
	return nil, mailer.NewError(mailer.ErrWrongKey, "ledger.wrong-key", "wants", others, "given", r.masterID)
}

func (db *DB) makeSecret(ctx context.Context) (secret []byte, err error) {
	fresh := make([]byte, 32)
	if _, err := io.ReadFull(db.random, fresh); err != nil {
		return nil, err
	}
	err = db.eng.Write(ctx, func(tx *sqlx.Tx) error {
		// Another process may have made it meanwhile; the first one stands.
		if secret, err = db.readSecret(ctx, tx); !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		secret = fresh
		return db.addSecret(ctx, tx, secret, db.master, db.masterID)
	})
	return secret, err
}

// addSecret adds the secret as wrapped by a master key.
func (db *DB) addSecret(ctx context.Context, h handle, secret, master []byte, id string) error {
	wrapped, err := seal.Seal(master, db.random, secret, secretAAD)
	if err != nil {
		return err
	}
	_, err = do(ctx, h, `INSERT INTO secret (master, wrapped, made_at) VALUES (?, ?, ?) ON CONFLICT (master) DO NOTHING`, id, wrapped, db.now().UnixMilli())
	return err
}

// wrapAAD binds a wrapped key to its name and to whose it is.
func wrapAAD(v *keyring.Value) string {
	return strings.Join([]string{"oshirase incident key v2", v.Key, v.Ledger, v.Incident}, "\x00")
}

// wrap adds the wrap of a key by a master key.
func (db *DB) wrap(v *keyring.Value, key, master []byte, id string) error {
	sealed, err := seal.Seal(master, db.random, key, wrapAAD(v))
	if err != nil {
		return err
	}
	v.Wraps = append(v.Wraps, keyring.Wrap{Master: id, Sealed: sealed})
	return nil
}

// newKeys makes the keys of incidents that the ledger does not know, and keeps them
// in the keyring before the ledger says so: what a crash leaves is a key that opens
// nothing. It holds no transaction meanwhile.
func (db *DB) newKeys(ctx context.Context, incidents []mailer.Incident) (ids map[string]string, err error) {
	ids = map[string]string{}
	for _, in := range incidents {
		var known int
		if err := get(ctx, db.pool(), &known, `SELECT count(*) FROM incident WHERE id = ?`, in.ID); err != nil {
			return nil, err
		}
		if known > 0 || !mailer.ValidID(in.ID) || ids[in.ID] != "" {
			continue
		}
		key := make([]byte, 32)
		if _, err := io.ReadFull(db.random, key); err != nil {
			return nil, err
		}
		v := &keyring.Value{Key: strings.ToLower(rand.Text()), Ledger: db.ledger, Incident: in.ID}
		if err := db.wrap(v, key, db.master, db.masterID); err != nil {
			return nil, err
		}
		if err := db.ring.Put(ctx, v.Key, v.Text()); err != nil {
			return nil, mailer.NewError(nil, "incident.key-not-kept", "incident", in.ID, "cause", err)
		}
		ids[in.ID] = v.Key
	}
	return ids, nil
}

// mayNewKey refuses a new incident while the master key is being changed, and once it
// was changed by another process: its key would be left behind.
func (c *change) mayNewKey(ctx context.Context, incident string) error {
	var masters []string
	if err := find(ctx, c, &masters, `SELECT master FROM secret`); err != nil {
		return err
	}
	switch {
	case len(masters) > 1:
		return mailer.Conflict("rekey.underway", "incident", incident)
	case len(masters) == 0 || masters[0] != c.db.masterID:
		return mailer.NewError(mailer.ErrWrongKey, "ledger.wrong-key", "wants", masters, "given", c.db.masterID)
	}
	return nil
}

// openedKeys are the keys of an incident in memory.
type openedKeys struct {
	id string
	*seal.Keys
}

// incidentKeys opens the key of an incident. It asks the database each time, so
// that a key destroyed by another process is gone here too.
func (r *Reader) incidentKeys(ctx context.Context, h handle, incident int64) (*seal.Keys, error) {
	var row struct {
		ID        string
		KeyID     string        `db:"key_id"`
		Destroyed sql.NullInt64 `db:"key_destroyed_at"`
	}
	if err := get(ctx, h, &row, `SELECT id, key_id, key_destroyed_at FROM incident WHERE num = ?`, incident); err != nil {
		return nil, err
	}
	if row.Destroyed.Valid {
		r.keys.Delete(incident)
		return nil, mailer.NewError(mailer.ErrKeyDestroyed, "incident.key-destroyed", "incident", row.ID)
	}
	if k, ok := r.keys.Load(incident); ok && k.(*openedKeys).id == row.KeyID {
		return k.(*openedKeys).Keys, nil
	}
	v, err := r.keyValue(ctx, row.KeyID, row.ID)
	if err != nil {
		return nil, err
	}
	key, err := unwrap(v, r.master, r.masterID)
	if err != nil {
		return nil, err
	}
	k, err := seal.Derive(key)
	if err != nil {
		return nil, err
	}
	r.keys.Store(incident, &openedKeys{row.KeyID, k})
	return k, nil
}

// keyValue reads a key from the keyring, and holds it against whose it has to be.
func (r *Reader) keyValue(ctx context.Context, id, incident string) (*keyring.Value, error) {
	text, err := r.ring.Get(ctx, id)
	switch {
	case errors.Is(err, keyring.ErrNoKey):
		return nil, mailer.NewError(mailer.ErrKeyMissing, "incident.key-missing", "incident", incident, "key", id)
	case err != nil && !errors.Is(err, mailer.ErrDamaged):
		return nil, mailer.NewError(nil, "incident.key-unreadable", "incident", incident, "key", id, "cause", err)
	}
	var v *keyring.Value
	if err == nil {
		v, err = keyring.Parse(text)
	}
	if err != nil {
		return nil, mailer.NewError(mailer.ErrDamaged, "incident.key-damaged", "incident", incident, "key", id, "cause", err)
	}
	if v.Key != id || v.Incident != incident || v.Ledger != r.ledger {
		return nil, mailer.Conflict("incident.key-another", "incident", incident, "key", id, "of", v.Incident, "ledger", v.Ledger)
	}
	return v, nil
}

// unwrap opens a key with a master key.
func unwrap(v *keyring.Value, master []byte, id string) ([]byte, error) {
	sealed := v.By(id)
	if sealed == nil {
		return nil, mailer.NewError(mailer.ErrWrongKey, "incident.wrong-key", "incident", v.Incident, "wants", v.Masters(), "given", id)
	}
	key, err := seal.Open(master, sealed, wrapAAD(v))
	if err != nil {
		return nil, mailer.NewError(mailer.ErrDamaged, "incident.key-damaged", "incident", v.Incident, "key", v.Key)
	}
	return key, nil
}

// ledgerKeys are the keys in the keyring that say they are this ledger's, and the ids
// of those that cannot be read.
func (r *Reader) ledgerKeys(ctx context.Context) (ours []*keyring.Value, unreadable []string, err error) {
	ids, err := r.ring.List(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, id := range ids {
		text, err := r.ring.Get(ctx, id)
		if errors.Is(err, keyring.ErrNoKey) {
			continue // destroyed meanwhile
		}
		if ctx.Err() != nil {
			return nil, nil, err
		}
		var v *keyring.Value
		if err == nil {
			v, err = keyring.Parse(text)
		}
		switch {
		case err != nil || v.Key != id:
			unreadable = append(unreadable, id)
		case v.Ledger == r.ledger:
			ours = append(ours, v)
		}
	}
	return ours, unreadable, nil
}

// livingKeys are the incidents whose key is not destroyed, by the id of the key.
func livingKeys(ctx context.Context, h handle) (map[string]string, error) {
	var rows []struct {
		ID    string
		KeyID string `db:"key_id"`
	}
	if err := find(ctx, h, &rows, `SELECT id, key_id FROM incident WHERE key_destroyed_at IS NULL`); err != nil {
		return nil, err
	}
	living := map[string]string{}
	for _, row := range rows {
		living[row.KeyID] = row.ID
	}
	return living, nil
}

// CheckKeys looks at the keyring: errors say which living incident's key does not
// open. orphans are keys of this ledger that no incident has: a crash left them, or
// the database is older than they are.
func (r *Reader) CheckKeys(ctx context.Context) (orphans []string, err error) {
	defer r.explain(&err, "check keys")
	living, err := livingKeys(ctx, r.pool())
	if err != nil {
		return nil, err
	}
	var errs []error
	for id, incident := range living {
		v, err := r.keyValue(ctx, id, incident)
		if err == nil {
			_, err = unwrap(v, r.master, r.masterID)
		}
		errs = append(errs, err)
	}
	ours, _, err := r.ledgerKeys(ctx)
	errs = append(errs, err)
	for _, v := range ours {
		if living[v.Key] == "" {
			orphans = append(orphans, v.Key)
		}
	}
	return orphans, errors.Join(errs...)
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
