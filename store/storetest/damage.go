package storetest

import (
	"context"
	"testing"

	"oshirase/mailer"
)

// TestDamagedRowHidesNoOther: a person and a reply that somebody changed are left out
// and said to be damaged, by the list of deliveries and by a look-up; everything else
// is shown.
func (s suite) TestDamagedRowHidesNoOther(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	e.damaged = true
	id := e.campaign(4)
	d := claim(t, e.DB, id, 4).Deliveries
	for i := range d {
		must(t, e.Record(ctx, intent(&d[i]))[0])
		must(t, e.Record(ctx, outcome(&d[i], mailer.StateAccepted, mailer.AtDot))[0])
	}
	s.Unguard(t, e.sql())
	for _, q := range []string{
		`UPDATE recipient SET sealed = (SELECT sealed FROM recipient o WHERE o.id <> recipient.id ORDER BY o.id LIMIT 1) WHERE id = ?`,
		`UPDATE event SET raw = (SELECT raw FROM event o WHERE o.delivery <> event.delivery AND o.raw IS NOT NULL LIMIT 1) WHERE raw IS NOT NULL AND delivery = ?`,
	} {
		key := d[1].Recipient.ID
		if q[7] == 'e' {
			key = d[2].ID
		}
		res, err := e.sql().Exec(e.sql().Rebind(q), key)
		must(t, err)
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			t.Fatalf("%s: %d rows, %v", q, n, err)
		}
	}
	var seen []mailer.DeliveryView
	must(t, e.EachDelivery(ctx, tester, mailer.DeliveryFilter{Campaign: id}, func(v mailer.DeliveryView) error { seen = append(seen, v); return nil }))
	if len(seen) != 4 {
		t.Fatalf("%d deliveries shown", len(seen))
	}
	for i := range seen {
		v := &seen[i]
		person, reply := v.ID != d[1].ID, v.ID != d[2].ID
		if (v.Email != "") != person || (v.Text != "") != reply || v.Damaged == (person && reply) {
			t.Errorf("delivery %d: %+v", i, v)
		}
	}
	for i, ref := range []string{d[1].Recipient.Ref, d[2].Recipient.Ref, d[3].Recipient.Ref} {
		found, err := e.Lookup(ctx, tester, mailer.Query{Ref: ref})
		must(t, err)
		if len(found) != 1 || found[0].Damaged != (i == 0) || (found[0].Email == "") != (i == 0) || len(found[0].Notices) != 1 {
			t.Fatalf("%d: found %+v", i, found)
		}
		damaged := 0
		for _, ev := range found[0].Notices[0].Events {
			if ev.Damaged {
				damaged++
			}
		}
		if (damaged > 0) != (i == 1) {
			t.Errorf("%d: %d damaged events of %+v", i, damaged, found[0].Notices[0].Events)
		}
	}
}
