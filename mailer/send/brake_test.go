package send_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"oshirase/mailer"
	"oshirase/mailer/send"
	"oshirase/mailer/sink"
	"oshirase/mailer/smtp"
	"oshirase/torture/mailertest"
)

// grouped gives deliveries a domain group, as the check does where the config has one.
func (w *world) grouped(group string, from, to int) {
	w.t.Helper()
	w.sql(fmt.Sprintf(`UPDATE delivery SET grp = '%s' WHERE id BETWEEN %d AND %d`, group, from, to))
	w.rechunk()
}

// rechunk puts what is queued into chunks by group, as freezing does.
func (w *world) rechunk() {
	w.t.Helper()
	w.sql(`DELETE FROM chunk`)
	w.sql(`INSERT INTO chunk (campaign, grp, n, deliveries)
		SELECT campaign, grp, count(*), json_group_array(id) FROM (SELECT * FROM delivery WHERE state = 'queued' ORDER BY id) GROUP BY campaign, grp`)
	w.sql(`UPDATE delivery SET chunk = (SELECT c.id FROM chunk c WHERE c.campaign = delivery.campaign AND c.grp = delivery.grp)`)
}

// untouched wants nobody to have been refused, to have expired, or to have an attempt.
func (w *world) untouched(id string, open int64) {
	w.t.Helper()
	n := int64(0)
	must(w.t, w.db.EachDelivery(w.t.Context(), tester, mailer.DeliveryFilter{Campaign: id, State: mailer.StateQueued}, func(d mailer.DeliveryView) error {
		n++
		if d.Attempts > 0 || !d.FirstAt.IsZero() {
			w.t.Errorf("%s has %d attempts since %v", d.Ref, d.Attempts, d.FirstAt)
		}
		return nil
	}))
	if n != open {
		w.t.Errorf("%d are queued, want %d", n, open)
	}
}

// aboutUs are replies to a recipient that speak of us.
var aboutUs = []string{
	"rcpt:554 5.7.1 <p@mail.example>: Relay access denied",
	"rcpt:553 5.7.1 <b@shop.example>: Sender address rejected: not owned by user x",
	"rcpt:554 5.7.1 <unknown[192.0.2.7]>: Client host rejected: Access denied",
	"rcpt:450 4.7.1 Client host rejected: cannot find your hostname, [192.0.2.7]",
	"rcpt:454 4.7.1 <p@mail.example>: Relay access denied",
	"rcpt:530 5.7.0 Authentication required",
	"data:554 5.7.1 Client host blocked using zen.dnsbl.example",
	"dot:550 5.7.26 Unauthenticated email is not accepted due to DMARC policy",
	"mail:553 5.7.1 sender not allowed",
	"mail:450 4.1.8 Sender address rejected: Domain not found",
}

// TestRefusalOfUs: whatever a relay says about us, at whatever point and over whichever
// way of sending, nobody moves, and the campaign is paused with its reason. Once the
// relay is mended and a person resumes, everybody is told once.
func TestRefusalOfUs(t *testing.T) {
	t.Parallel()
	ways := map[string]func(*relay){
		"pipelined":             func(*relay) {},
		"streamed":              func(r *relay) { r.Chunking, r.Intents = true, 4 },
		"one command at a time": func(r *relay) { r.Pipelining = false },
	}
	for way, change := range ways {
		for _, fault := range aboutUs {
			if way == "streamed" && strings.HasPrefix(fault, "data") {
				continue // BDAT has no such point
			}
			t.Run(way+"/"+fault[:strings.IndexByte(fault, ' ')+6], func(t *testing.T) {
				t.Parallel()
				const people = 12
				w := newWorld(t, people, fault)
				id := w.started(mailer.Campaign{})
				sum := w.run(w.runner(w.db, change))
				if strings.HasPrefix(fault, "mail:4") { // it waits for the sender, and asks again
					if why := sum.Waits[id]; why.Reason != mailer.WaitSender || why.Until.IsZero() || sum.Remaining != people {
						t.Errorf("%+v", sum)
					}
				} else {
					c := w.phase(id, mailer.PhasePaused)
					if c.Halt.IsZero() || c.Reason == "" || sum.Stuck[id].Reason != mailer.WaitHalted || sum.Remaining != people {
						t.Errorf("%+v, %+v", c, sum)
					}
					must(t, w.db.Resume(t.Context(), tester, id))
				}
				w.untouched(id, people)
				w.nothingHeld(id)
				w.inbox.Close()
				w.listen(sink.Options{})
				w.clock.advance(100 * 24 * time.Hour) // far beyond any deadline
				w.run(w.runner(w.db, change))
				w.onceEach(people)
				w.phase(id, mailer.PhaseFinished)
			})
		}
	}
}

// TestSenderIsAskedFirst: a campaign whose sender is refused is not begun: nothing is
// said of anybody. That of another merchant goes on.
func TestSenderIsAskedFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 8, "mail=*@mail.minato-jutaku.example:553 5.7.1 not yours", "mail=*minato-jutaku*:553 5.7.1 not yours")
	w.load("housing", 5)
	refused := w.started(mailer.Campaign{Merchant: "housing"})
	fine := w.started(mailer.Campaign{})
	w.run(w.runner(w.db))
	w.phase(fine, mailer.PhaseFinished)
	if c := w.phase(refused, mailer.PhasePaused); c.Halt.Why != mailer.HaltSender || c.Halt.Code != 553 {
		t.Errorf("%+v", c.Halt)
	}
	w.untouched(refused, 5)
	must(t, w.db.EachDelivery(t.Context(), tester, mailer.DeliveryFilter{Campaign: refused}, func(d mailer.DeliveryView) error {
		if !d.LastAt.IsZero() {
			t.Errorf("something happened to %s: %s", d.Ref, d.Reply())
		}
		return nil
	}))
}

// TestOneGroupIsHeld: one provider that refuses us waits alone.
func TestOneGroupIsHeld(t *testing.T) {
	t.Parallel()
	const people, first, last = 60, 21, 40
	w := newWorld(t, people, "rcpt=p02?@*:554 5.7.1 Relay access denied", "rcpt=p03?@*:554 5.7.1 Relay access denied")
	id := w.started(mailer.Campaign{})
	w.grouped("slow", first-1, last-1) // p020 to p039
	r := w.runner(w.db)
	sum := w.run(r)
	w.counts(id, mailer.Counts{mailer.StateAccepted: people - 20, mailer.StateQueued: 20})
	w.untouched(id, 20)
	c := w.phase(id, mailer.PhaseRunning)
	if why := sum.Stuck[id]; why.Reason != mailer.WaitRefused || len(why.Groups) != 1 || why.Groups[0] != "slow" || why.Reply != "554 5.7.1" || sum.Remaining != 20 {
		t.Errorf("%+v, %+v", sum, c)
	}
	w.inbox.Close()
	w.listen(sink.Options{})
	w.run(r) // another run tries again
	w.onceEach(people)
	w.phase(id, mailer.PhaseFinished)
}

// TestTwoGroupsPause: two of them are the relay.
func TestTwoGroupsPause(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 60, "rcpt=p02?@*:554 5.7.1 Relay access denied", "rcpt=p04?@*:550 5.7.1 unable to relay")
	id := w.started(mailer.Campaign{})
	w.sql(`UPDATE delivery SET grp = CASE id / 20 WHEN 0 THEN 'one' WHEN 1 THEN 'two' ELSE 'three' END`)
	w.rechunk()
	w.run(w.runner(w.db))
	if c := w.phase(id, mailer.PhasePaused); c.Halt.Why != mailer.HaltGroups || len(c.Halt.Groups) != 2 {
		t.Errorf("%+v", c.Halt)
	}
	counts, err := w.db.Counts(t.Context(), id)
	must(t, err)
	if counts[mailer.StateRejected]+counts[mailer.StateExpired]+counts[mailer.StateDeferred] > 0 || counts.Total() != 60 {
		t.Errorf("%v", counts)
	}
}

// TestOneDomainCannotStopACampaign: people of one domain that refuses us, however many
// and though they stand first, wait by themselves; everybody else is told.
func TestOneDomainCannotStopACampaign(t *testing.T) {
	t.Parallel()
	for _, intents := range []int{1, 8} {
		t.Run(fmt.Sprintf("%d intents", intents), func(t *testing.T) {
			t.Parallel()
			const hostile, others = 80, 60
			w := newWorld(t, 0, "rcpt=*@evil.example:554 5.7.1 Relay access denied")
			var persons []mailer.Person
			for i := range hostile + others {
				p := mailer.Person{CustomerID: fmt.Sprintf("C%03d", i), Name: "山田 花子", Email: fmt.Sprintf("p%03d@evil.example", i)}
				if i >= hostile {
					p.Email = fmt.Sprintf("p%03d@good%d.example", i, i%7)
				}
				persons = append(persons, p)
			}
			w.Add(persons...)
			id := w.started(mailer.Campaign{})
			r := w.runner(w.db, func(o *relay) { o.Chunking, o.Intents, o.connections = intents > 1, intents, 8 })
			sum := w.run(r)
			w.phase(id, mailer.PhaseRunning)
			w.counts(id, mailer.Counts{mailer.StateAccepted: others, mailer.StateQueued: hostile})
			w.untouched(id, hostile)
			if why := sum.Stuck[id]; why.Reason != mailer.WaitHeld || why.Count != hostile || sum.Held.Total() != hostile {
				t.Errorf("%+v", sum)
			}
			w.run(r) // nothing of it is tried again by itself
			w.counts(id, mailer.Counts{mailer.StateAccepted: others, mailer.StateQueued: hostile})

			w.inbox.Close()
			w.listen(sink.Options{})
			n, err := w.db.Requeue(t.Context(), tester, id, mailer.StateQueued, "")
			must(t, err)
			if n != hostile {
				t.Errorf("%d were held", n)
			}
			w.run(r)
			w.onceEach(hostile + others)
			w.phase(id, mailer.PhaseFinished)
		})
	}
}

// TestFirstRepliesPause: where the first replies all refuse, in words that nobody knows,
// no more are wasted; a person has them sent again.
func TestFirstRepliesPause(t *testing.T) {
	t.Parallel()
	for _, people := range []int{7, 200} {
		t.Run(fmt.Sprint(people), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, people, "rcpt:554 5.7.1 nothing doing")
			id := w.started(mailer.Campaign{})
			sum := w.run(w.runner(w.db))
			c := w.phase(id, mailer.PhasePaused)
			if c.Halt.Why != mailer.HaltFirst || sum.Stuck[id].Reason != mailer.WaitHalted || sum.Accepted != 0 {
				t.Errorf("%+v, %+v", c.Halt, sum)
			}
			counts, err := w.db.Counts(t.Context(), id)
			must(t, err)
			rejected := counts[mailer.StateRejected]
			if rejected < min(int64(people), 20) || rejected > 20+2*connections {
				t.Errorf("%v", counts)
			}
			w.inbox.Close()
			w.listen(sink.Options{})
			n, err := w.db.Requeue(t.Context(), tester, id, mailer.StateRejected, "")
			must(t, err)
			if n != rejected {
				t.Errorf("%d sent again of %d", n, rejected)
			}
			must(t, w.db.Resume(t.Context(), tester, id))
			w.run(w.runner(w.db))
			w.onceEach(people)
			w.phase(id, mailer.PhaseFinished)
		})
	}
}

// TestRefusedPeopleDoNotPause: some who are refused among others who are not, as in any
// list, and a few who are all of it.
func TestRefusedPeopleDoNotPause(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 60, "rcpt=p0[0]?@*:550 5.1.1 unknown", "rcpt=p03?@*:550 5.1.1 User unknown", "rcpt=p04?@*:550 5.1.1 User unknown")
	id := w.started(mailer.Campaign{})
	w.run(w.runner(w.db))
	w.phase(id, mailer.PhaseFinished)
	few := newWorld(t, 3, "rcpt:550 5.1.1 User unknown")
	id = few.started(mailer.Campaign{})
	few.run(few.runner(few.db))
	few.phase(id, mailer.PhaseFinished)
}

// clumsy composes for nobody whose name stands in it.
type clumsy struct {
	mailer.Composer
	refuses func(*mailer.Header) bool
}

func (c clumsy) Compose(dst []byte, h *mailer.Header, n *mailer.Notice) ([]byte, error) {
	if c.refuses(h) {
		return nil, errors.New("cannot")
	}
	return c.Composer.Compose(dst, h, n)
}

// TestComposingIsOurs: what we cannot compose is held, several pause the campaign, and
// nobody counts as refused.
func TestComposingIsOurs(t *testing.T) {
	t.Parallel()
	const people = 30
	composer := func(refuses func(*mailer.Header) bool) func(*mailer.Merchant) (mailer.Composer, error) {
		return func(*mailer.Merchant) (mailer.Composer, error) {
			real, err := smtp.NewComposer(smtp.ComposerOptions{})
			return clumsy{real, refuses}, err
		}
	}
	w := newWorld(t, people)
	id := w.started(mailer.Campaign{})
	r := w.runner(w.db)
	r.Composer = composer(func(h *mailer.Header) bool { return h.To == address(7) || h.To == address(9) })
	sum := w.run(r)
	w.counts(id, mailer.Counts{mailer.StateAccepted: people - 2, mailer.StateQueued: 2})
	w.untouched(id, 2)
	if why := sum.Stuck[id]; why.Reason != mailer.WaitHeld || why.Count != 2 {
		t.Errorf("%+v", sum)
	}
	n, err := w.db.Requeue(t.Context(), tester, id, mailer.StateQueued, "")
	must(t, err)
	w.run(w.runner(w.db))
	w.onceEach(people)
	w.phase(id, mailer.PhaseFinished)
	if n != 2 {
		t.Errorf("%d were held", n)
	}

	all := newWorld(t, people)
	id = all.started(mailer.Campaign{})
	r = all.runner(all.db)
	r.Composer = composer(func(*mailer.Header) bool { return true })
	all.run(r)
	if c := all.phase(id, mailer.PhasePaused); c.Halt.Why != mailer.HaltCompose {
		t.Errorf("%+v", c)
	}
	all.untouched(id, people)
	must(t, all.db.Resume(t.Context(), tester, id))
	all.run(all.runner(all.db))
	all.onceEach(people)
}

// TestMessageTooLargeIsOurs: a message that does not fit a relay is nobody's fault but
// ours.
func TestMessageTooLargeIsOurs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 6)
	w.inbox.Close()
	w.listen(sink.Options{MaxSize: 200})
	id := w.started(mailer.Campaign{})
	w.run(w.runner(w.db))
	if c := w.phase(id, mailer.PhasePaused); c.Halt.Why != mailer.HaltCompose {
		t.Errorf("%+v", c)
	}
	w.untouched(id, 6)
}

// TestNobodyExpiresByTheSender: a relay that puts the sender off for days costs nobody
// their notice.
func TestNobodyExpiresByTheSender(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4, "mail:451 4.3.0 later")
	id := w.started(mailer.Campaign{})
	r := w.runner(w.db)
	for range 5 {
		w.run(r)
		w.clock.advance(24 * time.Hour)
	}
	w.counts(id, mailer.Counts{mailer.StateQueued: 4})
	w.inbox.Close()
	w.listen(sink.Options{})
	w.run(w.runner(w.db))
	w.onceEach(4)
}

// TestStopAtTheDot: a stop while the relay says nothing about finished messages leaves
// them unknown in the ledger, and nothing in sending; a second signal waits no longer.
func TestStopAtTheDot(t *testing.T) {
	t.Parallel()
	for _, hurried := range []bool{false, true} {
		t.Run(fmt.Sprintf("hurried %v", hurried), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 20, "dot,after=5:stall")
			id := w.started(mailer.Campaign{})
			r := w.runner(w.db, func(o *relay) { o.Grace = 200 * time.Millisecond })
			r.Options.StopGrace = 300 * time.Millisecond
			ctx, stop := context.WithCancel(t.Context())
			hurry, now := context.WithCancel(t.Context())
			if hurried {
				r.Options.StopGrace = time.Hour
			}
			r.Options.Hurry = hurry
			stalled := make(chan struct{})
			defer now()
			r.Ledger = tellsIntents{w.db, id, 5 + connections, stalled}
			done := make(chan send.Summary, 1)
			go func() {
				sum, err := r.Run(ctx, "")
				if err != nil {
					t.Error(err)
				}
				done <- sum
			}()
			<-stalled
			stop()
			if hurried {
				now()
			}
			sum := <-done
			w.counts(id, mailer.Counts{mailer.StateAccepted: 5, mailer.StateUnknown: connections, mailer.StateQueued: 15 - connections})
			w.nothingHeld(id)
			if !sum.Interrupted || sum.Remaining != 15 || sum.Unknown != connections {
				t.Errorf("%+v", sum)
			}
		})
	}
}

// tellsIntents says when so many intents were committed.
type tellsIntents struct {
	send.Ledger
	id    string
	n     int
	there chan struct{}
}

func (l tellsIntents) Record(ctx context.Context, records ...mailer.Record) []error {
	errs := l.Ledger.Record(ctx, records...)
	counts, err := l.Counts(ctx, l.id)
	if err == nil && counts[mailer.StateSending]+counts[mailer.StateAccepted] >= int64(l.n) && counts[mailer.StateAccepted] == 5 {
		select {
		case <-l.there:
		default:
			close(l.there)
		}
	}
	return errs
}

// TestMendedSenderGoesOut: a sender that was refused is mended in the facts, checked and
// approved anew; those who had been begun with are told as well.
func TestMendedSenderGoesOut(t *testing.T) {
	t.Parallel()
	const people = 12
	w := newWorld(t, people, "rcpt:553 5.7.1 Sender address rejected: not owned by user x")
	id := w.started(mailer.Campaign{})
	w.run(w.runner(w.db))
	w.phase(id, mailer.PhasePaused)
	m, err := w.db.Merchant(t.Context(), "shop")
	must(t, err)
	m.From = "notice@mended.example"
	_, err = w.db.Apply(t.Context(), tester, nil, []mailer.Merchant{m})
	must(t, err)
	w.phase(id, mailer.PhaseDraft)
	res := w.Check(id)
	if res.Sendable != people {
		t.Errorf("%+v", res)
	}
	_, err = w.db.Approve(t.Context(), actor("佐藤"), []string{id}, res.Sendable, mailertest.ByName(1), mailer.Signed{})
	must(t, err)
	must(t, w.db.Start(t.Context(), tester, id, true))
	w.inbox.Close()
	w.listen(sink.Options{})
	w.run(w.runner(w.db))
	w.onceEach(people)
	w.phase(id, mailer.PhaseFinished)
}

// TestResumedWhileServing: a daemon whose brake paused a campaign sends it once a person
// has resumed it, at once too.
func TestResumedWhileServing(t *testing.T) {
	t.Parallel()
	const people = 3 // as many as hold their domain
	w := newWorld(t, people, "rcpt,first=1:554 5.7.1 Relay access denied")
	id := w.started(mailer.Campaign{})
	w.clock.run()
	r := w.runner(w.db)
	other := w.open()
	r.Ledger = resuming{w.db, other}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Serve(ctx, func(*mailer.Campaign) bool { return true }) }()
	w.inbox.wait(people)
	stop()
	must(t, <-done)
	w.onceEach(people)
	w.counts(id, mailer.Counts{mailer.StateAccepted: people})
}

// resuming resumes whatever the program pauses.
type resuming struct {
	send.Ledger
	other interface {
		Resume(ctx context.Context, by mailer.Actor, campaign string) error
	}
}

func (l resuming) Halt(ctx context.Context, campaign string, why mailer.Halt, reason string) error {
	return errors.Join(l.Ledger.Halt(ctx, campaign, why, reason), l.other.Resume(ctx, tester, campaign))
}
