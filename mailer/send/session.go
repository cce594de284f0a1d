package send

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
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

// session is one run of the dispatcher with its workers.
type session struct {
	*Runner
	n       int64 // of this runner's sessions
	log     *slog.Logger
	admit   Plan
	queue   *queue
	adapter *adapter

	accepted, rejected, outcomes atomic.Int64

	// running ends when nothing new may begin: a stop, or a failure.
	running context.Context
	halt    context.CancelFunc

	mu        sync.Mutex
	backlogs  map[string]*backlog // the campaigns that may be sent
	different map[string]int      // notices of campaigns that were not what was approved
	active    map[int64]bool      // epochs of the leases that are held
	ended     []int64             // epochs of those that have no open job and are to be released
	err       error               // why the session ended early
	everUp    bool                // a relay took a connection in this session
	down      int                 // how often all relays were tried in vain since one did
	downFrom  time.Time           // since when no relay takes connections; zero: one does
	retryAt   time.Time           // when one is tried again

	// The dispatcher alone uses these.
	round     []*backlog       // the campaigns of which something may be claimed
	roundAt   time.Time        // when the ledger was asked for them
	alone     bool             // there was one only
	place     float64          // of the campaign that was served last; see turn.go
	paceUntil time.Time        // the pace that all share allows nothing before
	spare     map[string]spare // by set of limits

	impatient bool // gives up when relays stay down
	recovered time.Time
}

func (r *Runner) begin(ctx context.Context, admit Plan) (*session, error) {
	s := &session{
		Runner: r, n: r.sessions.Add(1), log: r.Options.Logger, admit: admit,
		spare: map[string]spare{}, different: map[string]int{}, active: map[int64]bool{},
	}
	s.queue = newQueue(r.Options.Batch, s.leaseEnded)
	s.adapter = newAdapter(max(r.Options.MinConnections, len(r.Relays.relays)), r.Relays.Size())
	s.queue.limit(r.pace().Groups)
	s.queue.allow(s.adapter.workers)
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
	var workers, renewer sync.WaitGroup
	for n := range s.Relays.Size() {
		workers.Go(func() { (&worker{s: s, n: n, ctx: wire}).run() })
	}
	renewing, stopRenewing := context.WithCancel(wire)
	renewer.Go(func() { s.renew(renewing) })
	renewer.Go(func() { s.steer(renewing) })
	renewer.Go(func() { s.report(renewing) })

	err := s.claimUntil(wire, forever)
	s.halt()
	grace := time.AfterFunc(s.Options.StopGrace, cut)
	if s.Options.Hurry != nil {
		defer context.AfterFunc(s.Options.Hurry, cut)()
	}
	s.queue.close()
	workers.Wait()
	grace.Stop()
	stopRenewing()
	renewer.Wait()
	s.release()
	if err == nil {
		err = s.failure()
	}
	return err
}

// claimUntil is the dispatcher's loop.
func (s *session) claimUntil(ctx context.Context, forever bool) error {
	var got verdict
	for !s.stopping() {
		err := s.housekeep(ctx)
		if err != nil {
			return err
		}
		// Asked before the claims: a delivery that is deferred after them may be due at
		// once; and before the release: of what a lease that ends after it gives back
		// nothing is seen yet.
		idle := s.idle()
		if got != someClaimed || idle {
			s.release() // what goes back may be claimed again
		}
		if got, err = s.claimAll(ctx); err != nil {
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
			case <-s.queue.drained: // perhaps there is no more to wait for
			case <-t.C:
			}
			t.Stop()
		}
	}
	return nil
}

// idle reports whether nothing is in the hands of the workers, no lease either.
func (s *session) idle() bool {
	if !s.queue.idle() {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.active) == 0
}

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
	// The ledger may have been locked for longer than a lease: this session's are not
	// of a dead worker.
	s.keepLeases(ctx)
	_, err := s.Ledger.Recover(ctx, now, s.Options.Resend) // it logs what it took back
	return err
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
			s.keepLeases(ctx)
		}
	}
}

// keepLeases renews the leases that are held.
func (s *session) keepLeases(ctx context.Context) {
	s.mu.Lock()
	epochs := slices.Collect(maps.Keys(s.active))
	s.mu.Unlock()
	if err := s.Ledger.Renew(ctx, epochs, s.Options.Now().Add(s.Options.Lease)); err != nil && ctx.Err() == nil {
		s.log.Warn("leases not renewed", "err", err)
	}
}

// waits notes why a campaign waits; the report tells the ledger.
func (s *session) waits(b *backlog, why mailer.Wait) {
	why.Scope, why.Name = mailer.WaitCampaign, b.ID
	s.mu.Lock()
	old := b.waits
	if same := old.Reason == why.Reason && old.Until.Equal(why.Until); !same || why.Reason == mailer.WaitGroups {
		b.waits = why
		if why.Since.IsZero() {
			b.waits.Since = s.Options.Now()
		}
	}
	s.mu.Unlock()
	if why.Reason != old.Reason && why.Reason != mailer.WaitPace && why.Reason != mailer.WaitTurn {
		args := []any{"campaign", b.ID, "why", why.Reason}
		if !why.Until.IsZero() {
			args = append(args, "until", why.Until)
		}
		s.log.Info("campaign waits", args...)
	}
}

// awaitsTurn notes that others are before a campaign of which nothing is in hand and
// that has no other reason to wait.
func (s *session) awaitsTurn(b *backlog) {
	s.mu.Lock()
	free := b.leases == 0 && b.waits.IsZero()
	s.mu.Unlock()
	if free {
		s.waits(b, mailer.Wait{Reason: mailer.WaitTurn})
	}
}

// goesOn notes that a campaign does not wait any more.
func (s *session) goesOn(b *backlog) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b.waits = mailer.Wait{}
}

// cannotSend stops a campaign that is not what was approved, or whose notices cannot be
// composed.
func (s *session) cannotSend(w *work, ref string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	id := w.campaign.ID
	reason := s.Options.Explain(err)
	if ref != "" {
		reason += " (" + ref + ")"
	}
	stop := s.Ledger.Pause
	if errors.Is(err, mailer.ErrRenderedDifferently) {
		stop = s.Ledger.Void
	}
	s.log.Error("campaign stopped", "campaign", id, "ref", ref, "why", err)
	if err := stop(ctx, mailer.Program, id, reason); err != nil && !errors.Is(err, mailer.ErrConflict) {
		s.fail(fmt.Errorf("stop campaign %s: %w", id, err))
	}
	s.queue.drop(id)
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
	case mailer.StateAccepted:
		s.accepted.Add(1)
	case mailer.StateRejected, mailer.StateExpired:
		s.rejected.Add(1)
	}
	if st == mailer.StateQueued {
		return // it is where it was
	}
	done := s.outcomes.Add(1)
	if s.Options.Progress != nil {
		s.Options.Progress(done)
	}
}

// campaignWaits are the campaigns that wait, by ID.
func (s *session) campaignWaits() map[string]mailer.Wait {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]mailer.Wait{}
	for id, b := range s.backlogs {
		if !b.waits.IsZero() {
			out[id] = b.waits
		}
	}
	return out
}
