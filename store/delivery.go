package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"oshirase/mailer"
)

type eventRow struct {
	At                           int64
	Kind, State                  string
	Attempt                      int
	Relay, Point, Enhanced, Text string
	Code                         int
}

func (r *eventRow) event() mailer.Event {
	return mailer.Event{
		At: time.UnixMilli(r.At).UTC(), Kind: mailer.EventKind(r.Kind), State: mailer.State(r.State), Attempt: r.Attempt, Relay: r.Relay,
		Point: mailer.Point(r.Point), Code: r.Code, Enhanced: r.Enhanced, Text: r.Text,
	}
}

// events returns the history of a delivery, oldest first.
func events(ctx context.Context, q sqlx.QueryerContext, delivery int64) ([]mailer.Event, error) {
	var rows []eventRow
	if err := sqlx.SelectContext(ctx, q, &rows, `
		SELECT at, kind, state, attempt, relay, point, enhanced, text, code FROM event WHERE delivery = ? ORDER BY n`, delivery); err != nil {
		return nil, err
	}
	out := make([]mailer.Event, len(rows))
	for i := range rows {
		out[i] = rows[i].event()
	}
	return out, nil
}

type deliveryRow struct {
	ID          int64
	Campaign    string
	IncidentNum int64  `db:"incident"`
	MerchantNum int64  `db:"merchant"`
	Merchant    string `db:"merchant_id"`
	Recipient   int64
	State       mailer.State
	Attempts    int
	Suppressed  mailer.Suppression
	FirstAt     sql.NullInt64 `db:"first_at"`
	NextAt      sql.NullInt64 `db:"next_at"`
	Exposures   string
	PersonKey   []byte `db:"person_key"`
	Sealed      []byte
	LastAt      sql.NullInt64 `db:"last_at"`
	Relay       sql.NullString
	Point       sql.NullString
	Code        sql.NullInt64
	Enhanced    sql.NullString
	Text        sql.NullString
}

const selectDelivery = `
	SELECT d.id, c.id AS campaign, c.incident, c.merchant, m.id AS merchant_id, d.recipient, d.state, d.attempts, d.suppressed,
	       d.first_at, d.next_at, d.exposures, r.person_key, r.sealed,
	       e.at AS last_at, e.relay, e.point, e.code, e.enhanced, e.text
	FROM delivery d JOIN campaign c ON c.num = d.campaign JOIN merchant m ON m.num = c.merchant JOIN recipient r ON r.id = d.recipient
	LEFT JOIN event e ON e.delivery = d.id AND e.n = (SELECT max(n) FROM event l WHERE l.delivery = d.id AND l.kind = 'attempt') `

// delivery opens a row; keys is nil where the incident's key is destroyed.
func (db *DB) delivery(row *deliveryRow, keys *incidentKeys) (mailer.DeliveryView, error) {
	d := mailer.DeliveryView{
		ID: row.ID, Campaign: row.Campaign, Merchant: row.Merchant, Ref: db.names.Ref(row.Recipient),
		Token: db.names.Token(row.ID), State: row.State,
		Attempts: row.Attempts, Suppressed: row.Suppressed, FirstAt: fromMS(row.FirstAt), NextAt: fromMS(row.NextAt),
	}
	var err error
	if d.Exposures, err = parseStrings(row.Exposures); err != nil {
		return d, err
	}
	if keys != nil {
		if d.Person, err = keys.openPerson(row.Sealed, row.IncidentNum, row.MerchantNum, row.PersonKey); err != nil {
			return d, fmt.Errorf("recipient %s: %w", d.Ref, err)
		}
		d.CustomerID, d.Email = d.Person.CustomerID, d.Person.Email
	}
	if row.LastAt.Valid {
		d.LastAt, d.Relay, d.Point = fromMS(row.LastAt), row.Relay.String, mailer.Point(row.Point.String)
		d.Code, d.Enhanced, d.Text = int(row.Code.Int64), row.Enhanced.String, row.Text.String
	}
	return d, nil
}

// keysOrNone returns nil keys, and no error, where the key is destroyed: what is
// not personal stays to be seen.
func (db *DB) keysOrNone(ctx context.Context, q sqlx.QueryerContext, incident int64) (*incidentKeys, error) {
	k, err := db.incidentKeys(ctx, q, incident)
	if errors.Is(err, mailer.ErrKeyDestroyed) {
		return nil, nil
	}
	return k, err
}

// EachDelivery calls fn with every delivery of a campaign, or those in one state
// where state is not empty, in order of their IDs. It streams, and each page is
// read for itself: fn may take its time without holding the ledger.
func (db *DB) EachDelivery(ctx context.Context, by mailer.Actor, of mailer.DeliveryFilter, fn func(mailer.DeliveryView) error) error {
	op := "read deliveries of " + of.Campaign
	k, err := db.campaignKey(ctx, db.r, of.Campaign)
	if err != nil {
		return wrap(op, err)
	}
	if err := db.seen(ctx, by, mailer.ActDeliveries, of.Campaign, "state "+cmp.Or(string(of.State), "any")); err != nil {
		return wrap(op, err)
	}
	keys, err := db.keysOrNone(ctx, db.r, k.incident)
	if err != nil {
		return wrap(op, err)
	}
	where := `WHERE d.campaign = ? AND d.id > ?`
	if of.State != "" {
		where += ` AND d.state = ?`
	}
	left := of.Limit
	for after := of.After; ; {
		n := pageRows
		if of.Limit > 0 {
			n = min(n, left)
		}
		args := []any{k.num, after}
		if of.State != "" {
			args = append(args, string(of.State))
		}
		var rows []deliveryRow
		if err := db.r.SelectContext(ctx, &rows, selectDelivery+where+` ORDER BY d.id LIMIT ?`, append(args, n)...); err != nil {
			return wrap(op, err)
		}
		for i := range rows {
			d, err := db.delivery(&rows[i], keys)
			if err != nil {
				return wrap(op, err)
			}
			if err := fn(d); err != nil {
				return err
			}
			after = d.ID
		}
		left -= len(rows)
		if len(rows) < pageRows || of.Limit > 0 && left == 0 {
			return nil
		}
	}
}

// FindToken finds the delivery that a token of an envelope sender names.
func (db *DB) FindToken(ctx context.Context, token string) (mailer.DeliveryView, error) {
	const op = "find delivery by token"
	id, ok := db.names.ParseToken(token)
	if !ok {
		return mailer.DeliveryView{}, wrap(op, fmt.Errorf("%w: the token is not of this ledger", mailer.ErrNotFound))
	}
	var row deliveryRow
	if err := db.r.GetContext(ctx, &row, selectDelivery+`WHERE d.id = ?`, id); err != nil {
		return mailer.DeliveryView{}, wrap(op, missing(err, "delivery", fmt.Sprint(id)))
	}
	keys, err := db.keysOrNone(ctx, db.r, row.IncidentNum)
	if err != nil {
		return mailer.DeliveryView{}, wrap(op, err)
	}
	d, err := db.delivery(&row, keys)
	return d, wrap(op, err)
}

// FindRecipient finds one recipient of a campaign by reference number, for
// previews and tests; with an empty one the first. Where the campaign was
// checked it is as its notice was rendered, else as the check would take it.
func (db *DB) FindRecipient(ctx context.Context, by mailer.Actor, of mailer.RecipientQuery) (mailer.Recipient, error) {
	campaign, ref := of.Campaign, of.Ref
	op := "find recipient of " + campaign
	if err := db.seen(ctx, by, of.For, campaign, of.Detail()); err != nil {
		return mailer.Recipient{}, wrap(op, err)
	}
	s, err := db.selection(ctx, campaign)
	if err != nil {
		return mailer.Recipient{}, wrap(op, err)
	}
	only, args := ``, []any{s.row.Num}
	if ref != "" {
		id, err := db.names.ParseRef(ref)
		if err != nil {
			return mailer.Recipient{}, wrap(op, err)
		}
		only, args = ` AND d.recipient = ?`, append(args, id)
	}
	var frozen struct {
		recipientRow
		Told sql.NullString
	}
	err = db.r.GetContext(ctx, &frozen, `
		SELECT r.id, r.person_key, r.sealed, d.told,
		       (SELECT group_concat(x.exposure) FROM recipient_exposure x WHERE x.recipient = r.id) AS exposures
		FROM delivery d JOIN recipient r ON r.id = d.recipient
		WHERE d.campaign = ? AND d.suppressed = ''`+only+` ORDER BY d.id LIMIT 1`, args...)
	if err == nil {
		r, err := db.openRecipient(s.row, s.keys, s.exposures, &frozen.recipientRow)
		if err == nil && frozen.Told.Valid {
			err = unmarshal(frozen.Told.String, &r.Told)
		}
		return r, wrap(op, err)
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return mailer.Recipient{}, wrap(op, err)
	}
	var rs []mailer.Recipient
	if ref == "" {
		for last := int64(-1); len(rs) == 0 && last != 0; {
			if rs, last, err = s.page(ctx, max(last, 0), 1); err != nil {
				return mailer.Recipient{}, wrap(op, err)
			}
		}
	} else {
		id, _ := db.names.ParseRef(ref) // it parsed above
		q, args := s.query()
		var rows []recipientRow
		if err := db.r.SelectContext(ctx, &rows, q+` AND r.id = ?`, append(args, id)...); err != nil {
			return mailer.Recipient{}, wrap(op, err)
		}
		if rs, err = s.open(ctx, rows); err != nil {
			return mailer.Recipient{}, wrap(op, err)
		}
	}
	if len(rs) == 0 {
		what := "the campaign selects nobody"
		if ref != "" {
			what = "the campaign selects no recipient with reference number " + ref
		}
		return mailer.Recipient{}, wrap(op, fmt.Errorf("%w: %s", mailer.ErrNotFound, what))
	}
	return rs[0], nil
}
