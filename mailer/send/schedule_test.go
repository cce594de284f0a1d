package send_test

import (
	"context"
	"testing"
	"time"

	"github.com/robfig/cron/v3"

	"oshirase/mailer"
	"oshirase/mailer/send"
	"oshirase/store"
)

// firing watches who may act on a schedule's time.
type firing struct {
	*store.DB
	asked chan bool // whether that one may
}

func (f firing) FireOnce(ctx context.Context, schedule string, at time.Time) (bool, error) {
	mine, err := f.DB.FireOnce(ctx, schedule, at)
	if err == nil {
		f.asked <- mine
	}
	return mine, err
}

// TestScheduleFiresOnce: two daemons with one schedule make one batch run of
// each of its times, and what was started by hand is sent in no other way.
func TestScheduleFiresOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 20)
	id := w.started(mailer.Campaign{})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	asked := make(chan bool, 100)
	done := make(chan error)
	for range 2 {
		r := w.runner(firing{w.open(), asked})
		go func() { done <- r.Daemon(ctx, []send.Schedule{{Name: "often", Times: cron.Every(time.Second)}}) }()
	}
	fired := 0
	for range 4 { // the test's clock stands: it is the same minute each time
		if <-asked {
			fired++
		}
	}
	w.inbox.wait(20)
	stop()
	for range 2 {
		must(t, <-done)
	}
	if fired != 1 {
		t.Errorf("%d of four fired", fired)
	}
	w.onceEach(20)
	w.counts(id, mailer.Counts{mailer.StateAccepted: 20})
}

// TestScheduleOfAnotherCampaign sends only that one.
func TestScheduleOfAnotherCampaign(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 5)
	w.load("sports", 5)
	shop, sports := w.started(mailer.Campaign{}), w.started(mailer.Campaign{Merchant: "sports"})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	all := make(chan struct{})
	w.at(5, func() { close(all) })
	r := w.runner(w.db)
	done := make(chan error)
	go func() {
		done <- r.Daemon(ctx, []send.Schedule{{Name: "sports", Times: cron.Every(time.Second), Campaign: sports}})
	}()
	<-all
	stop()
	must(t, <-done)
	w.counts(sports, mailer.Counts{mailer.StateAccepted: 5})
	w.counts(shop, mailer.Counts{mailer.StateQueued: 5})
}
