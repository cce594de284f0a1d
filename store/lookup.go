package store

import (
	"context"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"oshirase/mailer"
	"oshirase/store/seal"
)

// Lookup finds a person across incidents and merchants. Who looked, and by what
// (blind, where it is personal), is recorded, with a match or without, before anything
// is returned.
func (r *Reader) Lookup(ctx context.Context, by mailer.Actor, q mailer.Query) (matches []mailer.Match, err error) {
	defer r.explain(&err, "look up")
	found, term, err := r.findPeople(ctx, q)
	if err != nil {
		return nil, err
	}
	matches = make([]mailer.Match, len(found))
	refs := make([]string, len(found))
	for i := range found {
		if matches[i], err = r.match(ctx, &found[i]); err != nil {
			return nil, err
		}
		refs[i] = matches[i].Ref
	}
	if err := r.witness(ctx, by, mailer.ActLookUp, term, fmt.Sprintf("%d matches %s", len(matches), strings.Join(refs, " "))); err != nil {
		return nil, err
	}
	return matches, nil
}

// findPeople finds recipients, and says how the record names what was asked for.
func (r *Reader) findPeople(ctx context.Context, q mailer.Query) (found []recipientAt, term string, err error) {
	var asked []string
	for _, s := range []string{q.Ref, q.Email, q.CustomerID, q.Phone, q.Kana} {
		if s != "" {
			asked = append(asked, s)
		}
	}
	switch {
	case len(asked) != 1:
		return nil, "", mailer.Invalid("lookup.one")
	case q.Ref != "":
		found, err = r.findByRef(ctx, q.Ref)
		return found, "ref " + strings.Join(strings.Fields(cut(q.Ref)), ""), err
	case q.CustomerID != "":
		return r.findBlind(ctx, &blindTerm{
			field: "customer_id", column: "person_key",
			key: func(s *seal.Sealer) any { return s.CustomerKey(q.CustomerID) },
		})
	case q.Email != "":
		return r.findBlind(ctx, &blindTerm{
			field: "email", column: "email_key",
			key:  func(s *seal.Sealer) any { return s.EmailKey(q.Email) },
			same: func(p *mailer.Person) bool { return seal.SameEmail(p.Email, q.Email) },
		})
	case q.Phone != "":
		return r.findBlind(ctx, &blindTerm{
			field: "phone", column: "phone_key",
			key:  func(s *seal.Sealer) any { return s.PhoneKey(q.Phone) },
			same: func(p *mailer.Person) bool { return seal.PhoneForm(p.Phone) == seal.PhoneForm(q.Phone) },
		})
	}
	return r.findBlind(ctx, &blindTerm{
		field: "kana", column: "kana_key",
		key:  func(s *seal.Sealer) any { return s.KanaKey(q.Kana) },
		same: func(p *mailer.Person) bool { return seal.KanaForm(p.NameKana) == seal.KanaForm(q.Kana) },
	})
}

type recipientAt struct {
	recipientRow
	Incident int64
	Merchant int64
}

const selectRecipientAt = `
	SELECT r.id, r.incident, r.merchant, r.person_key, r.sealed, ` + exposuresColumn + `
	FROM recipient r WHERE `

func (r *Reader) findByRef(ctx context.Context, ref string) ([]recipientAt, error) {
	id, err := r.names.ParseRef(ref)
	if err != nil {
		return nil, err
	}
	var rows []recipientAt
	return rows, find(ctx, r.pool(), &rows, selectRecipientAt+`r.id = ?`, id)
}

// blindTerm is what is asked for by a blind index.
type blindTerm struct {
	field, column string
	key           func(*seal.Sealer) any // under the keys of one population
	// same compares a candidate that is opened; nil: the key is long enough.
	same func(*mailer.Person) bool
}

// findBlind asks every population by its blind index; term is what was asked for as
// the record has it.
func (r *Reader) findBlind(ctx context.Context, of *blindTerm) (out []recipientAt, term string, err error) {
	var pops []struct{ Incident, Merchant int64 }
	if err := find(ctx, r.pool(), &pops, `SELECT incident, merchant FROM population ORDER BY incident, merchant`); err != nil {
		return nil, "", err
	}
	term = of.field
	for _, p := range pops {
		keys, err := r.keysOrNone(ctx, r.pool(), p.Incident)
		if err != nil {
			return nil, "", err
		}
		if keys == nil {
			continue
		}
		key := of.key(seal.NewSealer(keys, p.Incident, p.Merchant, r.random))
		var rows []recipientAt
		if err := find(ctx, r.pool(), &rows, selectRecipientAt+`r.`+of.column+` = ? ORDER BY r.id`, key); err != nil {
			return nil, "", err
		}
		if term == of.field || len(rows) > 0 {
			term += " " + keyText(key) // of the first asked, and of each that has somebody
		}
		for _, row := range rows {
			if of.same != nil {
				person, err := keys.OpenPerson(row.Sealed, row.Incident, row.Merchant, row.PersonKey)
				if err != nil {
					return nil, "", err
				}
				if !of.same(&person) {
					continue
				}
			}
			out = append(out, row)
		}
	}
	return out, term, nil
}

// keyText is a blind key as the record has it.
func keyText(key any) string {
	switch k := key.(type) {
	case []byte:
		return hex.EncodeToString(k)
	case int64:
		return strconv.FormatUint(uint64(k), 16)
	}
	return ""
}

// match gathers what was done for one recipient.
func (r *Reader) match(ctx context.Context, rec *recipientAt) (m mailer.Match, err error) {
	err = r.read(ctx, func(tx *sqlx.Tx) error {
		var at struct{ Incident, Merchant, IncidentFacts, MerchantFacts string }
		if err := tx.QueryRowContext(ctx, tx.Rebind(`
			SELECT i.id, m.id, i.facts, m.facts FROM incident i, merchant m WHERE i.num = ? AND m.num = ?`), rec.Incident, rec.Merchant).
			Scan(&at.Incident, &at.Merchant, &at.IncidentFacts, &at.MerchantFacts); err != nil {
			return err
		}
		var facts struct{ Title, Name string }
		for _, s := range []string{at.IncidentFacts, at.MerchantFacts} {
			if err := unmarshal(s, &facts); err != nil {
				return err
			}
		}
		m = mailer.Match{Incident: at.Incident, Title: facts.Title, Merchant: at.Merchant, Sender: facts.Name, Ref: r.names.Ref(rec.ID)}
		keys, err := r.keysOrNone(ctx, tx, rec.Incident)
		if err != nil {
			return err
		}
		if keys != nil {
			if m.Person, err = keys.OpenPerson(rec.Sealed, rec.Incident, rec.Merchant, rec.PersonKey); err != nil {
				return err
			}
		}
		exposures, err := exposuresOf(ctx, tx, rec.Incident)
		if err != nil {
			return err
		}
		if m.Exposures, err = exposureIDs(exposures, rec.Exposures.String); err != nil {
			return err
		}
		m.Notices, err = noticesTo(ctx, tx, rec.ID)
		return err
	})
	return m, err
}

func noticesTo(ctx context.Context, h handle, recipient int64) ([]mailer.NoticeHistory, error) {
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
	if err := find(ctx, h, &rows, `
		SELECT k.id AS campaign, k.name, k.stage, k.phase, d.id, `+claimedState+` AS state, d.attempts, d.next_at, d.suppressed
		FROM delivery d JOIN campaign k ON k.num = d.campaign `+joinLeased+` WHERE d.recipient = ? ORDER BY d.id`, recipient); err != nil {
		return nil, err
	}
	out := make([]mailer.NoticeHistory, len(rows))
	for i, row := range rows {
		ev, err := events(ctx, h, row.ID)
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
