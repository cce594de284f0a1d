package mailer

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// Window is when notices may be handed to a relay. The zero Window is always open.
type Window struct {
	limited  bool
	from, to time.Duration // since midnight in Japan; to is exclusive
	weekdays bool
}

// DefaultHours are those of a window that says none: at other times a notice goes out
// only where somebody wrote so.
const DefaultHours = "09:00-20:00"

// ParseWindow reads a window as people write it. Hours must not cross midnight:
// nobody wants a notice of a breach at night. Without hours they are DefaultHours.
func ParseWindow(spec WindowSpec) (Window, error) {
	var w Window
	switch spec.Days {
	case "", DaysEvery:
	case DaysWeekdays:
		w.weekdays = true
	default:
		return Window{}, Invalid("window.days", "key", "window.days", "days", spec.Days)
	}
	if spec.Hours == "always" {
		return w, nil
	}
	a, b, ok := strings.Cut(cmp.Or(spec.Hours, DefaultHours), "-")
	from, err1 := clockTime(a)
	to, err2 := clockTime(b)
	if !ok || err1 != nil || err2 != nil {
		return Window{}, Invalid("window.hours", "key", "window.hours", "hours", spec.Hours)
	}
	if from >= to {
		return Window{}, Invalid("window.order", "key", "window.hours", "hours", spec.Hours)
	}
	// The whole day is no limit: it would seem to close at every midnight.
	w.limited = from > 0 || to < 24*time.Hour
	if w.limited {
		w.from, w.to = from, to
	}
	return w, nil
}

func clockTime(s string) (time.Duration, error) {
	s = strings.TrimSpace(s)
	if s == "24:00" {
		return 24 * time.Hour, nil
	}
	t, err := time.Parse("15:04", s)
	if err != nil {
		return 0, err
	}
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute, nil
}

// Open reports whether the window is open at t.
func (w Window) Open(t time.Time) bool {
	d := DateOf(t)
	if w.weekdays && !Weekday(d) {
		return false
	}
	if !w.limited {
		return true
	}
	since := t.Sub(d.Time())
	return since >= w.from && since < w.to
}

// NextOpen returns the first instant at or after t at which the window is open.
func (w Window) NextOpen(t time.Time) time.Time {
	if w.Open(t) {
		return t
	}
	d := DateOf(t)
	if open := d.Time().Add(w.from); w.Open(open) && open.After(t) {
		return open
	}
	for {
		d = d.AddDays(1)
		if open := d.Time().Add(w.from); w.Open(open) {
			return open
		}
	}
}

// NextClose returns the first instant after t at which the window is closed,
// and false where it never closes. The window must be open at t.
func (w Window) NextClose(t time.Time) (time.Time, bool) {
	d := DateOf(t)
	if w.limited {
		return d.Time().Add(w.to), true
	}
	if !w.weekdays {
		return time.Time{}, false
	}
	for Weekday(d) {
		d = d.AddDays(1)
	}
	return d.Time(), true
}

// String is the window as people read it.
func (w Window) String() string {
	s := "always"
	if w.limited {
		s = fmt.Sprintf("%02d:%02d-%02d:%02d", int(w.from.Hours()), int(w.from.Minutes())%60, int(w.to.Hours()), int(w.to.Minutes())%60)
	}
	if w.weekdays {
		s += " weekdays"
	}
	return s
}

// Weekday reports whether d is a working day: not a Saturday, a Sunday or a
// Japanese holiday.
func Weekday(d Date) bool {
	if wd := d.Weekday(); wd == time.Saturday || wd == time.Sunday {
		return false
	}
	_, holiday := Holiday(d)
	return !holiday
}
