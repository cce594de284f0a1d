package main

import (
	"github.com/spf13/cobra"

	"oshirase/mailer/campaign"
)

func newServeCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run as a daemon: send campaigns as they become due",
		Long: `serve sends started campaigns as they become due, starts scheduled ones at their
time, and retries. With [[schedule]] entries in the config, campaigns that were started
by hand are sent in the batch runs that these entries start (Asia/Tokyo); campaigns with
a time of their own are sent from that time on.

SIGTERM or SIGINT finishes what is on the wire, records it, and exits within seconds.`,
		Example: "  oshirase serve --config /etc/oshirase/oshirase.toml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			cfg, err := a.config()
			if err != nil {
				return err
			}
			runner, err := a.runner(ctx)
			if err != nil {
				return err
			}
			var schedules []campaign.Schedule
			for _, s := range cfg.Schedules {
				schedules = append(schedules, campaign.Schedule{Name: s.Name, Cron: s.Cron, Campaign: s.Campaign})
			}
			log := a.logger()
			log.Info("serving", "database", cfg.DatabasePath(), "relays", len(cfg.Relays), "schedules", len(schedules))
			err = runner.Daemon(ctx, schedules)
			log.Info("stopped")
			return err
		},
	}
}
