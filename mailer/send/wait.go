package send

import (
	"cmp"
	"context"
	"maps"
	"math/bits"
	"slices"
	"time"

	"oshirase/mailer"
)

// gauge has whether something was so at each of the last looks, one bit each.
type gauge struct {
	looks uint16
	since time.Time // since when it mostly is; zero: it is not
}

// gauged is how many looks count: those of a second, one in each refill.
const gauged = int(time.Second / adaptEvery)

func (g *gauge) look(now time.Time, so bool) {
	g.looks = g.looks << 1 & (1<<gauged - 1)
	if so {
		g.looks |= 1
	}
	switch mostly := 2*bits.OnesCount16(g.looks) > gauged; {
	case !mostly:
		g.since = time.Time{}
	case g.since.IsZero():
		g.since = now
	}
}

// measure looks whether the group's limits keep its jobs waiting.
func (g *group) measure(now time.Time) {
	waits := len(g.jobs) > 0
	g.atRate.look(now, waits && g.PerSecond > 0 && g.quota <= 0)
	g.atMost.look(now, waits && g.Connections > 0 && g.busy >= g.Connections)
}

// wait is why the group is not sent to now, by the machine's clock; false: it is.
func (g *group) wait() (mailer.Wait, bool) {
	o := mailer.Wait{Scope: mailer.WaitGroup, Name: g.Name}
	switch {
	case !g.rest.IsZero():
		o.Reason, o.Reply, o.Since, o.Until = mailer.WaitRest, g.said, g.pushed, g.rest
	case !g.atMost.since.IsZero():
		o.Reason, o.Limit, o.Since = mailer.WaitConnections, g.Connections, g.atMost.since
	case !g.atRate.since.IsZero():
		o.Reason, o.Limit, o.Since = mailer.WaitRate, g.PerSecond, g.atRate.since
	default:
		return o, false
	}
	o.Held = map[string]int{}
	for _, j := range g.jobs {
		o.Held[j.delivery.Campaign]++
	}
	return o, true
}

// waits lists the groups that cannot be sent to now.
func (q *queue) waits() (list []mailer.Wait) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, g := range q.ring {
		if o, ok := g.wait(); ok {
			list = append(list, o)
		}
	}
	return list
}

// held lists what keeps the session from sending. Campaigns wait by the runner's
// clock; groups and relays rest by the machine's, which no one can set back.
func (s *session) held() []mailer.Wait {
	list := s.queue.waits()
	s.mu.Lock()
	for _, o := range list {
		for id := range s.backlogs {
			o.Held[id] += 0 // it is sent, though none of it may be held
		}
	}
	list = s.braked(list)
	s.mu.Unlock()
	list = append(list, s.Relays.Down()...)
	for _, w := range s.campaignWaits() {
		list = append(list, w)
	}
	slices.SortFunc(list, func(a, b mailer.Wait) int {
		return cmp.Or(cmp.Compare(a.Scope, b.Scope), cmp.Compare(a.Name, b.Name))
	})
	return list
}

// braked adds the groups that the brakes of campaigns hold, of which nothing else is
// said; s.mu is held. Their times are by the machine's clock, as those of all groups.
func (s *session) braked(list []mailer.Wait) []mailer.Wait {
	ahead := time.Until(s.Options.Now())
	said := map[string]int{} // by name: the place in list of what is said here; -1: something else is
	for _, o := range list {
		said[o.Name] = -1
	}
	for id, b := range s.backlogs {
		names, last := b.brake.skip()
		for _, name := range names {
			at, known := said[name]
			switch {
			case !known:
				at = len(list)
				said[name] = at
				list = append(list, mailer.Wait{
					Scope: mailer.WaitGroup, Name: name, Reason: mailer.WaitRefused, Reply: last.us.Reply(),
					Since: last.since.Add(-ahead), Held: map[string]int{},
				})
			case at < 0:
				continue
			}
			list[at].Held[id] = 0
		}
	}
	return list
}

// reportEvery is how long what stands in the ledger may be out of date.
const reportEvery = time.Second

// report keeps the ledger told of what keeps the session from sending: as soon as
// that changes, but once a second at most, and again before it lapses.
func (s *session) report(ctx context.Context) {
	t := time.NewTicker(adaptEvery)
	defer t.Stop()
	var told []mailer.Wait
	var at time.Time // when they were
	for {
		select {
		case <-ctx.Done():
			if len(told) > 0 {
				// This session may be one batch run of a daemon that goes on: what it said
				// would stand until it lapses.
				last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
				defer cancel()
				s.tell(last, nil)
			}
			return
		case <-t.C:
		}
		since := time.Since(at)
		if since < reportEvery {
			continue
		}
		list := s.held()
		if stands := slices.EqualFunc(list, told, sameWait); stands && (len(list) == 0 || since < s.Options.Lease/3) {
			continue
		}
		if s.tell(ctx, list) {
			told = list
		}
		at = time.Now()
	}
}

func sameWait(a, b mailer.Wait) bool {
	return a.Scope == b.Scope && a.Name == b.Name && a.Reason == b.Reason && a.Limit == b.Limit && a.Reply == b.Reply &&
		a.Since.Equal(b.Since) && a.Until.Equal(b.Until) && maps.Equal(a.Held, b.Held)
}

// tell writes a list, all of it in the time of the runner's clock. What cannot be
// written is no reason to stop sending.
func (s *session) tell(ctx context.Context, list []mailer.Wait) bool {
	now := s.Options.Now()
	ahead := time.Until(now)
	told := slices.Clone(list)
	for i := range told {
		o := &told[i]
		if o.Scope == mailer.WaitCampaign {
			continue
		}
		o.Since = o.Since.Add(ahead)
		if !o.Until.IsZero() {
			o.Until = o.Until.Add(ahead)
		}
	}
	err := s.Ledger.SetWaits(ctx, s.n, now.Add(s.Options.Lease), told)
	if err != nil && ctx.Err() == nil {
		s.log.Warn("what keeps the worker from sending is not shown", "err", err)
	}
	return err == nil
}
