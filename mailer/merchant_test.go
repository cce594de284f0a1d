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
		code   Code
		key    string
	}{
		"id":                {func(m *Merchant) { m.ID = "住宅" }, "facts.id", "id"},
		"name":              {func(m *Merchant) { m.Name = "" }, "facts.missing", "name"},
		"from":              {func(m *Merchant) { m.From = "nobody" }, "merchant.address", "from"},
		"reply-to":          {func(m *Merchant) { m.ReplyTo = "nobody" }, "merchant.address", "reply_to"},
		"header break":      {func(m *Merchant) { m.FromName = "協会\r\nBcc: a@b.example" }, "text.line-break", "from_name"},
		"escape sequence":   {func(m *Merchant) { m.Name = "協会\x1b[2J" }, "text.hidden", "name"},
		"direction":         {func(m *Merchant) { m.Short = "協会\u202e" }, "text.hidden", "short"},
		"no width":          {func(m *Merchant) { m.Desk.Name = "窓\u200b口" }, "text.hidden", "desk.name"},
		"tag":               {func(m *Merchant) { m.Service = "講座\U000e0041" }, "text.hidden", "service"},
		"hangul filler":     {func(m *Merchant) { m.SelfName = "弊\u3164社" }, "text.hidden", "self_name"},
		"hidden exposure":   {func(m *Merchant) { m.Declared = map[string]int64{"A\u200d": 1} }, "text.hidden", "declared"},
		"escape in a part":  {func(m *Merchant) { m.Parts = map[string]string{"closing": "a\n\x1bb"} }, "text.hidden", "parts.closing"},
		"not UTF-8":         {func(m *Merchant) { m.Name = "\xff" }, "text.utf8", "name"},
		"desk's address":    {func(m *Merchant) { m.Desk.Email = "a@b.example, c@d.example" }, "desk.email", "desk.email"},
		"underscore":        {func(m *Merchant) { m.BounceDomain = "b_1.example" }, "merchant.address", "bounce_domain"},
		"trailing dot":      {func(m *Merchant) { m.BounceDomain = "b.example." }, "merchant.address", "bounce_domain"},
		"international":     {func(m *Merchant) { m.BounceDomain = "例え.example" }, "merchant.address", "bounce_domain"},
		"full-width dot":    {func(m *Merchant) { m.BounceDomain = "b．example" }, "merchant.address", "bounce_domain"},
		"long label":        {func(m *Merchant) { m.BounceDomain = strings.Repeat("b", 64) + ".example" }, "merchant.address", "bounce_domain"},
		"empty label":       {func(m *Merchant) { m.BounceDomain = "b..example" }, "merchant.address", "bounce_domain"},
		"digits":            {func(m *Merchant) { m.BounceDomain = "192.0.2.1" }, "merchant.address", "bounce_domain"},
		"one label":         {func(m *Merchant) { m.BounceDomain = "localhost" }, "merchant.address", "bounce_domain"},
		"a port":            {func(m *Merchant) { m.BounceDomain = "b.example:25" }, "merchant.address", "bounce_domain"},
		"no room":           {func(m *Merchant) { m.BounceDomain = strings.Repeat("b.", 111) + "example" }, "merchant.address", "bounce_domain"},
		"from without room": {func(m *Merchant) { m.From = "a@" + strings.Repeat("b.", 111) + "example" }, "merchant.address", "from"},
		"DKIM domain":       {func(m *Merchant) { m.DKIM = DKIM{Domain: "a_b.example", Selector: "s"} }, "merchant.address", "dkim.domain"},
		"no DKIM domain":    {func(m *Merchant) { m.DKIM = DKIM{Selector: "s"} }, "merchant.address", "dkim.domain"},
		"DKIM selector":     {func(m *Merchant) { m.DKIM = DKIM{Domain: "a.example", Selector: "s; t=y"} }, "merchant.selector", "dkim.selector"},
		"date style":        {func(m *Merchant) { m.DateStyle = "roman" }, "merchant.date-style", "date_style"},
		"charset":           {func(m *Merchant) { m.Charset = "shift_jis" }, "merchant.charset", "charset"},
		"desk":              {func(m *Merchant) { m.Desk.Days = "never" }, "desk.days", "desk.days"},
		"declared":          {func(m *Merchant) { m.Declared = map[string]int64{"A": -1} }, "merchant.declared", "declared.A"},
		"pace":              {func(m *Merchant) { m.PerHour = -1 }, "merchant.rate", "per_hour"},
		"speed":             {func(m *Merchant) { m.PerSecond = -1 }, "merchant.rate", "per_second"},
		"window":            {func(m *Merchant) { m.Window.Hours = "22:00-06:00" }, "window.order", "window.hours"},
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
