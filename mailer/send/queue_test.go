package send

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"oshirase/mailer"
)

// testQueue has two workers and notes the leases that ended.
func testQueue(size int, limits ...mailer.DomainGroup) (*queue, *[]int64) {
	var ended []int64
	q := newQueue(size, func(l *lease) { ended = append(ended, l.epoch) })
	q.limit(limits)
	q.allow(2)
	return q, &ended
}

func jobsOf(l *lease, groups ...string) []*job {
	jobs := make([]*job, len(groups))
	for i, g := range groups {
		jobs[i] = &job{delivery: &mailer.Delivery{ID: int64(i), Group: g, Campaign: l.campaign}, lease: l}
	}
	return jobs
}

func TestQueueTakesGroupsInTurn(t *testing.T) {
	q, _ := testQueue(10)
	l := &lease{epoch: 1, campaign: "c"}
	q.push(l, jobsOf(l, "a", "a", "a", "b", "c", "b"))
	var got []string
	for j := q.tryNext(0); j != nil; j = q.tryNext(0) {
		got = append(got, j.delivery.Group)
	}
	if want := []string{"a", "b", "c", "a", "b", "a"}; !slices.Equal(got, want) {
		t.Errorf("order %v, want %v", got, want)
	}
}

func TestQueueHoldsGroupsToTheirLimits(t *testing.T) {
	q, _ := testQueue(10, mailer.DomainGroup{Name: "slow", Connections: 1}, mailer.DomainGroup{Name: "paced", PerSecond: 2})
	l := &lease{epoch: 1, campaign: "c"}
	q.push(l, jobsOf(l, "slow", "slow", "paced", "paced", "paced", "free", "free"))
	take := func() (got []string, jobs []*job) {
		for j := q.tryNext(0); j != nil; j = q.tryNext(0) {
			got, jobs = append(got, j.delivery.Group), append(jobs, j)
		}
		slices.Sort(got)
		return got, jobs
	}
	got, jobs := take()
	if want := []string{"free", "free", "slow"}; !slices.Equal(got, want) {
		t.Fatalf("at first %v, want %v", got, want)
	}
	asked := 0
	q.refill(time.Now(), func(g *mailer.DomainGroup, n int) int { asked += n; return n })
	if got, _ = take(); !slices.Equal(got, []string{"paced", "paced"}) || asked != 2 {
		t.Errorf("after a refill of %d: %v", asked, got)
	}
	for _, j := range jobs {
		q.done(j)
	}
	if got, _ = take(); !slices.Equal(got, []string{"slow"}) {
		t.Errorf("once the slow one is done: %v", got)
	}
	if full := q.full(); !slices.Equal(full, []string{"paced"}) {
		t.Errorf("full groups %v", full)
	}
	q.limit(nil)
	if got, _ = take(); !slices.Equal(got, []string{"paced"}) {
		t.Errorf("without limits: %v", got)
	}
}

func TestQueueLetsAGroupRest(t *testing.T) {
	q, _ := testQueue(10)
	l := &lease{epoch: 1, campaign: "c"}
	q.push(l, jobsOf(l, "angry", "angry", "angry", "angry", "calm"))
	now := time.Unix(1_000_000, 0)
	none := func(*mailer.DomainGroup, int) int { return 0 }
	push := &mailer.Outcome{State: mailer.StateDeferred, Code: 450, Enhanced: "4.7.1", Text: "slow down", Point: mailer.AtRcpt, Advice: mailer.Advice{RelaySlower: true, GroupSlower: true}}
	for range 3 {
		q.replied(jobsOf(l, "angry")[0], push)
	}
	q.replied(jobsOf(l, "calm")[0], push) // one answer is no reason
	if resting := q.refill(now, none); !slices.Equal(resting, []string{"angry"}) {
		t.Fatalf("resting %v", resting)
	}
	if j := q.tryNext(0); j == nil || j.delivery.Group != "calm" {
		t.Errorf("took %+v, want the calm one", j)
	}
	if j := q.tryNext(0); j != nil {
		t.Error("took a job of a resting group")
	}
	if resting := q.refill(now.Add(time.Second), none); len(resting) > 0 {
		t.Errorf("still resting %v", resting)
	}
	if j := q.tryNext(0); j == nil {
		t.Error("the rest is over and nothing is taken")
	}
}

func TestQueueWorkersAndEnds(t *testing.T) {
	q, ended := testQueue(10)
	l, m := &lease{epoch: 1, campaign: "c"}, &lease{epoch: 2, campaign: "d"}
	q.push(l, jobsOf(l, "a", "a"))
	q.push(m, jobsOf(m, "a"))
	if q.tryNext(2) != nil {
		t.Error("a worker that is not allowed took a job")
	}
	j := q.tryNext(1)
	q.drop("c")
	if len(*ended) != 0 {
		t.Errorf("leases %v ended with a job on the wire", *ended)
	}
	q.done(j)
	if fmt.Sprint(*ended) != "[1]" {
		t.Errorf("ended %v, want [1]", *ended)
	}
	j = q.tryNext(0)
	q.close()
	q.pushFront(j) // into a closed queue: dropped
	if fmt.Sprint(*ended) != "[1 2]" || !q.idle() {
		t.Errorf("ended %v, idle %v", *ended, q.idle())
	}
	if q.next(0) != nil || q.push(l, jobsOf(l, "a")) {
		t.Error("a closed queue gives or takes")
	}
}
