package send

import (
	"testing"
	"time"

	"oshirase/mailer"
)

func nothing(*mailer.DomainGroup, int) int { return 0 }

// only is the one wait of a queue.
func only(t *testing.T, q *queue) mailer.Wait {
	t.Helper()
	list := q.waits()
	if len(list) != 1 {
		t.Fatalf("waits %+v, want one", list)
	}
	return list[0]
}

// TestWaitOfARestingGroup: what the provider said last, masked, and since
// when it says so, however often the group rested meanwhile.
func TestWaitOfARestingGroup(t *testing.T) {
	q, _ := testQueue(10)
	l := &lease{epoch: 1, campaign: "c"}
	q.push(l, jobsOf(l, "angry", "angry", "calm"))
	pushed := jobsOf(l, "angry")[0]
	var err error
	if pushed.to, err = mailer.ParseAddress("hanako.mori@angry.example"); err != nil {
		t.Fatal(err)
	}
	push := &mailer.Outcome{State: mailer.StateDeferred, Code: 421, Enhanced: "4.7.0", Text: "not now, <hanako.mori@angry.example>", Point: mailer.AtRcpt, Advice: mailer.Advice{RelaySlower: true, GroupSlower: true}}
	began := time.Unix(1_000_000, 0)
	now := began
	for _, rest := range []time.Duration{time.Second, 2 * time.Second} {
		for range 3 {
			q.replied(pushed, push)
		}
		q.refill(now, nothing)
		o := only(t, q)
		if o.Scope != mailer.WaitGroup || o.Name != "angry" || o.Reason != mailer.WaitRest || o.Reply != "421 4.7.0 not now, <***>" {
			t.Errorf("%+v", o)
		}
		if !o.Since.Equal(began) || !o.Until.Equal(now.Add(rest)) || o.Held["c"] != 2 {
			t.Errorf("%+v", o)
		}
		now = now.Add(rest)
		q.refill(now, nothing)
		if list := q.waits(); len(list) > 0 {
			t.Errorf("after the rest: %+v", list)
		}
	}
	q.replied(pushed, &mailer.Outcome{State: mailer.StateAccepted, Code: 250})
	q.refill(now, nothing)
	for range 3 {
		q.replied(pushed, push)
	}
	q.refill(now, nothing)
	if o := only(t, q); !o.Since.Equal(now) {
		t.Errorf("since %v, though it was calm in between", o.Since)
	}
}

// TestWaitOfALimit: one that keeps jobs waiting for most of a second.
func TestWaitOfALimit(t *testing.T) {
	tests := map[mailer.WaitReason]mailer.DomainGroup{
		mailer.WaitRate:        {Name: "g", PerSecond: 7},
		mailer.WaitConnections: {Name: "g", Connections: 1},
	}
	for why, limit := range tests {
		t.Run(string(why), func(t *testing.T) {
			q, _ := testQueue(10, limit)
			l := &lease{epoch: 1, campaign: "c"}
			q.push(l, jobsOf(l, "g", "g"))
			j := q.tryNext(0) // where connections are the limit; else nil
			now := time.Unix(1_000_000, 0)
			look := func(n int) {
				for range n {
					q.refill(now, nothing)
					now = now.Add(adaptEvery)
				}
			}
			look(gauged / 2)
			if list := q.waits(); len(list) > 0 {
				t.Errorf("after half a second: %+v", list)
			}
			look(gauged)
			o := only(t, q)
			if o.Reason != why || o.Limit != 7 && o.Limit != 1 || !o.Until.IsZero() || o.Reply != "" || o.Held["c"] == 0 {
				t.Errorf("%+v", o)
			}
			if at := now.Add(-time.Duration(gauged) * adaptEvery); !o.Since.Equal(at) {
				t.Errorf("since %v, want %v", o.Since, at)
			}
			if j != nil {
				q.done(j)
			}
			q.limit(nil)
			look(gauged)
			if list := q.waits(); len(list) > 0 {
				t.Errorf("without a limit: %+v", list)
			}
		})
	}
}
