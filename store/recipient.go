package store

import (
	"database/sql"

	"oshirase/mailer"
	"oshirase/store/internal/engine"
	"oshirase/store/seal"
)

// sealedRow is what of a recipient's row says who it is.
type sealedRow struct {
	PersonKey  []byte `db:"person_key"`
	EmailKey   int64  `db:"email_key"`
	PhoneKey   int64  `db:"phone_key"`
	KanaKey    int64  `db:"kana_key"`
	SimilarKey int64  `db:"similar_key"`
	Bound      int64
	Sealed     []byte
}

// sealedColumns are those of a sealedRow, in the order of its fields.
const sealedColumns = `r.person_key, coalesce(r.email_key, 0) AS email_key, coalesce(r.phone_key, 0) AS phone_key,
	coalesce(r.kana_key, 0) AS kana_key, coalesce(r.similar_key, 0) AS similar_key, r.bound, r.sealed`

// blank reports whether the person is gone: only the number is left.
func (s *sealedRow) blank() bool { return s.PersonKey == nil && len(s.Sealed) == 0 }

func (s *sealedRow) row(id int64) *seal.Row {
	return &seal.Row{ID: id, PersonKey: s.PersonKey, Email: s.EmailKey, Phone: s.PhoneKey, Kana: s.KanaKey, Similar: s.SimilarKey, Sealed: s.Sealed}
}

// recipientRow is a recipient with the numbers of its exposures, joined by commas.
type recipientRow struct {
	ID int64
	sealedRow
	Exposures sql.NullString
}

const recipientColumns = `r.id, ` + sealedColumns + `, ` + exposuresColumn

// open is the person of a row that is as it was written; mailer.ErrDamaged where it
// is not.
func (r *recipientRow) open(keys *seal.Keys, incident, merchant int64) (mailer.Person, error) {
	return keys.OpenRow(r.row(r.ID), r.Bound, incident, merchant)
}

// boundRow is a recipient about to be written, as its code is made of it.
func boundRow(id int64, r *engine.Recipient) *seal.Row {
	b := &r.Blind
	return &seal.Row{ID: id, PersonKey: r.PersonKey, Email: b.Email, Phone: b.Phone, Kana: b.Kana, Similar: b.Similar, Sealed: r.Sealed}
}
