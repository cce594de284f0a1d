package store

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"oshirase/mailer"
	"oshirase/store/seal"
)

// Lookup finds a person across incidents and merchants; behind those who match stand
// those whose customer number is similar, and marked so. Who looked, and by what
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
		matches[i].Similar = found[i].similar
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
		found, term, err = r.findByCustomer(ctx, q.CustomerID)
		if err != nil {
			return nil, "", err
		}
		found, err = r.addSimilar(ctx, found, q.CustomerID)
		return found, term, err
	case q.Email != "":
		return r.findShort(ctx, &shortTerm{
			field: "email",
			key:   func(s *seal.Sealer) int64 { return s.EmailKey(q.Email) },
			same:  func(p *mailer.Person) bool { return seal.SameEmail(p.Email, q.Email) },
		})
	case q.Phone != "":
		return r.findShort(ctx, &shortTerm{
			field: "phone",
			key:   func(s *seal.Sealer) int64 { return s.PhoneKey(q.Phone) },
			same:  func(p *mailer.Person) bool { return seal.SamePhone(p.Phone, q.Phone) },
		})
	}
	return r.findShort(ctx, &shortTerm{
		field: "kana",
		key:   func(s *seal.Sealer) int64 { return s.KanaKey(q.Kana) },
		same:  func(p *mailer.Person) bool { return seal.SameKana(p.NameKana, q.Kana) },
	})
}

type recipientAt struct {
	recipientRow
	Incident int64
	Merchant int64
	similar  bool // found by what the customer number is like
}

const selectRecipientAt = `
	SELECT r.incident, r.merchant, ` + recipientColumns + `
	FROM recipient r WHERE `

func (r *Reader) findByRef(ctx context.Context, ref string) ([]recipientAt, error) {
	id, err := r.names.ParseRef(ref)
	if err != nil {
		return nil, err
	}
	var rows []recipientAt
	return rows, find(ctx, r.pool(), &rows, selectRecipientAt+`r.id = ? AND r.person_key IS NOT NULL`, id)
}

// peopleOf is the people of one merchant in one incident, and their keys.
type peopleOf struct {
	Incident, Merchant int64
	keys               *seal.Keys
}

// populations lists all whose incident's key is not destroyed.
func (r *Reader) populations(ctx context.Context) ([]peopleOf, error) {
	var all []peopleOf
	if err := find(ctx, r.pool(), &all, `SELECT incident, merchant FROM population ORDER BY incident, merchant`); err != nil {
		return nil, err
	}
	living := all[:0]
	for _, p := range all {
		var err error
		if p.keys, err = r.keysOrNone(ctx, r.pool(), p.Incident); err != nil {
			return nil, err
		}
		if p.keys != nil {
			living = append(living, p)
		}
	}
	return living, nil
}

// findByCustomer asks every population by its blind index; term is what was asked for
// as the record has it.
func (r *Reader) findByCustomer(ctx context.Context, id string) (out []recipientAt, term string, err error) {
	pops, err := r.populations(ctx)
	if err != nil {
		return nil, "", err
	}
	term = "customer_id"
	for i, p := range pops {
		key := seal.NewSealer(p.keys, p.Incident, p.Merchant, r.random).CustomerKey(id)
		var rows []recipientAt
		if err := find(ctx, r.pool(), &rows, selectRecipientAt+`r.person_key = ? ORDER BY r.id`, key); err != nil {
			return nil, "", err
		}
		if i == 0 || len(rows) > 0 {
			term += " " + hex.EncodeToString(key)
		}
		out = append(out, rows...)
	}
	return out, term, nil
}

// maxSimilar bounds how many people are shown beside those who were asked for.
const maxSimilar = 20

// addSimilar adds the people whose customer number is almost that. Two numbers that
// differ in case are two people, and on the telephone nobody hears which.
func (r *Reader) addSimilar(ctx context.Context, found []recipientAt, id string) ([]recipientAt, error) {
	known := make(map[int64]bool, len(found))
	for i := range found {
		known[found[i].ID] = true
	}
	similar, _, err := r.findShort(ctx, &shortTerm{
		field: "similar",
		key:   func(s *seal.Sealer) int64 { return s.SimilarKey(id) },
		same:  func(p *mailer.Person) bool { return seal.SimilarID(p.CustomerID, id) },
	})
	for i := range similar {
		if !known[similar[i].ID] && len(found)-len(known) < maxSimilar {
			similar[i].similar = true
			found = append(found, similar[i])
		}
	}
	return found, err
}

// Searched lists what a look-up goes through: the people of each merchant in each
// incident of whom a list was taken in.
func (r *Reader) Searched(ctx context.Context) (all []mailer.Searched, err error) {
	defer r.explain(&err, "list what is searched")
	var rows []struct {
		Incident, Merchant, IncidentFacts, MerchantFacts string
		People                                           int64
		Destroyed                                        bool
	}
	if err := find(ctx, r.pool(), &rows, `
		SELECT i.id AS incident, m.id AS merchant, i.facts AS incidentfacts, m.facts AS merchantfacts, p.recipients AS people,
		       i.key_destroyed_at IS NOT NULL AS destroyed
		FROM population p JOIN incident i ON i.num = p.incident JOIN merchant m ON m.num = p.merchant
		WHERE p.recipients > 0 ORDER BY i.id, m.id`); err != nil {
		return nil, err
	}
	all = make([]mailer.Searched, len(rows))
	for i, row := range rows {
		var facts struct{ Title, Name string }
		for _, s := range []string{row.IncidentFacts, row.MerchantFacts} {
			if err := unmarshal(s, &facts); err != nil {
				return nil, err
			}
		}
		all[i] = mailer.Searched{
			Incident: row.Incident, Title: facts.Title, Merchant: row.Merchant, Sender: facts.Name, People: row.People, Destroyed: row.Destroyed,
		}
	}
	return all, nil
}

// NotSearched are the merchants of whom no list was taken in, by id; never nil.
func (r *Reader) NotSearched(ctx context.Context) (ids []string, err error) {
	defer r.explain(&err, "list who is not searched")
	ids = []string{}
	err = find(ctx, r.pool(), &ids, `
		SELECT m.id FROM merchant m WHERE NOT EXISTS (SELECT 1 FROM population p WHERE p.merchant = m.num AND p.recipients > 0) ORDER BY m.id`)
	return ids, err
}

// shortTerm is what is asked for by a short blind key.
type shortTerm struct {
	field string                    // also the name of the column, with _key
	key   func(*seal.Sealer) int64  // under the keys of one population
	same  func(*mailer.Person) bool // compares a candidate that is opened
}

// findShort looks for candidates of all populations at once, opens them and compares:
// by phone and kana there is no index, and all recipients are read.
func (r *Reader) findShort(ctx context.Context, of *shortTerm) (out []recipientAt, term string, err error) {
	pops, err := r.populations(ctx)
	if err != nil {
		return nil, "", err
	}
	type at struct{ incident, merchant int64 }
	term = of.field
	keys := make([]int64, 0, len(pops))
	known := make(map[at]*seal.Keys, len(pops))
	for i, p := range pops {
		key := of.key(seal.NewSealer(p.keys, p.Incident, p.Merchant, r.random))
		if i == 0 {
			term += " " + strconv.FormatInt(key, 16)
		}
		if key != 0 {
			keys = append(keys, key)
		}
		known[at{p.Incident, p.Merchant}] = p.keys
	}
	cond, arg := r.eng.In("r."+of.field+"_key", keys)
	var rows []recipientAt
	if err := find(ctx, r.pool(), &rows, selectRecipientAt+cond+` ORDER BY r.incident, r.merchant, r.id`, arg); err != nil {
		return nil, "", err
	}
	for _, row := range rows {
		k := known[at{row.Incident, row.Merchant}]
		if k == nil {
			continue
		}
		person, err := row.open(k, row.Incident, row.Merchant)
		damaged := errors.Is(err, mailer.ErrDamaged)
		if err != nil && !damaged {
			return nil, "", err
		}
		if damaged || of.same(&person) { // who cannot be read may be who is asked for
			out = append(out, row)
		}
	}
	return out, term, nil
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
			m.Person, err = rec.open(keys, rec.Incident, rec.Merchant)
			if m.Damaged = errors.Is(err, mailer.ErrDamaged); err != nil && !m.Damaged {
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
		m.Notices, err = noticesTo(ctx, tx, keys, rec.ID)
		return err
	})
	return m, err
}

func noticesTo(ctx context.Context, h handle, keys *seal.Keys, recipient int64) ([]mailer.NoticeHistory, error) {
	var rows []struct {
		Campaign, Name string
		Stage          mailer.Stage
		Phase          mailer.Phase
		ID             int64
		State          mailer.State
		Attempts       int
		NextAt         *int64 `db:"next_at"`
		Suppressed     mailer.Suppression
		Held           mailer.Held
	}
	if err := find(ctx, h, &rows, `
		SELECT k.id AS campaign, k.name, k.stage, k.phase, d.id, `+claimedState+` AS state, d.attempts, d.next_at, d.suppressed, d.held
		FROM delivery d JOIN campaign k ON k.num = d.campaign `+joinLeased+` WHERE d.recipient = ? ORDER BY d.id`, recipient); err != nil {
		return nil, err
	}
	out := make([]mailer.NoticeHistory, len(rows))
	for i, row := range rows {
		ev, err := events(ctx, h, keys, row.ID)
		if err != nil {
			return nil, err
		}
		out[i] = mailer.NoticeHistory{
			Campaign: row.Campaign, Name: row.Name, Stage: row.Stage, Phase: row.Phase, State: row.State,
			Attempts: row.Attempts, Suppressed: row.Suppressed, Held: row.Held, Events: ev,
		}
		if row.NextAt != nil {
			out[i].NextAt = time.UnixMilli(*row.NextAt).UTC()
		}
	}
	return out, nil
}
