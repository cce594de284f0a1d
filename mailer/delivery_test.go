package mailer

import (
	"slices"
	"strings"
	"testing"
)

// The table of docs/states.md, written down a second time: a change of one of
// them must be a change of both.
func TestTransitions(t *testing.T) {
	want := map[State]string{
		StateQueued:   "queued sending deferred rejected expired cancelled suppressed",
		StateSending:  "queued accepted deferred rejected unknown expired",
		StateDeferred: "queued expired cancelled suppressed",
		StateUnknown:  "accepted queued deferred rejected expired",
		StateRejected: "queued",
		StateExpired:  "queued",
		StateAccepted: "delivered bounced",
	}
	for _, from := range States {
		for _, to := range States {
			allowed := slices.Contains(strings.Fields(want[from]), string(to))
			if got := from.CanBecome(to); got != allowed {
				t.Errorf("%s → %s: %v, want %v", from, to, got, allowed)
			}
		}
	}
}

// What the states promise to people, whatever the table says.
func TestStatePromises(t *testing.T) {
	if len(States) != 12 || len(slices.Compact(slices.Sorted(slices.Values(States)))) != 12 {
		t.Errorf("States: %v", States)
	}
	for _, s := range States {
		if s.Japanese() == string(s) {
			t.Errorf("%s has no Japanese word", s)
		}
		if s.Open() && s != StateClaimed && !reaches(s, func(u State) bool { return !u.Open() }) {
			t.Errorf("%s is open for ever", s)
		}
		byPerson := s == StateRejected || s == StateExpired // requeue
		if !s.Open() && !byPerson && reaches(s, func(u State) bool { return u.Open() }) {
			t.Errorf("%s is decided, and something can be sent again", s)
		}
		if s.Pending() && !s.Open() {
			t.Errorf("%s is pending and not open", s)
		}
		if s != StateSending && s != StateUnknown && s.CanBecome(StateAccepted) {
			t.Errorf("%s becomes accepted without an intent", s)
		}
		if s != StateQueued && s.CanBecome(StateSending) {
			t.Errorf("%s becomes sending outside a lease", s)
		}
	}
	// From sending to queued leads a reply that refuses us, as to deferred one that refuses
	// for now: it was not taken.
	if StateSending.CanBecome(StateClaimed) || StateAccepted.CanBecome(StateQueued) {
		t.Error("a delivery that has left is sent again")
	}
	if State("lost").Japanese() != "lost" || State("lost").Open() {
		t.Error("an unknown word is taken for a state")
	}
}

func reaches(s State, goal func(State) bool) bool {
	seen := map[State]bool{s: true}
	for todo := []State{s}; len(todo) > 0; todo = todo[1:] {
		for _, u := range transitions[todo[0]] {
			if goal(u) {
				return true
			}
			if !seen[u] {
				seen[u] = true
				todo = append(todo, u)
			}
		}
	}
	return false
}

func TestCounts(t *testing.T) {
	c := Counts{StateQueued: 1, StateClaimed: 2, StateSending: 4, StateDeferred: 8, StateUnknown: 16, StateAccepted: 32, StateRejected: 64, StateSuppressed: 128}
	if c.Total() != 255 || c.Open() != 31 || c.Pending() != 15 {
		t.Errorf("total %d, open %d, pending %d", c.Total(), c.Open(), c.Pending())
	}
	if c := (Counts{}); c.Total()+c.Open()+c.Pending() != 0 {
		t.Error("no deliveries are counted")
	}
}
