package storetest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"oshirase/mailer"
	"oshirase/store"
)

// list finds one of the lists that were taken in.
func (e *env) list(id string) mailer.ListView {
	e.tb.Helper()
	all, err := e.Lists(context.Background(), mailer.ListFilter{})
	must(e.tb, err)
	for _, l := range all {
		if l.ID == id {
			return l
		}
	}
	e.tb.Fatalf("no list %s", id)
	return mailer.ListView{}
}

// persons are those of a merchant with what the ledger says of them.
func (e *env) persons(merchant string) map[string]string {
	e.tb.Helper()
	all := map[string]string{}
	for _, r := range e.recipients(merchant) {
		all[r.CustomerID] = fmt.Sprint(r.Ref, r.Person, r.Exposures)
	}
	return all
}

func sameMap(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if b[k] != v {
			return false
		}
	}
	return true
}

// TestRemoveList: as if it had never been taken in, be it few or many people; only
// their numbers are not given away again.
func (s suite) TestRemoveList(t *testing.T) {
	ctx := context.Background()
	for _, bulk := range []int64{0, 50} { // the indexes are kept, or dropped meanwhile
		e := s.openWith(t, store.Options{Durability: "normal", BulkRows: bulk})
		e.apply()
		e.load("shop", "right", people(300))
		e.load("club", "other", people(20))
		before, club := e.persons("shop"), e.persons("club")
		id := e.create(mailer.Campaign{})
		e.check(id, nil)

		// 10 known people: of one the name, of one the group, of one both; 200 new ones.
		rows := people(500)[290:]
		rows[0].Name, rows[0].Phone = "別人 太郎", "090-0000-0001"
		rows[1].Exposures = []string{"A", "B1"}
		rows[2].Email, rows[2].Exposures = "other@mail.example", []string{"B2"}
		wrong, _ := e.load("shop", "wrong", rows)
		if wrong.Imported != 200 || wrong.Updated != 3 {
			t.Fatalf("%+v", wrong)
		}
		e.check(id, nil)
		if l := e.list(wrong.List); !l.Removable || l.Rows != 210 || l.Imported != 200 || l.Name != "wrong.csv" || l.Merchant != "shop" {
			t.Errorf("%+v", l)
		}
		refs := map[string]bool{}
		for _, r := range e.recipients("shop") {
			refs[r.Ref] = true
		}
		res, err := e.RemoveList(ctx, actor("佐藤"), wrong.List)
		must(t, err)
		if res.List != wrong.List || res.People != 200 || res.Restored != 3 || len(res.Voids) != 1 || res.Voids[0] != (mailer.Voided{Campaign: id, Phase: mailer.PhaseChecked, Sendable: 500}) {
			t.Errorf("%+v", res)
		}
		if c, err := e.Campaign(ctx, id); err != nil || c.Phase != mailer.PhaseDraft {
			t.Errorf("%+v, %v", c, err)
		}
		if got := e.persons("shop"); !sameMap(got, before) {
			t.Errorf("%d people are left, not those of before", len(got))
		}
		if !sameMap(e.persons("club"), club) {
			t.Error("another merchant's people changed")
		}
		for _, q := range []mailer.Query{{Email: "other@mail.example"}, {Phone: "090-0000-0001"}, {CustomerID: person(400).CustomerID}, {Email: person(400).Email}} {
			if found, err := e.Lookup(ctx, tester, q); err != nil || len(found) > 0 {
				t.Errorf("%+v is found yet: %v, %v", q, found, err)
			}
		}
		if found, err := e.Lookup(ctx, tester, mailer.Query{Email: person(292).Email}); err != nil || len(found) != 1 {
			t.Errorf("whose address was overwritten is not found by it: %v, %v", found, err)
		}
		s.Sound(t, e.path)
		e.recount()
		e.check(id, nil)
		e.wantCounts(e.DB, id, mailer.Counts{mailer.StateQueued: 300})

		// Once more: it is read, and everybody has a number of their own.
		if _, found, err := e.FindImported(ctx, "pay", "shop", "wrong", ""); err != nil || found {
			t.Errorf("it is known yet: %t, %v", found, err)
		}
		again, _ := e.load("shop", "wrong", rows)
		if again.Imported != 200 || again.Updated != 3 || again.List == wrong.List {
			t.Errorf("once more: %+v", again)
		}
		for _, r := range e.recipients("shop") {
			if n := r.CustomerID; n >= person(300).CustomerID && refs[r.Ref] {
				t.Fatalf("number %s is given away again", r.Ref)
			}
		}
		var acts []mailer.Act
		must(t, e.EachAct(ctx, func(a mailer.Act) error {
			if a.Action == mailer.ActTakeBack {
				acts = append(acts, a)
			}
			return nil
		}))
		if len(acts) != 1 || acts[0].By != "佐藤" || acts[0].Subject != wrong.List {
			t.Errorf("%+v", acts)
		}
	}
}

// TestRemoveListRefused: what was said to anybody stands, and so does what a later list
// builds upon; nothing is changed then.
func (s suite) TestRemoveListRefused(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	e.apply()
	first, _ := e.load("shop", "first", people(3))
	refuse := func(id, code string) {
		t.Helper()
		before := e.persons("shop")
		_, err := e.RemoveList(ctx, tester, id)
		wantErr(t, err, mailer.ErrConflict, code)
		if l := e.list(id); l.Removable || string(mailer.CodeOf(l.Kept)) != code {
			t.Errorf("%+v", l)
		}
		if !sameMap(e.persons("shop"), before) {
			t.Error("people changed")
		}
	}
	_, err := e.RemoveList(ctx, tester, "l-20200101-0000")
	wantErr(t, err, mailer.ErrNotFound, "")

	// A later list that names its people, and one that names those whom it changed.
	rows := people(5)[2:]
	rows[0].Exposures = []string{"A", "B1"} // of the first list's
	second, _ := e.load("shop", "second", rows)
	refuse(first.List, "list.named-later")
	third, _ := e.load("shop", "third", people(3)[2:])
	refuse(second.List, "list.named-later")
	_, err = e.RemoveList(ctx, tester, third.List)
	must(t, err)

	// Claimed is not sent; an intent is, and so is what was refused at the envelope.
	id := e.create(mailer.Campaign{Exposures: []string{"A"}})
	e.run(id)
	e.clock.set(e.clock.Now().Add(time.Second))
	lease := claim(t, e.DB, id, 5)
	if l := e.list(second.List); !l.Removable {
		t.Errorf("claimed: %+v", l)
	}
	d := lease.Deliveries
	must(t, e.Record(ctx, outcome(&d[4], mailer.StateDeferred, mailer.AtRcpt))[0])
	refuse(second.List, "list.sent")

	// The key of the incident is gone.
	must(t, e.Pause(ctx, tester, id, ""))
	_, err = e.DestroyKey(ctx, tester, mailer.Destroy{Incident: "pay"})
	must(t, err)
	_, err = e.RemoveList(ctx, tester, first.List)
	wantErr(t, err, mailer.ErrKeyDestroyed, "")
}

// TestRemoveListOfTheChanged: who was written to since a list changed them keeps what it
// said; who was written to before does not matter.
func (s suite) TestRemoveListOfTheChanged(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	id := e.campaign(3)
	d := claim(t, e.DB, id, 3).Deliveries
	must(t, e.Record(ctx, intent(&d[0]))[0])
	must(t, e.Record(ctx, outcome(&d[0], mailer.StateAccepted, mailer.AtDot))[0])
	must(t, e.Pause(ctx, tester, id, ""))
	e.clock.set(e.clock.Now().Add(time.Hour))
	rows := people(2)
	rows[0].Name, rows[1].Name = "別人 一", "別人 二"
	second, _ := e.load("shop", "second", rows)
	if l := e.list(second.List); !l.Removable {
		t.Errorf("told before: %+v", l)
	}
	_, err := e.RemoveList(ctx, tester, second.List)
	must(t, err)
	if e.recipients("shop")[0].Name != person(0).Name {
		t.Error("the name is not that of before")
	}
}

// TestRemoveListOfACancelledCampaign: its history stays, and names nobody.
func (s suite) TestRemoveListOfACancelledCampaign(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	e.apply()
	only, _ := e.load("shop", "only", people(3))
	id := e.create(mailer.Campaign{})
	e.check(id, nil)
	must(t, e.Cancel(ctx, tester, id))
	_, err := e.RemoveList(ctx, tester, only.List)
	must(t, err)
	n := 0
	must(t, e.EachDelivery(ctx, tester, mailer.DeliveryFilter{Campaign: id}, func(d mailer.DeliveryView) error {
		n++
		if d.Email != "" || d.State != mailer.StateCancelled {
			t.Errorf("%+v", d)
		}
		if found, err := e.Lookup(ctx, tester, mailer.Query{Ref: d.Ref}); err != nil || len(found) > 0 {
			t.Errorf("%v, %v", found, err)
		}
		return nil
	}))
	if n != 3 {
		t.Errorf("%d deliveries", n)
	}
	if got := e.recipients("shop"); len(got) > 0 {
		t.Errorf("%d people are left", len(got))
	}
	if res, _ := e.load("shop", "only", people(3)); res.Imported != 3 {
		t.Errorf("%+v", res)
	}
	e.recount()
}

// TestRemoveLateList: a campaign that was checked before the list came goes on; what it was
// still to send to people whom the list changed is held, before and after.
func (s suite) TestRemoveLateList(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	id := e.campaign(4)
	rows := people(6)[2:]
	rows[0].Name = "別人 太郎"
	late, _ := e.load("shop", "late", rows)
	if late.Imported != 2 || late.Held != 1 {
		t.Fatalf("%+v", late)
	}
	// 1 is decided, and goes by what the list said; it is another notice once more then.
	n, err := e.DecideHeld(ctx, tester, id, mailer.StateQueued, "")
	if must(t, err); n != 1 {
		t.Fatalf("%d decided", n)
	}
	res, err := e.RemoveList(ctx, tester, late.List)
	must(t, err)
	if len(res.Voids) != 0 || res.People != 2 || res.Restored != 1 || res.Held != 1 {
		t.Errorf("%+v", res)
	}
	if c, err := e.Campaign(ctx, id); err != nil || c.Phase != mailer.PhaseRunning {
		t.Errorf("%+v, %v", c, err)
	}
	if held, err := e.Held(ctx, id); err != nil || held[mailer.HeldChanged] != 1 {
		t.Errorf("%v, %v", held, err)
	}
	if n, err := e.Late(ctx, id); err != nil || n != 0 {
		t.Errorf("%d came late, %v", n, err)
	}
	if d := claim(t, e.DB, id, 4).Deliveries; len(d) != 3 {
		t.Errorf("%d are sent without a decision", len(d))
	}
}

// TestRemoveListAfterRefusals: a relay's refusal of us told nobody anything. What happened
// stays told of, and the check anew tells those who are left.
func (s suite) TestRemoveListAfterRefusals(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	e.apply()
	e.load("shop", "first", people(2))
	second, _ := e.load("shop", "second", people(4)[2:])
	id := e.create(mailer.Campaign{})
	e.run(id)
	l := claim(t, e.DB, id, 4)
	var refused []mailer.Record
	for i := range l.Deliveries {
		refused = append(refused, refusal(&l.Deliveries[i], mailer.AtRcpt, ""))
	}
	for _, err := range e.Record(ctx, refused...) {
		must(t, err)
	}
	must(t, e.Release(ctx, l.Epoch))
	res, err := e.RemoveList(ctx, tester, second.List)
	must(t, err)
	if res.People != 2 || len(res.Voids) != 1 {
		t.Errorf("%+v", res)
	}
	e.verifyLedger()
	if res := e.check(id, nil); res.Sendable != 2 {
		t.Errorf("%d are frozen anew", res.Sendable)
	}
	e.wantCounts(e.DB, id, mailer.Counts{mailer.StateQueued: 2, mailer.StateCancelled: 2})
}

// TestRemoveListTampered: what somebody else changed is not made good by taking a list
// back, and verify finds it: neither what it keeps for that, nor people whom it brought.
func (s suite) TestRemoveListTampered(t *testing.T) {
	ctx := context.Background()
	for name, tt := range map[string]struct{ do, rule string }{
		"mention":             {`DELETE FROM mention WHERE recipient = 1`, "mention"},
		"what stood before":   {`UPDATE mention SET was = NULL WHERE recipient = 1`, "mention"},
		"of an earlier list":  {`UPDATE mention SET was = (SELECT sealed FROM recipient WHERE id = 1) WHERE recipient = 1`, "mention"},
		"mention invented":    {`INSERT INTO mention (list, recipient) VALUES (2, 5)`, "mention"},
		"person restored":     {`UPDATE recipient SET email_key = 7 WHERE id = 1`, "person"},
		"person who goes":     {`UPDATE recipient SET email_key = 7 WHERE id = 4`, "person"},
		"person missing":      {`DELETE FROM recipient WHERE id = 5`, "person"},
		"first of the people": {`UPDATE list SET first_id = 1, imported = 5 WHERE num = 2`, "list"},
	} {
		t.Run(name, func(t *testing.T) {
			e := s.open(t)
			e.apply()
			e.load("shop", "first", people(3))
			rows := people(5)
			rows[0].Name, rows[1].Phone = "別人 一", "090-0000-0001"
			second, _ := e.load("shop", "second", rows)
			if second.Imported != 2 || second.Updated != 2 {
				t.Fatalf("%+v", second)
			}
			e.damaged = true
			s.Unguard(t, e.sql())
			_, err := e.sql().Exec(tt.do)
			must(t, err)
			if found := e.verify(); !slices.ContainsFunc(found, func(d mailer.Discrepancy) bool { return d.Rule == tt.rule }) {
				t.Errorf("found %+v, want %s", found, tt.rule)
			}
			_, err = e.RemoveList(ctx, tester, second.List)
			wantErr(t, err, mailer.ErrDamaged, "")
		})
	}
}

// TestCountAcceptances: they are control rows.
func (s suite) TestCountAcceptances(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	e.apply()
	id := e.create(mailer.Campaign{})
	if all, err := e.CountAcceptances(ctx, id); err != nil || all == nil || len(all) > 0 {
		t.Errorf("%v, %v", all, err)
	}
	a := mailer.CountAcceptance{Exposure: "A", Declared: 3, Found: 2}
	must(t, e.AcceptCounts(ctx, actor("佐藤"), id, "一名は退会済み", []mailer.CountAcceptance{a}))
	all, err := e.CountAcceptances(ctx, id)
	if must(t, err); len(all) != 1 || !all[0].Covers("A", 3, 2) || all[0].By != "佐藤" || all[0].Reason != "一名は退会済み" {
		t.Errorf("%+v", all)
	}
	e.verifyLedger()
	e.damaged = true
	s.Unguard(t, e.sql())
	_, err = e.sql().Exec(`UPDATE count_acceptance SET found = 1`)
	must(t, err)
	_, err = e.CountAcceptances(ctx, id)
	wantErr(t, err, mailer.ErrDamaged, "")
	if found := e.verify(); !slices.ContainsFunc(found, func(d mailer.Discrepancy) bool { return d.Rule == "count_acceptance" }) {
		t.Errorf("found %+v", found)
	}
}

// TestElsewhere: a list whose people another merchant of the incident has is taken, and
// said to be that one's; numbers that all merchants count from one say nothing.
func (s suite) TestElsewhere(t *testing.T) {
	e := s.open(t)
	e.apply()
	if res, _ := e.load("shop", "shop", people(400)); res.Elsewhere != nil {
		t.Errorf("the first: %+v", res.Elsewhere)
	}
	if res, _ := e.load("club", "mistaken", people(400)); res.Elsewhere == nil || *res.Elsewhere != (mailer.Elsewhere{Merchant: "shop", Same: 256, Sampled: 256}) {
		t.Errorf("the shop's at the club: %+v", res.Elsewhere)
	}
	e = s.open(t)
	e.apply()
	e.load("shop", "shop", people(400))
	rows := people(400)
	for i := range rows {
		rows[i].Name, rows[i].Email = fmt.Sprintf("別人 %d", i), fmt.Sprintf("member%d@mail.example", i)
		if i%4 == 0 {
			rows[i].Person = person(i)
		}
	}
	if res, _ := e.load("club", "club", rows); res.Elsewhere != nil {
		t.Errorf("a quarter of both: %+v", res.Elsewhere)
	}
}
