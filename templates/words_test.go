package templates

import (
	"testing"

	"oshirase/mailer"
)

func TestProse(t *testing.T) {
	const s = "2021-08-02から2022年1月25日まで、株式会社ひかり決済の「ひかり決済ページ」が改ざんされ、ひかり決済は2022年4月に報告します。2019年5月1日"
	for _, tt := range []struct {
		sender mailer.Merchant
		want   string
	}{
		{sports(), "2021年8月2日から2022年1月25日まで、株式会社ひかり決済の「ひかり決済ページ」が改ざんされ、ひかり決済は2022年4月に報告します。2019年5月1日"},
		{housing(), "2021/08/02から2022/01/25まで、株式会社ひかり決済の「ひかり決済ページ」が改ざんされ、ひかり決済は2022年4月に報告します。2019/05/01"},
		{donation(), "令和3年8月2日から令和4年1月25日まで、株式会社ひかり決済の「ひかり決済ページ」が改ざんされ、ひかり決済は令和4年4月に報告します。令和元年5月1日"},
		{processor(), "2021年8月2日から2022年1月25日まで、弊社の「ひかり決済ページ」が改ざんされ、弊社は2022年4月に報告します。2019年5月1日"},
	} {
		b := newBase(snapshot(payIncident(), tt.sender, mailer.StageFormal, "2022-02-28"))
		if got := b.Prose(s); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.sender.ID, got, tt.want)
		}
	}
}

func TestDeskHours(t *testing.T) {
	for _, tt := range []struct {
		hours string
		days  mailer.Days
		want  string
	}{
		{"9:00-21:00", "every-day", "9:00～21:00（土日祝日も受付）"},
		{"9:30 - 17:30", "weekdays", "平日9:30～17:30（土日祝日を除く）"},
		{"10:00〜16:00", "weekdays", "平日10:00～16:00（土日祝日を除く）"},
		{"", "weekdays", ""},
	} {
		if got := deskWords(&mailer.Desk{Hours: tt.hours, Days: tt.days}).Hours; got != tt.want {
			t.Errorf("%q %q: %q, want %q", tt.hours, tt.days, got, tt.want)
		}
	}
}

func TestCounts(t *testing.T) {
	for _, tt := range []struct {
		sender mailer.Merchant
		id     string
		want   string
	}{
		{donation(), "A", "全体で最大460,395件（うち当基金分は最大5,283件）"},
		{donation(), "B1", "全体で434件（うち当基金分は1件）"},
		{sports(), "B2", "全体で109件"},
		{processor(), "A", "最大460,395件"},
	} {
		in := payIncident()
		e, _ := in.Exposure(tt.id)
		if got := newBase(snapshot(in, tt.sender, mailer.StageFormal, "2022-02-28")).describe(&e).Count; got != tt.want {
			t.Errorf("%s %s: %s, want %s", tt.sender.ID, tt.id, got, tt.want)
		}
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 2415750: "2,415,750"} {
		if got := thousands(n); got != want {
			t.Errorf("thousands(%d) = %s", n, got)
		}
	}
}

// The sender's style is written, and an empty or unknown one is western.
func TestDateStyles(t *testing.T) {
	for style, want := range map[mailer.DateStyle]string{
		"": "2021年10月14日", mailer.Western: "2021年10月14日", mailer.Era: "令和3年10月14日", mailer.Slash: "2021/10/14", "other": "2021年10月14日",
	} {
		b := &base{Merchant: &mailer.Merchant{DateStyle: style}}
		if got := b.Date(day("2021-10-14")); got != want {
			t.Errorf("style %q: %s, want %s", style, got, want)
		}
		if got := b.Date(mailer.Date{}); got != "" {
			t.Errorf("no date is written %q", got)
		}
	}
}
