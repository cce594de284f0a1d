package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"oshirase/config"
	"oshirase/mailer/send"
)

func newServeCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run as a daemon: send campaigns as they become due",
		Long: `serve sends started campaigns as they become due, starts scheduled ones at their
time, and retries. With [[schedule]] entries in the config, campaigns that were started
by hand are sent in the batch runs that these entries start (Asia/Tokyo); campaigns with
a time of their own are sent from that time on.

A changed config is followed within a second as far as it sets paces: batch,
batch_pause, per_second, per_hour and the limits of domain groups. The rest takes
effect at the next start. oshirase campaign set changes a single send.

SIGTERM, SIGINT or SIGHUP finishes what is on the wire, records it, and exits within
seconds, with 0: that is how a daemon ends. A second signal does not wait for the relay.`,
		Example: "  oshirase serve --config /etc/oshirase/oshirase.toml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			cfg, err := a.config()
			if err != nil {
				return err
			}
			if err := a.policyAgrees(ctx); err != nil {
				return err
			}
			runner, err := a.runner(ctx)
			if err != nil {
				return err
			}
			var schedules []send.Schedule
			for _, s := range cfg.Schedules {
				times, err := s.Times()
				if err != nil {
					return fmt.Errorf("schedule %s: %w", s.Name, err)
				}
				schedules = append(schedules, send.Schedule{Name: s.Name, Times: times, Campaign: s.Campaign})
			}
			log := a.logger()
			log.Info("serving", "database", cfg.DatabasePath(), "relays", len(cfg.Relays), "schedules", len(schedules))
			go a.followConfig(ctx, runner)
			err = runner.Daemon(ctx, schedules)
			log.Info("stopped")
			if ctx.Err() != nil && errors.Is(err, context.Canceled) {
				return nil // stopped while it was still beginning
			}
			return err
		},
	}
}

// followConfig has a runner follow the paces in the config file until ctx ends. A
// file that cannot be read, or is wrong, changes nothing.
func (a *app) followConfig(ctx context.Context, runner *send.Runner) {
	path := a.configPath()
	stamp := func() (time.Time, int64) {
		st, err := os.Stat(path)
		if err != nil {
			return time.Time{}, 0
		}
		return st.ModTime(), st.Size()
	}
	seenAt, seenSize := stamp()
	every := time.NewTicker(500 * time.Millisecond)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		at, size := stamp()
		if at.IsZero() || at.Equal(seenAt) && size == seenSize {
			continue
		}
		seenAt, seenSize = at, size
		cfg, err := config.Load(path)
		var pace send.Pace
		if err == nil {
			pace, err = paceOf(cfg)
		}
		if err != nil {
			a.logger().Error("changed config not taken over", "err", err)
			continue
		}
		runner.SetPace(pace)
		a.logger().Info("paces taken over from the changed config", "per_second", pace.PerSecond, "per_hour", pace.PerHour,
			"batch", pace.Batch, "batch_pause", pace.BatchPause)
	}
}
