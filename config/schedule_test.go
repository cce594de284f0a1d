package config

import (
	"testing"
	"time"

	"oshirase/mailer"
)

// The clock of a schedule is Tokyo's, whatever the machine's is.
func TestScheduleTimes(t *testing.T) {
	times, err := Schedule{Cron: "0 9 * * 1-5"}.Times()
	if err != nil {
		t.Fatal(err)
	}
	friday := time.Date(2026, 11, 27, 8, 59, 0, 0, mailer.JST)
	for _, want := range []string{"2026-11-27T09:00:00+09:00", "2026-11-30T09:00:00+09:00"} {
		friday = times.Next(friday)
		if got := friday.Format(time.RFC3339); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
