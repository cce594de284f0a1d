package store

import (
	"context"

	"oshirase/mailer"
)

// DestroyKey destroys the key of an incident: from then on nobody can read its
// persons or find them by name, here or in any copy of the database made later.
// Reference numbers, states and counts remain. Refused while a campaign of the
// incident is running; those that were checked are voided. Copies and backups
// made before hold the wrapped key: they are the operator's to destroy.
func (db *DB) DestroyKey(ctx context.Context, by mailer.Actor, incident string) (err error) {
	defer db.explain(&err, "destroy key of incident %s", incident)
	var num int64
	err = db.write(ctx, func(c *change) error {
		if err := get(ctx, c, &num, `SELECT num FROM incident WHERE id = ?`, incident); err != nil {
			return missing(err, "incident", incident)
		}
		if _, err := db.incidentKeys(ctx, c, num); err != nil {
			return err
		}
		var running []string
		if err := find(ctx, c, &running, `SELECT id FROM campaign WHERE incident = ? AND phase = 'running'`, num); err != nil {
			return err
		}
		if len(running) > 0 {
			return mailer.Conflict("destroy.running", "campaign", running[0])
		}
		if err := c.voidWhere(ctx, by, "the key of incident "+incident+" was destroyed", `c.incident = ?`, num); err != nil {
			return err
		}
		if err := c.touch(ctx, "incident", `num = ?`, num); err != nil {
			return err
		}
		if _, err := do(ctx, c, `UPDATE incident SET sealed_key = NULL, key_destroyed_at = ?, revision = revision + 1 WHERE num = ?`,
			db.now().UnixMilli(), num); err != nil {
			return err
		}
		return c.act(ctx, by, mailer.ActDestroyKey, incident, "")
	})
	if err != nil {
		return err
	}
	db.keys.Delete(num)
	return db.eng.Purge(ctx)
}
