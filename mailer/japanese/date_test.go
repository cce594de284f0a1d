package japanese

import (
	"slices"
	"testing"
	"time"
)

func TestDayFormat(t *testing.T) {
	for _, c := range []struct {
		day                 Day
		western, era, slash string
	}{
		{Day{2021, 10, 14}, "2021年10月14日", "令和3年10月14日", "2021/10/14"},
		{Day{2022, 1, 5}, "2022年1月5日", "令和4年1月5日", "2022/01/05"},
		{Day{2019, 5, 1}, "2019年5月1日", "令和元年5月1日", "2019/05/01"},
		{Day{2019, 12, 31}, "2019年12月31日", "令和元年12月31日", "2019/12/31"},
		{Day{2019, 4, 30}, "2019年4月30日", "平成31年4月30日", "2019/04/30"},
		{Day{1989, 1, 8}, "1989年1月8日", "平成元年1月8日", "1989/01/08"},
		{Day{1989, 1, 7}, "1989年1月7日", "昭和64年1月7日", "1989/01/07"},
		{Day{1926, 12, 25}, "1926年12月25日", "昭和元年12月25日", "1926/12/25"},
		{Day{1926, 12, 24}, "1926年12月24日", "大正15年12月24日", "1926/12/24"},
		{Day{1912, 7, 29}, "1912年7月29日", "明治45年7月29日", "1912/07/29"},
		{Day{1860, 1, 1}, "1860年1月1日", "1860年1月1日", "1860/01/01"},
	} {
		for style, want := range map[DateStyle]string{DateWestern: c.western, DateEra: c.era, DateSlash: c.slash} {
			got := c.day.Format(style)
			if got != want {
				t.Errorf("%v in style %d: %s, want %s", c.day, style, got, want)
			}
			if got == c.western {
				style = DateWestern // before the first era
			}
			// What is written is read again.
			if found := FindDates("以降の" + got + "に"); !slices.Equal(found, []WrittenDate{{c.day, style, got}}) {
				t.Errorf("%s read as %v", got, found)
			}
		}
	}
}

func TestFindDates(t *testing.T) {
	got := FindDates("令和元年5月から2021年13月99日、2021-10-14、1/2")
	want := []WrittenDate{
		{Day{2019, time.May, 0}, DateEra, "令和元年5月"},
		{Day{2021, 13, 99}, DateWestern, "2021年13月99日"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}
