package store

import (
	"context"
	"database/sql"
	"errors"

	"oshirase/mailer"
)

// policy is what is in force; the zero Policy: nothing is yet. Whoever reads the table
// does it here. It must be as the program wrote it.
func (r *Reader) policy(ctx context.Context, h handle) (mailer.Policy, error) {
	if err := r.provedAll(ctx, h, "policy", `num > 0`); err != nil {
		return mailer.Policy{}, err
	}
	var row struct {
		People int
		Proof  mailer.PolicyProof
		Maker  bool `db:"maker_may_approve"`
	}
	err := get(ctx, h, &row, `SELECT people, proof, maker_may_approve FROM policy ORDER BY num DESC LIMIT 1`)
	if errors.Is(err, sql.ErrNoRows) {
		return mailer.Policy{}, nil
	}
	return mailer.Policy{People: row.People, Proof: row.Proof, MakerMayApprove: row.Maker}, err
}

// Policy is what it takes to approve, as it is in force; the zero Policy: nothing is yet.
func (r *Reader) Policy(ctx context.Context) (p mailer.Policy, err error) {
	defer r.explain(&err, "find approval policy")
	return r.policy(ctx, r.pool())
}

// setPolicy puts a policy in force, as the only one who does. What was checked or
// approved under another one is void.
func (c *change) setPolicy(ctx context.Context, by mailer.Actor, from, to mailer.Policy) error {
	if err := to.Valid(); err != nil {
		return err
	}
	var num int64
	if err := get(ctx, c, &num, `INSERT INTO policy (people, proof, maker_may_approve, at) VALUES (?, ?, ?, ?) RETURNING num`,
		to.People, string(to.Proof), to.MakerMayApprove, c.db.now().UnixMilli()); err != nil {
		return err
	}
	c.made("policy", `num = ?`, num)
	if err := c.act(ctx, by, mailer.ActPolicy, "approval", from.String()+" -> "+to.String()); err != nil {
		return err
	}
	if from == (mailer.Policy{}) {
		return nil
	}
	return c.voidWhere(ctx, by, "the approval policy changed", `c.num > 0`)
}

// keepPolicy makes sure that the policy that the config wishes is the one in force. It
// is taken over as long as there are not enough approvers to ask.
func (c *change) keepPolicy(ctx context.Context, by mailer.Actor, wished mailer.Policy) error {
	if err := wished.Valid(); err != nil {
		return err
	}
	now, err := c.db.policy(ctx, c)
	if err != nil || now == wished {
		return err
	}
	all, err := c.db.members(ctx, c)
	if err != nil {
		return err
	}
	if signers(valid(all)) >= mailer.Consents {
		return mailer.Conflict("policy.differs", "force", now.String(), "config", wished.String())
	}
	return c.setPolicy(ctx, by, now, wished)
}

// KeepPolicy makes sure that the policy that the config wishes is in force: it is taken
// over as long as fewer than mailer.Consents approvers have a key, and voids what was
// checked or approved under another one. Then it is ErrConflict where it differs.
func (db *DB) KeepPolicy(ctx context.Context, by mailer.Actor, wished mailer.Policy) (err error) {
	defer db.explain(&err, "keep approval policy")
	if now, err := db.policy(ctx, db.pool()); err != nil || now == wished {
		return err
	}
	return db.write(ctx, func(c *change) error { return c.keepPolicy(ctx, by, wished) })
}
