package send

import (
	"context"
	"time"

	"github.com/robfig/cron/v3"

	"oshirase/mailer"
)

// Schedule is a batch run that the daemon starts by the clock.
type Schedule struct {
	Name     string
	Times    Times
	Campaign string // empty: all running campaigns
}

// Times are the times of a schedule. Who reads the config makes them: there alone
// the grammar of cron entries is known.
type Times interface {
	// Next is the first time after t, in the zone of t; zero: there is none.
	Next(t time.Time) time.Time
}

// Daemon serves until the context ends. Without schedules every running
// campaign is sent as it becomes due. With schedules a campaign that was started
// by hand is sent in the batch runs that they start, and one with a time of its
// own is sent from that time on.
func (r *Runner) Daemon(ctx context.Context, schedules []Schedule) error {
	r.Options.defaults()
	if len(schedules) == 0 {
		return r.Serve(ctx, func(*mailer.Campaign) bool { return true })
	}
	log := r.Options.Logger
	c := cron.New(cron.WithLocation(mailer.JST), cron.WithChain(
		cron.Recover(cronLog{r}), cron.SkipIfStillRunning(cronLog{r}),
	))
	for _, sc := range schedules {
		c.Schedule(sc.Times, cron.FuncJob(func() {
			at := r.Options.Now().Truncate(time.Minute)
			mine, err := r.Ledger.FireOnce(ctx, sc.Name, at)
			if err != nil {
				log.Error("batch run not started", "schedule", sc.Name, "err", err)
				return
			}
			if !mine {
				return
			}
			log.Info("batch run started", "schedule", sc.Name, "campaign", sc.Campaign)
			sum, err := r.Run(ctx, sc.Campaign)
			if err != nil && ctx.Err() == nil {
				log.Error("batch run failed", "schedule", sc.Name, "err", err)
				return
			}
			log.Info("batch run ended", "schedule", sc.Name, "accepted", sum.Accepted, "deferred", sum.Deferred,
				"rejected", sum.Rejected, "unknown", sum.Unknown, "remaining", sum.Remaining)
		}))
	}
	c.Start()
	err := r.Serve(ctx, func(c *mailer.Campaign) bool { return !c.At.IsZero() })
	<-c.Stop().Done()
	return err
}

// cronLog lets cron say through the runner's logger that it skipped a run or
// recovered from a panic.
type cronLog struct{ r *Runner }

func (l cronLog) Info(msg string, kv ...any) { l.r.Options.Logger.Info("schedule: "+msg, kv...) }

func (l cronLog) Error(err error, msg string, kv ...any) {
	l.r.Options.Logger.Error("schedule: "+msg, append(kv, "err", err)...)
}
