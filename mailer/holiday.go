package mailer

import "time"

// The years for which the rules below are exact: the first whole year of the
// Act, and the last for which the equinox formulas hold.
const (
	firstHolidayYear = 1949
	lastHolidayYear  = 2099
)

// Holiday returns the name of the national holiday that falls on d. It follows
// the Act on National Holidays (国民の祝日に関する法律) by rule, with its changes and
// the special Acts, from 1949 up to 2099; outside of these years it knows none.
// Equinoxes after next year are computed, and proclaimed only each February.
func Holiday(d Date) (name string, ok bool) {
	if d.Year < firstHolidayYear || d.Year > lastHolidayYear {
		return "", false
	}
	if name := celebrated(d); name != "" {
		return name, true
	}
	if substitute(d) {
		return "振替休日", true
	}
	if between(d) {
		return "国民の休日", true
	}
	return "", false
}

// specialHolidays are holidays of a single year, each by its own Act.
var specialHolidays = map[Date]string{
	{1959, time.April, 10}:    "皇太子明仁親王の結婚の儀",
	{1989, time.February, 24}: "昭和天皇の大喪の礼",
	{1990, time.November, 12}: "即位礼正殿の儀",
	{1993, time.June, 9}:      "皇太子徳仁親王の結婚の儀",
	{2019, time.May, 1}:       "天皇の即位の日",
	{2019, time.October, 22}:  "即位礼正殿の儀の行われる日",
}

// movedHolidays are the days that the Olympic Special Measures Act moved.
var movedHolidays = map[int][]struct {
	month time.Month
	day   int
	name  string
}{
	2020: {{time.July, 23, "海の日"}, {time.July, 24, "スポーツの日"}, {time.August, 10, "山の日"}},
	2021: {{time.July, 22, "海の日"}, {time.July, 23, "スポーツの日"}, {time.August, 8, "山の日"}},
}

// celebrated returns the name where d is a holiday of its own (国民の祝日), "" otherwise.
func celebrated(d Date) string {
	if name, ok := specialHolidays[d]; ok {
		return name
	}
	y := d.Year
	if y < firstHolidayYear || y > lastHolidayYear {
		return ""
	}
	switch d.Month {
	case time.January:
		switch {
		case d.Day == 1:
			return "元日"
		case y < 2000 && d.Day == 15, y >= 2000 && nthMonday(d, 2):
			return "成人の日"
		}
	case time.February:
		switch {
		case y >= 1967 && d.Day == 11:
			return "建国記念の日"
		case y >= 2020 && d.Day == 23:
			return "天皇誕生日"
		}
	case time.March:
		if d.Day == vernalEquinox(y) {
			return "春分の日"
		}
	case time.April:
		switch {
		case d.Day != 29:
		case y < 1989:
			return "天皇誕生日"
		case y < 2007:
			return "みどりの日"
		default:
			return "昭和の日"
		}
	case time.May:
		switch {
		case d.Day == 3:
			return "憲法記念日"
		case d.Day == 4 && y >= 2007:
			return "みどりの日"
		case d.Day == 5:
			return "こどもの日"
		}
	case time.July, time.August:
		return summerHoliday(d)
	case time.September:
		switch {
		case y >= 1966 && y < 2003 && d.Day == 15, y >= 2003 && nthMonday(d, 3):
			return "敬老の日"
		case d.Day == autumnalEquinox(y):
			return "秋分の日"
		}
	case time.October:
		return sportsDay(d)
	case time.November:
		switch d.Day {
		case 3:
			return "文化の日"
		case 23:
			return "勤労感謝の日"
		}
	case time.December:
		if y >= 1989 && y <= 2018 && d.Day == 23 {
			return "天皇誕生日"
		}
	}
	return ""
}

// summerHoliday knows July and August, where two years were changed for the Olympics.
func summerHoliday(d Date) string {
	if moved, ok := movedHolidays[d.Year]; ok {
		for _, m := range moved {
			if d.Month == m.month && d.Day == m.day {
				return m.name
			}
		}
		return ""
	}
	switch y := d.Year; {
	case d.Month == time.July && (y >= 1996 && y < 2003 && d.Day == 20 || y >= 2003 && nthMonday(d, 3)):
		return "海の日"
	case d.Month == time.August && y >= 2016 && d.Day == 11:
		return "山の日"
	}
	return ""
}

func sportsDay(d Date) string {
	if _, moved := movedHolidays[d.Year]; moved {
		return ""
	}
	switch y := d.Year; {
	case y >= 1966 && y < 2000 && d.Day == 10, y >= 2000 && y < 2020 && nthMonday(d, 2):
		return "体育の日"
	case y >= 2020 && nthMonday(d, 2):
		return "スポーツの日"
	}
	return ""
}

// nthMonday reports whether d is the n-th Monday of its month.
func nthMonday(d Date, n int) bool {
	return d.Weekday() == time.Monday && (d.Day-1)/7 == n-1
}

// substitute reports whether d, which is no celebrated day, stands in for one
// that fell on a Sunday (振替休日, Art. 3 para. 2): since 12 April 1973 the Monday
// behind it, since 2007 the first day behind it that is not celebrated itself.
func substitute(d Date) bool {
	if d.Before(Date{1973, time.April, 12}) {
		return false
	}
	if d.Year < 2007 {
		return d.Weekday() == time.Monday && celebrated(d.AddDays(-1)) != ""
	}
	for e := d.AddDays(-1); celebrated(e) != ""; e = e.AddDays(-1) {
		if e.Weekday() == time.Sunday {
			return true
		}
	}
	return false
}

// between reports whether d, which is neither celebrated nor a substitute, lies
// between two celebrated days (国民の休日, Art. 3 para. 3): since 27 December 1985, and
// until 2006 not on a Sunday.
func between(d Date) bool {
	if d.Before(Date{1985, time.December, 27}) || d.Year < 2007 && d.Weekday() == time.Sunday {
		return false
	}
	return celebrated(d.AddDays(-1)) != "" && celebrated(d.AddDays(1)) != ""
}

// The equinoxes follow the approximation of the Hydrographic Department of
// Japan (暦計算研究会編 新こよみ便利帳), which holds from 1900 to 2099. The divisions
// truncate towards zero, as the formula wants it.

func vernalEquinox(y int) int {
	if y < 1980 {
		return int(20.8357 + 0.242194*float64(y-1980) - float64((y-1983)/4))
	}
	return int(20.8431 + 0.242194*float64(y-1980) - float64((y-1980)/4))
}

func autumnalEquinox(y int) int {
	if y < 1980 {
		return int(23.2588 + 0.242194*float64(y-1980) - float64((y-1983)/4))
	}
	return int(23.2488 + 0.242194*float64(y-1980) - float64((y-1980)/4))
}
