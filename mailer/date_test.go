package mailer

import (
	"encoding/json"
	"errors"
	"testing"
	"time"
)

func day(t testing.TB, s string) Date {
	t.Helper()
	d, err := ParseDate(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestParseDateRefuses(t *testing.T) {
	for _, s := range []string{"", "2021-1-4", "2021/10/14", "2021-02-29", "2021-13-01", "2021-10-14T00:00:00Z", "令和3年10月14日"} {
		if d, err := ParseDate(s); !errors.Is(err, ErrInvalid) {
			t.Errorf("ParseDate(%q) = %v, %v", s, d, err)
		}
	}
}

func TestDateOfIsJapanese(t *testing.T) {
	for in, want := range map[string]string{
		"2021-10-13T14:59:59Z":      "2021-10-13",
		"2021-10-13T15:00:00Z":      "2021-10-14",
		"2021-10-14T23:59:59+09:00": "2021-10-14",
		"2021-10-14T23:59:59-10:00": "2021-10-15",
	} {
		at, err := time.Parse(time.RFC3339, in)
		if err != nil {
			t.Fatal(err)
		}
		if got := DateOf(at).String(); got != want {
			t.Errorf("%s falls on %s, want %s", in, got, want)
		}
	}
}

func TestDateArithmetic(t *testing.T) {
	d := day(t, "2024-02-28")
	if got := d.AddDays(2).String(); got != "2024-03-01" {
		t.Errorf("two days on: %s", got)
	}
	if got := d.AddDays(-59).String(); got != "2023-12-31" {
		t.Errorf("59 days back: %s", got)
	}
	if !d.Before(d.AddDays(1)) || d.Before(d) || d.AddDays(1).Before(d) {
		t.Error("Before does not order days")
	}
	if d.Weekday() != time.Wednesday {
		t.Errorf("%s is a %s", d, d.Weekday())
	}
	if got := d.Time().UTC().Format(time.RFC3339); got != "2024-02-27T15:00:00Z" {
		t.Errorf("the day begins at %s", got)
	}
}

func TestDateText(t *testing.T) {
	type doc struct {
		On Date `json:"on"`
	}
	for text, want := range map[string]doc{`{"on":"2021-10-14"}`: {Date{2021, 10, 14}}, `{"on":""}`: {}} {
		got := doc{Date{1, 1, 1}}
		if err := json.Unmarshal([]byte(text), &got); err != nil || got != want {
			t.Errorf("%s reads %v, %v", text, got, err)
		}
		if b, err := json.Marshal(want); err != nil || string(b) != text {
			t.Errorf("%v writes %s, %v", want, b, err)
		}
	}
	var d Date
	if err := d.UnmarshalText([]byte("yesterday")); !errors.Is(err, ErrInvalid) || !d.IsZero() {
		t.Errorf("yesterday reads %v, %v", d, err)
	}
}
