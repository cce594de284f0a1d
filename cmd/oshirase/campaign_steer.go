package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"oshirase/mailer"
	"oshirase/store"
)

func newCampaignApproveCommand(a *app) *cobra.Command {
	var count int64
	c := &cobra.Command{
		Use:   "approve ID --by NAME --count N",
		Short: "Approve what was checked, typing how many notices will be sent",
		Long: `approve records one person's consent to exactly what the last check rendered. As
many different people as the config says must approve, each typing the number of
notices that will be sent. Any change of list, facts, template or campaign voids all
approvals.`,
		Example: "  oshirase campaign approve c-20261201-7f3a --by 佐藤 --count 5283",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			db, err := a.store(cmd.Context())
			if err != nil {
				return err
			}
			cfg, err := a.config()
			if err != nil {
				return err
			}
			n, approved, err := db.Approve(cmd.Context(), a.actor(), args[0], count, cfg.Approval.People)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]any{"approvals": n, "approved": approved})
			}
			if approved {
				a.printf("承認が揃いました（%d名）。\n", n)
			} else {
				a.printf("承認 %d名、あと%d名の承認が必要です。\n", n, cfg.Approval.People-n)
			}
			return nil
		},
	}
	c.Flags().Int64Var(&count, "count", 0, "how many notices will be sent")
	required(c, "count")
	return c
}

// steer is a command that moves a campaign to another phase.
func (a *app) steer(use, short, long string, move func(context.Context, *store.DB, string) error) *cobra.Command {
	return &cobra.Command{
		Use: use + " ID", Short: short, Long: long,
		Example: "  oshirase campaign " + use + " c-20261201-7f3a",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			db, err := a.store(cmd.Context())
			if err != nil {
				return err
			}
			if err := move(cmd.Context(), db, args[0]); err != nil {
				return err
			}
			c, err := db.Campaign(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]any{"id": c.ID, "phase": c.Phase})
			}
			a.printf("%s %s\n", c.ID, c.Phase.Japanese())
			return nil
		},
	}
}

func newCampaignStartCommand(a *app) *cobra.Command {
	var now bool
	c := a.steer("start", "Start an approved campaign",
		`start lets run and serve send an approved campaign. One with a time of its own keeps
to it, unless --now is given; one whose time has passed starts at once.`,
		func(ctx context.Context, db *store.DB, id string) error { return db.Start(ctx, a.actor(), id, now) })
	c.Flags().BoolVar(&now, "now", false, "start at once, before the campaign's time")
	return c
}

func newCampaignPauseCommand(a *app) *cobra.Command {
	return a.steer("pause", "Pause a running campaign, within a second",
		`pause lets nothing new be handed to a relay, in any process, from the moment that
this command returns. What a relay has already been given is finished and recorded.`,
		func(ctx context.Context, db *store.DB, id string) error {
			return db.Pause(ctx, a.actor(), id, "paused by hand")
		})
}

func newCampaignResumeCommand(a *app) *cobra.Command {
	return a.steer("resume", "Let a paused campaign go on", "resume lets a paused campaign be sent again.",
		func(ctx context.Context, db *store.DB, id string) error { return db.Resume(ctx, a.actor(), id) })
}

func newCampaignCancelCommand(a *app) *cobra.Command {
	return a.steer("cancel", "End a campaign for good",
		`cancel ends a campaign: what was not sent never will be. Deliveries in flight are
finished and recorded, unknown ones stay to be resolved.`,
		func(ctx context.Context, db *store.DB, id string) error { return db.Cancel(ctx, a.actor(), id) })
}

func newCampaignSetCommand(a *app) *cobra.Command {
	var perHour int
	var window, days, at string
	c := &cobra.Command{
		Use:   "set ID",
		Short: "Change pace, window or start time without a restart",
		Long: `set changes how a campaign is sent, not what: approvals stay. A running campaign
follows within a second.`,
		Example: `  oshirase campaign set c-20261201-7f3a --per-hour 3840
  oshirase campaign set c-20261201-7f3a --window 09:00-18:00 --days weekdays`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			db, err := a.store(cmd.Context())
			if err != nil {
				return err
			}
			camp, err := db.Campaign(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			var change struct {
				perHour *int
				window  *mailer.WindowSpec
				at      *time.Time
			}
			f := cmd.Flags()
			if f.Changed("per-hour") {
				if perHour < 0 {
					return usagef("--per-hour must not be negative; 0 is no limit")
				}
				change.perHour = &perHour
			}
			if f.Changed("window") || f.Changed("days") {
				w := camp.Window
				if f.Changed("window") {
					w.Hours = window
				}
				if f.Changed("days") {
					w.Days = mailer.Days(days)
				}
				if _, err := mailer.ParseWindow(w); err != nil {
					return usageError{err: err}
				}
				change.window = &w
			}
			if f.Changed("at") {
				change.at = &time.Time{}
				if at != "" {
					if *change.at, err = parseTime(at); err != nil {
						return usageError{err: err}
					}
				}
			}
			if err := db.Set(cmd.Context(), a.actor(), camp.ID, change.perHour, change.window, change.at); err != nil {
				return err
			}
			if camp, err = db.Campaign(cmd.Context(), camp.ID); err != nil {
				return err
			}
			if a.json {
				return a.printJSON(camp)
			}
			a.printf("%s 更新しました。\n", camp.ID)
			return nil
		},
	}
	f := c.Flags()
	f.IntVar(&perHour, "per-hour", 0, "messages an hour, 0 is no limit")
	f.StringVar(&window, "window", "", "always, or HH:MM-HH:MM in Asia/Tokyo")
	f.StringVar(&days, "days", "", "every-day, or weekdays without Japanese holidays")
	f.StringVar(&at, "at", "", "start by itself at this `TIME` (RFC 3339); empty: by hand")
	return c
}
