package campaign

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"oshirase/mailer"
)

const (
	tick         = 200 * time.Millisecond // how often the dispatcher looks again
	recoverEvery = 5 * time.Second        // how often dead leases are looked for
	dialTries    = 3                      // how often Run tries relays that never worked
)

// session is one run of the dispatcher with its lanes.
type session struct {
	*Runner
	log     *slog.Logger
	admit   Plan
	queue   *queue
	adapter *adapter

	accepted, rejected, outcomes atomic.Int64

	// running ends when nothing new may begin: a stop, or a failure.
	running context.Context
	halt    context.CancelFunc

	mu       sync.Mutex
	works    map[string]*work
	touched  map[string]bool // campaigns that were worked on
	active   map[int64]bool  // epochs of the leases that are held
	err      error           // why the session ended early
	everUp   bool            // a relay took a connection in this session
	down     int             // how often all relays were tried in vain since one did
	downFrom time.Time       // since when no relay takes connections; zero: one does
	retryAt  time.Time       // when one is tried again

	impatient bool // gives up when relays stay down
	recovered time.Time
}

func (r *Runner) begin(ctx context.Context, admit Plan) (*session, error) {
	s := &session{
		Runner: r, log: r.Options.Logger, admit: admit,
		works: map[string]*work{}, touched: map[string]bool{}, active: map[int64]bool{},
	}
	s.queue = newQueue(r.Options.Batch, s.leaseEnded)
	s.adapter = newAdapter(r.Options.MinConnections, r.Relays.Size())
	s.queue.limit(r.pace().Groups)
	s.queue.allow(s.adapter.lanes)
	s.running, s.halt = context.WithCancel(ctx)
	if err := s.housekeep(ctx); err != nil {
		s.halt()
		return nil, err
	}
	return s, nil
}

// dispatch claims and hands out until nothing is due, or forever, or until the
// session is stopped. Then nothing new begins, what is on the wire is finished
// within the grace, and all leases are released.
func (s *session) dispatch(ctx context.Context, forever bool) error {
	wire, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	closing := context.AfterFunc(s.running, s.queue.close)
	defer closing()
	var lanes, renewer sync.WaitGroup
	for n := range s.Relays.Size() {
		lanes.Go(func() { (&lane{session: s, n: n, ctx: wire}).run() })
	}
	renewing, stopRenewing := context.WithCancel(wire)
	renewer.Go(func() { s.renew(renewing) })
	renewer.Go(func() { s.steer(renewing) })

	err := s.claimUntil(wire, forever)
	s.halt()
	grace := time.AfterFunc(s.Options.StopGrace, cut)
	s.queue.close()
	lanes.Wait()
	grace.Stop()
	stopRenewing()
	renewer.Wait()
	if err == nil {
		err = s.failure()
	}
	return err
}

// claimUntil is the dispatcher's loop.
func (s *session) claimUntil(ctx context.Context, forever bool) error {
	for !s.stopping() {
		if err := s.housekeep(ctx); err != nil {
			return err
		}
		// Asked before the claims: a delivery that is deferred after them may be
		// due at once.
		idle := s.queue.idle()
		got, err := s.claimAll(ctx)
		if err != nil {
			return err
		}
		switch {
		case got == someClaimed:
		case got == nothingIsDue && idle && !forever:
			return nil
		default:
			t := time.NewTimer(tick)
			select {
			case <-s.running.Done():
			case <-t.C:
			}
			t.Stop()
		}
	}
	return nil
}

// verdict is what looking for due deliveries came to.
type verdict int

const (
	nothingIsDue verdict = iota // or the window is closed
	dueLater                    // something is due, but waits for pace or relay
	someClaimed
)

// housekeep takes back what dead workers hold and wakes scheduled campaigns.
func (s *session) housekeep(ctx context.Context) error {
	now := s.Options.Now()
	if err := s.Ledger.Wake(ctx, now, s.Options.Grace); err != nil {
		return err
	}
	if since := now.Sub(s.recovered); since >= 0 && since < recoverEvery {
		return nil
	}
	s.recovered = now
	_, err := s.Ledger.Recover(ctx, now, s.Options.Resend) // it logs what it took back
	return err
}

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
		return nothingIsDue, s.waits(ctx, w, "window: opens "+people(w.window.NextOpen(now)))
	}
	if at, ok := s.downSince(); ok && s.queue.waiting() > 0 {
		return dueLater, s.waits(ctx, w, "no relay takes connections since "+people(at))
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
			return dueLater, s.waits(ctx, w, "pace")
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
		return dueLater, s.waits(ctx, w, "domain groups: "+strings.Join(full, ", ")+" take no more now")
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
	return someClaimed, s.waits(ctx, w, "")
}

// nothingDue notes when the next attempt is due, or settles the campaign.
func (s *session) nothingDue(ctx context.Context, w *work, due time.Time, ok bool) error {
	switch {
	case ok:
		return s.waits(ctx, w, "next attempt: "+people(due))
	case !s.queue.idle():
		return s.waits(ctx, w, "")
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
		return s.waits(ctx, w, "")
	case counts.Pending() == 0:
		return s.waits(ctx, w, fmt.Sprintf("%d unknown deliveries wait for a decision", counts[mailer.Unknown]))
	}
	return s.waits(ctx, w, "another worker is sending the rest")
}

// people writes a time as operators read it.
func people(t time.Time) string { return t.In(mailer.JST).Format(time.RFC3339) }

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

// renew keeps the leases alive while their jobs wait or are being sent.
func (s *session) renew(ctx context.Context) {
	t := time.NewTicker(s.Options.Lease / 3)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		s.mu.Lock()
		epochs := make([]int64, 0, len(s.active))
		for e := range s.active {
			epochs = append(epochs, e)
		}
		s.mu.Unlock()
		if len(epochs) == 0 {
			continue
		}
		if err := s.Ledger.Renew(ctx, epochs, s.Options.Now().Add(s.Options.Lease)); err != nil && ctx.Err() == nil {
			s.log.Warn("leases not renewed", "err", err)
		}
	}
}

// steer has the number of lanes follow the relays, and the groups their paces.
func (s *session) steer(ctx context.Context) {
	t := time.NewTicker(adaptEvery)
	defer t.Stop()
	last := time.Now()
	var rested string
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		now := time.Now()
		lanes, changed := s.adapter.step(now, now.Sub(last), s.queue.waiting() == 0)
		last = now
		if changed {
			s.queue.allow(lanes)
			s.log.Debug("connections adapted", "connections", lanes)
		}
		s.queue.limit(s.pace().Groups)
		resting := strings.Join(s.queue.refill(now, func(g *mailer.DomainGroup, n int) int { return s.grant(ctx, g, n) }), " ")
		if resting != rested && resting != "" {
			s.log.Info("domain groups rest: their providers ask for patience", "groups", resting)
		}
		rested = resting
	}
}

// grant takes messages of a domain group out of its pace, which all processes
// share.
func (s *session) grant(ctx context.Context, g *mailer.DomainGroup, n int) int {
	limit := mailer.Limit{Key: "group:" + g.Name, N: g.PerSecond, Per: time.Second, Burst: max(1, g.PerSecond/5)}
	granted, _, err := s.Ledger.Reserve(ctx, s.Options.Now(), n, []mailer.Limit{limit})
	if err != nil && ctx.Err() == nil {
		s.fail(fmt.Errorf("pace of domain group %s: %w", g.Name, err))
	}
	return granted
}

// waits notes why a campaign waits, once per reason.
func (s *session) waits(ctx context.Context, w *work, why string) error {
	s.mu.Lock()
	same := w.waiting == why
	w.waiting = why
	s.mu.Unlock()
	if same {
		return nil
	}
	if why != "" && why != "pace" {
		s.log.Info("campaign waits", "campaign", w.campaign.ID, "why", why)
	}
	return s.Ledger.Wait(ctx, w.campaign.ID, why)
}

// cannotSend stops a campaign whose notice is not what was approved, or cannot
// be composed.
func (s *session) cannotSend(w *work, ref string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	id := w.campaign.ID
	reason := err.Error()
	if ref != "" {
		reason += " (" + ref + ")"
	}
	stop := s.Ledger.Pause
	if errors.Is(err, mailer.ErrRenderedDifferently) {
		stop = s.Ledger.Void
	}
	s.log.Error("campaign stopped", "campaign", id, "ref", ref, "why", reason)
	if err := stop(ctx, id, reason); err != nil && !errors.Is(err, mailer.ErrConflict) {
		s.fail(fmt.Errorf("stop campaign %s: %w", id, err))
	}
	s.queue.drop(id)
}

// relayDown notes that no relay takes connections and waits until one is tried
// again. An impatient session ends when that lasts.
func (s *session) relayDown(err error) {
	now := s.Options.Now()
	wait := time.Second
	var down *mailer.RelayDown
	if errors.As(err, &down) {
		wait = max(down.RetryAt.Sub(now), 10*time.Millisecond)
	}
	s.mu.Lock()
	if s.downFrom.IsZero() {
		s.downFrom = now
		s.log.Warn("no relay takes connections", "err", err)
	}
	// Lanes that find the relays set aside have not tried them.
	if !now.Before(s.retryAt) {
		s.down++
		s.retryAt = now.Add(wait)
	}
	lost := s.impatient && (!s.everUp && s.down >= dialTries || now.Sub(s.downFrom) > s.Options.RelayWait)
	s.mu.Unlock()
	if lost {
		s.fail(err)
		return
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.running.Done():
	}
}

func (s *session) relayUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.downFrom.IsZero() {
		s.log.Info("a relay takes connections again")
	}
	s.everUp, s.down, s.downFrom = true, 0, time.Time{}
}

func (s *session) downSince() (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.downFrom, !s.downFrom.IsZero()
}

// fail ends the session with an error; the first one counts.
func (s *session) fail(err error) {
	s.mu.Lock()
	if s.err == nil {
		s.err = err
	}
	s.mu.Unlock()
	s.halt()
}

func (s *session) stopping() bool { return s.running.Err() != nil }

func (s *session) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// count adds up recorded outcomes.
func (s *session) count(st mailer.State) {
	switch st {
	case mailer.Accepted:
		s.accepted.Add(1)
	case mailer.Rejected, mailer.Expired:
		s.rejected.Add(1)
	}
	done := s.outcomes.Add(1)
	if s.Options.Progress != nil {
		s.Options.Progress(done)
	}
}

// seen lists the campaigns that the session worked on.
func (s *session) seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []string
	for id := range s.touched {
		ids = append(ids, id)
	}
	return ids
}

func (s *session) waitingReasons() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]string{}
	for id, w := range s.works {
		if w.waiting != "" {
			out[id] = w.waiting
		}
	}
	return out
}
