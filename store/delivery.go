package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"oshirase/mailer"
	"oshirase/store/seal"
)

type eventRow struct {
	At                           int64
	Kind, State                  string
	Attempt                      int
	Relay, Point, Enhanced, Text string
	Code                         int
	Raw                          []byte
}

// event opens what the relay said; keys is nil where the incident's key is destroyed.
func (r *eventRow) event(keys *seal.Keys, delivery int64) (mailer.Event, error) {
	e := mailer.Event{
		At: time.UnixMilli(r.At).UTC(), Kind: mailer.EventKind(r.Kind), State: mailer.State(r.State), Attempt: r.Attempt, Relay: r.Relay,
		Point: mailer.Point(r.Point), Code: r.Code, Enhanced: r.Enhanced, Text: r.Text,
	}
	if r.Raw == nil {
		return e, nil
	}
	var err error
	if e.Text, _, err = openReply(keys, delivery, r.Raw); errors.Is(err, mailer.ErrDamaged) {
		e.Damaged, err = true, nil
	}
	return e, err
}

// events returns the history of a delivery, oldest first.
func events(ctx context.Context, h handle, keys *seal.Keys, delivery int64) ([]mailer.Event, error) {
	var rows []eventRow
	if err := find(ctx, h, &rows, `
		SELECT at, kind, state, attempt, relay, point, enhanced, text, code, raw FROM event WHERE delivery = ? ORDER BY n`, delivery); err != nil {
		return nil, err
	}
	out := make([]mailer.Event, len(rows))
	for i := range rows {
		var err error
		if out[i], err = rows[i].event(keys, delivery); err != nil {
			return nil, err
		}
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
	Held        mailer.Held
	FirstAt     sql.NullInt64 `db:"first_at"`
	NextAt      sql.NullInt64 `db:"next_at"`
	Exposures   string
	sealedRow
	LastAt   sql.NullInt64 `db:"last_at"`
	Relay    sql.NullString
	Point    sql.NullString
	Code     sql.NullInt64
	Enhanced sql.NullString
	Raw      []byte
}

const selectDelivery = `
	SELECT d.id, k.id AS campaign, k.incident, k.merchant, m.id AS merchant_id, d.recipient, ` + claimedState + ` AS state, d.attempts, d.suppressed, d.held,
	       d.first_at, d.next_at, d.exposures, ` + sealedColumns + `,
	       e.at AS last_at, e.relay, e.point, e.code, e.enhanced, e.raw
	FROM delivery d JOIN campaign k ON k.num = d.campaign JOIN merchant m ON m.num = k.merchant JOIN recipient r ON r.id = d.recipient ` + joinLeased + `
	LEFT JOIN event e ON e.delivery = d.id AND e.n = (SELECT max(n) FROM event l WHERE l.delivery = d.id AND l.kind IN ('attempt', 'refusal', 'hold')) `

// delivery opens a row; keys is nil where the incident's key is destroyed. A person or
// a reply that is not as it was written is left out and said to be damaged, so that
// one row hides no other.
func (r *Reader) delivery(row *deliveryRow, keys *seal.Keys) (mailer.DeliveryView, error) {
	d := mailer.DeliveryView{
		ID: row.ID, Campaign: row.Campaign, Merchant: row.Merchant, Ref: r.names.Ref(row.Recipient),
		Token: r.names.Token(row.ID), MessageName: r.names.MessageName(row.ID), State: row.State,
		Attempts: row.Attempts, Suppressed: row.Suppressed, Held: row.Held, FirstAt: fromMS(row.FirstAt), NextAt: fromMS(row.NextAt),
	}
	var err error
	if d.Exposures, err = parseStrings(row.Exposures); err != nil {
		return d, err
	}
	if keys != nil && !row.blank() {
		d.Person, err = keys.OpenRow(row.row(row.Recipient), row.Bound, row.IncidentNum, row.MerchantNum)
		if d.Damaged = errors.Is(err, mailer.ErrDamaged); err != nil && !d.Damaged {
			return d, fmt.Errorf("recipient %s: %w", d.Ref, err)
		}
		d.CustomerID, d.Email = d.Person.CustomerID, d.Person.Email
	}
	if row.LastAt.Valid {
		d.LastAt, d.Relay, d.Point = fromMS(row.LastAt), row.Relay.String, mailer.Point(row.Point.String)
		d.Code, d.Enhanced = int(row.Code.Int64), row.Enhanced.String
		if d.Text, _, err = openReply(keys, row.ID, row.Raw); errors.Is(err, mailer.ErrDamaged) {
			d.Damaged = true
		} else if err != nil {
			return d, err
		}
	}
	return d, nil
}

// EachDelivery calls fn with every delivery of a campaign that the filter admits, in
// order of their IDs. It streams, and each page is
// read for itself: fn may take its time without holding the ledger.
func (r *Reader) EachDelivery(ctx context.Context, by mailer.Actor, of mailer.DeliveryFilter, fn func(mailer.DeliveryView) error) (err error) {
	defer r.explain(&err, "read deliveries of %s", of.Campaign)
	k, err := r.campaignKey(ctx, r.pool(), of.Campaign)
	if err != nil {
		return err
	}
	if err := r.witness(ctx, by, mailer.ActDeliveries, of.Campaign, "state "+cmp.Or(string(of.State), "any")); err != nil {
		return err
	}
	keys, err := r.keysOrNone(ctx, r.pool(), k.incident)
	if err != nil {
		return err
	}
	where := `WHERE d.campaign = ? AND d.id > ?`
	if of.State != "" {
		where += ` AND ` + claimedState + ` = ?`
	}
	if of.Held {
		where += ` AND d.held <> ''`
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
		if err := find(ctx, r.pool(), &rows, selectDelivery+where+` ORDER BY d.id LIMIT ?`, append(args, n)...); err != nil {
			return err
		}
		for i := range rows {
			d, err := r.delivery(&rows[i], keys)
			if err != nil {
				return err
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
func (r *Reader) FindToken(ctx context.Context, token string) (d mailer.DeliveryView, err error) {
	defer r.explain(&err, "find delivery by token")
	id, ok := r.names.ParseToken(token)
	if !ok {
		return mailer.DeliveryView{}, mailer.NotFound("delivery.token")
	}
	return r.findDelivery(ctx, id)
}

// FindMessage finds the delivery that the left side of a Message-ID names.
func (r *Reader) FindMessage(ctx context.Context, name string) (d mailer.DeliveryView, err error) {
	defer r.explain(&err, "find delivery by Message-ID")
	id, ok := r.names.ParseMessageName(name)
	if !ok {
		return mailer.DeliveryView{}, mailer.NotFound("delivery.message")
	}
	return r.findDelivery(ctx, id)
}

func (r *Reader) findDelivery(ctx context.Context, id int64) (mailer.DeliveryView, error) {
	var row deliveryRow
	if err := get(ctx, r.pool(), &row, selectDelivery+`WHERE d.id = ?`, id); err != nil {
		return mailer.DeliveryView{}, missing(err, "delivery", fmt.Sprint(id))
	}
	keys, err := r.keysOrNone(ctx, r.pool(), row.IncidentNum)
	if err != nil {
		return mailer.DeliveryView{}, err
	}
	return r.delivery(&row, keys)
}

// FindRecipient finds one recipient of a campaign by reference number, for
// previews and tests; with an empty one the first. Where the campaign was
// checked it is as its notice was rendered, else as the check would take it. That
// somebody is shown it is recorded first, as the query says.
func (r *Reader) FindRecipient(ctx context.Context, by mailer.Actor, of mailer.RecipientQuery) (rec mailer.Recipient, err error) {
	campaign, ref := of.Campaign, of.Ref
	defer r.explain(&err, "find recipient of %s", campaign)
	if err := r.witness(ctx, by, of.For, campaign, of.Detail()); err != nil {
		return mailer.Recipient{}, err
	}
	s, err := r.selection(ctx, campaign)
	if err != nil {
		return mailer.Recipient{}, err
	}
	var id int64
	if ref != "" {
		if id, err = r.names.ParseRef(ref); err != nil {
			return mailer.Recipient{}, err
		}
	}
	rec, found, err := s.frozen(ctx, id)
	if err != nil || found {
		return rec, err
	}
	rs, err := s.one(ctx, id)
	switch {
	case err != nil:
		return mailer.Recipient{}, err
	case len(rs) > 0:
		return rs[0], nil
	case ref != "":
		return mailer.Recipient{}, mailer.NotFound("recipient.none", "ref", ref)
	}
	return mailer.Recipient{}, mailer.NotFound("campaign.nobody")
}

// frozen finds a recipient as the notice was rendered: the one with the ID, or with
// none the first.
func (s *selection) frozen(ctx context.Context, id int64) (rec mailer.Recipient, found bool, err error) {
	only, args := ``, []any{s.row.Num}
	if id != 0 {
		only, args = ` AND d.recipient = ?`, append(args, id)
	}
	var row struct {
		recipientRow
		Told sql.NullString
	}
	err = get(ctx, s.r.pool(), &row, `
		SELECT `+recipientColumns+`, d.told
		FROM delivery d JOIN recipient r ON r.id = d.recipient
		WHERE d.campaign = ? AND d.suppressed = ''`+only+` ORDER BY d.id LIMIT 1`, args...)
	if errors.Is(err, sql.ErrNoRows) {
		return rec, false, nil
	} else if err != nil {
		return rec, false, err
	}
	rec, err = s.r.openRecipient(s.row.key(), s.keys, s.exposures, &row.recipientRow)
	if err == nil && row.Told.Valid {
		err = unmarshal(row.Told.String, &rec.Told)
	}
	return rec, err == nil, err
}

// one finds a recipient as the check would take it.
func (s *selection) one(ctx context.Context, id int64) (rs []mailer.Recipient, err error) {
	if id != 0 {
		q, args := s.query(recipientColumns)
		var rows []recipientRow
		if err := find(ctx, s.r.pool(), &rows, q+` AND r.id = ?`, append(args, id)...); err != nil {
			return nil, err
		}
		return s.open(ctx, rows)
	}
	for last := int64(-1); len(rs) == 0 && last != 0; {
		if rs, last, err = s.page(ctx, max(last, 0), 1); err != nil {
			return nil, err
		}
	}
	return rs, nil
}
