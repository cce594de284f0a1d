package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"oshirase/mailer"
	"oshirase/mailer/approval"
	"oshirase/mailer/japanese"
	"oshirase/mailer/sshsig"
)

// amendmentRow is a change of persons or policy, as the database has it.
type amendmentRow struct {
	Num       int64
	ID        string
	Kind      mailer.AmendmentKind
	Body      string
	Text, Who string
	Proof     mailer.Proof
	At        int64
	DoneAt    sql.NullInt64 `db:"done_at"`
}

const selectAmendment = `SELECT num, id, kind, body, text, who, proof, at, done_at FROM amendment `

func (r *amendmentRow) amendment(ctx context.Context, h handle) (mailer.Amendment, error) {
	a := mailer.Amendment{ID: r.ID, Kind: r.Kind, Text: r.Text, By: r.Who, Proof: r.Proof, At: time.UnixMilli(r.At).UTC(), Signed: []string{}}
	var err error
	if r.Kind == mailer.AmendPolicy {
		a.Policy = &mailer.Policy{}
		err = json.Unmarshal([]byte(r.Body), a.Policy)
	} else {
		a.Member = &mailer.Member{}
		err = json.Unmarshal([]byte(r.Body), a.Member)
	}
	if err != nil {
		return a, err
	}
	if err := find(ctx, h, &a.Signed, `SELECT DISTINCT person FROM consent WHERE amendment = ? ORDER BY person`, r.Num); err != nil {
		return a, err
	}
	if r.Text != "" && !r.DoneAt.Valid {
		a.Missing = max(mailer.Consents-len(a.Signed), 0)
	}
	return a, nil
}

// Amend changes persons or the policy: at once, where it is nobody's to consent, or else
// once enough approvers have signed the text that it gets. ID, Text, By, Proof, At,
// Signed and Missing of a are set here. The policy that the config wishes is taken over
// first, as long as it may be: the approvers who are registered then keep it.
func (db *DB) Amend(ctx context.Context, by mailer.Actor, a mailer.Amendment, wished mailer.Policy) (out mailer.Amendment, err error) {
	defer db.explain(&err, "change persons")
	err = db.write(ctx, func(c *change) error {
		was, err := c.db.members(ctx, c)
		if err != nil {
			return err
		}
		was = valid(was)
		free := signers(was) < mailer.Consents
		if free && a.Kind != mailer.AmendPolicy {
			if err := c.keepPolicy(ctx, by, wished); err != nil {
				return err
			}
		}
		if err := c.settleAmendment(ctx, &a, was); err != nil {
			return err
		}
		if a.ID, err = c.newID(ctx, "p", "amendment"); err != nil {
			return err
		}
		a.By, a.Proof, a.At = by.Name, by.Proof, c.db.now().UTC()
		now := memberOf(was, &a)
		if !free && (a.Kind == mailer.AmendPolicy || a.Member.Is(mailer.RoleApprover) || now != nil && now.Is(mailer.RoleApprover)) {
			p, err := c.db.policy(ctx, c)
			if err != nil {
				return err
			}
			a.Text = approval.AmendmentText(&a, newSeal(), now, p, was)
		}
		row, err := c.addAmendment(ctx, &a)
		if err != nil {
			return err
		}
		if a.Text == "" {
			if err := c.fulfil(ctx, by, row, &a); err != nil {
				return err
			}
		} else if err := c.act(ctx, by, amendAct(&a), amendSubject(&a), "proposed "+a.ID+": "+amendDetail(&a)); err != nil {
			return err
		}
		row.DoneAt.Valid = a.Text == ""
		out, err = row.amendment(ctx, c)
		return err
	})
	return out, err
}

// Consent records an approver's signature over a change that waits for it, and has the
// change take effect with the last one. signature is armored, by the key that by is
// registered with.
func (db *DB) Consent(ctx context.Context, by mailer.Actor, id, signature string) (out mailer.Amendment, err error) {
	defer db.explain(&err, "consent to %s", id)
	err = db.write(ctx, func(c *change) error {
		row, err := c.waiting(ctx, id)
		if err != nil {
			return err
		}
		a, err := row.amendment(ctx, c)
		if err != nil {
			return err
		}
		was, err := c.db.members(ctx, c)
		if err != nil {
			return err
		}
		was = valid(was)
		if err := c.addConsent(ctx, by, row, &a, was, signature); err != nil {
			return err
		}
		enough, err := c.consented(ctx, row, was)
		if err != nil {
			return err
		}
		if a.Missing = 0; !enough {
			a.Missing = max(mailer.Consents-len(a.Signed), 1) // a signature by a key of before does not count
			out = a
			return nil
		}
		out = a
		return c.takeEffect(ctx, by, row, &a, was)
	})
	return out, err
}

// waiting finds a change that waits for signatures.
func (c *change) waiting(ctx context.Context, id string) (*amendmentRow, error) {
	var row amendmentRow
	if err := get(ctx, c, &row, selectAmendment+`WHERE id = ?`, id); err != nil {
		return nil, missing(err, "change", id)
	}
	if row.DoneAt.Valid || row.Text == "" {
		return nil, mailer.Conflict("amendment.done", "id", id)
	}
	return &row, nil
}

// addConsent verifies a signature and writes it down.
func (c *change) addConsent(ctx context.Context, by mailer.Actor, row *amendmentRow, a *mailer.Amendment, members []mailer.Member, signature string) error {
	i := slices.IndexFunc(members, func(m mailer.Member) bool { return m.ID == by.ID && m.Signs() })
	if i < 0 {
		return mailer.NewError(mailer.ErrNotAllowed, "amendment.approver", "by", by.Name)
	}
	if err := sshsig.Verify(members[i].Key, mailer.NamespaceApproval, []byte(row.Text), signature); err != nil {
		return err
	}
	_, err := do(ctx, c, `INSERT INTO consent (amendment, person, ssh_key, signature, at) VALUES (?, ?, ?, ?, ?)`,
		row.Num, by.ID, members[i].Key, signature, c.db.now().UnixMilli())
	if c.db.eng.Unique(err) {
		return mailer.Conflict("amendment.again", "by", by.Name, "id", row.ID)
	}
	if err != nil {
		return err
	}
	c.made("consent", `amendment = ? AND person = ? AND ssh_key = ?`, row.Num, by.ID, members[i].Key)
	if !slices.Contains(a.Signed, by.ID) {
		a.Signed = append(a.Signed, by.ID)
	}
	return c.act(ctx, by, mailer.ActConsent, row.ID, amendDetail(a))
}

// takeEffect is what happens once enough have signed: where all is still as the text
// says that it was.
func (c *change) takeEffect(ctx context.Context, by mailer.Actor, row *amendmentRow, a *mailer.Amendment, was []mailer.Member) error {
	if err := c.settleAmendment(ctx, a, was); err != nil {
		return err
	}
	p, err := c.db.policy(ctx, c)
	if err != nil {
		return err
	}
	if !approval.Says(row.Text, a, memberOf(was, a), p) {
		return mailer.Conflict("amendment.stale", "id", row.ID)
	}
	return c.fulfil(ctx, by, row, a)
}

// consented reports whether enough of those who are approvers now have signed a change,
// each with the key that is theirs now.
func (c *change) consented(ctx context.Context, row *amendmentRow, members []mailer.Member) (bool, error) {
	var given []struct {
		Person    string
		Key       string `db:"ssh_key"`
		Signature string
	}
	if err := find(ctx, c, &given, `SELECT person, ssh_key, signature FROM consent WHERE amendment = ?`, row.Num); err != nil {
		return false, err
	}
	n := 0
	for _, g := range given {
		for i := range members {
			m := &members[i]
			if m.ID == g.Person && m.Signs() && m.Key == g.Key && sshsig.Verify(m.Key, mailer.NamespaceApproval, []byte(row.Text), g.Signature) == nil {
				n++
			}
		}
	}
	return n >= mailer.Consents, nil
}

func (c *change) addAmendment(ctx context.Context, a *mailer.Amendment) (*amendmentRow, error) {
	var what any = a.Policy
	if a.Kind != mailer.AmendPolicy {
		what = a.Member
	}
	body, err := json.Marshal(what)
	if err != nil {
		return nil, err
	}
	row := &amendmentRow{ID: a.ID, Kind: a.Kind, Body: string(body), Text: a.Text, Who: a.By, Proof: a.Proof, At: a.At.UnixMilli()}
	err = get(ctx, c, &row.Num, `INSERT INTO amendment (id, kind, body, text, who, proof, at) VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING num`,
		row.ID, string(row.Kind), row.Body, row.Text, row.Who, string(row.Proof), row.At)
	c.made("amendment", `num = ?`, row.Num)
	return row, err
}

// fulfil has a change take effect.
func (c *change) fulfil(ctx context.Context, by mailer.Actor, row *amendmentRow, a *mailer.Amendment) error {
	if err := c.touch(ctx, "amendment", `num = ?`, row.Num); err != nil {
		return err
	}
	if _, err := do(ctx, c, `UPDATE amendment SET done_at = ? WHERE num = ?`, c.db.now().UnixMilli(), row.Num); err != nil {
		return err
	}
	if a.Kind == mailer.AmendPolicy {
		now, err := c.db.policy(ctx, c)
		if err != nil || now == *a.Policy {
			return err
		}
		return c.setPolicy(ctx, by, now, *a.Policy)
	}
	if a.Kind != mailer.AmendAdd {
		if err := c.endMember(ctx, a.Member.ID); err != nil {
			return err
		}
	}
	if a.Kind != mailer.AmendEnd {
		if err := c.addMember(ctx, a.Member); err != nil {
			return err
		}
	}
	return c.act(ctx, by, mailer.ActPerson, a.Member.ID, amendDetail(a))
}

// settleAmendment refuses a change that does not fit who is there; an end gets whom it
// ends.
func (c *change) settleAmendment(ctx context.Context, a *mailer.Amendment, was []mailer.Member) error {
	if a.Kind == mailer.AmendPolicy {
		return a.Policy.Valid()
	}
	now := memberOf(was, a)
	switch {
	case a.Kind == mailer.AmendAdd && now != nil:
		return mailer.Conflict("person.exists", "id", a.Member.ID)
	case a.Kind != mailer.AmendAdd && now == nil:
		return mailer.NotFound("ledger.not-found", "what", "person", "id", a.Member.ID)
	}
	rest := slices.DeleteFunc(slices.Clone(was), func(m mailer.Member) bool { return m.ID == a.Member.ID })
	if a.Kind == mailer.AmendEnd {
		end := *now
		a.Member = &end
	} else {
		if err := c.fits(ctx, a.Member, rest); err != nil {
			return err
		}
		rest = append(rest, *a.Member)
	}
	if signers(was) >= mailer.Consents && signers(rest) < mailer.Consents {
		return mailer.Conflict("person.last-approvers", "least", mailer.Consents)
	}
	if slices.ContainsFunc(was, founder) && !slices.ContainsFunc(rest, founder) {
		return mailer.Conflict("person.last-admin")
	}
	return nil
}

// founder reports whether a member is an admin who can prove it.
func founder(m mailer.Member) bool { return m.Is(mailer.RoleAdmin) && m.Provable() }

// fits refuses a member who is, or could be taken for, somebody else.
func (c *change) fits(ctx context.Context, m *mailer.Member, others []mailer.Member) error {
	for _, id := range m.Merchants {
		var n int
		if err := get(ctx, c, &n, `SELECT count(*) FROM merchant WHERE id = ?`, id); err != nil {
			return err
		}
		if n == 0 {
			return mailer.NotFound("ledger.not-found", "what", "merchant", "id", id)
		}
	}
	names := []string{japanese.FoldName(m.Name), japanese.FoldName(m.ID)}
	for i := range others {
		o := &others[i]
		switch {
		case slices.Contains(names, japanese.FoldName(o.Name)), slices.Contains(names, japanese.FoldName(o.ID)):
			return mailer.Conflict("person.same-name", "id", m.ID, "other", o.ID)
		case m.Key != "" && m.Key == o.Key:
			return mailer.Conflict("person.same-key", "id", m.ID, "other", o.ID)
		case m.OSUser != "" && m.OSUser == o.OSUser:
			return mailer.Conflict("person.same-os-user", "id", m.ID, "other", o.ID)
		}
	}
	return nil
}

// memberOf is who a change is about, as they are; nil: nobody yet, or the policy.
func memberOf(members []mailer.Member, a *mailer.Amendment) *mailer.Member {
	for i := range members {
		if a.Member != nil && members[i].ID == a.Member.ID {
			return &members[i]
		}
	}
	return nil
}

func amendAct(a *mailer.Amendment) mailer.Action {
	if a.Kind == mailer.AmendPolicy {
		return mailer.ActPolicy
	}
	return mailer.ActPerson
}

func amendSubject(a *mailer.Amendment) string {
	if a.Kind == mailer.AmendPolicy {
		return "approval"
	}
	return a.Member.ID
}

// amendDetail is what the audit says of a change.
func amendDetail(a *mailer.Amendment) string {
	if a.Kind == mailer.AmendPolicy {
		return a.Policy.String()
	}
	m := a.Member
	roles := make([]string, len(m.Roles))
	for i, r := range m.Roles {
		roles[i] = string(r)
	}
	detail := fmt.Sprintf("%s, name %s, roles %s", a.Kind, m.Name, strings.Join(roles, " "))
	if len(m.Merchants) > 0 {
		detail += ", merchants " + strings.Join(m.Merchants, " ")
	}
	if m.Key != "" {
		detail += ", key " + m.Fingerprint()
	}
	if m.OSUser != "" {
		detail += ", os user " + m.OSUser
	}
	return detail
}

// Amendments are the changes that wait for signatures, oldest first; never nil.
func (r *Reader) Amendments(ctx context.Context) (out []mailer.Amendment, err error) {
	defer r.explain(&err, "find changes of persons")
	var rows []amendmentRow
	if err := find(ctx, r.pool(), &rows, selectAmendment+`WHERE done_at IS NULL ORDER BY num`); err != nil {
		return nil, err
	}
	out = make([]mailer.Amendment, len(rows))
	for i := range rows {
		if out[i], err = rows[i].amendment(ctx, r.pool()); err != nil {
			return nil, err
		}
	}
	return out, nil
}
