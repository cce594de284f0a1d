package mailer

import (
	"errors"
	"slices"
	"strings"
)

// Merchant is who a notice comes from. It is read from merchants/ID.toml.
type Merchant struct {
	ID   string `toml:"id" json:"id"`
	Name string `toml:"name" json:"name"` // 一般社団法人みなと住宅支援協会
	// Short is the name that subjects use; empty takes Name without its legal
	// form (株式会社, 一般社団法人 …).
	Short string `toml:"short" json:"short,omitempty"`
	// SelfName is how the sender calls itself: 弊社, 当社, 弊協会, 当協会.
	SelfName string `toml:"self_name" json:"self_name"`
	// Reader is how the sender calls its people: お客さま, 寄付者の皆さま.
	Reader string `toml:"reader" json:"reader"`
	// Service is the service that the reader used, as the reader knows it.
	Service string `toml:"service" json:"service"`
	// Entrusts is what the sender entrusts to the operator, as the reader knows
	// it (クレジットカード決済); empty: 決済業務. Unused where the sender is the operator.
	Entrusts string `toml:"entrusts" json:"entrusts,omitempty"`
	// Operator is true where the sender runs the breached system itself.
	Operator bool `toml:"operator" json:"operator,omitempty"`

	// From is the address that the reader sees; ReplyTo may be empty.
	From    string `toml:"from" json:"from"`
	ReplyTo string `toml:"reply_to" json:"reply_to,omitempty"`
	// FromName is the display name; empty uses Name.
	FromName string `toml:"from_name" json:"from_name,omitempty"`
	// BounceDomain is the domain of envelope senders; empty uses that of From.
	BounceDomain string `toml:"bounce_domain" json:"bounce_domain,omitempty"`

	// DateStyle is western (2021年10月14日), era (令和3年10月14日) or slash (2021/10/14).
	DateStyle DateStyle `toml:"date_style" json:"date_style"`
	// Charset is utf-8 (default) or iso-2022-jp.
	Charset Charset `toml:"charset" json:"charset,omitempty"`
	// Desk is the sender's own desk; without a phone the incident's desk is the only one.
	Desk Desk `toml:"desk" json:"desk"`
	// Address is the postal address for the signature block.
	PostalAddress string `toml:"postal_address" json:"postal_address,omitempty"`
	// Website is the sender's own page about the matter.
	Website string `toml:"website" json:"website,omitempty"`

	// Declared maps an exposure to the number of this merchant's people in it,
	// as the operator declared it; the check compares it with the list.
	Declared map[string]int64 `toml:"declared" json:"declared,omitempty"`

	// Window and PerHour are the defaults of this merchant's campaigns, which share
	// the pace.
	Window  WindowSpec `toml:"window" json:"window"`
	PerHour int        `toml:"per_hour" json:"per_hour,omitempty"` // messages an hour; 0 is no limit
	// PerSecond limits all of this merchant's campaigns together, beside PerHour.
	PerSecond int `toml:"per_second" json:"per_second,omitempty"` // messages a second; 0 is no limit

	// Parts replaces single parts of the notice: part name to text/template source.
	Parts map[string]string `toml:"parts" json:"parts,omitempty"`

	DKIM DKIM `toml:"dkim" json:"dkim"`
}

// DKIM says how a merchant's mail is signed; an empty Selector signs nothing.
type DKIM struct {
	Domain   string `toml:"domain" json:"domain,omitempty"`
	Selector string `toml:"selector" json:"selector,omitempty"`
	// KeyFile is a PEM file (PKCS #1 or #8; RSA or Ed25519), relative to the config file.
	KeyFile string `toml:"key_file" json:"key_file,omitempty"`
}

// WindowSpec is a sending window as people write it.
type WindowSpec struct {
	// Hours is always, or HH:MM-HH:MM in Asia/Tokyo; empty is DefaultHours.
	Hours string `toml:"hours" json:"hours,omitempty"`
	// Days is every-day (default) or weekdays (not Saturdays, Sundays or Japanese holidays).
	Days Days `toml:"days" json:"days,omitempty"`
}

// legalForms are the forms of organisations that a name begins or ends with.
var legalForms = []string{
	"株式会社", "有限会社", "合同会社", "合名会社", "合資会社",
	"一般社団法人", "一般財団法人", "公益社団法人", "公益財団法人", "特定非営利活動法人",
	"独立行政法人", "国立大学法人", "学校法人", "医療法人", "社会福祉法人", "宗教法人",
}

// ShortName is the name that subjects use.
func (m *Merchant) ShortName() string {
	if m.Short != "" {
		return m.Short
	}
	name := m.Name
	for _, form := range legalForms {
		name = strings.TrimPrefix(name, form)
		name = strings.TrimSuffix(name, form)
	}
	return strings.TrimSpace(name)
}

// Validate says what makes the facts unusable whatever is sent. What a notice
// of some stage lacks is for the checker of templates to say.
//
// Each error, all joined, is an *Error whose argument key is the key in the facts'
// file.
func (m *Merchant) Validate() error {
	var errs []error
	bad := func(err error) { errs = append(errs, err) }
	if !ValidID(m.ID) {
		bad(Invalid("facts.id", "key", "id", "id", m.ID))
	}
	if strings.TrimSpace(m.Name) == "" {
		bad(Invalid("facts.missing", "key", "name"))
	}
	errs = append(errs, m.validateAddresses()...)
	if !slices.Contains([]DateStyle{"", Western, Era, Slash}, m.DateStyle) {
		bad(Invalid("merchant.date-style", "key", "date_style", "style", m.DateStyle))
	}
	if !slices.Contains([]Charset{"", CharsetUTF8, CharsetISO2022JP}, m.Charset) {
		bad(Invalid("merchant.charset", "key", "charset", "charset", m.Charset))
	}
	if err := m.Desk.validate("desk", true); err != nil {
		bad(err)
	}
	for id, n := range m.Declared {
		if n < 0 {
			bad(Invalid("merchant.declared", "key", "declared."+id))
		}
	}
	if m.PerSecond < 0 || m.PerSecond > MaxPerSecond {
		bad(Invalid("merchant.rate", "key", "per_second", "most", MaxPerSecond))
	}
	if !ValidPerHour(m.PerHour) {
		bad(Invalid("merchant.rate", "key", "per_hour", "most", MaxPerHour))
	}
	if _, err := ParseWindow(m.Window); err != nil {
		bad(err)
	}
	if err := checkTexts(*m); err != nil {
		bad(err)
	}
	return errors.Join(errs...)
}

// maxOwnDomain is the longest domain that envelope senders and Message-IDs are built
// on: before it come 29 octets, and both end at 254 (RFC 5321 section 4.5.3.1.3).
const maxOwnDomain = 220

// validateAddresses checks all that stands in a header field or an envelope.
func (m *Merchant) validateAddresses() (errs []error) {
	bad := func(key string, err error) {
		errs = append(errs, Invalid("merchant.address", "key", key, "cause", err))
	}
	from, err := ParseAddress(m.From)
	if err == nil && len(from.Domain) > maxOwnDomain {
		err = Invalid("address.domain-long", "max", maxOwnDomain)
	}
	if err != nil {
		bad("from", err)
	}
	if m.ReplyTo != "" {
		if _, err := ParseAddress(m.ReplyTo); err != nil {
			bad("reply_to", err)
		}
	}
	if m.BounceDomain != "" {
		err := CheckDomain(m.BounceDomain)
		if err == nil && len(m.BounceDomain) > maxOwnDomain {
			err = Invalid("address.domain-long", "max", maxOwnDomain)
		}
		if err != nil {
			bad("bounce_domain", err)
		}
	}
	if d := &m.DKIM; d.Selector != "" || d.Domain != "" {
		if err := CheckDomain(d.Domain); err != nil {
			bad("dkim.domain", err)
		}
		if d.Selector != "" && !validSelector(d.Selector) {
			errs = append(errs, Invalid("merchant.selector", "key", "dkim.selector", "selector", d.Selector))
		}
	}
	return errs
}

// validSelector reports whether s may stand before ._domainkey (RFC 6376 section
// 3.1). An underscore is taken beside what the RFC allows: name servers do, and some
// senders have one.
func validSelector(s string) bool {
	if len(s) > maxLabel {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			if c := label[i]; c != '-' && c != '_' && !isAlnum(c) {
				return false
			}
		}
	}
	return true
}
