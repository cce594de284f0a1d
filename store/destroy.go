package store

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"oshirase/mailer"
	"oshirase/store/keyring"
)

// DestroyKey destroys the key of an incident: from then on nobody can read its
// persons or find them by name, here or in any copy of the database, made before or
// after, whoever has the master key. Reference numbers, states and counts remain.
// Refused while a campaign of the incident is running; those that were checked are
// voided. Copies of the keyring are the operator's to destroy.
//
// The ledger says it first, then the key goes, then it is looked for. Where that was
// cut off, the next call takes it up; where all is done, it says so.
func (db *DB) DestroyKey(ctx context.Context, by mailer.Actor, d mailer.Destroy) (res mailer.Destroyed, err error) {
	defer db.explain(&err, "destroy key of incident %s", d.Incident)
	// A key that is wrapped anew meanwhile would come back.
	unlock, err := db.eng.Lock(ctx, keysLock)
	if err != nil {
		return res, err
	}
	defer unlock()
	res.Incident = d.Incident
	marked, keyID, err := db.markDestroyed(ctx, by, d)
	if errors.Is(err, mailer.ErrNotFound) {
		err = db.hasKeys(ctx, d.Incident, err)
	}
	if err != nil {
		return res, err
	}
	gone, secrets, err := db.deleteKeys(ctx, d.Incident, keyID)
	res.Keys, res.Unreadable = gone.keys, gone.unreadable
	if err != nil {
		return res, err
	}
	if !marked && len(gone.keys) > 0 {
		if err := db.actAlone(ctx, by, mailer.ActDestroyKey, d.Incident, "what was left undone"); err != nil {
			return res, err
		}
	}
	res.Again = !marked && len(gone.keys) == 0
	purged := db.eng.Purge(ctx)
	if purged != nil {
		purged = mailer.NewError(mailer.ErrConflict, "destroy.log", "incident", d.Incident, "cause", purged)
	}
	// The log is searched too, emptied or not.
	res.Searched = len(secrets) > 0
	where, err := db.eng.Holds(ctx, secrets)
	if err == nil && len(where) > 0 {
		err = mailer.NewError(mailer.ErrDamaged, "destroy.found", "incident", d.Incident, "where", where)
	}
	return res, errors.Join(err, purged)
}

// keysLock keeps those apart who destroy and who wrap keys.
const keysLock = "keys"

// markDestroyed says in the ledger that the key is destroyed; marked: it did not say
// so before.
func (db *DB) markDestroyed(ctx context.Context, by mailer.Actor, d mailer.Destroy) (marked bool, keyID string, err error) {
	if err := by.Valid(); err != nil {
		return false, "", err
	}
	var in struct {
		Num       int64
		KeyID     string        `db:"key_id"`
		Destroyed sql.NullInt64 `db:"key_destroyed_at"`
	}
	const row = `SELECT num, key_id, key_destroyed_at FROM incident WHERE id = ?`
	if err := get(ctx, db.pool(), &in, row, d.Incident); err != nil {
		return false, "", missing(err, "incident", d.Incident)
	}
	if err := db.mayDestroy(ctx, in.KeyID, d, in.Destroyed.Valid); err != nil {
		return false, "", err
	}
	err = db.write(ctx, func(c *change) error {
		if err := get(ctx, c, &in, row, d.Incident); err != nil || in.Destroyed.Valid {
			return err
		}
		var running []string
		if err := find(ctx, c, &running, `SELECT id FROM campaign WHERE incident = ? AND phase = 'running'`, in.Num); err != nil {
			return err
		}
		if len(running) > 0 {
			return mailer.Conflict("destroy.running", "campaign", running[0])
		}
		if err := c.voidWhere(ctx, by, "the key of incident "+d.Incident+" was destroyed", `c.incident = ?`, in.Num); err != nil {
			return err
		}
		if err := c.touch(ctx, "incident", `num = ?`, in.Num); err != nil {
			return err
		}
		if _, err := do(ctx, c, `UPDATE incident SET key_destroyed_at = ?, revision = revision + 1 WHERE num = ?`,
			db.now().UnixMilli(), in.Num); err != nil {
			return err
		}
		marked = true
		return c.act(ctx, by, mailer.ActDestroyKey, d.Incident, "key "+in.KeyID)
	})
	if err != nil {
		return false, "", err
	}
	db.keys.Delete(in.Num)
	return marked, in.KeyID, nil
}

// mayDestroy refuses a key of another incident, to which a row that somebody changed
// may lead, and one that is not there, unless it is known to be gone: a keyring that
// lies elsewhere, or is not mounted, would keep it.
func (db *DB) mayDestroy(ctx context.Context, key string, d mailer.Destroy, marked bool) error {
	_, err := db.keyValue(ctx, key, d.Incident)
	switch {
	case errors.Is(err, mailer.ErrKeyMissing) && !marked && !d.KeyGone:
		return mailer.NewError(mailer.ErrKeyMissing, "destroy.key-missing", "incident", d.Incident, "key", key)
	case errors.Is(err, mailer.ErrKeyMissing), errors.Is(err, mailer.ErrDamaged):
		return nil // what has its name goes, whatever is left of it
	}
	return err
}

// hasKeys: an older database that was put back may not know an incident whose key is
// there. Without one, unknown stands.
func (db *DB) hasKeys(ctx context.Context, incident string, unknown error) error {
	ours, _, err := db.ledgerKeys(ctx)
	if err != nil {
		return err
	}
	for _, v := range ours {
		if v.Incident == incident {
			return nil
		}
	}
	return unknown
}

// deleted is what of an incident's keys is gone.
type deleted struct{ keys, unreadable []string }

// deleteKeys deletes the key of an incident, and every other key that this ledger
// ever made for it, and looks whether they are gone. secrets are what must be found
// nowhere from now on.
func (db *DB) deleteKeys(ctx context.Context, incident, keyID string) (gone deleted, secrets [][]byte, err error) {
	ours, unreadable, err := db.ledgerKeys(ctx)
	if err != nil {
		return gone, nil, err
	}
	var doomed []string
	if keyID != "" {
		doomed = append(doomed, keyID)
	}
	for _, v := range ours {
		if v.Key != keyID && v.Incident != incident {
			continue
		}
		if v.Key != keyID {
			doomed = append(doomed, v.Key)
		}
		secrets = append(secrets, db.secretsOf(v)...)
	}
	for _, id := range doomed {
		err := db.ring.Delete(ctx, id)
		if errors.Is(err, keyring.ErrNoKey) {
			continue
		}
		if err != nil {
			return gone, secrets, mailer.NewError(nil, "destroy.undone", "incident", incident, "key", id, "cause", err)
		}
		gone.keys = append(gone.keys, id)
	}
	for _, id := range unreadable {
		if !slices.Contains(doomed, id) {
			gone.unreadable = append(gone.unreadable, id)
		}
	}
	return gone, secrets, db.lookGone(ctx, incident, doomed)
}

// lookGone demands that the keyring neither gives nor lists keys.
func (db *DB) lookGone(ctx context.Context, incident string, ids []string) error {
	listed, err := db.ring.List(ctx)
	if err != nil {
		return err
	}
	for _, id := range ids {
		_, err := db.ring.Get(ctx, id)
		if slices.Contains(listed, id) || !errors.Is(err, keyring.ErrNoKey) {
			return mailer.NewError(nil, "destroy.kept", "incident", incident, "key", id)
		}
	}
	return nil
}

// secretsOf are the forms in which somebody may have put a key anywhere.
func (db *DB) secretsOf(v *keyring.Value) (secrets [][]byte) {
	if key, err := unwrap(v, db.master, db.masterID); err == nil {
		secrets = append(secrets, key, []byte(hex.EncodeToString(key)), []byte(fmt.Sprintf("%X", key)), []byte(base64.StdEncoding.EncodeToString(key)))
	}
	for _, w := range v.Wraps {
		secrets = append(secrets, w.Sealed, []byte(hex.EncodeToString(w.Sealed)), []byte(base64.StdEncoding.EncodeToString(w.Sealed)))
	}
	return secrets
}
