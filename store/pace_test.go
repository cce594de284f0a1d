package store

import (
	"testing"
	"time"

	"oshirase/mailer"
)

// TestLimitOverAnHour: asked every 100 ms for an hour, exactly burst + N come through.
func TestLimitOverAnHour(t *testing.T) {
	begin := time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)
	l := mailer.Limit{Key: "hour", N: 3840, Per: time.Hour, Burst: 3}
	got := 0
	var stored int64
	for i := range 36_001 {
		now := begin.Add(time.Duration(i) * 100 * time.Millisecond).UnixNano()
		from, n, _ := gcra(now, stored, l)
		stored = from + mulDiv(int64(n), int64(l.Per), int64(l.N))
		got += n
	}
	if got < 3842 || got > 3843 {
		t.Errorf("%d messages in an hour, want %d", got, 3843)
	}
}
