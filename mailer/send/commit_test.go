package send

import (
	"testing"
	"time"

	"oshirase/mailer"
)

// TestClassify: when a deferred delivery goes again, and what is kept of a reply.
func TestClassify(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	o := &Options{Retry: []time.Duration{time.Minute, time.Hour}, Deadline: 4 * time.Hour}
	to, err := mailer.ParseAddress("hanako@mail.example")
	if err != nil {
		t.Fatal(err)
	}
	wait := func(d time.Duration) mailer.Advice { return mailer.Advice{Wait: d} }
	for name, tc := range map[string]struct {
		advice   mailer.Advice
		attempts int
		again    bool
		first    time.Duration // ago
		state    mailer.State
		next     time.Duration // from now
	}{
		"by the schedule":                             {state: mailer.StateDeferred, next: time.Minute},
		"the last wait of it again":                   {attempts: 7, first: 2 * time.Hour, state: mailer.StateDeferred, next: time.Hour},
		"the relay asks for a time":                   {advice: wait(5 * time.Minute), state: mailer.StateDeferred, next: 5 * time.Minute},
		"for a longer one than the deadline leaves":   {advice: wait(5 * time.Hour), state: mailer.StateDeferred, next: time.Minute},
		"for a shorter one than the schedule has":     {advice: wait(time.Second), attempts: 2, first: time.Hour, state: mailer.StateDeferred, next: time.Second},
		"and the schedule would be behind the end":    {advice: wait(time.Minute), attempts: 2, first: 3*time.Hour + 30*time.Minute, state: mailer.StateDeferred, next: time.Minute},
		"no time is left":                             {attempts: 2, first: 3*time.Hour + 30*time.Minute, state: mailer.StateExpired},
		"at once, since it has not left, by no fault": {again: true, attempts: 2, state: mailer.StateDeferred},
	} {
		s := &settled{
			job:   &job{to: to, delivery: &mailer.Delivery{Attempts: tc.attempts}},
			out:   mailer.Outcome{State: mailer.StateDeferred, Text: "busy", Advice: tc.advice},
			again: tc.again,
		}
		if tc.first > 0 {
			s.job.delivery.FirstAt = now.Add(-tc.first)
		}
		o.classify(s, now)
		if s.out.State != tc.state || tc.state == mailer.StateDeferred && !s.out.NextAt.Equal(now.Add(tc.next)) || s.out.Raw != "" {
			t.Errorf("%s: %s at %v, raw %q", name, s.out.State, s.out.NextAt.Sub(now), s.out.Raw)
		}
	}
	for _, tc := range []struct{ raw, wantRaw string }{
		{"", "no <hanako@mail.example> here"},
		{"no <hanako@mail.example> here\x07", "no <hanako@mail.example> here\x07"},
	} {
		s := &settled{job: &job{to: to, delivery: &mailer.Delivery{}}, out: mailer.Outcome{State: mailer.StateRejected, Text: "no <hanako@mail.example> here", Raw: tc.raw}}
		o.classify(s, now)
		if s.out.Raw != tc.wantRaw || s.out.Text == "no <hanako@mail.example> here" {
			t.Errorf("text %q, raw %q", s.out.Text, s.out.Raw)
		}
	}
}
