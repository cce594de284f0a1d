package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jmoiron/sqlx"

	"oshirase/mailer"
)

// Apply takes over the facts of incidents and merchants, all or nothing. A
// change voids the campaigns that were checked with the facts before.
func (db *DB) Apply(ctx context.Context, by mailer.Actor, incidents []mailer.Incident, merchants []mailer.Merchant) (res mailer.ApplyResult, err error) {
	defer db.explain(&err, "apply")
	res = mailer.ApplyResult{Incidents: []mailer.Change{}, Merchants: []mailer.Change{}}
	keys, err := db.newKeys(ctx, incidents)
	if err != nil {
		return mailer.ApplyResult{}, err
	}
	err = db.write(ctx, func(c *change) error {
		for i := range incidents {
			changed, err := c.applyIncident(ctx, by, &incidents[i], keys[incidents[i].ID])
			if err != nil {
				return fmt.Errorf("incident %s: %w", incidents[i].ID, err)
			}
			if err := c.actApply(ctx, by, "incident "+incidents[i].ID, changed); err != nil {
				return err
			}
			res.Incidents = append(res.Incidents, mailer.Change{ID: incidents[i].ID, Changed: changed})
		}
		for i := range merchants {
			changed, err := c.applyMerchant(ctx, by, &merchants[i])
			if err != nil {
				return fmt.Errorf("merchant %s: %w", merchants[i].ID, err)
			}
			if err := c.actApply(ctx, by, "merchant "+merchants[i].ID, changed); err != nil {
				return err
			}
			res.Merchants = append(res.Merchants, mailer.Change{ID: merchants[i].ID, Changed: changed})
		}
		return nil
	})
	if err != nil {
		return mailer.ApplyResult{}, err
	}
	return res, nil
}

func (c *change) actApply(ctx context.Context, by mailer.Actor, subject string, changed bool) error {
	detail := "unchanged"
	if changed {
		detail = "changed"
	}
	return c.act(ctx, by, mailer.ActApply, subject, detail)
}

func factsOf(v any) (facts, digest string, err error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", "", err
	}
	sum := sha256.Sum256(b)
	return string(b), hex.EncodeToString(sum[:]), nil
}

func (c *change) applyIncident(ctx context.Context, by mailer.Actor, in *mailer.Incident, key string) (changed bool, err error) {
	if !mailer.ValidID(in.ID) {
		return false, mailer.Invalid("apply.id", "id", in.ID)
	}
	facts, digest, err := factsOf(in)
	if err != nil {
		return false, err
	}
	now := c.db.now().UnixMilli()
	var old struct {
		Num   int64
		Facts string
	}
	err = get(ctx, c, &old, `SELECT num, facts FROM incident WHERE id = ?`, in.ID)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		if err := c.mayNewKey(ctx, in.ID); err != nil {
			return false, err
		}
		if err := get(ctx, c, &old.Num, `INSERT INTO incident (id, facts, digest, key_id, applied_at) VALUES (?, ?, ?, ?, ?) RETURNING num`,
			in.ID, facts, digest, key, now); err != nil {
			return false, err
		}
		c.made("incident", `num = ?`, old.Num)
		return true, c.applyExposures(ctx, old.Num, in)
	case err != nil:
		return false, err
	}
	if err := c.touch(ctx, "incident", `num = ?`, old.Num); err != nil || old.Facts == facts {
		return false, err
	}
	if _, err := do(ctx, c, `UPDATE incident SET facts = ?, digest = ?, revision = revision + 1, applied_at = ? WHERE num = ?`,
		facts, digest, now, old.Num); err != nil {
		return false, err
	}
	if err := c.applyExposures(ctx, old.Num, in); err != nil {
		return false, err
	}
	return true, c.voidWhere(ctx, by, "facts of incident "+in.ID+" changed since the check", `c.incident = ?`, old.Num)
}

// applyExposures keeps the numbered exposures in step with the facts. One that
// recipients have stays: without it nobody could say what they were told.
func (c *change) applyExposures(ctx context.Context, incident int64, in *mailer.Incident) error {
	var gone []struct {
		Num  int64
		ID   string
		Used bool
	}
	known, arg := c.db.eng.InText("id", in.ExposureIDs())
	if err := find(ctx, c, &gone, `
		SELECT num, id, EXISTS (SELECT 1 FROM recipient_exposure x WHERE x.exposure = e.num) AS used
		FROM exposure e WHERE incident = ? AND NOT (`+known+`)`, incident, arg); err != nil {
		return err
	}
	for _, e := range gone {
		if e.Used {
			return mailer.Conflict("apply.exposure-gone", "exposure", e.ID)
		}
		if err := c.touch(ctx, "exposure", `num = ?`, e.Num); err != nil {
			return err
		}
		if _, err := do(ctx, c, `DELETE FROM exposure WHERE num = ?`, e.Num); err != nil {
			return err
		}
	}
	for i, e := range in.Exposures {
		at := []any{incident, e.ID}
		err := c.touch(ctx, "exposure", `incident = ? AND id = ?`, at...)
		if errors.Is(err, sql.ErrNoRows) {
			c.made("exposure", `incident = ? AND id = ?`, at...)
		} else if err != nil {
			return err
		}
		if _, err := do(ctx, c, `
			INSERT INTO exposure (incident, id, ord, certainty) VALUES (?, ?, ?, ?)
			ON CONFLICT (incident, id) DO UPDATE SET ord = excluded.ord, certainty = excluded.certainty`,
			incident, e.ID, i, string(e.Certainty)); err != nil {
			return err
		}
	}
	return nil
}

func (c *change) applyMerchant(ctx context.Context, by mailer.Actor, m *mailer.Merchant) (changed bool, err error) {
	if !mailer.ValidID(m.ID) {
		return false, mailer.Invalid("apply.id", "id", m.ID)
	}
	facts, digest, err := factsOf(m)
	if err != nil {
		return false, err
	}
	now := c.db.now().UnixMilli()
	var old struct {
		Num   int64
		Facts string
	}
	err = get(ctx, c, &old, `SELECT num, facts FROM merchant WHERE id = ?`, m.ID)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		err := get(ctx, c, &old.Num, `INSERT INTO merchant (id, facts, digest, applied_at) VALUES (?, ?, ?, ?) RETURNING num`, m.ID, facts, digest, now)
		c.made("merchant", `num = ?`, old.Num)
		return err == nil, err
	case err != nil:
		return false, err
	}
	if err := c.touch(ctx, "merchant", `num = ?`, old.Num); err != nil || old.Facts == facts {
		return false, err
	}
	if _, err := do(ctx, c, `UPDATE merchant SET facts = ?, digest = ?, revision = revision + 1, applied_at = ? WHERE num = ?`,
		facts, digest, now, old.Num); err != nil {
		return false, err
	}
	return true, c.voidWhere(ctx, by, "facts of merchant "+m.ID+" changed since the check", `c.merchant = ?`, old.Num)
}

// Incident returns the facts of an incident.
func (r *Reader) Incident(ctx context.Context, id string) (in mailer.Incident, err error) {
	defer r.explain(&err, "find incident")
	return in, r.facts(ctx, &in, "incident", id)
}

// Merchant returns the facts of a merchant.
func (r *Reader) Merchant(ctx context.Context, id string) (m mailer.Merchant, err error) {
	defer r.explain(&err, "find merchant")
	return m, r.facts(ctx, &m, "merchant", id)
}

// Incidents lists all incidents by id.
func (r *Reader) Incidents(ctx context.Context) (all []mailer.Incident, err error) {
	defer r.explain(&err, "list incidents")
	return allFacts[mailer.Incident](ctx, r, "incident")
}

// Merchants lists all merchants by id.
func (r *Reader) Merchants(ctx context.Context) (all []mailer.Merchant, err error) {
	defer r.explain(&err, "list merchants")
	return allFacts[mailer.Merchant](ctx, r, "merchant")
}

// facts are given only as they were applied: mailer.ErrDamaged where somebody else
// changed them.
func (r *Reader) facts(ctx context.Context, dst any, table, id string) error {
	return r.read(ctx, func(tx *sqlx.Tx) error {
		var s string
		if err := get(ctx, tx, &s, `SELECT facts FROM `+table+` WHERE id = ?`, id); err != nil {
			return missing(err, table, id)
		}
		if _, err := r.proved(ctx, tx, controlRow{table, `id = ?`, []any{id}}); err != nil {
			return err
		}
		return unmarshal(s, dst)
	})
}

func allFacts[T any](ctx context.Context, r *Reader, table string) ([]T, error) {
	var ids []string
	if err := find(ctx, r.pool(), &ids, `SELECT id FROM `+table+` ORDER BY id`); err != nil {
		return nil, err
	}
	out := make([]T, len(ids))
	for i, id := range ids {
		if err := r.facts(ctx, &out[i], table, id); err != nil {
			return nil, err
		}
	}
	return out, nil
}
