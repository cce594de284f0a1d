package config

import (
	"strings"

	"github.com/robfig/cron/v3"

	"oshirase/mailer"
)

// cronParser reads the five fields of cron(8), and no descriptors or zones. It is
// the only one: whoever runs a schedule is handed its times.
var cronParser = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)

// Times are the times of an entry. Its Next takes and gives times in the zone in
// which the clock is to be read: Asia/Tokyo.
func (s Schedule) Times() (cron.Schedule, error) {
	if strings.Contains(s.Cron, "=") {
		return nil, mailer.Invalid("config.cron-zone", "cron", s.Cron)
	}
	times, err := cronParser.Parse(s.Cron)
	if err != nil {
		return nil, mailer.Invalid("config.cron", "cron", s.Cron, "cause", err)
	}
	if times.Next(mailer.Date{Year: 2026, Month: 1, Day: 1}.Time()).IsZero() {
		return nil, mailer.Invalid("config.cron-never", "cron", s.Cron)
	}
	return times, nil
}
