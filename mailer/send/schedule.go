package send

import (
	"context"
	"fmt"
	"time"

	"github.com/robfig/cron/v3"

	"oshirase/mailer"
)

// Schedule is a batch run that the daemon starts by the clock.
type Schedule struct {
	Name     string
	Cron     string // five fields (minute hour day month weekday), Asia/Tokyo
	Campaign string // empty: all running campaigns
}

// ParseCron reads the five fields, or a descriptor such as @hourly.
func ParseCron(spec string) (cron.Schedule, error) {
	s, err := cron.ParseStandard(spec)
	if err != nil {
		return nil, mailer.Invalid("send.cron", "cron", spec, "cause", err)
	}
	return s, nil
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
		spec, err := ParseCron(sc.Cron)
		if err != nil {
			return fmt.Errorf("schedule %s: %w", sc.Name, err)
		}
		c.Schedule(spec, cron.FuncJob(func() {
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
