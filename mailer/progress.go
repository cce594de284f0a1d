package mailer

import "time"

// Status is how far campaigns are, and which relays are set aside, as people see it.
// JSON keys are the contract of `status`.
type Status struct {
	Campaigns []CampaignProgress `json:"campaigns"`
	Relays    []RelayObstacle    `json:"relays,omitempty"` // that are set aside now
}

// CampaignProgress is one campaign of a Status.
type CampaignProgress struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Incident string `json:"incident"`
	Merchant string `json:"merchant"`
	Stage    Stage  `json:"stage"`
	Phase    Phase  `json:"phase"`
	Counts   Counts `json:"counts"` // every state, zero included
	Total    int64  `json:"total"`
	// Remaining deliveries are open: to be sent, on the wire, deferred, unknown or held.
	Remaining int64      `json:"remaining"`
	Held      HeldCounts `json:"held,omitempty"` // of those: kept back, by reason; counted up to a bound
	// PerMinute is how many messages were accepted in the last full minute.
	PerMinute     int64     `json:"per_minute"`
	FirstAccepted time.Time `json:"first_accepted,omitzero"`
	LastAccepted  time.Time `json:"last_accepted,omitzero"`
	NextDue       time.Time `json:"next_due,omitzero"`
	// Ends is when the rest will be sent at the present rate or pace, windows
	// counted in; absent where that cannot be told.
	Ends    time.Time `json:"ends,omitzero"`
	Wait    Wait      `json:"-"`                 // why nothing is sent now; zero where it is
	Waiting string    `json:"waiting,omitempty"` // Wait in words; put by cmd and web
	Reason  string    `json:"reason,omitempty"`
	// Groups are the domain groups that are not sent to now, while the campaign is
	// running and something waits for them.
	Groups []GroupProgress `json:"groups,omitempty"`
}

// Waiting is how many deliveries are neither with a relay nor refused for now: queued
// ones, and those that a worker has in hand.
func (c Counts) Waiting() int64 { return c[StateQueued] + c[StateClaimed] + c[StateSending] }

// Rest is how many deliveries are in none of the states that tables have a column
// for: suppressed, cancelled, expired, and what came back.
func (c Counts) Rest() int64 {
	return c.Total() - c.Waiting() - c[StateAccepted] - c[StateDeferred] - c[StateRejected] - c[StateUnknown]
}

// GroupProgress is what waits of a campaign for a domain group.
type GroupProgress struct {
	Name   string `json:"name"`
	Queued int64  `json:"queued"`
	Held   int64  `json:"held"` // claimed by a worker, not begun
	// Deferred ones were refused for now; each has its own next attempt.
	Deferred int64 `json:"deferred"`
	// DeferredMore says that there are more: counting has a bound.
	DeferredMore bool `json:"deferred_more,omitempty"`
	// Obstacles are why: one, or one of each worker.
	Obstacles []Obstacle `json:"obstacles"`
}

// Obstacle is why one worker does not send to a group, or through a relay, now.
type Obstacle struct {
	Wait  Wait       `json:"-"`
	Why   WaitReason `json:"why"`             // rest, rate or connections of a group; down of a relay
	Limit int        `json:"limit,omitempty"` // of rate, a second; of connections, at once
	Reply string     `json:"reply,omitempty"` // what the other side said last, masked, or the error
	Since time.Time  `json:"since"`
	// Until is when it is tried again; absent: as soon as there is room, or now.
	Until time.Time `json:"until,omitzero"`
}

// RelayObstacle is a relay that one worker has set aside.
type RelayObstacle struct {
	Name string `json:"name"`
	Obstacle
}

// NewStatus is what the ledger counts, as people see it at a time.
func NewStatus(campaigns []CampaignStatus, relays []Wait, now time.Time) Status {
	st := Status{Campaigns: make([]CampaignProgress, len(campaigns))}
	for i := range campaigns {
		st.Campaigns[i] = campaigns[i].progress(now)
	}
	for _, w := range relays {
		st.Relays = append(st.Relays, RelayObstacle{w.Name, newObstacle(w)})
	}
	return st
}

func (s *CampaignStatus) progress(now time.Time) CampaignProgress {
	p := CampaignProgress{
		ID: s.ID, Name: s.Name, Incident: s.Incident, Merchant: s.Merchant, Stage: s.Stage, Phase: s.Phase,
		Counts: s.Counts, Held: s.Held, Total: s.Total, Remaining: s.Counts.Open(), PerMinute: s.PerMinute,
		FirstAccepted: s.FirstAccepted, LastAccepted: s.LastAccepted, NextDue: s.NextDue,
		Ends: s.Ends(now), Wait: s.Wait(now), Reason: s.Reason,
	}
	for _, g := range s.Groups {
		v := GroupProgress{Name: g.Name, Queued: g.Queued, Held: g.Held, Deferred: g.Deferred.N, DeferredMore: g.Deferred.More}
		for _, w := range g.Waits {
			v.Obstacles = append(v.Obstacles, newObstacle(w))
		}
		p.Groups = append(p.Groups, v)
	}
	return p
}

func newObstacle(w Wait) Obstacle {
	return Obstacle{Wait: w, Why: w.Reason, Limit: w.Limit, Reply: w.Reply, Since: w.Since, Until: w.Until}
}
