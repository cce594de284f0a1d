package mailer

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// holidaysOf lists a year as "1/1 元日" and so on.
func holidaysOf(year int) []string {
	var days []string
	for d := (Date{year, time.January, 1}); d.Year == year; d = d.AddDays(1) {
		if name, ok := Holiday(d); ok {
			days = append(days, fmt.Sprintf("%d/%d %s", d.Month, d.Day, name))
		}
	}
	return days
}

func TestHolidaysOfKnownYears(t *testing.T) {
	for year, want := range map[int]string{
		1949: "1/1 元日, 1/15 成人の日, 3/21 春分の日, 4/29 天皇誕生日, 5/3 憲法記念日, 5/5 こどもの日, 9/23 秋分の日, 11/3 文化の日, 11/23 勤労感謝の日",
		1973: "1/1 元日, 1/15 成人の日, 2/11 建国記念の日, 3/21 春分の日, 4/29 天皇誕生日, 4/30 振替休日, 5/3 憲法記念日, 5/5 こどもの日, 9/15 敬老の日, 9/23 秋分の日, 9/24 振替休日, 10/10 体育の日, 11/3 文化の日, 11/23 勤労感謝の日",
		1989: "1/1 元日, 1/2 振替休日, 1/15 成人の日, 1/16 振替休日, 2/11 建国記念の日, 2/24 昭和天皇の大喪の礼, 3/21 春分の日, 4/29 みどりの日, 5/3 憲法記念日, 5/4 国民の休日, 5/5 こどもの日, 9/15 敬老の日, 9/23 秋分の日, 10/10 体育の日, 11/3 文化の日, 11/23 勤労感謝の日, 12/23 天皇誕生日",
		2009: "1/1 元日, 1/12 成人の日, 2/11 建国記念の日, 3/20 春分の日, 4/29 昭和の日, 5/3 憲法記念日, 5/4 みどりの日, 5/5 こどもの日, 5/6 振替休日, 7/20 海の日, 9/21 敬老の日, 9/22 国民の休日, 9/23 秋分の日, 10/12 体育の日, 11/3 文化の日, 11/23 勤労感謝の日, 12/23 天皇誕生日",
		2015: "1/1 元日, 1/12 成人の日, 2/11 建国記念の日, 3/21 春分の日, 4/29 昭和の日, 5/3 憲法記念日, 5/4 みどりの日, 5/5 こどもの日, 5/6 振替休日, 7/20 海の日, 9/21 敬老の日, 9/22 国民の休日, 9/23 秋分の日, 10/12 体育の日, 11/3 文化の日, 11/23 勤労感謝の日, 12/23 天皇誕生日",
		2019: "1/1 元日, 1/14 成人の日, 2/11 建国記念の日, 3/21 春分の日, 4/29 昭和の日, 4/30 国民の休日, 5/1 天皇の即位の日, 5/2 国民の休日, 5/3 憲法記念日, 5/4 みどりの日, 5/5 こどもの日, 5/6 振替休日, 7/15 海の日, 8/11 山の日, 8/12 振替休日, 9/16 敬老の日, 9/23 秋分の日, 10/14 体育の日, 10/22 即位礼正殿の儀の行われる日, 11/3 文化の日, 11/4 振替休日, 11/23 勤労感謝の日",
		2020: "1/1 元日, 1/13 成人の日, 2/11 建国記念の日, 2/23 天皇誕生日, 2/24 振替休日, 3/20 春分の日, 4/29 昭和の日, 5/3 憲法記念日, 5/4 みどりの日, 5/5 こどもの日, 5/6 振替休日, 7/23 海の日, 7/24 スポーツの日, 8/10 山の日, 9/21 敬老の日, 9/22 秋分の日, 11/3 文化の日, 11/23 勤労感謝の日",
		2021: "1/1 元日, 1/11 成人の日, 2/11 建国記念の日, 2/23 天皇誕生日, 3/20 春分の日, 4/29 昭和の日, 5/3 憲法記念日, 5/4 みどりの日, 5/5 こどもの日, 7/22 海の日, 7/23 スポーツの日, 8/8 山の日, 8/9 振替休日, 9/20 敬老の日, 9/23 秋分の日, 11/3 文化の日, 11/23 勤労感謝の日",
		2022: "1/1 元日, 1/10 成人の日, 2/11 建国記念の日, 2/23 天皇誕生日, 3/21 春分の日, 4/29 昭和の日, 5/3 憲法記念日, 5/4 みどりの日, 5/5 こどもの日, 7/18 海の日, 8/11 山の日, 9/19 敬老の日, 9/23 秋分の日, 10/10 スポーツの日, 11/3 文化の日, 11/23 勤労感謝の日",
		2024: "1/1 元日, 1/8 成人の日, 2/11 建国記念の日, 2/12 振替休日, 2/23 天皇誕生日, 3/20 春分の日, 4/29 昭和の日, 5/3 憲法記念日, 5/4 みどりの日, 5/5 こどもの日, 5/6 振替休日, 7/15 海の日, 8/11 山の日, 8/12 振替休日, 9/16 敬老の日, 9/22 秋分の日, 9/23 振替休日, 10/14 スポーツの日, 11/3 文化の日, 11/4 振替休日, 11/23 勤労感謝の日",
		2026: "1/1 元日, 1/12 成人の日, 2/11 建国記念の日, 2/23 天皇誕生日, 3/20 春分の日, 4/29 昭和の日, 5/3 憲法記念日, 5/4 みどりの日, 5/5 こどもの日, 5/6 振替休日, 7/20 海の日, 8/11 山の日, 9/21 敬老の日, 9/22 国民の休日, 9/23 秋分の日, 10/12 スポーツの日, 11/3 文化の日, 11/23 勤労感謝の日",
	} {
		if got := strings.Join(holidaysOf(year), ", "); got != want {
			t.Errorf("%d:\n got %s\nwant %s", year, got, want)
		}
	}
}

// Each year has the days that the Act names in its time, the days of special
// Acts, and nothing else but substitutes and days between.
func TestHolidayCounts(t *testing.T) {
	eras := []struct{ from, own int }{
		{1949, 9}, {1966, 11}, {1967, 12}, {1989, 13}, {1996, 14}, {2007, 15}, {2016, 16}, {2019, 15}, {2020, 16},
	}
	special := map[int]int{1959: 1, 1989: 1, 1990: 1, 1993: 1, 2019: 2}
	for year := firstHolidayYear; year <= lastHolidayYear; year++ {
		want := special[year]
		for i := len(eras) - 1; i >= 0; i-- {
			if year >= eras[i].from {
				want += eras[i].own
				break
			}
		}
		days := holidaysOf(year)
		got := 0
		for _, day := range days {
			if !strings.HasSuffix(day, "振替休日") && !strings.HasSuffix(day, "国民の休日") {
				got++
			}
		}
		if got != want {
			t.Errorf("%d: %d days of the Act, want %d: %s", year, got, want, strings.Join(days, ", "))
		}
	}
}

func TestHolidaySingleDays(t *testing.T) {
	for _, c := range []struct {
		day, name string
	}{
		{"1956-03-21", "春分の日"},
		{"1960-03-20", "春分の日"},
		{"1964-03-20", "春分の日"},
		{"1979-03-21", "春分の日"},
		{"1979-09-24", "秋分の日"},
		{"1979-09-23", ""},
		{"1959-04-10", "皇太子明仁親王の結婚の儀"},
		{"1966-02-11", ""},
		{"1967-02-11", "建国記念の日"},
		{"1972-09-25", ""},     // no substitutes yet
		{"1986-05-04", ""},     // a Sunday between two holidays, under the old rule
		{"1987-05-04", "振替休日"}, // Monday behind Sunday 3 May
		{"1988-05-04", "国民の休日"},
		{"1985-05-04", ""},
		{"1990-11-12", "即位礼正殿の儀"},
		{"1993-06-09", "皇太子徳仁親王の結婚の儀"},
		{"1999-01-15", "成人の日"},
		{"2000-01-10", "成人の日"},
		{"2000-01-15", ""},
		{"2002-07-20", "海の日"},
		{"2003-07-21", "海の日"},
		{"2003-07-20", ""},
		{"2006-04-29", "みどりの日"},
		{"2007-04-29", "昭和の日"},
		{"2007-04-30", "振替休日"},
		{"2008-05-06", "振替休日"},
		{"2003-05-06", ""}, // 4 May on a Sunday: under the old rule it is not celebrated
		{"2018-12-24", "振替休日"},
		{"2019-12-23", ""},
		{"2019-02-23", ""},
		{"2020-07-20", ""},
		{"2020-08-11", ""},
		{"2020-10-12", ""},
		{"2021-07-19", ""},
		{"2021-08-11", ""},
		{"2021-10-11", ""},
		{"2032-09-21", "国民の休日"},
		{"2033-03-20", "春分の日"},
		{"2044-09-22", "秋分の日"},
		{"2092-03-19", "春分の日"},
		{"2099-09-23", "秋分の日"},
		{"2099-11-23", "勤労感謝の日"},
		{"1948-11-03", ""},
		{"2100-01-01", ""},
	} {
		d, err := ParseDate(c.day)
		if err != nil {
			t.Fatal(err)
		}
		name, ok := Holiday(d)
		if name != c.name || ok != (c.name != "") {
			t.Errorf("Holiday(%s) = %q, %v, want %q", c.day, name, ok, c.name)
		}
	}
}

// No Sunday holiday goes without a substitute, and no run of the rules gives a
// year fewer holidays than the Act has.
func TestHolidayInvariants(t *testing.T) {
	for year := 1974; year <= lastHolidayYear; year++ {
		if n := len(holidaysOf(year)); n < 12 || n > 22 {
			t.Errorf("%d has %d holidays", year, n)
		}
		for d := (Date{year, time.January, 1}); d.Year == year; d = d.AddDays(1) {
			if celebrated(d) == "" || d.Weekday() != time.Sunday {
				continue
			}
			e := d.AddDays(1)
			for year >= 2007 && celebrated(e) != "" {
				e = e.AddDays(1)
			}
			if _, ok := Holiday(e); !ok {
				t.Errorf("%s falls on a Sunday and %s is a working day", d, e)
			}
		}
	}
}
