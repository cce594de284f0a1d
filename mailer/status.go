package mailer

import "time"

// CampaignStatus is how far a campaign is. Nothing in it but Groups, which is
// bounded, is counted from deliveries at the time of asking: it costs the same at
// any size.
type CampaignStatus struct {
	Campaign
	Counts Counts // every state, zero included
	// Held are those of the queued deliveries that are kept back, counted up to a bound.
	Held     HeldCounts
	Total    int64
	Sendable int64 // notices that the last check counted
	// FirstAccepted and LastAccepted are zero where nothing was accepted yet.
	FirstAccepted time.Time
	LastAccepted  time.Time
	// PerMinute is the number of messages accepted in the last full minute, by
	// slots of ten seconds.
	PerMinute int64
	// NextDue is the earliest time of a deferred delivery; zero where none is.
	NextDue   time.Time
	StartedAt time.Time // zero: not started
	EndedAt   time.Time // zero: not finished or cancelled
	Approvals int
	// Leases is how many batches living workers hold.
	Leases int
	// Waits are why living workers send nothing of the campaign now.
	Waits []Wait
	// Groups are the domain groups, by name, that are not sent to now though the
	// campaign is running and something waits for them.
	Groups []GroupStatus
}

// GroupStatus is what waits of a campaign for one domain group that some worker
// cannot send to now.
type GroupStatus struct {
	Name     string
	Queued   int64
	Deferred Count
	Held     int64 // claimed by workers, and not begun
	Waits    []Wait
}

// Count is a number of deliveries that is counted up to a bound, so that asking
// costs the same at any size.
type Count struct {
	N    int64
	More bool // there are more, or may be
}

// Wait says why nothing of the campaign is sent now; zero where it is, or where
// nothing is left.
func (s *CampaignStatus) Wait(now time.Time) Wait {
	w := Wait{Scope: WaitCampaign, Name: s.ID}
	switch {
	case s.Phase == PhasePaused && !s.Halt.IsZero(): // though nothing may be left to send
		w.Reason, w.Halt = WaitHalted, s.Halt
		return w
	case s.Counts.Open() == 0:
		return Wait{}
	case s.Phase == PhaseDraft && !s.StartedAt.IsZero():
		w.Reason = WaitVoided
		return w
	case s.Counts.Pending() == 0:
		w.Reason, w.Count = WaitDecision, s.Counts[StateUnknown]
		return w
	}
	if held := s.Held.Wait(s.Counts); s.Phase == PhaseRunning && !held.IsZero() {
		held.Scope, held.Name = WaitCampaign, s.ID
		return held
	}
	switch s.Phase {
	case PhaseRunning:
	case PhasePaused:
		w.Reason = WaitPaused
		return w
	case PhaseScheduled:
		w.Reason, w.Until = WaitScheduled, s.At
		return w
	case PhaseOverdue:
		w.Reason = WaitOverdue
		return w
	default:
		return Wait{}
	}
	if win, err := ParseWindow(s.Window); err == nil && !win.Open(now) {
		w.Reason, w.Until = WaitWindow, win.NextOpen(now)
		return w
	}
	if len(s.Waits) > 0 {
		return s.Waits[0]
	}
	if s.Leases > 0 {
		return Wait{}
	}
	// Nothing is due, or a worker would have gone on long ago, had there been one.
	const late = 30 * time.Second
	if s.Counts[StateDeferred] == s.Counts.Pending() && !s.NextDue.Before(now.Add(-late)) {
		w.Reason, w.Until = WaitRetry, s.NextDue
		return w
	}
	w.Reason = WaitNoWorker
	return w
}

// Ends is when the rest will be sent at the present rate or pace, windows counted
// in; zero where that cannot be told.
func (s *CampaignStatus) Ends(now time.Time) time.Time {
	perHour := float64(s.PerMinute) * 60
	if pace := float64(s.PerHour); pace > 0 && (perHour == 0 || perHour > pace) {
		perHour = pace
	}
	left := s.Counts.Pending()
	w, err := ParseWindow(s.Window)
	if err != nil || s.Phase != PhaseRunning || left == 0 || perHour == 0 {
		return time.Time{}
	}
	need := time.Duration(float64(left) / perHour * float64(time.Hour))
	at := now
	// A window is open for some hours at least on most days: a year of days is
	// far beyond any campaign.
	for range 366 {
		at = w.NextOpen(at)
		closes, ok := w.NextClose(at)
		if !ok || closes.Sub(at) >= need {
			return at.Add(need)
		}
		need -= closes.Sub(at)
		at = closes
	}
	return time.Time{}
}

// Backlog is a running campaign and how many of its deliveries are still to be
// sent and in no worker's hands: queued or deferred, due or not.
type Backlog struct {
	Campaign
	Left int64
}

// Started reports whether the campaign is one that is to be sent: it was started and
// has not come to its end, or should have started by itself.
func (s *CampaignStatus) Started() bool {
	switch s.Phase {
	case PhaseFinished:
		return false
	case PhaseOverdue:
		return true
	}
	return !s.StartedAt.IsZero()
}

// NeedsPerson says why nothing but a person brings the campaign on, or a part of it;
// zero: it goes on by itself, as planned, or has nothing left.
func (s *CampaignStatus) NeedsPerson(now time.Time) Wait {
	if !s.Started() {
		return Wait{}
	}
	if w := s.Wait(now); w.NeedsPerson() {
		return w
	}
	w := Wait{Scope: WaitCampaign, Name: s.ID}
	switch n := s.Counts[StateUnknown]; {
	case n > 0:
		w.Reason, w.Count = WaitDecision, n
	case s.Held.Deciding() > 0:
		w.Reason, w.Count = WaitHeld, s.Held.Deciding()
	default:
		return Wait{}
	}
	return w
}
