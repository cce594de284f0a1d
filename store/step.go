package store

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"oshirase/mailer"
)

// step is what many deliveries go through alike.
type step struct {
	campaignKey
	phase        mailer.Phase
	epoch        int64
	from, to     mailer.State
	relay, point string
	code         int
	enhanced     string
}

type stepRows struct {
	step
	ids    []int64
	at     int64  // of the last
	nextAt []byte // JSON object id → next_at; only where deferred
	events []byte // JSON object id → at (13 digits) ‖ text; only of outcomes
}

func (g *stepRows) add(r *mailer.Record, now time.Time) {
	g.ids = append(g.ids, r.Delivery)
	o := r.Outcome
	at := r.At
	if o != nil && !o.At.IsZero() {
		at = o.At
	}
	if at.IsZero() {
		at = now
	}
	if g.at = millis(at); o == nil {
		return
	}
	if g.to == mailer.StateDeferred {
		g.nextAt = appendMember(g.nextAt, r.Delivery)
		g.nextAt = strconv.AppendInt(g.nextAt, o.NextAt.UnixMilli(), 10)
	}
	g.events = appendMember(g.events, r.Delivery)
	g.events = append(g.events, '"')
	g.events = appendMillis(g.events, g.at)
	g.events = appendJSONText(g.events, cut(o.Text))
	g.events = append(g.events, '"')
}

// millis is a time that stands in 13 digits: 2001 to 2286.
func millis(t time.Time) int64 {
	return min(max(t.UnixMilli(), 1e12), 1e13-1)
}

// stepSchema is of the writer (writer.go): a row that is inserted into step is what
// many deliveries go through alike. So a batch is one statement.
const stepSchema = `
CREATE TEMP VIEW step (campaign, phase, lease, was, state, at, relay, point, code, enhanced, n, ids, next_at, events)
AS SELECT 0, '', 0, '', '', 0, '', '', 0, '', 0, '', '', '';

CREATE TEMP TRIGGER intent INSTEAD OF INSERT ON step WHEN NEW.state = 'sending' BEGIN
  UPDATE delivery SET state = 'sending', first_at = ifnull(first_at, NEW.at)
  WHERE id IN (SELECT value FROM json_each(NEW.ids)) AND +campaign = NEW.campaign AND lease = NEW.lease AND +state = 'claimed';
  SELECT raise(ABORT, 'miscounted')
  WHERE changes() <> NEW.n OR (SELECT phase FROM campaign WHERE num = NEW.campaign) IS NOT NEW.phase;
  UPDATE campaign_count SET n = n + CASE state WHEN 'sending' THEN NEW.n ELSE -NEW.n END
  WHERE campaign = NEW.campaign AND state IN ('claimed', 'sending');
END;

CREATE TEMP TRIGGER outcome INSTEAD OF INSERT ON step WHEN NEW.state <> 'sending' BEGIN
  -- The attempt of an unknown delivery was counted when it became unknown.
  UPDATE delivery SET state = NEW.state, attempts = attempts + (NEW.was <> 'unknown'), first_at = ifnull(first_at, NEW.at), next_at = NULL
  WHERE NEW.state <> 'deferred' AND id IN (SELECT value FROM json_each(NEW.ids)) AND +campaign = NEW.campaign AND lease = NEW.lease AND +state = NEW.was;
  SELECT raise(ABORT, 'miscounted')
  WHERE NEW.state <> 'deferred' AND changes() <> NEW.n OR (SELECT phase FROM campaign WHERE num = NEW.campaign) IS NOT NEW.phase;
  UPDATE delivery SET state = NEW.state, attempts = attempts + (NEW.was <> 'unknown'), first_at = ifnull(first_at, NEW.at), next_at = j.value
  FROM json_each(NEW.next_at) j
  WHERE NEW.state = 'deferred' AND delivery.id = CAST(j.key AS INTEGER) AND +campaign = NEW.campaign AND lease = NEW.lease AND +state = NEW.was;
  SELECT raise(ABORT, 'miscounted') WHERE NEW.state = 'deferred' AND changes() <> NEW.n;
  INSERT INTO event (delivery, n, merchant, at, kind, state, attempt, relay, point, code, enhanced, text)
  SELECT d.id, (SELECT ifnull(max(n), 0) + 1 FROM event e WHERE e.delivery = d.id), d.merchant,
         CAST(substr(j.value, 1, 13) AS INTEGER), 'attempt', NEW.state, d.attempts, NEW.relay, NEW.point, NEW.code, NEW.enhanced, substr(j.value, 14)
  FROM json_each(NEW.events) j CROSS JOIN delivery d ON d.id = CAST(j.key AS INTEGER);
  INSERT INTO campaign_tick (campaign, slot, accepted, first_at, last_at)
  SELECT NEW.campaign, NEW.at / 10000, NEW.n, NEW.at, NEW.at WHERE NEW.state = 'accepted'
  ON CONFLICT (campaign, slot) DO UPDATE SET accepted = accepted + excluded.accepted,
  first_at = min(first_at, excluded.first_at), last_at = max(last_at, excluded.last_at);
  UPDATE campaign_count SET n = n + CASE state WHEN NEW.state THEN NEW.n ELSE -NEW.n END
  WHERE campaign = NEW.campaign AND state IN (NEW.was, NEW.state);
END;
`

// writeSteps writes steps; errMiscounted where rows or phases are not as they say.
func writeSteps(ctx context.Context, q sqlx.ExecerContext, steps []*stepRows) error {
	if len(steps) == 0 {
		return nil
	}
	const row = `(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	args := make([]any, 0, 14*len(steps))
	for _, s := range steps {
		var nextAt, events []byte
		if s.to != mailer.StateSending {
			events = append(s.events, '}')
		}
		if s.to == mailer.StateDeferred {
			nextAt = append(s.nextAt, '}')
		}
		args = append(args, s.num, string(s.phase), s.epoch, string(s.from), string(s.to), s.at, s.relay, s.point, s.code, s.enhanced,
			len(s.ids), idArray(s.ids), string(nextAt), string(events))
	}
	_, err := q.ExecContext(ctx, `INSERT INTO temp.step VALUES `+row+strings.Repeat(", "+row, len(steps)-1), args...)
	return miscounted(err)
}
