package envelope

import (
	"errors"
	"strings"
	"testing"
	"time"

	"oshirase/mailer"
)

func merchant() mailer.Merchant {
	return mailer.Merchant{ID: "shop", Name: "株式会社あおば古着店", From: "info@shop.example", ReplyTo: "desk@shop.example", BounceDomain: "bounce.shop.example"}
}

// TestTokenStandsInNoHeader: who is shown a message, or gets it forwarded, must not learn
// the address to which its returned mail goes.
func TestTokenStandsInNoHeader(t *testing.T) {
	m := merchant()
	e, err := New(&m)
	if err != nil {
		t.Fatal(err)
	}
	to, err := mailer.ParseAddress("taro@mail.example")
	if err != nil {
		t.Fatal(err)
	}
	d := mailer.Delivery{Token: "aaaaaaaaaaaaaaaaaaaaaaaaaa", MessageName: "bbbbbbbbbbbbbbbbbbbbbbbbbb"}
	h := e.Header(to, &mailer.Notice{Subject: "x"}, d.MessageName, time.Unix(0, 0))
	for _, value := range []string{h.From, h.FromName, h.ReplyTo, h.To, h.Subject, h.MessageID} {
		if strings.Contains(value, d.Token) {
			t.Errorf("the token stands in %q", value)
		}
	}
	if h.MessageID != d.MessageName+"@shop.example" || e.Sender(d.Token) != "b-"+d.Token+"@bounce.shop.example" {
		t.Errorf("Message-ID %s, sender %s", h.MessageID, e.Sender(d.Token))
	}
}

// TestUnusableSender: what no message can bear is found before one is made, in facts
// that an older ledger holds too.
func TestUnusableSender(t *testing.T) {
	for name, change := range map[string]func(*mailer.Merchant){
		"underscore":    func(m *mailer.Merchant) { m.BounceDomain = "b_1.example" },
		"trailing dot":  func(m *mailer.Merchant) { m.BounceDomain = "b.example." },
		"international": func(m *mailer.Merchant) { m.BounceDomain = "例え.example" },
		"from":          func(m *mailer.Merchant) { m.From = "info@b_1.example" },
		"line break":    func(m *mailer.Merchant) { m.FromName = "a\r\nBcc: b@c.example" },
		"its own name":  func(m *mailer.Merchant) { m.Name = "a\r\nBcc: b@c.example" },
		"direction":     func(m *mailer.Merchant) { m.FromName = "a\u202e" },
	} {
		m := merchant()
		change(&m)
		if _, err := New(&m); !errors.Is(err, mailer.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
