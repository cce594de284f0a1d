package torture

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"oshirase/mailer"

	"github.com/mattn/go-sqlite3"
)

// delivery is one line of the ledger, as `deliveries --json` has it.
type delivery struct {
	Ref        string
	CustomerID string `json:"customer_id"`
	Email      string
	State      string
	Attempts   int
	Point      string
	MessageID  string `json:"message_id"`
}

// maxComplaints of one kind are printed.
const maxComplaints = 5

// audit demands that the ledger is right; see examine.
func (w *world) audit(when string) []delivery {
	w.t.Helper()
	all, complaints := w.examine()
	for _, c := range complaints {
		w.t.Errorf("seed %d, %s: %s", seed, when, c)
	}
	return all
}

// examine holds the ledger against the receiver while no worker lives and nothing
// is in any socket: whoever is said to have been sent to was, once; whoever will
// still be sent to was not. It returns what is not so, in words.
func (w *world) examine() (all []delivery, complaints []string) {
	got := w.recv.snapshot()
	var ledger struct{ Deliveries []delivery }
	if err := w.tryAsk(&ledger, "deliveries", "--campaign", w.campaign); err != nil {
		return nil, []string{err.Error()}
	}
	all = ledger.Deliveries
	if len(all) != w.people {
		complaints = append(complaints, fmt.Sprintf("the ledger has %d of %d people", len(all), w.people))
	}
	wrong := map[string]int{}
	complain := func(d delivery, what string) {
		if wrong[what]++; wrong[what] <= maxComplaints {
			complaints = append(complaints, fmt.Sprintf("%s: %s is %s (%d attempts), the receiver took %d",
				what, d.MessageID, d.State, d.Attempts, got[d.MessageID].count))
		}
	}
	seen := map[string]bool{}
	for _, d := range all {
		n := got[d.MessageID].count
		if d.Ref == "" || d.MessageID == "" || seen[d.MessageID] {
			complain(d, "without a name of its own")
		}
		seen[d.MessageID] = true
		if n > 0 && got[d.MessageID].recipient != d.Email {
			complain(d, "sent to somebody else")
		}
		switch {
		case n > 1:
			complain(d, "more than one copy")
		case d.State == "accepted" && n == 0:
			complain(d, "lost")
		case d.State == "sending" || d.State == "unknown":
			// The receiver may have it or not; nobody says otherwise.
		case d.State != "accepted" && n > 0:
			complain(d, "sent, and would be sent again or called not sent")
		}
	}
	for id := range got {
		if !seen[id] {
			complaints = append(complaints, "the receiver took a message that the ledger does not know: "+id)
		}
	}
	for what, n := range wrong {
		if n > maxComplaints {
			complaints = append(complaints, fmt.Sprintf("%s: %d in all", what, n))
		}
	}
	return all, append(append(complaints, w.contradictions()...), w.verify()...)
}

// verify is what does not fit in the ledger, which also goes on from where it was
// when this was asked before.
func (w *world) verify() (found []string) {
	var res mailer.Verification
	args := []string{"verify"}
	if w.checkpoints == "" {
		w.checkpoints = filepath.Join(w.t.TempDir(), "checkpoints")
	} else {
		args = append(args, "--checkpoint", w.checkpoints)
	}
	if err := w.tryAsk(&res, args...); err != nil {
		return []string{err.Error()}
	}
	for _, d := range res.Findings {
		found = append(found, fmt.Sprintf("verify: %s: %s: %s", d.Rule, d.Where, d.Detail))
	}
	signed, err := os.ReadFile(filepath.Join(w.dir, "oshirase.db-checkpoint"))
	if err == nil {
		err = os.WriteFile(w.checkpoints, signed, 0o600)
	}
	if err != nil {
		found = append(found, err.Error())
	}
	return found
}

// contradictions looks for what the ledger must never say of itself.
func (w *world) contradictions() (found []string) {
	for _, c := range []struct{ what, query string }{
		{"counts that are not the rows'", `
			SELECT count(*) FROM campaign_count n WHERE n.n <> (SELECT count(*) FROM delivery d WHERE d.campaign = n.campaign AND d.state = n.state)`},
		{"accepted messages that the rate does not count", `
			SELECT abs((SELECT ifnull(sum(accepted), 0) FROM campaign_tick) - (SELECT count(*) FROM event WHERE kind = 'attempt' AND state = 'accepted'))`},
		{"histories with a gap", `
			SELECT count(*) FROM (SELECT max(n) AS last, count(*) AS k FROM event GROUP BY delivery) WHERE last <> k`},
		{"deliveries at an end that their history does not tell", `
			SELECT count(*) FROM delivery d WHERE d.state IN ('accepted', 'rejected', 'unknown', 'expired')
			AND d.state IS NOT (SELECT e.state FROM event e WHERE e.delivery = d.id ORDER BY e.n DESC LIMIT 1)`},
		{"deliveries whose attempts are not their history's", `
			SELECT count(*) FROM delivery d WHERE d.attempts <> ifnull((SELECT max(e.attempt) FROM event e WHERE e.delivery = d.id), 0)`},
		{"deliveries accepted twice", `
			SELECT count(*) FROM (SELECT delivery FROM event WHERE state = 'accepted' GROUP BY delivery HAVING count(*) > 1)`},
		{"events after the end", `
			SELECT count(*) FROM event e WHERE e.state IN ('accepted', 'rejected', 'expired')
			AND EXISTS (SELECT 1 FROM event f WHERE f.delivery = e.delivery AND f.n > e.n)`},
		{"finished campaigns with open deliveries", `
			SELECT count(*) FROM campaign c WHERE c.phase = 'finished' AND EXISTS (SELECT 1 FROM delivery d
			WHERE d.campaign = c.num AND d.state IN ('queued', 'sending', 'deferred', 'unknown'))`},
		{"deliveries on the wire under a lease that is gone", `
			SELECT count(*) FROM delivery d WHERE d.state = 'sending' AND d.lease NOT IN (SELECT id FROM lease)`},
		{"chunks under a lease that is gone", `
			SELECT count(*) FROM chunk WHERE lease IS NOT NULL AND lease NOT IN (SELECT id FROM lease)`},
		{"queued deliveries that nobody can claim", `
			SELECT count(*) FROM delivery d WHERE d.state = 'queued' AND NOT EXISTS (
			SELECT 1 FROM chunk c WHERE c.id = d.chunk AND d.id IN (SELECT value FROM json_each(c.deliveries)))`},
	} {
		var n int
		if err := w.db.QueryRow(c.query).Scan(&n); err != nil {
			found = append(found, fmt.Sprintf("%s: %v", c.what, err))
		} else if n != 0 {
			found = append(found, fmt.Sprintf("%d %s", n, c.what))
		}
	}
	return found
}

// watch reads the ledger over and over while processes write it, each time in
// one snapshot: the counts must be the rows', and nothing open must be called
// finished. The result ends it.
func (w *world) watch() (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		again := time.NewTicker(50 * time.Millisecond)
		defer again.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-again.C:
			}
			err := w.look(ctx)
			var lite sqlite3.Error
			if errors.As(err, &lite) && (lite.Code == sqlite3.ErrBusy || lite.Code == sqlite3.ErrProtocol) {
				continue // a frozen worker holds a lock: nothing was read
			}
			if err != nil && ctx.Err() == nil {
				w.t.Errorf("watch: %v", err)
				return
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

func (w *world) look(ctx context.Context) error {
	tx, err := w.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // nothing was written
	var phase string
	if err := tx.QueryRowContext(ctx, `SELECT phase FROM campaign`).Scan(&phase); err != nil {
		return err
	}
	rows, err := states(ctx, tx, `SELECT state, count(*) FROM delivery GROUP BY state`)
	if err != nil {
		return err
	}
	counts, err := states(ctx, tx, `SELECT state, n FROM campaign_count WHERE n > 0`)
	if err != nil {
		return err
	}
	if !maps.Equal(rows, counts) {
		w.t.Errorf("seed %d: counts %v, rows %v", seed, counts, rows)
	}
	if open := w.people - rows["accepted"] - rows["rejected"]; phase == "finished" && open > 0 {
		w.t.Errorf("seed %d: called finished with %d open: %v", seed, open, rows)
	}
	return nil
}

func states(ctx context.Context, tx *sql.Tx, query string) (map[string]int, error) {
	rows, err := tx.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[string]int{}
	for rows.Next() {
		var state string
		var n int
		if err := rows.Scan(&state, &n); err != nil {
			return nil, err
		}
		out[state] = n
	}
	return out, rows.Err()
}

// resolve decides every unknown delivery by what the receiver knows, as a person
// with the relay's log would.
func (w *world) resolve() {
	w.t.Helper()
	var l struct{ Deliveries []delivery }
	w.ask(&l, "deliveries", "--campaign", w.campaign, "--state", "unknown")
	for _, d := range l.Deliveries {
		as := "queued"
		if w.recv.has(d.MessageID) {
			as = "accepted"
		}
		w.cli("resolve", "--campaign", w.campaign, "--as", as, "--ref", d.Ref, "--by", "Saburo")
	}
}

// intact is SQLite's own look at the file.
func (w *world) intact() error {
	var check string
	if err := w.db.QueryRow(`PRAGMA integrity_check`).Scan(&check); err != nil {
		return fmt.Errorf("integrity_check: %w", err)
	}
	if check != "ok" {
		return fmt.Errorf("integrity_check: %s", check)
	}
	return nil
}

// finish sends the rest, decides what is unknown, and looks at the end.
func (w *world) finish() {
	w.t.Helper()
	for w.phase() != "finished" {
		w.until("something is due", func() bool {
			return w.number(`SELECT count(*) FROM delivery WHERE state = 'deferred' AND next_at > ?`, time.Now().UnixMilli()) == 0
		})
		p := w.start("run")
		p.succeeded(w.limit())
		// Not each time: the receiver's next life would greylist all anew.
		if w.inState("unknown") > 0 {
			w.recv.settle()
			w.resolve()
		}
	}
	all := w.audit("at the end")
	people, strange := w.recv.tally()
	for _, s := range strange {
		w.t.Errorf("strange message: %s", s)
	}
	if err := w.intact(); err != nil {
		w.t.Error(err)
	}
	w.done.unknown = w.number(`SELECT count(*) FROM event WHERE state = 'unknown'`)
	w.done.cuts = int(w.recv.cuts())
	garbled := int(w.recv.garbled()) // at RCPT: costs what is in flight, else nothing
	w.done.allowed = w.wire()*(w.done.kills+w.done.outages+w.done.freezes+w.powerless) + max(1, w.intents)*w.done.cuts + w.intents*garbled
	if w.done.unknown > w.done.allowed {
		w.t.Errorf("seed %d: %d became unknown, at most %d may: %d kills, %d outages, %d freezes, %d cuts, %d garbled replies", seed, w.done.unknown, w.done.allowed,
			w.done.kills, w.done.outages, w.done.freezes, w.done.cuts, garbled)
	}
	var refused []string
	for _, d := range all {
		switch d.State {
		case "accepted":
			w.done.accepted++
		case "rejected":
			w.done.rejected++
		default:
			w.t.Errorf("finished, and %s is %s", d.MessageID, d.State)
		}
		toRefuse := strings.HasPrefix(d.Email, "refused")
		if toRefuse != (d.State == "rejected") {
			w.t.Errorf("%s is %s", d.Email, d.State)
		}
		switch n := people[d.Email]; {
		case !toRefuse && n == 0:
			w.done.lost++
			refused = append(refused, d.Email)
		case n > 1:
			w.done.copies++
		}
	}
	if w.done.lost > 0 || w.done.copies > 0 {
		slices.Sort(refused)
		w.t.Errorf("seed %d: %d lost, %d got copies: %v", seed, w.done.lost, w.done.copies, refused[:min(len(refused), maxComplaints)])
	}
	summary.add(w.done)
}
