package main

import (
	"strings"

	"github.com/spf13/cobra"

	"oshirase/mailer"
	"oshirase/mailer/campaign"
)

func newCampaignCreateCommand(a *app) *cobra.Command {
	var d campaign.Draft
	var stage, certainty, at, days string
	var perHour int
	c := &cobra.Command{
		Use:   "create",
		Short: "Create a campaign; nothing is frozen yet",
		Long: `create makes a campaign: which notice (stage) goes to whom (the merchant's
recipients in the incident, narrowed by exposure and certainty). Who that is, is
frozen by campaign check. Window and pace are the merchant's unless given; where
neither says a window, it is 9:00 to 20:00 in Japan. Only --window always sends at
night.

With --certainty confirmed those are selected for whom the leak of some exposure is
established, with --certainty possible those for whom none is.

Nobody gets two notices of one stage that say the same. A follow-up or correction is sent
once for each --cause: one more to the same people needs a cause of its own. Neither goes
to people whom no first warning or formal notice has reached.`,
		Example: `  oshirase campaign create --incident pay --merchant housing --stage formal
  oshirase campaign create --incident pay --merchant donation --stage formal --certainty confirmed
  oshirase campaign create --incident shop --merchant shop --stage formal --at 2026-12-01T10:00:00+09:00 --window 09:00-21:00 --per-hour 3840`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f := cmd.Flags()
			for _, name := range []string{"name", "exposure", "certainty", "at", "window", "days"} {
				if f.Changed(name) && strings.Trim(f.Lookup(name).Value.String(), " 　[]") == "" {
					return usagef("--%s is empty: give a value, or leave it out", name)
				}
			}
			var err error
			if d.Stage, err = oneOf("stage", stage, mailer.Stages, ""); err != nil {
				return err
			}
			d.Certainty, d.Window.Days = mailer.Certainty(certainty), mailer.Days(days)
			if at != "" {
				if d.At, err = startTime(at, a.now()); err != nil {
					return err
				}
			}
			if f.Changed("per-hour") {
				d.PerHour = &perHour
			}
			if err := d.Validate(); err != nil {
				return flagError(err)
			}
			p, err := a.preparation(cmd.Context())
			if err != nil {
				return err
			}
			id, err := p.Create(cmd.Context(), a.actor(), d)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]string{"id": id})
			}
			a.printf("%s\n", id)
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&d.Incident, "incident", "", "`ID` of the incident")
	f.StringVar(&d.Merchant, "merchant", "", "`ID` of the merchant")
	f.StringVar(&stage, "stage", "", "first-warning（第一報）, formal（通知）, follow-up（続報） or correction（訂正）")
	f.StringVar(&d.Cause, "cause", "", "why there is one more follow-up or correction (`TEXT`)")
	f.StringSliceVar(&d.Exposures, "exposure", nil, "only people with this `EXPOSURE`; may be repeated (default: all)")
	f.StringVar(&certainty, "certainty", "", "only possible, or only confirmed (default: both)")
	f.StringVar(&d.Name, "name", "", "name for people (default: made from merchant and stage)")
	f.StringVar(&at, "at", "", "start by itself at this `TIME` to come (RFC 3339, with its zone), once approved")
	f.StringVar(&d.Window.Hours, "window", "", "always, or HH:MM-HH:MM in Asia/Tokyo (default: the merchant's)")
	f.StringVar(&days, "days", "", "every-day, or weekdays without Japanese holidays (default: the merchant's)")
	f.IntVar(&perHour, "per-hour", 0, "messages an hour, 0 is no limit (default: the merchant's)")
	required(c, "incident", "merchant", "stage")
	return c
}
