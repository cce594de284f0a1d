package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"oshirase/mailer"
	"oshirase/store/keyring"
)

// Rekey has every key of the ledger wrapped by another master key, of 32 bytes, and
// by no other. It is safe while others send: what they have in memory stays good;
// what they have to open once it is over, they cannot, and say so.
//
// Until all keys are wrapped by the new one, the old one opens everything; from then
// on the new one does. Where it is cut off, the next call, of a handle with either,
// takes it up.
func (db *DB) Rekey(ctx context.Context, by mailer.Actor, to []byte) (res mailer.Rekeyed, err error) {
	defer db.explain(&err, "change the master key")
	if len(to) != 32 {
		return res, mailer.Invalid("ledger.master-key", "bytes", len(to))
	}
	if err := by.Valid(); err != nil {
		return res, err
	}
	unlock, err := db.eng.Lock(ctx, keysLock)
	if err != nil {
		return res, err
	}
	defer unlock()
	id, err := masterID(to)
	if err != nil {
		return res, err
	}
	k := &rekeying{db: db, by: by, to: to, id: id}
	res = mailer.Rekeyed{From: db.masterID, To: id}
	if err := k.addAll(ctx); err != nil {
		return res, err
	}
	if err := k.dropAll(ctx); err != nil {
		return res, err
	}
	res.Keys, res.Changed, res.Unreadable = len(k.keys), k.changed, k.unreadable
	if !k.changed {
		return res, nil
	}
	// The old wraps are overwritten where they stood; the log may still have them.
	if err := db.eng.Purge(ctx); err != nil {
		db.log.Warn("the write-ahead log still holds the ledger's secret as the old master key wrapped it", "error", err)
	}
	return res, nil
}

type rekeying struct {
	db         *DB
	by         mailer.Actor
	to         []byte // the new master key
	id         string // its id
	keys       []string
	unreadable []string
	changed    bool
}

// addAll adds the new wrap to every key, and then to the ledger's secret: whoever
// opens that with the new master key can open all. An incident that is made meanwhile
// has it look again; once the secret has two wraps, none is made.
func (k *rekeying) addAll(ctx context.Context) error {
	for {
		wrapped, err := k.addToKeys(ctx)
		if err != nil {
			return err
		}
		complete, err := k.addToSecret(ctx, wrapped)
		if err != nil {
			return err
		}
		if complete {
			k.keys = wrapped
			return nil
		}
	}
}

func (k *rekeying) addToKeys(ctx context.Context) (wrapped []string, err error) {
	living, err := livingKeys(ctx, k.db.pool())
	if err != nil {
		return nil, err
	}
	var doing []*keyring.Value
	var errs []error
	for id, incident := range living {
		v, err := k.db.keyValue(ctx, id, incident)
		errs = append(errs, err)
		doing = append(doing, v)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err // before anything was changed
	}
	// Those that no incident has may be those of a newer copy of the database.
	ours, unreadable, err := k.db.ledgerKeys(ctx)
	if err != nil {
		return nil, err
	}
	k.unreadable = unreadable
	for _, v := range ours {
		if living[v.Key] == "" {
			doing = append(doing, v)
		}
	}
	for _, v := range doing {
		err := k.add(ctx, v)
		if err != nil && living[v.Key] == "" {
			k.unreadable = append(k.unreadable, v.Key) // nothing is lost with it
			continue
		}
		if err != nil {
			return nil, err
		}
		wrapped = append(wrapped, v.Key)
	}
	slices.Sort(wrapped)
	return wrapped, nil
}

// add adds the new wrap to a key, and reads it back.
func (k *rekeying) add(ctx context.Context, v *keyring.Value) error {
	if v.By(k.id) != nil {
		_, err := unwrap(v, k.to, k.id)
		return err
	}
	key, err := unwrap(v, k.db.master, k.db.masterID)
	if err != nil {
		return err
	}
	if err := k.db.wrap(v, key, k.to, k.id); err != nil {
		return err
	}
	k.changed = true
	if err := k.db.ring.Replace(ctx, v.Key, v.Text()); err != nil {
		return mailer.NewError(nil, "rekey.not-kept", "incident", v.Incident, "key", v.Key, "cause", err)
	}
	return k.opens(ctx, v)
}

// opens demands that the keyring gives a key that the new master key opens.
func (k *rekeying) opens(ctx context.Context, v *keyring.Value) error {
	kept, err := k.db.keyValue(ctx, v.Key, v.Incident)
	if err == nil {
		_, err = unwrap(kept, k.to, k.id)
	}
	return err
}

// addToSecret adds the new wrap to the secret where every living key has it.
func (k *rekeying) addToSecret(ctx context.Context, wrapped []string) (complete bool, err error) {
	err = k.db.write(ctx, func(c *change) error {
		living, err := livingKeys(ctx, c)
		if err != nil {
			return err
		}
		for id := range living {
			if !slices.Contains(wrapped, id) {
				return nil
			}
		}
		complete = true
		var has int
		if err := get(ctx, c, &has, `SELECT count(*) FROM secret WHERE master = ?`, k.id); err != nil || has > 0 {
			return err
		}
		secret, err := k.db.readSecret(ctx, c)
		if err != nil {
			return err
		}
		if err := k.db.addSecret(ctx, c, secret, k.to, k.id); err != nil {
			return err
		}
		k.changed = true
		return c.act(ctx, k.by, mailer.ActRekey, "master key", fmt.Sprintf("from %s to %s", k.db.masterID, k.id))
	})
	return complete, err
}

// dropAll takes the wraps by all other master keys away, those of the secret last:
// until then the old one opens the ledger, and this can be taken up with it.
func (k *rekeying) dropAll(ctx context.Context) error {
	for _, id := range k.keys {
		text, err := k.db.ring.Get(ctx, id)
		if err != nil {
			return err
		}
		v, err := keyring.Parse(text)
		if err != nil {
			return err
		}
		if _, err := unwrap(v, k.to, k.id); err != nil {
			return err
		}
		if len(v.Wraps) == 1 {
			continue
		}
		v.Wraps = []keyring.Wrap{{Master: k.id, Sealed: v.By(k.id)}}
		k.changed = true
		if err := k.db.ring.Replace(ctx, id, v.Text()); err != nil {
			return mailer.NewError(nil, "rekey.not-kept", "incident", v.Incident, "key", id, "cause", err)
		}
		if err := k.opens(ctx, v); err != nil {
			return err
		}
	}
	return k.db.write(ctx, func(c *change) error {
		var others []string
		if err := find(ctx, c, &others, `SELECT master FROM secret WHERE master <> ? ORDER BY master`, k.id); err != nil || len(others) == 0 {
			return err
		}
		if _, err := do(ctx, c, `DELETE FROM secret WHERE master <> ?`, k.id); err != nil {
			return err
		}
		k.changed = true
		return c.act(ctx, k.by, mailer.ActRekey, "master key", fmt.Sprintf("%s opens nothing any more", strings.Join(others, " and ")))
	})
}
