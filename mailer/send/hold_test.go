package send_test

import (
	"strings"
	"sync"
	"testing"

	"oshirase/mailer"
	"oshirase/torture/mailertest"
)

// otherwise renders the notices of some people in another way than the check did.
type otherwise struct {
	mailer.Templates
	customers string
}

func (o otherwise) Compile(snap *mailer.Snapshot) (mailer.Template, error) {
	t, err := o.Templates.Compile(snap)
	return otherTemplate{t, o.customers}, err
}

type otherTemplate struct {
	mailer.Template
	customers string
}

func (o otherTemplate) Render(r *mailer.Recipient) (mailer.Notice, error) {
	n, err := o.Template.Render(r)
	if strings.Contains(o.customers, r.CustomerID) {
		n.Body += "。"
	}
	return n, err
}

// TestNoticeThatRendersDifferently is not sent, and everybody else gets theirs; a person
// decides, and what is given back goes only where it is what was approved.
func TestNoticeThatRendersDifferently(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 30)
	id := w.started(mailer.Campaign{})
	r := w.runner(w.db)
	r.Notices = otherwise{w.set, "C015"}
	sum := w.run(r)
	if sum.Held[mailer.HeldChanged] != 1 || sum.Remaining != 1 || sum.Waits[id].Reason != mailer.WaitHeld || sum.Waits[id].Count != 1 {
		t.Errorf("%+v", sum)
	}
	w.phase(id, mailer.PhaseRunning)
	w.counts(id, mailer.Counts{mailer.StateAccepted: 29, mailer.StateQueued: 1})
	for _, a := range w.inbox.arrivals() {
		if a.to == address(15) {
			t.Error("it was sent")
		}
	}
	w.nothingHeld(id)
	// Given back while it still differs, it is held again.
	for _, render := range []mailer.Templates{r.Notices, w.set} {
		if n, err := w.db.DecideHeld(t.Context(), tester, id, mailer.StateQueued, ""); err != nil || n != 1 {
			t.Fatalf("decided %d %v", n, err)
		}
		again := w.runner(w.db)
		again.Notices = render
		w.run(again)
	}
	w.phase(id, mailer.PhaseFinished)
	w.onceEach(30)
}

// TestManyNoticesDiffer: several are a fault, and pause the campaign.
func TestManyNoticesDiffer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 60)
	id := w.started(mailer.Campaign{})
	r := w.runner(w.db)
	r.Notices = otherwise{w.set, "C005 C006 C007"}
	w.run(r)
	c := w.phase(id, mailer.PhasePaused)
	if !strings.HasPrefix(c.Reason, "3 notices are not what was approved, or cannot be read, and are held (") {
		t.Errorf("the reason is %q", c.Reason)
	}
	held, err := w.db.Held(t.Context(), id)
	must(t, err)
	if held[mailer.HeldChanged] != 3 {
		t.Errorf("held %v", held)
	}
	w.nothingHeld(id)
	if w.inbox.count() > 57 {
		t.Errorf("%d messages came", w.inbox.count())
	}
}

// TestChangedWhileSending: a list that changes somebody holds that person's notice alone,
// also where it is claimed; a list of others is of no concern.
func TestChangedWhileSending(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 40)
	id := w.started(mailer.Campaign{})
	w.at(1, func() {
		w.Add(mailer.Person{CustomerID: "C040", Name: "山田 花子", Email: "moved@mail.example"},
			mailer.Person{CustomerID: "N001", Name: "後から 来た", Email: "late@mail.example"})
	})
	sum := w.run(w.runner(w.db))
	if sum.Accepted != 39 || sum.Held[mailer.HeldChanged] != 1 {
		t.Errorf("%+v", sum)
	}
	c := w.phase(id, mailer.PhaseRunning)
	if late, err := w.db.Late(t.Context(), c.ID); err != nil || late != 1 {
		t.Errorf("%d came late %v", late, err)
	}
	w.onceEach(39)
	// Cancelled there, the next campaign tells both what is right now.
	if n, err := w.db.DecideHeld(t.Context(), tester, id, mailer.StateCancelled, ""); err != nil || n != 1 {
		t.Fatalf("decided %d %v", n, err)
	}
	w.run(w.runner(w.db))
	w.phase(id, mailer.PhaseFinished)
	w.started(mailer.Campaign{})
	w.run(w.runner(w.db))
	w.onceEach(41)
}

// TestTwoCampaignsAtOnce: of two campaigns to the same people, started at the same moment
// and sent by two workers, each person gets exactly one notice; whom the relay refuses in one is tried by the other.
func TestTwoCampaignsAtOnce(t *testing.T) {
	t.Parallel()
	const people = 60
	w := newWorld(t, people, "rcpt=p010@*:550 5.1.1 unknown")
	var ids []string
	for range 2 {
		id, res := w.checked(mailer.Campaign{})
		_, err := w.db.Approve(t.Context(), actor("佐藤"), []string{id}, res.Sendable, mailertest.ByName(1), mailer.Signed{})
		must(t, err)
		ids = append(ids, id)
	}
	var both sync.WaitGroup
	for _, id := range ids {
		db := w.open()
		both.Go(func() {
			if err := db.Start(t.Context(), tester, id, true); err != nil {
				t.Error(err)
			}
			if _, err := w.runner(db).Run(t.Context(), ""); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	w.run(w.runner(w.db))
	w.onceEach(people - 1)
	for _, id := range ids {
		w.phase(id, mailer.PhaseFinished)
		c, err := w.db.Counts(t.Context(), id)
		must(t, err)
		if c[mailer.StateRejected] != 1 { // the second campaign tried whom the first did not reach
			t.Errorf("counts %v", c)
		}
	}
}

// TestDamagedRowIsHeld: one row that is not as it was written holds one delivery, and
// everybody else is told; several pause the campaign.
func TestDamagedRowIsHeld(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		rows  string
		phase mailer.Phase
	}{{"(2)", mailer.PhaseRunning}, {"(2, 3, 4)", mailer.PhasePaused}} {
		w := newWorld(t, 30)
		id := w.started(mailer.Campaign{})
		w.SQL(`UPDATE recipient SET sealed = zeroblob(60) WHERE id IN ` + tt.rows)
		w.run(w.runner(w.db))
		w.phase(id, tt.phase)
		held, err := w.db.Held(t.Context(), id)
		must(t, err)
		if want := int64(strings.Count(tt.rows, ",") + 1); held[mailer.HeldDamaged] != want {
			t.Errorf("%s: held %v, want %d", tt.rows, held, want)
		}
		if tt.phase == mailer.PhaseRunning {
			w.onceEach(29)
		}
	}
}
