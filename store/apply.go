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
func (db *DB) Apply(ctx context.Context, by mailer.Actor, incidents []mailer.Incident, merchants []mailer.Merchant) (mailer.ApplyResult, error) {
	res := mailer.ApplyResult{Incidents: []mailer.Change{}, Merchants: []mailer.Change{}}
	err := db.write(ctx, "apply", func(tx *sqlx.Tx) error {
		for i := range incidents {
			changed, err := db.applyIncident(ctx, tx, by, &incidents[i])
			if err != nil {
				return fmt.Errorf("incident %s: %w", incidents[i].ID, err)
			}
			if err := db.actApply(ctx, tx, by, "incident "+incidents[i].ID, changed); err != nil {
				return err
			}
			res.Incidents = append(res.Incidents, mailer.Change{ID: incidents[i].ID, Changed: changed})
		}
		for i := range merchants {
			changed, err := db.applyMerchant(ctx, tx, by, &merchants[i])
			if err != nil {
				return fmt.Errorf("merchant %s: %w", merchants[i].ID, err)
			}
			if err := db.actApply(ctx, tx, by, "merchant "+merchants[i].ID, changed); err != nil {
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

func (db *DB) actApply(ctx context.Context, tx *sqlx.Tx, by mailer.Actor, subject string, changed bool) error {
	detail := "unchanged"
	if changed {
		detail = "changed"
	}
	return db.act(ctx, tx, by, mailer.ActApply, subject, detail)
}

func factsOf(v any) (facts, digest string, err error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", "", err
	}
	sum := sha256.Sum256(b)
	return string(b), hex.EncodeToString(sum[:]), nil
}

func (db *DB) applyIncident(ctx context.Context, tx *sqlx.Tx, by mailer.Actor, in *mailer.Incident) (changed bool, err error) {
	if !mailer.ValidID(in.ID) {
		return false, invalid("%q is no id: use lower-case letters, digits and hyphens", in.ID)
	}
	facts, digest, err := factsOf(in)
	if err != nil {
		return false, err
	}
	now := db.now().UnixMilli()
	var old struct {
		Num    int64
		Digest string
	}
	err = tx.GetContext(ctx, &old, `SELECT num, digest FROM incident WHERE id = ?`, in.ID)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		key, err := db.newIncidentKey(in.ID)
		if err != nil {
			return false, err
		}
		r, err := tx.ExecContext(ctx, `INSERT INTO incident (id, facts, digest, sealed_key, applied_at) VALUES (?, ?, ?, ?, ?)`,
			in.ID, facts, digest, key, now)
		if err != nil {
			return false, err
		}
		if old.Num, err = r.LastInsertId(); err != nil {
			return false, err
		}
		return true, applyExposures(ctx, tx, old.Num, in)
	case err != nil || old.Digest == digest:
		return false, err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE incident SET facts = ?, digest = ?, revision = revision + 1, applied_at = ? WHERE num = ?`,
		facts, digest, now, old.Num); err != nil {
		return false, err
	}
	if err := applyExposures(ctx, tx, old.Num, in); err != nil {
		return false, err
	}
	return true, db.voidWhere(ctx, tx, by, "facts of incident "+in.ID+" changed since the check", `incident = ?`, old.Num)
}

// applyExposures keeps the numbered exposures in step with the facts. One that
// recipients have stays: without it nobody could say what they were told.
func applyExposures(ctx context.Context, tx *sqlx.Tx, incident int64, in *mailer.Incident) error {
	var gone []struct {
		Num  int64
		ID   string
		Used bool
	}
	if err := tx.SelectContext(ctx, &gone, `
		SELECT num, id, EXISTS (SELECT 1 FROM recipient_exposure x WHERE x.exposure = e.num) AS used
		FROM exposure e WHERE incident = ? AND id NOT IN (SELECT value FROM json_each(?))`,
		incident, stringArray(in.ExposureIDs())); err != nil {
		return err
	}
	for _, e := range gone {
		if e.Used {
			return conflict("exposure %s is gone from the facts, but recipients have it: put it back", e.ID)
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM exposure WHERE num = ?`, e.Num); err != nil {
			return err
		}
	}
	for i, e := range in.Exposures {
		if _, err := tx.ExecContext(ctx, `
			INSERT INTO exposure (incident, id, ord, certainty) VALUES (?, ?, ?, ?)
			ON CONFLICT (incident, id) DO UPDATE SET ord = excluded.ord, certainty = excluded.certainty`,
			incident, e.ID, i, string(e.Certainty)); err != nil {
			return err
		}
	}
	return nil
}

func (db *DB) applyMerchant(ctx context.Context, tx *sqlx.Tx, by mailer.Actor, m *mailer.Merchant) (changed bool, err error) {
	if !mailer.ValidID(m.ID) {
		return false, invalid("%q is no id: use lower-case letters, digits and hyphens", m.ID)
	}
	facts, digest, err := factsOf(m)
	if err != nil {
		return false, err
	}
	now := db.now().UnixMilli()
	var old struct {
		Num    int64
		Digest string
	}
	err = tx.GetContext(ctx, &old, `SELECT num, digest FROM merchant WHERE id = ?`, m.ID)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		_, err := tx.ExecContext(ctx, `INSERT INTO merchant (id, facts, digest, applied_at) VALUES (?, ?, ?, ?)`, m.ID, facts, digest, now)
		return err == nil, err
	case err != nil || old.Digest == digest:
		return false, err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE merchant SET facts = ?, digest = ?, revision = revision + 1, applied_at = ? WHERE num = ?`,
		facts, digest, now, old.Num); err != nil {
		return false, err
	}
	return true, db.voidWhere(ctx, tx, by, "facts of merchant "+m.ID+" changed since the check", `merchant = ?`, old.Num)
}

// Incident returns the facts of an incident.
func (db *DB) Incident(ctx context.Context, id string) (mailer.Incident, error) {
	var in mailer.Incident
	err := facts(ctx, db.r, &in, "incident", `SELECT facts FROM incident WHERE id = ?`, id)
	return in, err
}

// Merchant returns the facts of a merchant.
func (db *DB) Merchant(ctx context.Context, id string) (mailer.Merchant, error) {
	var m mailer.Merchant
	err := facts(ctx, db.r, &m, "merchant", `SELECT facts FROM merchant WHERE id = ?`, id)
	return m, err
}

// Incidents lists all incidents by id.
func (db *DB) Incidents(ctx context.Context) ([]mailer.Incident, error) {
	return allFacts[mailer.Incident](ctx, db.r, "list incidents", `SELECT facts FROM incident ORDER BY id`)
}

// Merchants lists all merchants by id.
func (db *DB) Merchants(ctx context.Context) ([]mailer.Merchant, error) {
	return allFacts[mailer.Merchant](ctx, db.r, "list merchants", `SELECT facts FROM merchant ORDER BY id`)
}

func facts(ctx context.Context, q sqlx.QueryerContext, dst any, what, query, id string) error {
	var s string
	if err := sqlx.GetContext(ctx, q, &s, query, id); err != nil {
		return wrap("find "+what, missing(err, what, id))
	}
	return wrap("find "+what+" "+id, json.Unmarshal([]byte(s), dst))
}

func allFacts[T any](ctx context.Context, q sqlx.QueryerContext, op, query string) ([]T, error) {
	var all []string
	if err := sqlx.SelectContext(ctx, q, &all, query); err != nil {
		return nil, wrap(op, err)
	}
	out := make([]T, len(all))
	for i, s := range all {
		if err := json.Unmarshal([]byte(s), &out[i]); err != nil {
			return nil, wrap(op, err)
		}
	}
	return out, nil
}
