package send

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"oshirase/mailer"
)

// verdict is what looking for due deliveries came to.
type verdict int

const (
	nothingIsDue verdict = iota // or the window is closed
	dueLater                    // something is due, but waits for pace or relay
	someClaimed
)

// claimAll goes once round the campaigns, in turn.
func (s *session) claimAll(ctx context.Context) (verdict, error) {
	if len(s.round) > 0 && time.Since(s.roundAt) < tick {
		inTurn(s.round)
		if got, err := s.goRound(ctx); got == someClaimed || err != nil {
			return got, err
		}
	}
	running, err := s.Ledger.Running(ctx)
	if err != nil {
		return nothingIsDue, err
	}
	s.round, s.roundAt = s.enter(running), time.Now()
	s.alone = len(s.round) == 1
	for _, b := range s.round {
		if !s.alone {
			s.awaitsTurn(b)
		}
	}
	return s.goRound(ctx)
}

// goRound claims of each campaign of the round that has a turn. Those of which nothing
// could be claimed are left out until the ledger is asked for the campaigns again: a
// tick later, or when all are. A claim finds out by itself which was paused meanwhile.
func (s *session) goRound(ctx context.Context) (verdict, error) {
	all := nothingIsDue
	began := s.place
	again := s.round[:0]
	for _, b := range s.round {
		if s.stopping() {
			break
		}
		if all == someClaimed && b.place > began+1 {
			again = append(again, b) // it is ahead: the others have a turn more
			continue
		}
		got, err := s.claim(ctx, b)
		if err != nil {
			return all, err
		}
		if got == someClaimed {
			again = append(again, b)
		}
		all = max(all, got)
	}
	s.round = again
	return all, nil
}

// work makes a campaign ready to be sent; false: it cannot be.
func (s *session) work(ctx context.Context, b *backlog) (bool, error) {
	c := &b.Campaign
	if w := b.work; w != nil && w.campaign.Digest == c.Digest && w.campaign.Window == c.Window && w.campaign.PerHour == c.PerHour {
		return true, nil
	}
	w, err := s.prepare(ctx, *c)
	if errors.Is(err, mailer.ErrRenderedDifferently) {
		s.cannotSend(&work{campaign: *c}, "", err)
		s.goesOn(b)
		return false, nil
	}
	if errors.Is(err, mailer.ErrDamaged) {
		s.altered(b, err)
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("campaign %s: %w", c.ID, err)
	}
	b.work = w
	return true, nil
}

// altered notes that a campaign is not as the program wrote it: nothing of it is sent,
// and the others go on.
func (s *session) altered(b *backlog, err error) {
	if b.idleUntil.IsZero() {
		s.log.Error("campaign is not as it was written: nothing of it is sent", "campaign", b.ID, "error", err)
	}
	b.idleUntil = s.Options.Now().Add(heldAgain)
	s.waits(b, mailer.Wait{Reason: mailer.WaitAltered})
}

// claim leases the next deliveries of a campaign and queues them; with nothing
// claimed the campaign says why it waits.
func (s *session) claim(ctx context.Context, b *backlog) (verdict, error) {
	if ok, err := s.work(ctx, b); !ok {
		return nothingIsDue, err
	}
	now := s.Options.Now()
	if w := b.work.window; !w.Open(now) {
		s.waits(b, mailer.Wait{Reason: mailer.WaitWindow, Until: w.NextOpen(now)})
		return nothingIsDue, nil
	}
	if at, ok := s.downSince(); ok && s.queue.waiting() > 0 {
		s.waits(b, mailer.Wait{Reason: mailer.WaitNoRelay, Since: at})
		return dueLater, nil
	}
	if at, said := s.mayAsk(b, now); !at.IsZero() {
		s.waits(b, mailer.Wait{Reason: mailer.WaitSender, Reply: said, Until: at})
		return nothingIsDue, nil
	}
	if now.Before(b.nextAt) {
		return dueLater, nil
	}
	if now.Before(b.idleUntil) {
		return nothingIsDue, nil
	}
	held, last := b.brake.skip()
	limits := s.limits(b.work)
	n, got, err := s.reserve(ctx, b, s.turn(b), limits)
	if n == 0 || err != nil {
		return got, err
	}
	full := s.queue.full()
	lease, err := s.Ledger.Claim(ctx, b.ID, now, now.Add(s.Options.Lease), n, append(held, full...))
	claimed := 0
	if lease != nil {
		claimed = len(lease.Deliveries)
	}
	if len(limits) > 0 && claimed < n {
		s.spare[limitSet(limits)] = spare{n - claimed, now.Add(time.Second)}
	}
	switch {
	case errors.Is(err, mailer.ErrNotRunning):
		s.goesOn(b)
		return nothingIsDue, nil
	case errors.Is(err, mailer.ErrDamaged):
		s.altered(b, err)
		return nothingIsDue, nil
	case err != nil:
		return nothingIsDue, err
	case lease == nil && len(full) > 0:
		s.waits(b, mailer.Wait{Reason: mailer.WaitGroups, Groups: full})
		return dueLater, nil
	case lease == nil:
		due, ok, err := s.Ledger.NextDue(ctx, b.ID)
		if err != nil {
			return nothingIsDue, err
		}
		if ok && !due.After(now) && len(held) > 0 {
			return nothingIsDue, s.heldGroups(ctx, b, held, last)
		}
		return s.nothingDue(ctx, b, due, ok)
	}
	s.served(b, claimed)
	b.sent += claimed
	b.Left -= int64(claimed)
	if p := s.pace(); p.BatchPause > 0 && b.sent >= p.Batch {
		b.sent, b.nextAt = 0, now.Add(p.BatchPause)
	}
	s.goesOn(b)
	s.handOut(b, lease)
	return someClaimed, nil
}

// reserve takes up to n messages of a campaign out of its limits. 0: not now, and the
// verdict says what that means.
func (s *session) reserve(ctx context.Context, b *backlog, n int, limits []mailer.Limit) (int, verdict, error) {
	if len(limits) == 0 {
		return n, someClaimed, nil
	}
	now := s.Options.Now()
	if now.Before(s.paceUntil) && b.Left > 0 && b.waits.Reason != mailer.WaitRetry {
		s.awaitsTurn(b)
		return 0, dueLater, nil
	}
	due, ok, err := s.Ledger.NextDue(ctx, b.ID)
	if err != nil {
		return 0, nothingIsDue, err
	}
	if !ok || due.After(now) {
		got, err := s.nothingDue(ctx, b, due, ok) // reserve nothing for nobody
		return 0, got, err
	}
	set := limitSet(limits)
	if left := s.spare[set]; left.n > 0 && now.Before(left.until) {
		delete(s.spare, set)
		if left.n > n {
			s.spare[set] = spare{left.n - n, left.until}
		}
		return min(n, left.n), someClaimed, nil
	}
	if now.Before(s.paceUntil) { // its next attempt has become due, and has to wait for the others
		s.goesOn(b)
		s.awaitsTurn(b)
		return 0, dueLater, nil
	}
	g, err := s.Ledger.Reserve(ctx, now, n, limits)
	if err != nil {
		return 0, nothingIsDue, err
	}
	shared := strings.HasPrefix(g.Bound, allCampaigns)
	switch {
	case g.N > 0:
		return g.N, someClaimed, nil
	case shared: // for all: nobody else is asked before that time
		s.paceUntil = now.Add(g.Wait)
		s.waits(b, mailer.Wait{Reason: mailer.WaitPace, Until: s.paceUntil})
	default:
		b.nextAt = now.Add(g.Wait)
		s.waits(b, mailer.Wait{Reason: mailer.WaitPace, Until: b.nextAt})
	}
	return 0, dueLater, nil
}

// nothingDue looks whether something that is held may go now; else it notes what the
// campaign waits for, or settles it.
func (s *session) nothingDue(ctx context.Context, b *backlog, due time.Time, ok bool) (verdict, error) {
	if again, err := s.review(ctx, b); again || err != nil {
		return dueLater, err
	}
	switch {
	case ok:
		s.waits(b, mailer.Wait{Reason: mailer.WaitRetry, Until: due})
		return nothingIsDue, nil
	case !s.queue.idle():
		s.goesOn(b)
		return nothingIsDue, nil
	}
	counts, err := s.Ledger.Counts(ctx, b.ID)
	if err != nil {
		return nothingIsDue, err
	}
	if s.stuck(b, counts) {
		return nothingIsDue, nil
	}
	if counts.Open() == 0 {
		if err := s.Ledger.Settle(ctx, b.ID); err != nil {
			return nothingIsDue, err
		}
		s.log.Info("campaign finished", "campaign", b.ID)
		s.goesOn(b)
		return nothingIsDue, nil
	}
	if counts.Pending() == 0 {
		s.waits(b, mailer.Wait{Reason: mailer.WaitDecision, Count: counts[mailer.StateUnknown]})
		return nothingIsDue, nil
	}
	held, err := s.Ledger.Held(ctx, b.ID)
	why := held.Wait(counts)
	if why.IsZero() {
		why.Reason = mailer.WaitElsewhere
	}
	s.waits(b, why)
	return nothingIsDue, err
}

// heldGroups notes that nothing is due but what the brake holds.
func (s *session) heldGroups(ctx context.Context, b *backlog, held []string, last kept) error {
	if !s.queue.idle() {
		s.goesOn(b)
		return nil
	}
	counts, err := s.Ledger.Counts(ctx, b.ID)
	if err != nil || s.stuck(b, counts) {
		return err
	}
	b.idleUntil = s.Options.Now().Add(heldAgain)
	s.waits(b, mailer.Wait{Reason: mailer.WaitRefused, Groups: held, Reply: last.us.Reply(), Since: last.since})
	return nil
}

// heldAgain is how often it is looked whether something else is due of a campaign that
// the brake holds: each look would take something out of its pace.
const heldAgain = 5 * time.Second

// stuck pauses a campaign that the brake finds to be at its end without having told
// anybody; nothing of it may come due by itself.
func (s *session) stuck(b *backlog, counts mailer.Counts) bool {
	if counts[mailer.StateAccepted]+counts[mailer.StateDelivered]+counts[mailer.StateBounced]+counts[mailer.StateDeferred] > 0 ||
		counts[mailer.StateUnknown]+counts[mailer.StateSending]+counts[mailer.StateClaimed] > 0 {
		return false
	}
	why := b.brake.atEnd(counts.Open())
	s.pause(b, why)
	if !why.IsZero() {
		s.goesOn(b)
	}
	return !why.IsZero()
}

// handOut queues a lease. It waits while the queue is full, so that one lease at most
// is claimed beyond what the queue holds.
func (s *session) handOut(b *backlog, got *mailer.Lease) {
	l := &lease{epoch: got.Epoch, campaign: got.Campaign, of: b}
	jobs := make([]*job, len(got.Deliveries))
	for i := range got.Deliveries {
		jobs[i] = &job{delivery: &got.Deliveries[i], work: b.work, lease: l}
	}
	s.mu.Lock()
	s.active[got.Epoch] = true
	b.leases++
	s.mu.Unlock()
	if !s.queue.push(l, jobs) {
		s.leaseEnded(l)
	}
}

// leaseEnded notes that a lease has no open job; see release.
func (s *session) leaseEnded(l *lease) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.active, l.epoch)
	l.of.leases--
	s.ended = append(s.ended, l.epoch)
}

// release gives back what of the leases that ended was not sent. One transaction ends
// all of the last tenth of a second: no worker waits for it.
func (s *session) release() {
	s.mu.Lock()
	ended := s.ended
	s.ended = nil
	s.mu.Unlock()
	if len(ended) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := s.Ledger.Release(ctx, ended...); err != nil {
		s.fail(fmt.Errorf("release leases %d: %w", ended, err))
	}
}
