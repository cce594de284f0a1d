package mailer

import (
	"errors"
	"testing"
	"time"
)

// at reads a time in Japan, 2026-09-21 09:00.
func at(t testing.TB, s string) time.Time {
	t.Helper()
	v, err := time.ParseInLocation("2006-01-02 15:04", s, JST)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestWindow(t *testing.T) {
	business := WindowSpec{Hours: "9:00-17:30", Days: "weekdays"}
	daily := WindowSpec{Hours: "09:00-21:00"}
	weekdays := WindowSpec{Hours: "always", Days: "weekdays"}
	late := WindowSpec{Hours: "18:00-24:00", Days: "every-day"}
	always := WindowSpec{Hours: "always"}
	for _, c := range []struct {
		spec        WindowSpec
		now         string
		open        bool
		next, close string // close is looked for from next on; "" is never
	}{
		{business, "2026-09-18 08:59", false, "2026-09-18 09:00", "2026-09-18 17:30"}, // a Friday
		{business, "2026-09-18 09:00", true, "2026-09-18 09:00", "2026-09-18 17:30"},
		{business, "2026-09-18 17:29", true, "2026-09-18 17:29", "2026-09-18 17:30"},
		{business, "2026-09-18 17:30", false, "2026-09-24 09:00", "2026-09-24 17:30"}, // over five days without work
		{business, "2026-09-22 12:00", false, "2026-09-24 09:00", "2026-09-24 17:30"}, // 国民の休日
		{business, "2026-05-06 12:00", false, "2026-05-07 09:00", "2026-05-07 17:30"}, // 振替休日
		{daily, "2026-09-22 20:59", true, "2026-09-22 20:59", "2026-09-22 21:00"},
		{daily, "2026-09-22 21:00", false, "2026-09-23 09:00", "2026-09-23 21:00"},
		{daily, "2026-12-31 23:00", false, "2027-01-01 09:00", "2027-01-01 21:00"},
		{weekdays, "2026-09-18 23:59", true, "2026-09-18 23:59", "2026-09-19 00:00"},
		{weekdays, "2026-09-19 00:00", false, "2026-09-24 00:00", "2026-09-26 00:00"},
		{late, "2026-09-18 17:00", false, "2026-09-18 18:00", "2026-09-19 00:00"},
		{late, "2026-09-18 23:59", true, "2026-09-18 23:59", "2026-09-19 00:00"},
		{WindowSpec{}, "2026-01-01 08:59", false, "2026-01-01 09:00", "2026-01-01 20:00"}, // a holiday, too
		{WindowSpec{}, "2026-01-01 20:00", false, "2026-01-02 09:00", "2026-01-02 20:00"},
		{always, "2026-01-01 03:00", true, "2026-01-01 03:00", ""},
		{WindowSpec{Hours: "00:00-24:00"}, "2026-01-01 03:00", true, "2026-01-01 03:00", ""},
	} {
		w, err := ParseWindow(c.spec)
		if err != nil {
			t.Fatal(err)
		}
		now := at(t, c.now)
		for _, now := range []time.Time{now, now.UTC(), now.In(time.FixedZone("", -11*3600))} {
			if got := w.Open(now); got != c.open {
				t.Errorf("%s at %s: open %v", w, c.now, got)
			}
			next := w.NextOpen(now)
			if !next.Equal(at(t, c.next)) {
				t.Errorf("%s at %s: opens %s, want %s", w, c.now, next, c.next)
			}
			end, ok := w.NextClose(next)
			if ok != (c.close != "") || ok && !end.Equal(at(t, c.close)) {
				t.Errorf("%s from %s: closes %s, %v, want %s", w, c.next, end, ok, c.close)
			}
			if ok && (w.Open(end) || !w.Open(end.Add(-time.Nanosecond))) {
				t.Errorf("%s: %s is not where it closes", w, end)
			}
		}
	}
}

func TestParseWindowRefuses(t *testing.T) {
	for _, spec := range []WindowSpec{
		{Hours: "9-17"},
		{Hours: "09:00"},
		{Hours: "17:00-09:00"},
		{Hours: "09:00-09:00"},
		{Hours: "09:00-25:00"},
		{Hours: "24:00-24:00"},
		{Hours: "never"},
		{Hours: "09:60-10:00"},
		{Days: "sundays"},
		{Hours: "-"},
	} {
		if w, err := ParseWindow(spec); !errors.Is(err, ErrInvalid) {
			t.Errorf("%+v: %v, %v", spec, w, err)
		}
	}
}

func TestWindowString(t *testing.T) {
	for want, spec := range map[string]WindowSpec{
		"always": {Hours: "always"}, "always weekdays": {Hours: "always", Days: "weekdays"}, "09:00-20:00": {}, "09:00-20:00 weekdays": {Days: "weekdays"}, "09:00-17:30": {Hours: " 9:00 - 17:30 "}, "09:00-24:00 weekdays": {Hours: "9:00-24:00", Days: "weekdays"},
	} {
		w, err := ParseWindow(spec)
		if err != nil || w.String() != want {
			t.Errorf("%+v: %q, %v, want %q", spec, w, err, want)
		}
	}
}
