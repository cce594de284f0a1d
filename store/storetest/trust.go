package storetest

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"oshirase/mailer"
)

// TestDamagedRowIsClaimedAsSuch: one row that is not as it was written stops nobody else.
func (s suite) TestDamagedRowIsClaimedAsSuch(t *testing.T) {
	e := s.open(t)
	id := e.campaign(4)
	e.damaged = true
	for _, change := range []string{
		`UPDATE recipient SET sealed = substr(sealed, 1, 20) || zeroblob(1) || substr(sealed, 22) WHERE id = 2`,
		`UPDATE recipient SET email_key = (SELECT email_key FROM recipient WHERE id = 1) WHERE id = 3`,
	} {
		_, err := e.sql().Exec(change)
		must(t, err)
	}
	for i, d := range claim(t, e.DB, id, 4).Deliveries {
		if want := i == 1 || i == 2; d.Damaged != want || want == (d.Recipient.Email != "") || d.Recipient.Ref == "" {
			t.Errorf("%d: %+v", i+1, d)
		}
	}
}

// TestAlteredCampaignIsNotClaimed, whatever of it or of its approvals was changed in the
// file; and it can be paused.
func (s suite) TestAlteredCampaignIsNotClaimed(t *testing.T) {
	ctx := context.Background()
	for name, change := range map[string]string{
		"a draft that runs":       `UPDATE campaign SET phase = 'running' WHERE num = 2`,
		"snapshot":                `UPDATE campaign SET snapshot = json_set(snapshot, '$.x', 1)`,
		"digest":                  `UPDATE campaign SET digest = 'f' || digest`,
		"approver":                `UPDATE approval SET name = '田中'`,
		"an approval taken away":  `DELETE FROM approval`,
		"another policy":          `UPDATE policy SET people = 1, proof = 'name', at = at + 1`,
		"a policy that is invent": `INSERT INTO policy (people, proof, maker_may_approve, at) VALUES (1, 'name', 1, 1)`,
		"code":                    `UPDATE campaign SET code = NULL`,
	} {
		t.Run(name, func(t *testing.T) {
			e := s.open(t)
			id := e.campaign(2)
			second := e.create(mailer.Campaign{})
			e.check(second, nil)
			e.damaged = true
			_, err := e.sql().Exec(change)
			must(t, err)
			if name == "a draft that runs" {
				id = second
			}
			worker := e.again()
			if l, err := worker.Claim(ctx, id, t0, t0.Add(time.Minute), 2, nil); !errors.Is(err, mailer.ErrDamaged) {
				t.Errorf("claimed %+v, %v", l, err)
			}
			must(t, worker.Pause(ctx, tester, id, "stop"))
			if c, err := worker.Campaign(ctx, id); err != nil || c.Phase != mailer.PhasePaused {
				t.Errorf("%+v, %v", c, err)
			}
		})
	}
}

// TestVoidedApprovalIsNotPutBack: with every row as it was before, but for the newest
// version of what they add up to.
func (s suite) TestVoidedApprovalIsNotPutBack(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	id := e.campaign(2)
	e.damaged = true
	db := e.sql()
	for _, q := range []string{`CREATE TABLE keep_campaign AS SELECT * FROM campaign`, `CREATE TABLE keep_approval AS SELECT * FROM approval`} {
		_, err := db.Exec(q)
		must(t, err)
	}
	must(t, e.Void(ctx, tester, id, "the desk moved"))
	s.Unguard(t, db)
	for _, q := range []string{
		`UPDATE campaign SET phase = k.phase, reason = k.reason, digest = k.digest, result = k.result, sendable = k.sendable, revision = k.revision,
			check_id = k.check_id, code = k.code FROM keep_campaign k WHERE k.num = campaign.num`,
		`UPDATE approval SET voided_at = NULL, code = k.code FROM keep_approval k WHERE k.num = approval.num`,
		`DROP TABLE keep_campaign`, `DROP TABLE keep_approval`,
	} {
		_, err := db.Exec(q)
		must(t, err)
	}
	worker := e.again()
	if l, err := worker.Claim(ctx, id, t0, t0.Add(time.Minute), 2, nil); !errors.Is(err, mailer.ErrDamaged) {
		t.Errorf("claimed %+v, %v", l, err)
	}
	// Nor with the versions cut back to that of then: the checkpoint beside it knows better.
	must(t, e.WriteCheckpoint(ctx))
	_, err := db.Exec(`DELETE FROM control WHERE version = (SELECT max(version) FROM control)`)
	must(t, err)
	if l, err := e.again().Claim(ctx, id, t0, t0.Add(time.Minute), 2, nil); !errors.Is(err, mailer.ErrRestored) {
		t.Errorf("claimed %+v, %v", l, err)
	}
}

// TestOlderLedger: one that is older than the checkpoint beside it, or has none, is not
// sent from until a person accepts it.
func (s suite) TestOlderLedger(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	id := e.campaign(4)
	dir := t.TempDir()
	backup, err := e.Backup(ctx, tester, dir, nil)
	must(t, err)
	d := claim(t, e.DB, id, 2).Deliveries
	for i := range d {
		must(t, e.Record(ctx, intent(&d[i]))[0])
		must(t, e.Record(ctx, outcome(&d[i], mailer.StateAccepted, mailer.AtDot))[0])
	}
	elsewhere := e.checkpoint()
	must(t, e.Close())
	for _, suffix := range []string{"-wal", "-shm"} {
		_ = os.Remove(e.path + suffix)
	}
	old, err := os.ReadFile(backup.Path)
	must(t, err)
	must(t, os.WriteFile(e.path, old, 0o600))
	restored := e.again()
	if l, err := restored.Claim(ctx, id, t0, t0.Add(time.Minute), 4, nil); !errors.Is(err, mailer.ErrRestored) {
		t.Fatalf("claimed %+v, %v", l, err)
	}
	if found := e.verify(); len(found) == 0 {
		t.Error("verify finds nothing")
	}
	signed, err := os.ReadFile(e.path + "-checkpoint")
	must(t, err)
	for name, content := range map[string][]byte{"none": nil, "another's": []byte("oshirase/0\n0\n")} {
		must(t, os.Remove(e.path+"-checkpoint"))
		if content != nil {
			must(t, os.WriteFile(e.path+"-checkpoint", content, 0o600))
		}
		if _, err := e.again().Claim(ctx, id, t0, t0.Add(time.Minute), 4, nil); !errors.Is(err, mailer.ErrRestored) {
			t.Errorf("checkpoint %s: %v", name, err)
		}
		must(t, os.WriteFile(e.path+"-checkpoint", signed, 0o600))
	}
	must(t, restored.AcceptRestore(ctx, actor("佐藤"), "the disk died"))
	if err := restored.AcceptRestore(ctx, actor("佐藤"), "again"); !errors.Is(err, mailer.ErrConflict) {
		t.Errorf("again: %v", err)
	}
	if got := claim(t, restored, id, 4).Deliveries; len(got) != 4 {
		t.Errorf("claimed %d", len(got))
	}
	e.verifyLedger(elsewhere) // what was given up is known
}
