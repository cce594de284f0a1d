package store

import (
	"context"
	"errors"
	"fmt"

	"oshirase/mailer"
	"oshirase/mailer/journal"
	"oshirase/store/seal"
)

// control looks at all rows that decide what is sent.
func (v *verifier) control(ctx context.Context) error {
	var now seal.Sum
	for _, table := range controlTables {
		err := eachControl(ctx, v.tx, table, ``, nil, func(octets, have []byte, name string) error {
			code := v.r.codes.Row(octets)
			if string(code[:]) != string(have) {
				v.find(table, table+" "+name, "the program did not write it so")
			}
			if len(have) == len(code) {
				now.Add(seal.Code(have))
			}
			v.row()
			return nil
		})
		if err != nil {
			return err
		}
	}
	version, sum, err := v.r.control(ctx, v.tx)
	if errors.Is(err, mailer.ErrDamaged) {
		v.find("control", "control rows", "the newest sum over them is not as the program wrote it")
		return nil
	} else if err != nil {
		return err
	}
	if sum != now {
		v.find("control", fmt.Sprintf("control rows, version %d", version),
			"a fact, campaign, approval, list or person is missing, was invented, or stands as it was once")
	}
	var n int64
	if err := get(ctx, v.tx, &n, `SELECT count(*) FROM control`); err != nil {
		return err
	}
	if n != version {
		v.find("control", "control rows", "%d versions, and the newest is %d", n, version)
	}
	if h := v.knownControl; h.N > 0 {
		if hash, err := v.r.controlHash(ctx, v.tx, h.N); ignoreNone(err) != nil {
			return err
		} else if string(hash) != string(h.Hash[:]) {
			v.find("control", fmt.Sprintf("control rows, version %d", h.N), "a signed checkpoint knows another, or the ledger does not have it: they are older ones")
		}
	}
	return nil
}

// approvals looks whether campaigns that may be sent were approved as they are.
func (v *verifier) approvals(ctx context.Context) error {
	var rows []campaignRow
	if err := find(ctx, v.tx, &rows, selectCampaign+`
		WHERE c.phase IN ('approved', 'scheduled', 'overdue', 'running', 'paused', 'finished') ORDER BY c.num`); err != nil {
		return err
	}
	for i := range rows {
		s, err := v.r.standing(ctx, v.tx, &rows[i])
		switch {
		case err != nil:
		case rows[i].Phase == mailer.PhaseFinished: // the policy may be another one since
			err = s.CheckEach()
		default:
			err = s.Check()
		}
		if errors.Is(err, mailer.ErrDamaged) || errors.Is(err, mailer.ErrConflict) {
			v.find("approval", "campaign "+rows[i].ID, "it is %s, and its approvals do not allow that: %s", rows[i].Phase, mailer.CodeOf(err))
		} else if err != nil {
			return err
		}
	}
	return nil
}

// deliveries holds the state of each delivery against what happened to it.
func (v *verifier) deliveries(ctx context.Context) error {
	rows, err := v.tx.QueryxContext(ctx, `
		SELECT d.id, d.recipient, c.id, d.state, d.attempts, d.merchant = c.merchant, d.first_at IS NOT NULL,
		       coalesce(e.state, ''), coalesce(e.attempt, 0), coalesce(e.n, 0), (SELECT count(*) FROM event x WHERE x.delivery = d.id)
		FROM delivery d JOIN campaign c ON c.num = d.campaign
		LEFT JOIN event e ON e.delivery = d.id AND e.n = (SELECT max(n) FROM event l WHERE l.delivery = d.id)
		ORDER BY d.id`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id, recipient, attempts, attempt, n, events int64
		var campaign string
		var state, last mailer.State
		var merchant, tried bool
		if err := rows.Scan(&id, &recipient, &campaign, &state, &attempts, &merchant, &tried, &last, &attempt, &n, &events); err != nil {
			return err
		}
		v.row()
		where := campaign + " " + v.r.names.Ref(recipient)
		if !follows(last, state) {
			said := "nothing happened to it"
			if last != "" {
				said = "what happened last made it " + string(last)
			}
			v.find("state", where, "it is %s, and %s", state, said)
		}
		if attempts != attempt {
			v.find("state", where, "%d attempts are counted, and %d happened", attempts, attempt)
		}
		if n != events {
			v.find("event", where, "%d events, and the last is number %d", events, n)
		}
		if !merchant {
			v.find("state", where, "it is counted for another merchant")
		}
		if last == "" && state == mailer.StateQueued && tried {
			v.find("state", where, "it was tried, and nothing is said of what came of it")
		}
	}
	return rows.Err()
}

// follows reports whether a delivery may be in a state when the last that happened to
// it, of what leaves an event, led to another: claims and intents leave none.
func follows(last, state mailer.State) bool {
	if last == state {
		return true
	}
	switch last {
	case "":
		return state == mailer.StateQueued || state == mailer.StateSuppressed || state == mailer.StateSending
	case mailer.StateQueued:
		return state == mailer.StateSending
	case mailer.StateDeferred:
		return state == mailer.StateQueued || state == mailer.StateSending
	}
	return false
}

// counts holds the numbers that status shows against the rows.
func (v *verifier) counts(ctx context.Context) error {
	type key struct {
		Campaign string
		State    mailer.State
	}
	counted := map[key]int64{}
	var rows []struct {
		key
		N int64
	}
	if err := find(ctx, v.tx, &rows, `SELECT c.id AS campaign, n.state, n.n FROM campaign_count n JOIN campaign c ON c.num = n.campaign`); err != nil {
		return err
	}
	for _, r := range rows {
		counted[r.key] += r.N
	}
	rows = rows[:0]
	if err := find(ctx, v.tx, &rows, `
		SELECT c.id AS campaign, d.state, count(*) AS n FROM delivery d JOIN campaign c ON c.num = d.campaign GROUP BY c.id, d.state`); err != nil {
		return err
	}
	for _, r := range rows {
		if counted[r.key] != r.N {
			v.find("count", "campaign "+r.Campaign, "%d are counted as %s, and %d are", counted[r.key], r.State, r.N)
		}
		delete(counted, r.key)
	}
	for k, n := range counted {
		if n != 0 {
			v.find("count", "campaign "+k.Campaign, "%d are counted as %s, and none is", n, k.State)
		}
	}
	if err := v.ticks(ctx); err != nil {
		return err
	}
	var orphans int64
	if err := get(ctx, v.tx, &orphans, `SELECT count(*) FROM delivery d WHERE NOT EXISTS (SELECT 1 FROM campaign c WHERE c.num = d.campaign)
		OR NOT EXISTS (SELECT 1 FROM recipient r WHERE r.id = d.recipient)`); err != nil {
		return err
	}
	if orphans > 0 {
		v.find("count", "ledger", "%d deliveries are of no campaign, or of nobody", orphans)
	}
	return nil
}

// ticks holds what the rates and times of status are made of against what happened.
func (v *verifier) ticks(ctx context.Context) error {
	var rows []struct {
		Campaign string
		N        int64
	}
	if err := find(ctx, v.tx, &rows, `
		SELECT c.id AS campaign, coalesce(sum(t.accepted), 0) AS n FROM campaign c LEFT JOIN campaign_tick t ON t.campaign = c.num GROUP BY c.id`); err != nil {
		return err
	}
	for _, r := range rows {
		if n := v.accepted[r.Campaign]; n != r.N {
			v.find("count", "campaign "+r.Campaign, "%d messages are counted as accepted by the clock, and %d were", r.N, n)
		}
	}
	return nil
}

// chunks looks whether each delivery that waits can be claimed: it lies in a chunk, and
// that names it.
func (v *verifier) chunks(ctx context.Context) error {
	listed := map[int64]int64{}
	for after := int64(0); ; {
		var page []struct {
			ID, Campaign, N int64
			Name, Grp       string
			Deliveries      string
			Free, Gone      bool
		}
		if err := find(ctx, v.tx, &page, `
			SELECT k.id, k.campaign, coalesce(c.id, '') AS name, k.grp, k.n, k.deliveries, k.lease IS NULL AS free,
			       k.lease IS NOT NULL AND l.id IS NULL AS gone
			FROM chunk k LEFT JOIN campaign c ON c.num = k.campaign LEFT JOIN lease l ON l.id = k.lease WHERE k.id > ? ORDER BY k.id LIMIT ?`, after, pageRows); err != nil {
			return err
		}
		for _, k := range page {
			after = k.ID
			where := fmt.Sprintf("campaign %s, chunk %d", k.Name, k.ID)
			if k.Gone {
				v.find("chunk", where, "nobody has the lease it is under: nobody sends it")
			}
			var ids []int64
			if err := unmarshal(k.Deliveries, &ids); err != nil {
				v.find("chunk", where, "it does not name its deliveries")
				continue
			}
			var n int64
			cond, arg := v.r.eng.In("d.id", ids)
			if err := get(ctx, v.tx, &n, `SELECT count(*) FROM delivery d WHERE `+cond+`
				AND d.campaign = ? AND d.chunk = ? AND d.grp = ? AND d.state = 'queued' AND d.held = ''`, arg, k.Campaign, k.ID, k.Grp); err != nil {
				return err
			}
			if k.Free && n != k.N {
				v.find("chunk", where, "%d queued deliveries are counted, and it has %d", k.N, n)
			}
			listed[k.Campaign] += n
			v.row()
		}
		if len(page) < pageRows {
			break
		}
	}
	var waiting []struct {
		Campaign, N int64
		ID          string
	}
	if err := find(ctx, v.tx, &waiting, `
		SELECT c.num AS campaign, c.id, count(*) AS n FROM delivery d JOIN campaign c ON c.num = d.campaign
		WHERE d.state = 'queued' AND d.held = '' GROUP BY c.num, c.id`); err != nil {
		return err
	}
	for _, w := range waiting {
		if n := listed[w.Campaign]; n != w.N {
			v.find("chunk", "campaign "+w.ID, "%d deliveries are queued, and chunks have %d of them: nobody sends the others", w.N, n)
		}
	}
	return nil
}

// digests makes anew what approvals bind, from the commitments that stand in the rows.
func (v *verifier) digests(ctx context.Context) error {
	var campaigns []struct {
		Num, Round           int64
		ID, Digest, Snapshot string
	}
	if err := find(ctx, v.tx, &campaigns, `
		SELECT num, id, digest, coalesce(snapshot, '') AS snapshot, round FROM campaign WHERE digest <> '' ORDER BY num`); err != nil {
		return err
	}
	for _, c := range campaigns {
		rows, err := v.tx.QueryxContext(ctx, v.tx.Rebind(`
			SELECT recipient, suppressed, hash FROM delivery WHERE campaign = ? AND round = ? AND try = 1 ORDER BY recipient`), c.Num, c.Round)
		if err != nil {
			return err
		}
		var tree journal.Tree
		var leaf []byte
		for rows.Next() {
			var recipient int64
			var p journal.Person
			var hash []byte
			if err := rows.Scan(&recipient, &p.Suppressed, &hash); err != nil {
				_ = rows.Close()
				return err
			}
			v.row()
			p.Ref = v.r.names.Ref(recipient)
			if hash != nil { // it was to be told, whatever became of it later
				p.Suppressed = ""
				copy(p.Commitment[:], hash)
			}
			leaf = p.AppendLeaf(leaf[:0])
			tree.Add(journal.LeafHash(leaf))
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return err
		}
		if journal.Digest([]byte(c.Snapshot), &tree).String() != c.Digest {
			v.find("digest", "campaign "+c.ID, "who is to be told what is not what was checked and approved: a delivery was changed, is missing, or was invented")
		}
	}
	return nil
}

// people looks at the rows of all people, and their exposures.
func (v *verifier) people(ctx context.Context) error {
	var pops []struct {
		Incident, Merchant     int64
		IncidentID, MerchantID string
		People, Exposed        []byte
		Recipients             int64
	}
	if err := find(ctx, v.tx, &pops, `
		SELECT p.incident, p.merchant, i.id AS incidentid, m.id AS merchantid, p.people, p.exposed, p.recipients
		FROM population p JOIN incident i ON i.num = p.incident JOIN merchant m ON m.num = p.merchant ORDER BY p.incident, p.merchant`); err != nil {
		return err
	}
	var all, counted int64
	for _, p := range pops {
		counted += p.Recipients
		where := "incident " + p.IncidentID + ", merchant " + p.MerchantID
		keys, err := v.r.keysOrNone(ctx, v.tx, p.Incident)
		if err != nil {
			v.find("key", "incident "+p.IncidentID, "its people cannot be looked at: %s", mailer.CodeOf(err))
			continue
		}
		if keys == nil {
			continue // destroyed: what is sealed says nothing to anybody
		}
		var people, exposed seal.Sum
		if err := v.population(ctx, keys, p.Incident, p.Merchant, &people, &exposed, where); err != nil {
			return err
		}
		if err := v.mentions(ctx, keys, p.Incident, p.Merchant); err != nil {
			return err
		}
		if string(people[:]) != string(p.People) {
			v.find("person", where, "a person is missing, was invented, or stands as in an earlier list")
		}
		if string(exposed[:]) != string(p.Exposed) {
			v.find("exposed", where, "of some person, other exposures stand there than the lists said")
		}
	}
	if err := get(ctx, v.tx, &all, `SELECT count(*) FROM recipient WHERE person_key IS NOT NULL OR length(sealed) > 0`); err != nil {
		return err
	}
	if all != counted {
		v.find("person", "ledger", "%d people, and the lists brought %d", all, counted)
	}
	return nil
}

func (v *verifier) population(ctx context.Context, keys *seal.Keys, incident, merchant int64, people, exposed *seal.Sum, where string) error {
	var lists []struct {
		ID          string
		First, Last int64
	}
	if err := find(ctx, v.tx, &lists, `
		SELECT id, first_id AS first, first_id + imported - 1 AS last FROM list WHERE incident = ? AND merchant = ? AND imported > 0 ORDER BY first_id`,
		incident, merchant); err != nil {
		return err
	}
	for _, l := range lists {
		next := l.First
		for after := l.First - 1; ; {
			var rows []recipientRow
			if err := find(ctx, v.tx, &rows, `SELECT `+recipientColumns+`
				FROM recipient r WHERE r.id > ? AND r.id <= ? AND r.incident = ? AND r.merchant = ? ORDER BY r.id LIMIT ?`,
				after, l.Last, incident, merchant, pageRows); err != nil {
				return err
			}
			for i := range rows {
				r := &rows[i]
				if r.ID != next {
					v.find("person", where+", "+v.r.names.Ref(next), "the person is missing, and %d after", r.ID-next-1)
				}
				next = r.ID + 1
				after = r.ID
				v.row()
				if r.blank() { // nobody is counted, and nobody can be told
					continue
				}
				people.Add(keys.Bind(r.row(r.ID)))
				if _, err := r.open(keys, incident, merchant); err != nil {
					v.find("person", where+", "+v.r.names.Ref(r.ID), "the row is not as the program wrote it")
				}
			}
			if len(rows) < pageRows {
				break
			}
		}
		if next <= l.Last {
			v.find("person", where+", "+v.r.names.Ref(next), "the person is missing, and %d after", l.Last-next)
		}
		if err := v.exposures(ctx, keys, l.First, l.Last, exposed); err != nil {
			return err
		}
	}
	return nil
}

// mentions holds what lists said of people of earlier lists, which taking a list back
// restores, against the sum that stands with the list.
func (v *verifier) mentions(ctx context.Context, keys *seal.Keys, incident, merchant int64) error {
	var lists []struct {
		Num   int64
		ID    string
		Named []byte
	}
	if err := find(ctx, v.tx, &lists, `SELECT num, id, named FROM list WHERE incident = ? AND merchant = ? ORDER BY num`, incident, merchant); err != nil {
		return err
	}
	for _, l := range lists {
		rows, err := v.tx.QueryxContext(ctx, v.tx.Rebind(`SELECT recipient, was FROM mention WHERE list = ?`), l.Num)
		if err != nil {
			return err
		}
		var sum seal.Sum
		for rows.Next() {
			var recipient int64
			var was []byte
			if err := rows.Scan(&recipient, &was); err != nil {
				_ = rows.Close()
				return err
			}
			sum.Add(keys.Named(l.Num, recipient, was))
			v.row()
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return err
		}
		if string(sum[:]) != string(l.Named) {
			v.find("mention", "list "+l.ID, "it named other people of earlier lists, or what stood of them was something else")
		}
	}
	return nil
}

// exposures adds up those of a range of people.
func (v *verifier) exposures(ctx context.Context, keys *seal.Keys, first, last int64, sum *seal.Sum) error {
	rows, err := v.tx.QueryxContext(ctx, v.tx.Rebind(`
		SELECT recipient, exposure, list, coalesce(certainty, '') || coalesce(items, '') FROM recipient_exposure WHERE recipient BETWEEN ? AND ?`), first, last)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var recipient, exposure, list int64
		var said string
		if err := rows.Scan(&recipient, &exposure, &list, &said); err != nil {
			return err
		}
		sum.Add(keys.Exposed(recipient, exposure, list, said))
		v.row()
	}
	return rows.Err()
}
