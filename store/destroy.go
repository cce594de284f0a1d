package store

import (
	"context"

	"github.com/jmoiron/sqlx"

	"oshirase/mailer"
)

// DestroyKey destroys the key of an incident: from then on nobody can read its
// persons or find them by name, here or in any copy of the database made later.
// Reference numbers, states and counts remain. Refused while a campaign of the
// incident is running; those that were checked are voided. Copies and backups
// made before hold the wrapped key: they are the operator's to destroy.
func (db *DB) DestroyKey(ctx context.Context, by mailer.Actor, incident string) error {
	op := "destroy key of incident " + incident
	var num int64
	err := db.write(ctx, op, func(tx *sqlx.Tx) error {
		if err := tx.GetContext(ctx, &num, `SELECT num FROM incident WHERE id = ?`, incident); err != nil {
			return missing(err, "incident", incident)
		}
		if _, err := db.incidentKeys(ctx, tx, num); err != nil {
			return err
		}
		var running []string
		if err := tx.SelectContext(ctx, &running, `SELECT id FROM campaign WHERE incident = ? AND phase = 'running'`, num); err != nil {
			return err
		}
		if len(running) > 0 {
			return conflict("campaign %s is %s: pause or cancel it first", running[0], mailer.PhaseRunning)
		}
		if err := db.voidWhere(ctx, tx, by, "the key of incident "+incident+" was destroyed", `incident = ?`, num); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE incident SET sealed_key = NULL, key_destroyed_at = ?, revision = revision + 1 WHERE num = ?`,
			db.now().UnixMilli(), num); err != nil {
			return err
		}
		return db.act(ctx, tx, by, mailer.ActDestroyKey, incident, "")
	})
	if err != nil {
		return err
	}
	db.keys.Delete(num)
	// secure_delete has overwritten the bytes in their page; the pages before it
	// still stand in the write-ahead log.
	_, err = db.w.ExecContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`)
	return wrap(op, err)
}
