package mailer

import (
	"errors"
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
		code   Code
		key    string
	}{
		"id":         {func(m *Merchant) { m.ID = "住宅" }, "facts.id", "id"},
		"name":       {func(m *Merchant) { m.Name = "" }, "facts.missing", "name"},
		"from":       {func(m *Merchant) { m.From = "nobody" }, "merchant.address", "from"},
		"reply-to":   {func(m *Merchant) { m.ReplyTo = "nobody" }, "merchant.address", "reply_to"},
		"date style": {func(m *Merchant) { m.DateStyle = "roman" }, "merchant.date-style", "date_style"},
		"charset":    {func(m *Merchant) { m.Charset = "shift_jis" }, "merchant.charset", "charset"},
		"desk":       {func(m *Merchant) { m.Desk.Days = "never" }, "desk.days", "desk.days"},
		"declared":   {func(m *Merchant) { m.Declared = map[string]int64{"A": -1} }, "merchant.declared", "declared.A"},
		"pace":       {func(m *Merchant) { m.PerHour = -1 }, "merchant.rate", "per_hour"},
		"speed":      {func(m *Merchant) { m.PerSecond = -1 }, "merchant.rate", "per_second"},
		"window":     {func(m *Merchant) { m.Window.Hours = "22:00-06:00" }, "window.order", "window.hours"},
	} {
		t.Run(name, func(t *testing.T) {
			m := valid()
			tt.change(&m)
			err := m.Validate()
			if e, ok := errors.AsType[*Error](err); !ok || !errors.Is(err, ErrInvalid) || e.Code != tt.code || e.Arg("key") != tt.key {
				t.Errorf("got %v, want %s at %s", err, tt.code, tt.key)
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
