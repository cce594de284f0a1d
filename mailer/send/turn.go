package send

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"oshirase/mailer"
)

// Whose turn it is. The campaigns, and so the merchants, are served in proportion to
// what they have left: what is claimed of one, divided by its share, moves its place
// on, and the lowest place comes first. One that comes anew, or comes back, begins
// where the others are: it has nothing to catch up with.
//
// The share is a twentieth of what is left, between 1 and a lease. So all campaigns
// have begun when about a twentieth of everything is sent, one that is nearly
// finished is not starved by a big one, and a big one gets more than a small one.

const (
	// maxLease bounds the deliveries of a lease: what one dead worker holds up.
	maxLease = 512
	// turnShare is the part of what a campaign has left (one in so many) that is its
	// turn.
	turnShare = 20
)

// backlog is a running campaign as the dispatcher sees it.
type backlog struct {
	mailer.Backlog
	work      *work     // nil until its first turn
	brake     *brake    // see there
	askAt     time.Time // no claim before: a relay refuses the sender for now; guarded by the session
	asked     string    // what it said, codes; the same
	place     float64   // see above
	nextAt    time.Time // no claim before: pause between batches, its own pace
	idleUntil time.Time // no claim before, and nothing is due: see heldGroups
	sent      int       // since the last pause between batches
	reviewAt  time.Time // what is held of it is not looked at before

	// These are guarded by the session.
	leases int         // that are held of it
	waits  mailer.Wait // why nothing is claimed now; zero while it is sent
}

// share is its part in turns.
func (b *backlog) share() int {
	return int(min(max((b.Left+turnShare-1)/turnShare, 1), maxLease))
}

// served moves the place on by what was claimed.
func (s *session) served(b *backlog, n int) {
	s.place = max(s.place, b.place)
	b.place = s.place + float64(n)/float64(b.share())
}

// enter brings what is known of the campaigns up to date and returns those that may
// be sent, in turn.
func (s *session) enter(running []mailer.Backlog) []*backlog {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.backlogs
	s.backlogs = make(map[string]*backlog, len(running))
	var round []*backlog
	for _, r := range running {
		if !s.admit(&r.Campaign) {
			continue
		}
		b := known[r.ID]
		if b == nil || b.brake.over.Load() { // paused by the brake, and running again
			b = &backlog{place: s.place, brake: newBrake()}
		}
		b.Backlog = r
		s.backlogs[r.ID] = b
		round = append(round, b)
	}
	inTurn(round)
	return round
}

// inTurn sorts campaigns; among equals the oldest stays first.
func inTurn(round []*backlog) {
	slices.SortStableFunc(round, func(a, b *backlog) int { return cmp.Compare(a.place, b.place) })
}

// turn is how many deliveries of a campaign are claimed at once: a lease, or, where
// several share a pace, its share. A campaign that has nothing left has a turn of
// one, in which that is seen.
func (s *session) turn(b *backlog) int {
	p := s.pace()
	n := int(min(int64(maxLease), int64(p.Batch), max(b.Left, 1)))
	if (p.PerSecond > 0 || p.PerHour > 0) && !s.alone {
		n = min(n, b.share())
	}
	if p.BatchPause > 0 {
		n = min(n, p.Batch-b.sent)
	}
	return max(n, 1)
}

// limits are the paces that a campaign's messages count against: its own first, then
// those that all share.
func (s *session) limits(w *work) []mailer.Limit {
	var ls []mailer.Limit
	add := func(key string, n int, per time.Duration) {
		if n > 0 {
			// A second's worth may leave at once.
			burst := max(1, int(float64(n)*float64(time.Second)/float64(per)))
			ls = append(ls, mailer.Limit{Key: key, N: n, Per: per, Burst: burst})
		}
	}
	// The campaigns of a merchant share one pace: they end up on the same telephones.
	add("merchant:"+w.campaign.Merchant+":hour", w.campaign.PerHour, time.Hour)
	add("merchant:"+w.campaign.Merchant+":second", w.snap.Merchant.PerSecond, time.Second)
	p := s.pace()
	add(allCampaigns+"hour", p.PerHour, time.Hour)
	add(allCampaigns+"second", p.PerSecond, time.Second)
	return ls
}

// allCampaigns begins the keys of the limits that all campaigns share.
const allCampaigns = "total:"

// spare is what limits granted and nobody was claimed for.
type spare struct {
	n     int
	until time.Time // a second's worth may leave at once, so it is good for a second
}

// limitSet names a set of limits.
func limitSet(ls []mailer.Limit) string {
	var b strings.Builder
	for _, l := range ls {
		b.WriteString(l.Key + " ")
	}
	return b.String()
}
