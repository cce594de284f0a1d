package store

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"oshirase/mailer"
)

// Lookup finds a person across incidents and merchants. Who looked, and by what
// (blind, where it is personal), goes into the audit, with a match or without,
// before anything is returned.
func (db *DB) Lookup(ctx context.Context, by mailer.Actor, q mailer.Query) ([]mailer.Match, error) {
	const op = "look up"
	var found []recipientAt
	var term string
	var err error
	switch {
	case q.Ref != "" && q.Email == "" && q.CustomerID == "":
		term = "ref " + strings.Join(strings.Fields(cut(q.Ref)), "")
		found, err = db.findByRef(ctx, q.Ref)
	case q.Email != "" && q.Ref == "" && q.CustomerID == "":
		found, err = db.findBlind(ctx, `email_key`, func(s *sealer) []byte { return s.emailKey(&mailer.Person{Email: q.Email}) }, "email", &term)
	case q.CustomerID != "" && q.Ref == "" && q.Email == "":
		found, err = db.findBlind(ctx, `person_key`, func(s *sealer) []byte { return s.customerKey(q.CustomerID) }, "customer_id", &term)
	default:
		err = invalid("look up by exactly one of reference number, e-mail address and customer id")
	}
	if err != nil {
		return nil, wrap(op, err)
	}
	matches := make([]mailer.Match, len(found))
	for i := range found {
		if matches[i], err = db.match(ctx, &found[i]); err != nil {
			return nil, wrap(op, err)
		}
	}
	err = db.write(ctx, op, func(tx *sqlx.Tx) error {
		refs := make([]string, len(matches))
		for i, m := range matches {
			refs[i] = m.Ref
		}
		return db.act(ctx, tx, by, mailer.ActLookUp, term, fmt.Sprintf("%d matches %s", len(matches), strings.Join(refs, " ")))
	})
	if err != nil {
		return nil, err
	}
	return matches, nil
}

type recipientAt struct {
	recipientRow
	Incident int64
	Merchant int64
}

const selectRecipientAt = `
	SELECT r.id, r.incident, r.merchant, r.person_key, r.sealed,
	       (SELECT group_concat(x.exposure) FROM recipient_exposure x WHERE x.recipient = r.id) AS exposures
	FROM recipient r WHERE `

func (db *DB) findByRef(ctx context.Context, ref string) ([]recipientAt, error) {
	id, err := db.names.ParseRef(ref)
	if err != nil {
		return nil, err
	}
	var rows []recipientAt
	return rows, db.r.SelectContext(ctx, &rows, selectRecipientAt+`r.id = ?`, id)
}

// findBlind asks every population by its blind index. term becomes the search
// term as the audit has it.
func (db *DB) findBlind(ctx context.Context, column string, key func(*sealer) []byte, field string, term *string) ([]recipientAt, error) {
	var pops []struct{ Incident, Merchant int64 }
	if err := db.r.SelectContext(ctx, &pops, `SELECT incident, merchant FROM population ORDER BY incident, merchant`); err != nil {
		return nil, err
	}
	*term = field
	var out []recipientAt
	blind := map[int64][]byte{}
	for _, p := range pops {
		k, done := blind[p.Incident]
		if !done {
			keys, err := db.keysOrNone(ctx, db.r, p.Incident)
			if err != nil {
				return nil, err
			}
			if keys != nil {
				k = key(newSealer(keys, p.Incident, 0, db.random))
				*term += " " + hex.EncodeToString(k)
			}
			blind[p.Incident] = k
		}
		if k == nil {
			continue
		}
		var rows []recipientAt
		if err := db.r.SelectContext(ctx, &rows, selectRecipientAt+`r.incident = ? AND r.merchant = ? AND r.`+column+` = ? ORDER BY r.id`,
			p.Incident, p.Merchant, k); err != nil {
			return nil, err
		}
		out = append(out, rows...)
	}
	return out, nil
}

// match gathers what was done for one recipient.
func (db *DB) match(ctx context.Context, r *recipientAt) (m mailer.Match, err error) {
	err = db.read(ctx, "read history", func(tx *sqlx.Tx) error {
		var at struct{ Incident, Merchant, Title, Sender string }
		if err := tx.GetContext(ctx, &at, `
			SELECT i.id AS incident, m.id AS merchant, ifnull(i.facts ->> 'title', '') AS title, ifnull(m.facts ->> 'name', '') AS sender
			FROM incident i, merchant m WHERE i.num = ? AND m.num = ?`, r.Incident, r.Merchant); err != nil {
			return err
		}
		m = mailer.Match{Incident: at.Incident, Title: at.Title, Merchant: at.Merchant, Sender: at.Sender, Ref: db.names.Ref(r.ID)}
		keys, err := db.keysOrNone(ctx, tx, r.Incident)
		if err != nil {
			return err
		}
		if keys != nil {
			if m.Person, err = keys.openPerson(r.Sealed, r.Incident, r.Merchant, r.PersonKey); err != nil {
				return err
			}
		}
		exposures, err := exposuresOf(ctx, tx, r.Incident)
		if err != nil {
			return err
		}
		if m.Exposures, err = exposureIDs(exposures, r.Exposures.String); err != nil {
			return err
		}
		m.Notices, err = campaignsFor(ctx, tx, r.ID)
		return err
	})
	return m, err
}

func campaignsFor(ctx context.Context, tx *sqlx.Tx, recipient int64) ([]mailer.NoticeHistory, error) {
	var rows []struct {
		Campaign, Name string
		Stage          mailer.Stage
		Phase          mailer.Phase
		ID             int64
		State          mailer.State
		Attempts       int
		NextAt         *int64 `db:"next_at"`
		Suppressed     mailer.Suppression
	}
	if err := tx.SelectContext(ctx, &rows, `
		SELECT c.id AS campaign, c.name, c.stage, c.phase, d.id, d.state, d.attempts, d.next_at, d.suppressed
		FROM delivery d JOIN campaign c ON c.num = d.campaign WHERE d.recipient = ? ORDER BY d.id`, recipient); err != nil {
		return nil, err
	}
	out := make([]mailer.NoticeHistory, len(rows))
	for i, row := range rows {
		ev, err := events(ctx, tx, row.ID)
		if err != nil {
			return nil, err
		}
		out[i] = mailer.NoticeHistory{
			Campaign: row.Campaign, Name: row.Name, Stage: row.Stage, Phase: row.Phase, State: row.State,
			Attempts: row.Attempts, Suppressed: row.Suppressed, Events: ev,
		}
		if row.NextAt != nil {
			out[i].NextAt = time.UnixMilli(*row.NextAt).UTC()
		}
	}
	return out, nil
}

// EachAct calls fn with every act, oldest first.
func (db *DB) EachAct(ctx context.Context, fn func(mailer.Act) error) error {
	for after := int64(0); ; {
		var rows []struct {
			ID, At                              int64
			Who, Proof, Action, Subject, Detail string
		}
		if err := db.r.SelectContext(ctx, &rows, `SELECT id, at, who, proof, action, subject, detail FROM act WHERE id > ? ORDER BY id LIMIT ?`,
			after, pageRows); err != nil {
			return wrap("read acts", err)
		}
		for _, r := range rows {
			if err := fn(mailer.Act{At: time.UnixMilli(r.At).UTC(), By: r.Who, Proof: mailer.Proof(r.Proof), Action: mailer.Action(r.Action), Subject: r.Subject, Detail: r.Detail}); err != nil {
				return err
			}
			after = r.ID
		}
		if len(rows) < pageRows {
			return nil
		}
	}
}

func unmarshal(s string, v any) error { return json.Unmarshal([]byte(s), v) }
