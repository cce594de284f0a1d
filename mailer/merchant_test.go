package mailer

import (
	"errors"
	"strings"
	"testing"
)

func TestMerchantValidate(t *testing.T) {
	valid := func() Merchant {
		return Merchant{ID: "housing", Name: "一般社団法人みなと住宅支援協会", From: "info@minato-jutaku.example", DateStyle: Slash}
	}
	m := valid()
	if err := m.Validate(); err != nil {
		t.Fatalf("a valid merchant: %v", err)
	}
	for name, tt := range map[string]struct {
		change func(*Merchant)
		want   string
	}{
		"id":         {func(m *Merchant) { m.ID = "住宅" }, "id"},
		"name":       {func(m *Merchant) { m.Name = "" }, "name"},
		"from":       {func(m *Merchant) { m.From = "nobody" }, "from"},
		"reply-to":   {func(m *Merchant) { m.ReplyTo = "nobody" }, "reply_to"},
		"date style": {func(m *Merchant) { m.DateStyle = "roman" }, "date_style"},
		"charset":    {func(m *Merchant) { m.Charset = "shift_jis" }, "charset"},
		"desk":       {func(m *Merchant) { m.Desk.Days = "never" }, "desk.days"},
		"declared":   {func(m *Merchant) { m.Declared = map[string]int64{"A": -1} }, "declared.A"},
		"pace":       {func(m *Merchant) { m.PerHour = -1 }, "per_hour"},
		"speed":      {func(m *Merchant) { m.PerSecond = -1 }, "per_second"},
		"window":     {func(m *Merchant) { m.Window.Hours = "22:00-06:00" }, "window"},
	} {
		t.Run(name, func(t *testing.T) {
			m := valid()
			tt.change(&m)
			err := m.Validate()
			if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want ErrInvalid with %q", err, tt.want)
			}
		})
	}
}

func TestShortName(t *testing.T) {
	for _, tt := range []struct{ name, short, want string }{
		{"一般社団法人みなと住宅支援協会", "", "みなと住宅支援協会"},
		{"株式会社ひかり決済", "", "ひかり決済"},
		{"ひかり決済株式会社", "", "ひかり決済"},
		{"ともしび基金", "", "ともしび基金"},
		{"株式会社ひかり決済", "ひかり", "ひかり"},
	} {
		if got := (&Merchant{Name: tt.name, Short: tt.short}).ShortName(); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
