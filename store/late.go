package store

import (
	"context"
	"maps"

	"oshirase/mailer"
)

// Late lists. What a list brings after a campaign was checked voids nothing: people who
// came are for another campaign, and of people who changed the delivery is held, since
// its notice is not what was approved.

// standing are the campaigns of a population whose deliveries are held where their people
// change.
func standing(ctx context.Context, h handle, incident, merchant int64) (rows []campaignRow, err error) {
	err = find(ctx, h, &rows, selectCampaign+`
		WHERE c.phase IN ('checked', 'approved', 'scheduled', 'overdue', 'running', 'paused') AND c.incident = ? AND c.merchant = ?
		ORDER BY c.num`, incident, merchant)
	return rows, err
}

// holdChanged holds what these campaigns were still to send to people who changed, and
// says how much.
func (c *change) holdChanged(ctx context.Context, standing []campaignRow, recipients []int64) (held int64, err error) {
	if len(standing) == 0 || len(recipients) == 0 {
		return 0, nil
	}
	of, arg := c.db.eng.In("d.recipient", recipients)
	for i := range standing {
		row := &standing[i]
		var rows []candidate
		if err := find(ctx, c, &rows, selectCandidate+`
			WHERE `+of+` AND +d.campaign = ? AND d.state IN ('queued', 'deferred') AND d.held = '' ORDER BY d.id`, arg, row.Num); err != nil {
			return held, err
		}
		if err := c.hold(ctx, row, rows, mailer.HeldChanged); err != nil {
			return held, err
		}
		held += int64(len(rows))
	}
	return held, nil
}

// changesNotice reports whether a notice may read otherwise, or go elsewhere, for what a
// list changed of a person. What notices do not print is left out; should one print it,
// the sender finds the difference.
func changesNotice(old, merged *mailer.Person) bool {
	return old.Email != merged.Email || old.Name != merged.Name || old.CustomerID != merged.CustomerID ||
		!maps.Equal(old.Attributes, merged.Attributes)
}

// lastRecipient is the last one of a population; 0: it has none.
func lastRecipient(ctx context.Context, h handle, row *campaignRow) (id int64, err error) {
	err = get(ctx, h, &id, `SELECT coalesce(max(first_id + imported - 1), 0) FROM list WHERE incident = ? AND merchant = ? AND imported > 0`,
		row.IncidentNum, row.MerchantNum)
	return id, err
}

// Late counts the people whom a campaign would select, and who came after it was
// checked, for whom no campaign of its stage is. It costs next to nothing where no list
// came.
func (r *Reader) Late(ctx context.Context, campaign string) (n int64, err error) {
	defer r.explain(&err, "count who came after the check of %s", campaign)
	s, err := r.selectionRows(ctx, campaign)
	if err != nil || s.row.LastID == 0 {
		return 0, err
	}
	q, args := s.query(`count(*)`)
	q += ` AND NOT EXISTS (SELECT 1 FROM delivery d JOIN campaign k ON k.num = d.campaign
		WHERE d.recipient = r.id AND k.stage = ? AND k.channel = ? AND k.phase <> 'cancelled') AND r.id BETWEEN ? AND ?`
	for _, ids := range s.ids {
		if ids.Last <= s.row.LastID {
			continue
		}
		var k int64
		if err := get(ctx, r.pool(), &k, q, append(args[:len(args):len(args)], s.row.Stage, s.row.Channel, max(ids.First, s.row.LastID+1), ids.Last)...); err != nil {
			return 0, err
		}
		n += k
	}
	return n, nil
}
