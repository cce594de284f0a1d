package send

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"oshirase/mailer"
)

// steer has the number of workers follow the relays, and the groups their paces, and
// releases the leases that ended.
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
		s.release()
		now := time.Now()
		workers, changed := s.adapter.step(now, now.Sub(last), s.queue.waiting() == 0)
		last = now
		if changed {
			s.queue.allow(workers)
			s.log.Debug("connections adapted", "connections", workers)
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
	got, err := s.Ledger.Reserve(ctx, s.Options.Now(), n, []mailer.Limit{limit})
	if err != nil && ctx.Err() == nil {
		s.fail(fmt.Errorf("pace of domain group %s: %w", g.Name, err))
	}
	return got.N
}

// relayDown notes that no relay takes connections and waits until one is tried
// again. An impatient session ends when that lasts.
func (s *session) relayDown(err error) {
	now := s.Options.Now()
	wait := time.Second
	down, ok := errors.AsType[*mailer.RelayDown](err)
	if ok { // its time is the machine's, whatever clock the runner has
		wait = max(time.Until(down.RetryAt), 10*time.Millisecond)
	}
	s.mu.Lock()
	if s.downFrom.IsZero() {
		s.downFrom = now
		s.log.Warn("no relay takes connections", "err", err)
	}
	// Many workers find out about one failed try. Each failed try sets a later RetryAt, so
	// a later one is a new try, and the same one is not.
	switch {
	case !ok:
		s.down++
	case down.RetryAt.After(s.retryAt):
		s.down++
		s.retryAt = down.RetryAt
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
