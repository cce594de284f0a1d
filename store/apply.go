package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/jmoiron/sqlx"

	"oshirase/mailer"
)

// Apply takes over the facts of incidents and merchants, all or nothing. Any change
// voids the campaigns that were checked with the facts before.
func (db *DB) Apply(ctx context.Context, by mailer.Actor, incidents []mailer.Incident, merchants []mailer.Merchant) (mailer.ApplyResult, error) {
	return db.ApplyPlanned(ctx, by, incidents, merchants, nil, nil)
}

// ApplyPlanned does so as somebody was shown before: it voids the campaigns of which
// same does not say that their notices stay as they are, and refuses with ErrConflict
// where these are others than in shown. nil: every change is one, nobody was shown
// anything.
func (db *DB) ApplyPlanned(ctx context.Context, by mailer.Actor, incidents []mailer.Incident, merchants []mailer.Merchant,
	same mailer.SameNotices, shown *mailer.ApplyResult,
) (res mailer.ApplyResult, err error) {
	defer db.explain(&err, "apply")
	keys, err := db.newKeys(ctx, incidents)
	if err != nil {
		return res, err
	}
	err = db.write(ctx, func(c *change) error {
		p, err := db.planApply(ctx, c, incidents, merchants, same)
		if err != nil {
			return err
		}
		if shown != nil && (!slices.Equal(shown.Voids, p.Voids) || !slices.Equal(shown.Diff, p.Diff)) {
			return mailer.Conflict("apply.moved")
		}
		for i, change := range p.Incidents {
			if err := c.applyIncident(ctx, &incidents[i], change.Changed, keys[change.ID]); err != nil {
				return fmt.Errorf("incident %s: %w", change.ID, err)
			}
			if err := c.actApply(ctx, by, "incident", change, p.Diff); err != nil {
				return err
			}
		}
		for i, change := range p.Merchants {
			if err := c.applyMerchant(ctx, &merchants[i], change.Changed); err != nil {
				return fmt.Errorf("merchant %s: %w", change.ID, err)
			}
			if err := c.actApply(ctx, by, "merchant", change, p.Diff); err != nil {
				return err
			}
		}
		for _, v := range p.void {
			if err := c.toDraft(ctx, by, v.row, v.reason); err != nil {
				return err
			}
			c.db.log.Warn("campaign voided", "campaign", v.row.ID, "reason", v.reason)
		}
		res = p.ApplyResult
		return nil
	})
	if err != nil {
		return mailer.ApplyResult{}, err
	}
	return res, nil
}

// actApply records which facts changed: facts are no personal data, but long.
func (c *change) actApply(ctx context.Context, by mailer.Actor, kind string, of mailer.Change, diff []mailer.FactChange) error {
	detail := "unchanged"
	if of.Changed {
		detail = "changed"
		for _, d := range diff {
			if d.Kind == kind && d.ID == of.ID {
				if len(detail) > 200 {
					detail += " …"
					break
				}
				detail += " " + d.Path
			}
		}
	}
	return c.act(ctx, by, mailer.ActApply, kind+" "+of.ID, detail)
}

func factsOf(v any) (facts, digest string, err error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", "", err
	}
	sum := sha256.Sum256(b)
	return string(b), hex.EncodeToString(sum[:]), nil
}

func (c *change) applyIncident(ctx context.Context, in *mailer.Incident, changed bool, key string) error {
	if !mailer.ValidID(in.ID) {
		return mailer.Invalid("apply.id", "id", in.ID)
	}
	facts, digest, err := factsOf(in)
	if err != nil {
		return err
	}
	now := c.db.now().UnixMilli()
	var num int64
	err = get(ctx, c, &num, `SELECT num FROM incident WHERE id = ?`, in.ID)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		if err := c.mayNewKey(ctx, in.ID); err != nil {
			return err
		}
		if err := get(ctx, c, &num, `INSERT INTO incident (id, facts, digest, key_id, applied_at) VALUES (?, ?, ?, ?, ?) RETURNING num`,
			in.ID, facts, digest, key, now); err != nil {
			return err
		}
		c.made("incident", `num = ?`, num)
		return c.applyExposures(ctx, num, in)
	case err != nil || !changed:
		return err
	}
	if err := c.touch(ctx, "incident", `num = ?`, num); err != nil {
		return err
	}
	if _, err := do(ctx, c, `UPDATE incident SET facts = ?, digest = ?, revision = revision + 1, applied_at = ? WHERE num = ?`,
		facts, digest, now, num); err != nil {
		return err
	}
	return c.applyExposures(ctx, num, in)
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

func (c *change) applyMerchant(ctx context.Context, m *mailer.Merchant, changed bool) error {
	if !mailer.ValidID(m.ID) {
		return mailer.Invalid("apply.id", "id", m.ID)
	}
	facts, digest, err := factsOf(m)
	if err != nil {
		return err
	}
	now := c.db.now().UnixMilli()
	var num int64
	err = get(ctx, c, &num, `SELECT num FROM merchant WHERE id = ?`, m.ID)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		err := get(ctx, c, &num, `INSERT INTO merchant (id, facts, digest, applied_at) VALUES (?, ?, ?, ?) RETURNING num`, m.ID, facts, digest, now)
		c.made("merchant", `num = ?`, num)
		return err
	case err != nil || !changed:
		return err
	}
	if err := c.touch(ctx, "merchant", `num = ?`, num); err != nil {
		return err
	}
	_, err = do(ctx, c, `UPDATE merchant SET facts = ?, digest = ?, revision = revision + 1, applied_at = ? WHERE num = ?`, facts, digest, now, num)
	return err
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
		s, err := r.provedFacts(ctx, tx, table, id)
		if err != nil {
			return missing(err, table, id)
		}
		return unmarshal(s, dst)
	})
}

// provedFacts are facts as they were applied; sql.ErrNoRows where there are none.
func (r *Reader) provedFacts(ctx context.Context, h handle, table, id string) (facts string, err error) {
	if err := get(ctx, h, &facts, `SELECT facts FROM `+table+` WHERE id = ?`, id); err != nil {
		return "", err
	}
	_, err = r.proved(ctx, h, controlRow{table, `id = ?`, []any{id}})
	return facts, err
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
