package storetest

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"oshirase/mailer"
	"oshirase/store"
)

func (s suite) TestRecoverLapsed(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	id := e.campaign(6)
	d := claim(t, e.DB, id, 5).Deliveries
	must(t, e.Record(ctx, outcome(&d[4], mailer.StateDeferred, mailer.AtRcpt))[0])
	for i := range 2 {
		must(t, e.Record(ctx, intent(&d[i]))[0])
	}
	rec, err := e.Recover(ctx, t0.Add(59*time.Second), false)
	if err != nil || rec != (mailer.Recovered{}) {
		t.Fatalf("a live lease was taken: %+v %v", rec, err)
	}
	lapse := t0.Add(time.Minute)
	if rec, err = e.Recover(ctx, lapse, false); err != nil || rec != (mailer.Recovered{Requeued: 2, Unknown: 2}) {
		t.Fatalf("recovered %+v %v", rec, err)
	}
	e.wantCounts(e.DB, id, mailer.Counts{mailer.StateQueued: 3, mailer.StateUnknown: 2, mailer.StateDeferred: 1})
	// The old owner comes back: its intent is refused, its outcome settles.
	wantErr(t, e.Record(ctx, intent(&d[2]))[0], mailer.ErrLeaseLost, "")
	must(t, e.Record(ctx, outcome(&d[0], mailer.StateAccepted, mailer.AtDot))[0])
	wantErr(t, e.Renew(ctx, []int64{d[0].Epoch}, t0.Add(time.Hour)), mailer.ErrLeaseLost, "1 of 1")
	n, err := e.Resolve(ctx, actor("佐藤"), id, mailer.StateQueued, "")
	if err != nil || n != 1 {
		t.Fatalf("resolved %d %v", n, err)
	}
	// Sent again under a new epoch: an answer to the old one no longer counts.
	l := claim(t, e.DB, id, 10)
	if len(l.Deliveries) != 4 || l.Deliveries[0].ID != d[1].ID || l.Deliveries[0].Attempts != 1 || l.Deliveries[0].FirstAt.IsZero() {
		t.Fatalf("claimed again: %+v", l)
	}
	wantErr(t, e.Record(ctx, outcome(&d[1], mailer.StateAccepted, mailer.AtDot))[0], mailer.ErrLeaseLost, "")
	must(t, e.Release(ctx, l.Epoch))
	e.wantCounts(e.DB, id, mailer.Counts{mailer.StateAccepted: 1, mailer.StateDeferred: 1, mailer.StateQueued: 4})
	if l = claim(t, e.DB, id, 10); len(l.Deliveries) != 4 {
		t.Errorf("after release %d are due, want 4", len(l.Deliveries))
	}
	if late, err := e.Claim(ctx, id, t0.Add(time.Hour), t0.Add(2*time.Hour), 10, nil); err != nil || len(late.Deliveries) != 1 || late.Deliveries[0].ID != d[4].ID {
		t.Errorf("the deferred one at its time: %+v %v", late, err)
	}
}

func (s suite) TestRecoverResends(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	id := e.campaign(3)
	d := claim(t, e.DB, id, 3).Deliveries
	must(t, e.Record(ctx, intent(&d[0]))[0])
	rec, err := e.Recover(ctx, t0.Add(time.Minute), true)
	if err != nil || rec != (mailer.Recovered{Requeued: 3}) {
		t.Fatalf("recovered %+v %v", rec, err)
	}
	e.wantCounts(e.DB, id, mailer.Counts{mailer.StateQueued: 3})
	ms, err := e.Lookup(ctx, actor("田中"), mailer.Query{Ref: d[0].Recipient.Ref})
	must(t, err)
	var kinds []string
	for _, ev := range ms[0].Notices[0].Events {
		kinds = append(kinds, string(ev.Kind)+":"+string(ev.State))
	}
	if got := strings.Join(kinds, " "); got != "lapse:unknown resolve:queued" {
		t.Errorf("events %s", got)
	}
}

// While a delivery is in sending, Release leaves its lease to be found.
func (s suite) TestReleaseKeepsSending(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	id := e.campaign(3)
	l := claim(t, e.DB, id, 3)
	must(t, e.Record(ctx, intent(&l.Deliveries[0]))[0])
	must(t, e.Release(ctx, l.Epoch))
	must(t, e.Release(ctx, 999))
	e.wantCounts(e.DB, id, mailer.Counts{mailer.StateQueued: 2, mailer.StateSending: 1})
	if rec, err := e.Recover(ctx, t0.Add(time.Minute), false); err != nil || rec.Unknown != 1 {
		t.Errorf("recovered %+v %v", rec, err)
	}
	e.wantCounts(e.DB, id, mailer.Counts{mailer.StateQueued: 2, mailer.StateUnknown: 1})
}

// Another process: killed, its leases are taken back at once; stopped, only when
// they lapse.
func (s suite) TestRecoverProcess(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	id := e.campaign(20)
	name, _, _ := strings.Cut(t.Name(), "/")
	worker := func() *exec.Cmd {
		cmd := exec.Command(os.Args[0], "-test.run=^"+name+"$/^TestWorkerProcess$")
		cmd.Env = append(os.Environ(), "STORE_WORKER="+e.path, "STORE_CAMPAIGN="+id)
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		line, err := bufio.NewReader(out).ReadString('\n')
		if err != nil || line != "claimed\n" {
			t.Fatalf("worker said %q: %v", line, err)
		}
		return cmd
	}
	killed := worker()
	e.wantCounts(e.DB, id, mailer.Counts{mailer.StateQueued: 15, mailer.StateClaimed: 3, mailer.StateSending: 2})
	if rec, err := e.Recover(ctx, t0, false); err != nil || rec != (mailer.Recovered{}) {
		t.Fatalf("a live worker lost its lease: %+v %v", rec, err)
	}
	must(t, killed.Process.Kill())
	_ = killed.Wait()
	if rec, err := e.Recover(ctx, t0, false); err != nil || rec != (mailer.Recovered{Requeued: 3, Unknown: 2}) {
		t.Fatalf("after kill -9: %+v %v", rec, err)
	}
	stopped := worker()
	defer func() {
		_ = stopped.Process.Kill()
		_ = stopped.Wait()
	}()
	must(t, stopped.Process.Signal(syscall.SIGSTOP))
	if rec, err := e.Recover(ctx, t0, false); err != nil || rec != (mailer.Recovered{}) {
		t.Fatalf("a stopped worker lost its lease early: %+v %v", rec, err)
	}
	if rec, err := e.Recover(ctx, t0.Add(time.Minute), false); err != nil || rec != (mailer.Recovered{Requeued: 3, Unknown: 2}) {
		t.Fatalf("after the lapse: %+v %v", rec, err)
	}
	e.wantCounts(e.DB, id, mailer.Counts{mailer.StateQueued: 16, mailer.StateUnknown: 4})
}

// TestWorkerProcess is the other process of TestRecoverProcess.
func (s suite) TestWorkerProcess(t *testing.T) {
	path := os.Getenv("STORE_WORKER")
	if path == "" {
		return // run as a test of its own it has nothing to show
	}
	ctx := context.Background()
	db, err := s.Open(t, store.Options{Path: path, MasterKey: masterKey(1), Now: newClock(t0).Now})
	must(t, err)
	d := claim(t, db, os.Getenv("STORE_CAMPAIGN"), 5).Deliveries
	for _, err := range db.Record(ctx, intent(&d[0]), intent(&d[1])) {
		must(t, err)
	}
	fmt.Println("claimed")
	select {} // until it is killed
}
