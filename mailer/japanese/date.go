package japanese

import (
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// Day is a calendar day. A Day whose own Day is 0 is a whole month.
type Day struct {
	Year  int
	Month time.Month
	Day   int
}

// DateStyle is one of the ways in which days are written.
type DateStyle uint8

// The styles.
const (
	DateWestern DateStyle = iota // 2021年10月14日
	DateEra                      // 令和3年10月14日, the first year is 元年
	DateSlash                    // 2021/10/14
)

// eras are the eras since Meiji with their first days, latest first (元号法, and the
// rescripts and cabinet orders that changed them).
var eras = []struct {
	name  string
	start Day
}{
	{"令和", Day{2019, 5, 1}},
	{"平成", Day{1989, 1, 8}},
	{"昭和", Day{1926, 12, 25}},
	{"大正", Day{1912, 7, 30}},
	{"明治", Day{1868, 10, 23}},
}

func (d Day) before(e Day) bool {
	if d.Year != e.Year {
		return d.Year < e.Year
	}
	if d.Month != e.Month {
		return d.Month < e.Month
	}
	return d.Day < e.Day
}

// Format writes the day. Before the first era that is known it is written western.
func (d Day) Format(style DateStyle) string {
	switch style {
	case DateSlash:
		return fmt.Sprintf("%d/%02d/%02d", d.Year, d.Month, d.Day)
	case DateEra:
		for _, e := range eras {
			if d.before(e.start) {
				continue
			}
			year := "元"
			if n := d.Year - e.start.Year + 1; n > 1 {
				year = strconv.Itoa(n)
			}
			return fmt.Sprintf("%s%s年%d月%d日", e.name, year, d.Month, d.Day)
		}
	}
	return fmt.Sprintf("%d年%d月%d日", d.Year, d.Month, d.Day)
}

// WrittenDate is a day or a month that stands in a text.
type WrittenDate struct {
	Day   Day // Day.Day is 0 where only the month is given
	Style DateStyle
	Text  string // as it stands there
}

var anyDate = regexp.MustCompile(`(?:([0-9]{4})年|(令和|平成|昭和|大正|明治)(元|[0-9]{1,2})年)([0-9]{1,2})月(?:([0-9]{1,2})日)?|([0-9]{4})/([0-9]{1,2})/([0-9]{1,2})`)

// FindDates finds the dates in a text, in any style. They need not be in the calendar.
func FindDates(s string) []WrittenDate {
	var out []WrittenDate
	for _, m := range anyDate.FindAllStringSubmatch(s, -1) {
		n := func(i int) int { v, _ := strconv.Atoi(m[i]); return v } // digits only, by the pattern
		d := WrittenDate{Text: m[0]}
		switch {
		case m[6] != "":
			d.Style, d.Day = DateSlash, Day{n(6), time.Month(n(7)), n(8)}
		case m[2] != "":
			d.Style, d.Day = DateEra, Day{eraYear(m[2], max(n(3), 1)), time.Month(n(4)), n(5)}
		default:
			d.Style, d.Day = DateWestern, Day{n(1), time.Month(n(4)), n(5)}
		}
		out = append(out, d)
	}
	return out
}

// eraYear is the western year of the nth year of an era.
func eraYear(name string, n int) int {
	for _, e := range eras {
		if e.name == name {
			return e.start.Year + n - 1
		}
	}
	return 0
}
