package storetest

import (
	"context"
	"testing"
	"time"

	"oshirase/mailer"
	"oshirase/store"
)

func (s suite) TestReserve(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	other := e.again()
	hour := mailer.Limit{Key: "campaign:x", N: 3600, Per: time.Hour, Burst: 5}
	total := mailer.Limit{Key: "total", N: 10, Per: time.Second, Burst: 10}
	steps := []struct {
		db      *store.DB
		at      time.Duration
		n       int
		limits  []mailer.Limit
		granted int
		wait    time.Duration
	}{
		{e.DB, 0, 3, nil, 3, 0},
		{e.DB, 0, 3, []mailer.Limit{{Key: "none"}}, 3, 0},
		{e.DB, 0, 3, []mailer.Limit{hour, total}, 3, 0},
		{other, 0, 9, []mailer.Limit{hour, total}, 2, 0}, // shared by all handles
		{e.DB, 0, 9, []mailer.Limit{hour, total}, 0, time.Second},
		{e.DB, 0, 9, []mailer.Limit{total}, 5, 0}, // what one limit refused the other keeps
		{e.DB, 500 * time.Millisecond, 1, []mailer.Limit{hour}, 0, 500 * time.Millisecond},
		{e.DB, time.Second, 9, []mailer.Limit{hour}, 1, 0},
		{e.DB, time.Hour, 100, []mailer.Limit{hour}, 5, 0},
		// A limit made faster is not held up by what the slower one was used for.
		{e.DB, time.Hour, 100, []mailer.Limit{{Key: hour.Key, N: 3600, Per: time.Second, Burst: 50}}, 0, 277_778},
		{e.DB, time.Hour + 10*time.Millisecond, 100, []mailer.Limit{{Key: hour.Key, N: 3600, Per: time.Second, Burst: 50}}, 36, 0},
		// A clock that went back waits one interval, not an hour.
		{e.DB, time.Minute, 1, []mailer.Limit{hour}, 0, time.Second},
		{e.DB, time.Minute + time.Second, 9, []mailer.Limit{hour}, 1, 0},
		{e.DB, 2 * time.Hour, 0, []mailer.Limit{hour}, 0, 0},
	}
	for i, s := range steps {
		got, err := s.db.Reserve(ctx, t0.Add(s.at), s.n, s.limits)
		if err != nil || got.N != s.granted || got.Wait != s.wait {
			t.Errorf("step %d: %+v, %v; want %d, %s", i, got, err, s.granted, s.wait)
		}
		if bound := got.N < s.n; bound != (got.Bound != "") || bound && got.Bound != s.limits[0].Key {
			t.Errorf("step %d: the limit that binds is %q", i, got.Bound)
		}
	}
}
