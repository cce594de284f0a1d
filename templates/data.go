package templates

import (
	"slices"
	"strings"

	"oshirase/mailer"
	"oshirase/mailer/japanese"
)

// Data is what a part sees. Its fields and methods are documented in
// docs/templates.md.
type Data struct {
	*base
	person
}

// person gives access to what is the reader's own. A part that asks for any of
// it is rendered for each reader.
type person struct {
	r     *mailer.Recipient
	asked bool
}

// Name is the reader's name without blanks around it; empty where none is held, or
// what is held is no name.
func (p *person) Name() string { p.asked = true; return nameOf(p.r) }

// Ref is the reader's reference number.
func (p *person) Ref() string { p.asked = true; return p.r.Ref }

// CustomerID is the sender's number of the reader; it may be empty.
func (p *person) CustomerID() string { p.asked = true; return p.r.CustomerID }

// Attributes are the further columns of the list.
func (p *person) Attributes() map[string]string {
	p.asked = true
	if p.r.Attributes == nil {
		return map[string]string{}
	}
	return p.r.Attributes
}

// String keeps a stray {{.}} from printing the insides of a notice.
func (d *Data) String() string { return "<no value>" }

// base is what a part sees besides the person.
type base struct {
	Incident    *mailer.Incident
	Merchant    *mailer.Merchant
	Stage       mailer.Stage
	NoticeOn    string
	Published   string             // day of the publication; empty before it
	Authorities []mailer.Authority // told by the day of the notice

	Self     string // 弊社
	Reader   string // お客さま
	Sender   string // full name
	Short    string // name for the subject
	Service  string // that the reader used, in 「」; the sender's name where none is given
	Entrusts string // クレジットカード決済
	Operator string // full name of the operator, with （以下…） where it has a short name
	Op       string // how the operator is called after that: 弊社 or its short name
	Ops      string // sender and operator: 弊協会およびひかり決済, or 弊社 alone
	Event    string // 不正アクセス
	// Direct: the sender runs the breached system. ToMerchants: it writes to merchants.
	Direct, ToMerchants bool

	Exposures, Possible, Confirmed []exposure
	// Others are the groups of people that a notice to merchants tells of.
	Others []exposure

	Card, CardCode             bool
	CardSince                  string // start of the reader's earliest card exposure
	cardSince                  mailer.Date
	Password, LoginID          bool
	Email, Phone, Address      bool
	Contact, Bank, MerchantIDs bool
	// ContactSure: a way to reach the reader is among what leaked for certain.
	ContactSure bool

	Warned   string // day of the first warning that the reader got; empty: none
	LastTold string // day of the last notice that the reader got; empty: none

	Kind        mailer.CorrectionKind // correction kind; empty but for corrections
	CorrectedOn string                // day of the last notice before, as the ledger has it; empty where there is none
	Corrections []mailer.Correction
	Questions   []mailer.Addition
	News        []mailer.Addition
	Desks       []desk
}

// exposure is one exposure of the reader, in words.
type exposure struct {
	ID, Data, Used, Period string
	Items, MaybeAlso       string
	Confirmed              bool
	Count                  string // 全体で最大460,395件（うち弊協会分は最大5,283件）; empty where not declared
}

// desk is somebody to call, in words.
type desk struct {
	Name, Phone, Toll, Hours, Email, Answers string
}

// newBase works out what is the same for all readers of a snapshot.
func newBase(snap *mailer.Snapshot) *base {
	in, m := &snap.Incident, &snap.Merchant
	b := &base{
		Incident: in, Merchant: m, Stage: snap.Stage,
		Self: or(m.SelfName, "弊社"), Reader: or(m.Reader, "お客さま"),
		Sender: m.Name, Short: m.ShortName(), Service: "「" + or(m.Service, m.Name) + "」",
		Entrusts: or(m.Entrusts, "決済業務"), Direct: m.Operator,
	}
	b.NoticeOn = b.Date(snap.NoticeOn)
	if on := in.Publication.On; !on.IsZero() && !snap.NoticeOn.Before(on) {
		b.Published = b.Date(on)
	}
	for _, a := range in.Authorities {
		if !snap.NoticeOn.Before(a.On) {
			b.Authorities = append(b.Authorities, a)
		}
	}
	b.Operator = in.Operator.Name
	b.Op = or(in.Operator.Short, in.Operator.Name)
	if b.Op != in.Operator.Name {
		b.Operator += "（以下「" + b.Op + "」といいます。）"
	}
	b.Ops = b.Self + "および" + b.Op
	if b.Direct {
		b.Op, b.Ops = b.Self, b.Self
	}
	b.Event = "情報漏えい事案"
	if before, _, ok := strings.Cut(in.Title, "による"); ok {
		b.Event = before
	}
	return b
}

// words are the names that no line break may part.
func (b *base) words() []string {
	words := []string{
		b.Incident.Operator.Name, b.Incident.Operator.Short, b.Incident.Passphrase, b.Incident.System,
		b.Merchant.Name, b.Merchant.Service, b.Short, b.Self, b.Reader, b.Event,
	}
	for _, d := range b.Incident.Desks {
		words = append(words, d.Name)
	}
	for i := range mailerItems {
		words = append(words, mailerItems[i].Japanese())
	}
	kept := words[:0]
	for _, w := range words {
		if w != "" && japanese.Width(w) <= columns/2 {
			kept = append(kept, w)
		}
	}
	return kept
}

// mailerItems are the items whose words stay whole.
var mailerItems = []mailer.Item{
	mailer.ItemCardNumber, mailer.ItemCardExpiry, mailer.ItemCardCode, mailer.ItemCardHolder, mailer.ItemEmail,
	mailer.ItemName, mailer.ItemPhone, mailer.ItemPostalCode, mailer.ItemBirthDate, mailer.ItemLoginID,
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// of adds what follows from a recipient's exposures and what was told before.
func (b *base) of(r *mailer.Recipient) (*base, error) {
	c := *b
	in := b.Incident
	if b.Stage == mailer.StageCorrection {
		var err error
		if c.Kind, err = correctionKind(in, r); err != nil {
			return nil, err
		}
		c.correct(r)
	}
	for _, id := range r.Exposures {
		if _, ok := in.Exposure(id); !ok {
			return nil, mailer.NewError(errFacts, "templates.exposure", "incident", in.ID, "exposure", id)
		}
	}
	c.ToMerchants = b.Direct && len(r.Exposures) > 0
	mine := make(map[string]bool, len(r.Exposures))
	for _, id := range r.Exposures {
		e, _ := in.Exposure(id)
		mine[id] = true
		c.ToMerchants = c.ToMerchants && e.Merchants()
	}
	for i := range in.Exposures {
		e := &in.Exposures[i]
		words := c.describe(e)
		switch {
		case !mine[e.ID]:
			if c.ToMerchants && !e.Merchants() {
				c.Others = append(c.Others, words)
			}
			continue
		case words.Confirmed:
			c.Confirmed = append(c.Confirmed, words)
		default:
			c.Possible = append(c.Possible, words)
		}
		c.Exposures = append(c.Exposures, words)
		c.leaked(e)
	}
	if len(c.Exposures) == 0 && c.Kind != mailer.CorrectionRemoved && c.Kind != mailer.CorrectionMisdirected {
		return nil, mailer.NewError(errFacts, "templates.no-exposure")
	}
	if c.ToMerchants {
		c.Reader = "加盟店さま"
	}
	c.CardSince = c.Date(c.cardSince)
	c.Contact = c.Email || c.Phone || c.Address
	c.told(r)
	c.Desks = c.desks()
	return &c, nil
}

// leaked notes what advice an exposure leads to.
func (b *base) leaked(e *mailer.Exposure) {
	for _, i := range e.Items {
		b.ContactSure = b.ContactSure || i.Contact() && e.Certainty == mailer.CertaintyConfirmed
	}
	for _, i := range slices.Concat(e.Items, e.MaybeAlso) {
		switch i {
		case mailer.ItemCardNumber:
			b.Card = true
			if !e.From.IsZero() && (b.cardSince.IsZero() || e.From.Before(b.cardSince)) {
				b.cardSince = e.From
			}
		case mailer.ItemCardCode:
			b.CardCode = true
		case mailer.ItemPassword:
			b.Password = true
		case mailer.ItemLoginID:
			b.LoginID = true
		case mailer.ItemEmail:
			b.Email = true
		case mailer.ItemPhone:
			b.Phone = true
		case mailer.ItemAddress:
			b.Address = true
		case mailer.ItemBankAccount:
			b.Bank = true
		case mailer.ItemMerchantName, mailer.ItemMerchantCode:
			b.MerchantIDs = true
		}
	}
}

// told works out what the notice may refer to.
func (b *base) told(r *mailer.Recipient) {
	var lastFollowUp mailer.Date
	for _, t := range r.Told {
		b.LastTold = b.Date(t.On)
		switch t.Stage {
		case mailer.StageFirstWarning:
			b.Warned = b.Date(t.On)
		case mailer.StageFollowUp:
			lastFollowUp = t.On
		}
	}
	var all, fresh []mailer.Addition
	for _, a := range b.Incident.Additions {
		if !b.Card && !b.ToMerchants && strings.Contains(a.Question+a.Text, "カード") {
			continue // of no concern to this reader
		}
		if a.On.IsZero() || lastFollowUp.IsZero() || lastFollowUp.Before(a.On) {
			fresh = append(fresh, a)
		}
		all = append(all, a)
	}
	if len(fresh) == 0 {
		fresh = all
	}
	for _, a := range fresh {
		if a.Question != "" {
			b.Questions = append(b.Questions, a)
		} else {
			b.News = append(b.News, a)
		}
	}
}

// correct picks the corrections of the reader's kind.
func (b *base) correct(r *mailer.Recipient) {
	for _, t := range r.Told {
		if t.Stage != mailer.StageCorrection {
			b.CorrectedOn = b.Date(t.On)
		}
	}
	for _, c := range b.Incident.Corrections {
		if c.Kind == b.Kind {
			b.Corrections = append(b.Corrections, c)
		}
	}
}

// desks are those that a reader may call: the operator's for the audience, and
// the sender's own.
func (b *base) desks() []desk {
	audience := mailer.AudienceCustomers
	if b.ToMerchants {
		audience = mailer.AudienceMerchants
	}
	var all []desk
	if d, ok := b.Incident.Desk(audience); ok {
		all = append(all, deskWords(&d))
	}
	if own := &b.Merchant.Desk; own.Phone != "" && !b.ToMerchants {
		d := deskWords(own)
		if d.Name == "" {
			d.Name = b.Sender
		}
		if len(all) == 0 || all[0].Phone != d.Phone {
			all = append(all, d)
		}
	}
	return all
}
