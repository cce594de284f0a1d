package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"oshirase/mailer/campaign"
)

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
			var change campaign.Settings
			f := cmd.Flags()
			if !f.Changed("per-hour") && !f.Changed("window") && !f.Changed("days") && !f.Changed("at") {
				return usagef("nothing to set: give --per-hour, --window, --days or --at")
			}
			for _, name := range []string{"window", "days"} {
				if f.Changed(name) && strings.TrimSpace(f.Lookup(name).Value.String()) == "" {
					return usagef("--%s is empty: give a value, or leave it out", name)
				}
			}
			if f.Changed("per-hour") {
				change.PerHour = &perHour
			}
			if f.Changed("window") {
				change.Hours = &window
			}
			if f.Changed("days") {
				change.Days = &days
			}
			if f.Changed("at") {
				change.At = &time.Time{}
				if at != "" {
					var err error
					if *change.At, err = startTime(at, a.now()); err != nil {
						return err
					}
				}
			}
			if err := change.Validate(); err != nil {
				return flagError(err)
			}
			p, err := a.preparation(cmd.Context())
			if err != nil {
				return err
			}
			set, err := p.Set(cmd.Context(), a.actor(), args[0], change)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(set)
			}
			a.printf("%s 更新しました。\n", set.ID)
			return nil
		},
	}
	f := c.Flags()
	f.IntVar(&perHour, "per-hour", 0, "messages an hour, 0 is no limit")
	f.StringVar(&window, "window", "", "always, or HH:MM-HH:MM in Asia/Tokyo")
	f.StringVar(&days, "days", "", "every-day, or weekdays without Japanese holidays")
	f.StringVar(&at, "at", "", "start by itself at this `TIME` to come (RFC 3339, with its zone); empty: by hand")
	return c
}
