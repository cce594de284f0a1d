package store

import (
	"cmp"
	"context"
	"database/sql"
	"slices"

	"oshirase/mailer"
	"oshirase/store/internal/engine"
	"oshirase/store/seal"
)

// Once: a person gets one notice of a stage (and cause) for each exposure. When a
// campaign comes to run, each of its deliveries is held against what the others of its
// stage tell the same person; both happen in the one writer's transaction, so that of
// two campaigns that start at the same moment one is the later. Where the other has
// told all of this, the delivery is suppressed. Where it is about to, or may have, the
// delivery is held until that is known: Review suppresses it then, or gives it back, so
// that nobody is left out for a notice that never came. Sending itself looks at nothing:
// what is in a chunk may go.

// sibling is another campaign that tells the same people the same kind of thing.
type sibling struct {
	Num   int64
	Cause string
}

// siblings finds the other campaigns of a campaign's population, channel, stage and
// cause. Causes are compared as people read them.
func siblings(ctx context.Context, h handle, row *campaignRow) ([]int64, error) {
	var rows []sibling
	if err := find(ctx, h, &rows, `
		SELECT num, cause FROM campaign WHERE incident = ? AND merchant = ? AND channel = ? AND stage = ? AND num <> ? ORDER BY num`,
		row.IncidentNum, row.MerchantNum, row.Channel, row.Stage, row.Num); err != nil {
		return nil, err
	}
	var nums []int64
	for _, s := range rows {
		if seal.Fold(s.Cause) == seal.Fold(row.Cause) {
			nums = append(nums, s.Num)
		}
	}
	return nums, nil
}

// tells is the condition that a delivery o of a campaign k has told its person, or will,
// or may have. What is held itself is not about to.
const tells = ` (o.state IN ('accepted', 'delivered', 'sending', 'unknown')
	OR o.state IN ('queued', 'deferred') AND o.held = '' AND k.phase IN ('running', 'paused')) `

// candidate is a delivery that others may have made needless.
type candidate struct {
	ID, Recipient int64
	Grp           string
	State         mailer.State
	Exposures     string
	Chunk         int64 // 0: none
}

const selectCandidate = `SELECT d.id, d.recipient, d.grp, d.state, d.exposures, coalesce(d.chunk, 0) AS chunk FROM delivery d `

// judged are candidates by what becomes of them.
type judged struct {
	told    []candidate // suppressed
	waiting []candidate // held
	free    []candidate // sent
}

// tellsRow is a delivery that has told its person, or may.
type tellsRow struct {
	Recipient int64
	State     mailer.State
	Exposures string
}

// judge holds candidates against what the deliveries of other campaigns tell.
func (r *Reader) judge(ctx context.Context, h handle, others []int64, rows []candidate) (j judged, err error) {
	ids := make([]int64, len(rows))
	for i := range rows {
		ids[i] = rows[i].Recipient
	}
	of, arg := r.eng.In("o.recipient", ids)
	in, nums := r.eng.In("o.campaign", others)
	var told []tellsRow
	if err := find(ctx, h, &told, `
		SELECT o.recipient, o.state, o.exposures FROM delivery o JOIN campaign k ON k.num = o.campaign
		WHERE `+of+` AND +`+in+` AND `+tells+` ORDER BY o.recipient`, arg, nums); err != nil {
		return j, err
	}
	lists := parsedLists{}
	for i := range rows {
		c := &rows[i]
		want, err := lists.parse(c.Exposures)
		if err != nil {
			return j, err
		}
		var surely, perhaps []string
		at, _ := slices.BinarySearchFunc(told, c.Recipient, func(t tellsRow, id int64) int { return cmp.Compare(t.Recipient, id) })
		for ; at < len(told) && told[at].Recipient == c.Recipient; at++ {
			has, err := lists.parse(told[at].Exposures)
			if err != nil {
				return j, err
			}
			perhaps = append(perhaps, has...)
			if s := told[at].State; s == mailer.StateAccepted || s == mailer.StateDelivered {
				surely = append(surely, has...)
			}
		}
		switch {
		case mailer.Covers(surely, want):
			j.told = append(j.told, *c)
		case mailer.Covers(perhaps, want):
			j.waiting = append(j.waiting, *c)
		default:
			j.free = append(j.free, *c)
		}
	}
	return j, nil
}

// parsedLists remembers JSON arrays: most people have the same exposures.
type parsedLists map[string][]string

func (p parsedLists) parse(s string) ([]string, error) {
	if list, ok := p[s]; ok {
		return list, nil
	}
	list, err := parseStrings(s)
	if err == nil && len(p) < 4096 {
		p[s] = list
	}
	return list, err
}

// mayRepeat reports whether the campaign was checked, and so approved, to tell people
// again.
func mayRepeat(ctx context.Context, h handle, campaign int64) (bool, error) {
	var text sql.NullString
	if err := get(ctx, h, &text, `SELECT snapshot FROM campaign WHERE num = ?`, campaign); err != nil || !text.Valid {
		return false, err
	}
	var snap struct {
		AllowRepeat bool `json:"allow_repeat"`
	}
	err := unmarshal(text.String, &snap)
	return snap.AllowRepeat, err
}

// holdRepeats suppresses or holds what others have told or are about to tell. It is
// called wherever deliveries of a running campaign come to be sent otherwise than from
// being deferred; a campaign that does not run is left as it is.
func (c *change) holdRepeats(ctx context.Context, row *campaignRow) error {
	if row.Phase != mailer.PhaseRunning {
		return nil
	}
	others, err := siblings(ctx, c, row)
	if err != nil || len(others) == 0 {
		return err
	}
	if repeat, err := mayRepeat(ctx, c, row.Num); err != nil || repeat {
		return err
	}
	in, nums := c.db.eng.In("o.campaign", others)
	for after := int64(0); ; {
		var rows []candidate
		if err := find(ctx, c, &rows, selectCandidate+`
			WHERE d.campaign = ? AND d.id > ? AND d.state IN ('queued', 'deferred') AND d.held = ''
			AND EXISTS (SELECT 1 FROM delivery o JOIN campaign k ON k.num = o.campaign WHERE o.recipient = d.recipient AND +`+in+` AND `+tells+`)
			ORDER BY d.id LIMIT ?`, row.Num, after, nums, movePage); err != nil {
			return err
		}
		if len(rows) == 0 {
			return nil
		}
		after = rows[len(rows)-1].ID
		j, err := c.db.judge(ctx, c, others, rows)
		if err != nil {
			return err
		}
		if err := c.suppress(ctx, row, j.told, mailer.SuppressedAlreadyNotified); err != nil {
			return err
		}
		if err := c.hold(ctx, row, j.waiting, mailer.HeldNotified); err != nil {
			return err
		}
	}
}

// Review decides deliveries of a running campaign that are held because of others: they
// are suppressed where the others have told all of it by now, and go back to the queue
// where none of them will. It returns how many were decided. It costs next to nothing
// where none is held, and takes the writer only where there is something to decide.
func (db *DB) Review(ctx context.Context, campaign string) (n int64, err error) {
	defer db.explain(&err, "review what is held of %s", campaign)
	row, err := findCampaign(ctx, db.pool(), campaign)
	if err != nil || row.Phase != mailer.PhaseRunning {
		return 0, err
	}
	for after := int64(0); ; {
		var rows []candidate
		if err := find(ctx, db.pool(), &rows, heldRepeats+` LIMIT ?`, row.Num, after, movePage); err != nil || len(rows) == 0 {
			return n, err
		}
		from := after
		after = rows[len(rows)-1].ID
		others, err := siblings(ctx, db.pool(), row)
		if err != nil {
			return n, err
		}
		j, err := db.judge(ctx, db.pool(), others, rows)
		if err != nil {
			return n, err
		}
		if len(j.told)+len(j.free) == 0 {
			continue
		}
		k, err := db.reviewPage(ctx, campaign, from, after)
		if err != nil {
			return n, err
		}
		n += k
	}
}

const heldRepeats = selectCandidate + `WHERE d.campaign = ? AND d.held <> '' AND d.id > ? AND d.held = 'already-notified' AND d.state = 'queued' ORDER BY d.id`

// reviewPage looks again, as the writer, at what is held between two IDs.
func (db *DB) reviewPage(ctx context.Context, campaign string, after, last int64) (n int64, err error) {
	err = db.change(ctx, "review", campaign, func(c *change, row *campaignRow) error {
		if row.Phase != mailer.PhaseRunning {
			return nil
		}
		others, err := siblings(ctx, c, row)
		if err != nil {
			return err
		}
		var rows []candidate
		if err := find(ctx, c, &rows, heldRepeats+` LIMIT ?`, row.Num, after, movePage); err != nil {
			return err
		}
		rows = slices.DeleteFunc(rows, func(d candidate) bool { return d.ID > last })
		j, err := db.judge(ctx, c, others, rows)
		if err != nil {
			return err
		}
		n = int64(len(j.told) + len(j.free))
		if err := c.suppress(ctx, row, j.told, mailer.SuppressedAlreadyNotified); err != nil {
			return err
		}
		return c.unhold(ctx, row, j.free)
	})
	return n, err
}

// suppress ends deliveries that nobody holds on the wire, each with an event that says
// why.
func (c *change) suppress(ctx context.Context, row *campaignRow, rows []candidate, why mailer.Suppression) error {
	at := millis(c.db.now())
	for _, from := range []mailer.State{mailer.StateQueued, mailer.StateDeferred} {
		m := move{campaign: row.ID, Step: engine.Step{
			Campaign: row.Num, Phase: row.Phase, From: from, To: mailer.StateSuppressed, Kind: mailer.EventSuppress, At: at,
		}}
		var of []queuedRow
		for _, d := range rows {
			if d.State == from {
				of = append(of, queuedRow{Row: engine.Row{ID: d.ID, At: at, Text: string(why)}, Group: d.Grp})
			}
		}
		if err := c.moveRows(ctx, m, of); err != nil {
			return err
		}
	}
	return c.leaveChunks(ctx, rows)
}
