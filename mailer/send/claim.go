package send

import (
	"context"
	"errors"
	"fmt"
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

// claimAll goes once round the campaigns, so that none holds the others.
func (s *session) claimAll(ctx context.Context) (verdict, error) {
	running, err := s.Ledger.Running(ctx)
	if err != nil {
		return nothingIsDue, err
	}
	s.forget(running)
	all := nothingIsDue
	for _, c := range running {
		if !s.admit(&c) || s.stopping() {
			continue
		}
		w, err := s.work(ctx, c)
		if err != nil {
			return all, err
		}
		if w == nil {
			continue
		}
		got, err := s.claim(ctx, w)
		if err != nil {
			return all, err
		}
		all = max(all, got)
	}
	return all, nil
}

// work returns a campaign ready to be sent, nil where it cannot be.
func (s *session) work(ctx context.Context, c mailer.Campaign) (*work, error) {
	s.mu.Lock()
	w := s.works[c.ID]
	s.mu.Unlock()
	if w != nil && w.campaign.Digest == c.Digest && w.campaign.Window == c.Window && w.campaign.PerHour == c.PerHour {
		return w, nil
	}
	w, err := s.prepare(ctx, c)
	if errors.Is(err, mailer.ErrRenderedDifferently) {
		s.cannotSend(&work{campaign: c}, "", err)
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("campaign %s: %w", c.ID, err)
	}
	s.mu.Lock()
	s.works[c.ID] = w
	s.touched[c.ID] = true
	s.mu.Unlock()
	return w, nil
}

// forget drops what is known of campaigns that no longer run.
func (s *session) forget(running []mailer.Campaign) {
	live := map[string]bool{}
	for _, c := range running {
		live[c.ID] = true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.works {
		if !live[id] {
			delete(s.works, id)
		}
	}
}

// claim leases the next batch of a campaign and queues it; with nothing claimed
// the work says why it waits.
func (s *session) claim(ctx context.Context, w *work) (verdict, error) {
	now := s.Options.Now()
	if !w.window.Open(now) {
		s.waits(w, mailer.Wait{Reason: mailer.WaitWindow, Until: w.window.NextOpen(now)})
		return nothingIsDue, nil
	}
	if at, ok := s.downSince(); ok && s.queue.waiting() > 0 {
		s.waits(w, mailer.Wait{Reason: mailer.WaitNoRelay, Since: at})
		return dueLater, nil
	}
	if now.Before(w.nextAt) {
		return dueLater, nil
	}
	n := s.pace().Batch
	if limits := s.limits(w); len(limits) > 0 {
		due, ok, err := s.Ledger.NextDue(ctx, w.campaign.ID)
		if err != nil {
			return nothingIsDue, err
		}
		if !ok || due.After(now) {
			return nothingIsDue, s.nothingDue(ctx, w, due, ok) // reserve nothing for nobody
		}
		granted, wait, err := s.Ledger.Reserve(ctx, now, n, limits)
		if err != nil {
			return nothingIsDue, err
		}
		if granted == 0 {
			w.nextAt = now.Add(wait)
			s.waits(w, mailer.Wait{Reason: mailer.WaitPace, Until: w.nextAt})
			return dueLater, nil
		}
		n = granted
	}
	full := s.queue.full()
	got, err := s.Ledger.Claim(ctx, w.campaign.ID, now, now.Add(s.Options.Lease), n, full)
	if errors.Is(err, mailer.ErrNotRunning) {
		return nothingIsDue, nil
	}
	if err != nil {
		return nothingIsDue, err
	}
	if got == nil && len(full) > 0 {
		s.waits(w, mailer.Wait{Reason: mailer.WaitGroups, Groups: full})
		return dueLater, nil
	}
	if got == nil {
		due, ok, err := s.Ledger.NextDue(ctx, w.campaign.ID)
		if err != nil {
			return nothingIsDue, err
		}
		return nothingIsDue, s.nothingDue(ctx, w, due, ok)
	}
	w.sent += len(got.Deliveries)
	if p := s.pace(); p.BatchPause > 0 && w.sent >= p.Batch {
		w.sent, w.nextAt = 0, now.Add(p.BatchPause)
	}
	s.handOut(w, got)
	s.goesOn(w)
	return someClaimed, nil
}

// nothingDue notes when the next attempt is due, or settles the campaign.
func (s *session) nothingDue(ctx context.Context, w *work, due time.Time, ok bool) error {
	switch {
	case ok:
		s.waits(w, mailer.Wait{Reason: mailer.WaitRetry, Until: due})
		return nil
	case !s.queue.idle():
		s.goesOn(w)
		return nil
	}
	counts, err := s.Ledger.Counts(ctx, w.campaign.ID)
	if err != nil {
		return err
	}
	switch {
	case counts.Open() == 0:
		if err := s.Ledger.Settle(ctx, w.campaign.ID); err != nil {
			return err
		}
		s.log.Info("campaign finished", "campaign", w.campaign.ID)
		s.goesOn(w)
		return nil
	case counts.Pending() == 0:
		s.waits(w, mailer.Wait{Reason: mailer.WaitDecision, Count: counts[mailer.StateUnknown]})
		return nil
	}
	s.waits(w, mailer.Wait{Reason: mailer.WaitElsewhere})
	return nil
}

func (s *session) handOut(w *work, got *mailer.Lease) {
	l := &lease{epoch: got.Epoch, campaign: got.Campaign}
	jobs := make([]*job, len(got.Deliveries))
	for i := range got.Deliveries {
		jobs[i] = &job{delivery: &got.Deliveries[i], work: w, lease: l}
	}
	s.mu.Lock()
	s.active[got.Epoch] = true
	s.mu.Unlock()
	if !s.queue.push(l, jobs) {
		s.leaseEnded(l)
	}
}

// leaseEnded gives back what of a lease was not sent.
func (s *session) leaseEnded(l *lease) {
	s.mu.Lock()
	delete(s.active, l.epoch)
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := s.Ledger.Release(ctx, l.epoch); err != nil {
		s.fail(fmt.Errorf("release lease %d: %w", l.epoch, err))
	}
}
