package mailer

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Incident is one breach: the facts that every notice about it is composed
// from. It is read from incidents/ID.toml; TOML keys are the tags below.
//
// Sentences speak of the operator by its name and never as 弊社 or 当社: they are
// used by every sender. Where the sender is the operator itself, its name
// outside 「」 is written as the sender's self-name. Dates in sentences are written
// in full (2021年10月14日 or 2021-10-14) and come out in the sender's style.
type Incident struct {
	ID string `toml:"id" json:"id"` // lower-case letters, digits and hyphens
	// Title names the matter in Japanese, as used in subjects and headings:
	// 不正アクセスによる個人情報漏えい.
	Title string `toml:"title" json:"title"`

	// Operator runs the system that was breached: the payment processor, or
	// the shop itself.
	Operator Organisation `toml:"operator" json:"operator"`
	// System is what was breached, as the reader knows it: クレジットカード決済システム.
	System string `toml:"system" json:"system"`

	// AttackFrom and AttackTo bound the intrusion; AttackTo is inclusive.
	AttackFrom Date `toml:"attack_from" json:"attack_from"`
	AttackTo   Date `toml:"attack_to" json:"attack_to"`
	// KnownOn is the day the operator learnt of it (day 1 of APPI Rule 8).
	KnownOn Date `toml:"known_on" json:"known_on"`

	// Outline is the merchant-neutral summary of what happened, one or more
	// sentences in です・ます. Causes and countermeasures stand in Causes.
	Outline string `toml:"outline" json:"outline"`
	// Causes lists each cause with what was done about it.
	Causes []Cause `toml:"causes" json:"causes"`
	// Harm says what secondary harm (二次被害) is known or feared.
	Harm Harm `toml:"harm" json:"harm"`

	// Passphrase is what a cardholder says to the card company, identical in
	// every notice of the incident; empty where no card data leaked.
	Passphrase string `toml:"passphrase" json:"passphrase,omitempty"`
	// ReissueFee says who bears the fee of reissuing a card, as a full
	// sentence; empty where no card data leaked.
	ReissueFee string `toml:"reissue_fee" json:"reissue_fee,omitempty"`
	// Monitoring says what is done to watch for misuse, as a full sentence.
	Monitoring string `toml:"monitoring" json:"monitoring,omitempty"`
	// Prevention lists what is done so that it does not happen again.
	Prevention []string `toml:"prevention" json:"prevention"`
	// Delay explains why the notice comes only now; empty leaves the part out.
	Delay string `toml:"delay" json:"delay,omitempty"`

	Timeline    []TimelineEntry `toml:"timeline" json:"timeline"`
	Authorities []Authority     `toml:"authorities" json:"authorities"`
	Publication Publication     `toml:"publication" json:"publication"`
	Desks       []Desk          `toml:"desks" json:"desks"`
	Exposures   []Exposure      `toml:"exposures" json:"exposures"`

	// Corrections are what correction notices set right, Additions what
	// follow-up notices add (answers to questions, newly known facts).
	Corrections []Correction `toml:"corrections" json:"corrections,omitempty"`
	Additions   []Addition   `toml:"additions" json:"additions,omitempty"`
}

// Organisation is a company or body as notices name it.
type Organisation struct {
	Name string `toml:"name" json:"name"` // 株式会社ひかり決済
	// Short is the name used after the first mention (以下「…」); empty repeats Name.
	Short string `toml:"short" json:"short,omitempty"`
	// Services are the operator's own services, for notices that it sends directly.
	Services []string `toml:"services" json:"services,omitempty"`
}

// Cause is one cause of the breach and the measure taken against it.
type Cause struct {
	Text    string `toml:"text" json:"text"`       // what was done or exploited, one noun phrase or sentence
	Measure string `toml:"measure" json:"measure"` // full sentence
	DoneOn  Date   `toml:"done_on" json:"done_on"` // zero: not dated
}

// Harm is the secondary harm (Rule 10 item 4).
type Harm struct {
	// Known is true where misuse is confirmed or suspected.
	Known bool   `toml:"known" json:"known"`
	Text  string `toml:"text" json:"text"` // full sentences
}

// TimelineEntry is one dated line of the course of events.
type TimelineEntry struct {
	On   Date   `toml:"on" json:"on"`
	Text string `toml:"text" json:"text"`
}

// Authority is a body that was told.
type Authority struct {
	Name string `toml:"name" json:"name"` // 個人情報保護委員会
	// Kind is what was done, in the word that notices use.
	Kind AuthorityKind `toml:"kind" json:"kind"`
	On   Date          `toml:"on" json:"on"` // zero: not dated
}

// AuthorityKind is how a body was told.
type AuthorityKind string

// The usual kinds; any other word is taken as it stands.
const (
	AuthorityReport AuthorityKind = "報告"   // a report that the law asks for
	AuthorityPolice AuthorityKind = "被害申告" // to the police, as a victim
	AuthorityShared AuthorityKind = "情報連携" // for their information
)

// Publication is where and when the matter was published on the web.
type Publication struct {
	On  Date   `toml:"on" json:"on"`
	URL string `toml:"url" json:"url"`
	// FormURL is the self-check or enquiry form; empty where there is none.
	FormURL string `toml:"form_url" json:"form_url,omitempty"`
}

// Desk is somebody to call.
type Desk struct {
	// Audience is customers, merchants or press.
	Audience Audience `toml:"audience" json:"audience"`
	Name     string   `toml:"name" json:"name"`
	Phone    string   `toml:"phone" json:"phone"` // hyphenated: 0120-000-000
	// FreeCall marks a number that costs the caller nothing.
	FreeCall bool   `toml:"free_call" json:"free_call,omitempty"`
	Email    string `toml:"email" json:"email,omitempty"`
	Hours    string `toml:"hours" json:"hours"` // 9:00-21:00
	// Days is every-day, weekdays (not Saturdays, Sundays or holidays).
	Days Days `toml:"days" json:"days"`
	// Answers says what the desk answers, each one noun phrase.
	Answers []string `toml:"answers" json:"answers,omitempty"`
}

// Audience is who may call a desk.
type Audience string

// The audiences.
const (
	AudienceCustomers Audience = "customers"
	AudienceMerchants Audience = "merchants"
	AudiencePress     Audience = "press"
)

// Days are the days of the week on which a desk answers or notices go out; empty
// is DaysEvery.
type Days string

// The days.
const (
	DaysEvery    Days = "every-day"
	DaysWeekdays Days = "weekdays" // not Saturdays, Sundays or Japanese holidays
)

// Certainty says whether a leak is certain.
type Certainty string

// The certainties.
const (
	CertaintyPossible  Certainty = "possible"  // the leak cannot be ruled out; the count is an upper bound
	CertaintyConfirmed Certainty = "confirmed" // the leak is established
)

// Item is one kind of leaked data.
type Item string

// The items that notices and advice know. Advice follows from them: card items
// lead to card advice, a password to password advice, contact data to a warning
// of fraud in our name.
const (
	ItemCardNumber   Item = "card-number"
	ItemCardExpiry   Item = "card-expiry"
	ItemCardCode     Item = "card-security-code"
	ItemCardHolder   Item = "card-holder"
	ItemLoginID      Item = "login-id"
	ItemPassword     Item = "password"
	ItemName         Item = "name"
	ItemNameKana     Item = "name-kana"
	ItemEmail        Item = "email"
	ItemPostalCode   Item = "postal-code"
	ItemAddress      Item = "address"
	ItemPhone        Item = "phone"
	ItemBirthDate    Item = "birth-date"
	ItemPurchase     Item = "purchase-history"
	ItemBankAccount  Item = "bank-account"
	ItemMerchantName Item = "merchant-name"
	ItemMerchantCode Item = "merchant-code"
)

var itemJapanese = map[Item]string{
	ItemCardNumber: "クレジットカード番号", ItemCardExpiry: "有効期限", ItemCardCode: "セキュリティコード",
	ItemCardHolder: "カード名義人名", ItemLoginID: "ログインID", ItemPassword: "パスワード",
	ItemName: "氏名", ItemNameKana: "氏名（フリガナ）", ItemEmail: "メールアドレス",
	ItemPostalCode: "郵便番号", ItemAddress: "住所", ItemPhone: "電話番号", ItemBirthDate: "生年月日",
	ItemPurchase: "購入履歴", ItemBankAccount: "口座情報", ItemMerchantName: "加盟店名", ItemMerchantCode: "加盟店コード",
}

// Japanese returns the word that notices use, or "" for an unknown item.
func (i Item) Japanese() string { return itemJapanese[i] }

// Card reports whether the item is payment card data.
func (i Item) Card() bool {
	switch i {
	case ItemCardNumber, ItemCardExpiry, ItemCardCode, ItemCardHolder:
		return true
	}
	return false
}

// Merchant reports whether the item is data of a merchant, not of a person.
func (i Item) Merchant() bool { return i == ItemMerchantName || i == ItemMerchantCode }

// Contact reports whether the item lets a stranger write to or call the person.
func (i Item) Contact() bool {
	switch i {
	case ItemEmail, ItemPhone, ItemAddress:
		return true
	}
	return false
}

// Exposure is one affected group of an incident.
type Exposure struct {
	ID string `toml:"id" json:"id"` // A, B1, …: as lists name it
	// Data names the data set as the reader may know it: トークン方式クレジットカード決済情報データベース.
	Data string `toml:"data" json:"data"`
	// Used says what the people of the group did: クレジットカード決済をご利用.
	Used string `toml:"used" json:"used,omitempty"`
	// From and To bound the usage period, inclusive; both zero where the group
	// has none (merchant data).
	From      Date      `toml:"from" json:"from"`
	To        Date      `toml:"to" json:"to"`
	Items     []Item    `toml:"items" json:"items"`
	MaybeAlso []Item    `toml:"maybe_also" json:"maybe_also,omitempty"` // held for some of the people only
	Certainty Certainty `toml:"certainty" json:"certainty"`
	// Count is the declared total of the group over all merchants; 0 is not declared.
	Count int64 `toml:"count" json:"count"`
	// FirstTo is where the period ended when the first warning was sent; zero
	// where it has not changed since.
	FirstTo Date `toml:"first_to" json:"first_to"`
}

// Correction is what a correction notice sets right.
type Correction struct {
	// Kind is added, removed, misdirected or content.
	Kind  CorrectionKind `toml:"kind" json:"kind"`
	On    Date           `toml:"on" json:"on"` // day of the notice that is corrected
	Wrong string         `toml:"wrong" json:"wrong,omitempty"`
	Right string         `toml:"right" json:"right"`
}

// CorrectionKind is what a correction sets right.
type CorrectionKind string

// The kinds of corrections.
const (
	CorrectionAdded       CorrectionKind = "added"       // the person belongs to those affected after all
	CorrectionRemoved     CorrectionKind = "removed"     // the person was told and is not affected
	CorrectionMisdirected CorrectionKind = "misdirected" // the person got a notice that was meant for somebody else
	CorrectionContent     CorrectionKind = "content"     // something in the notice was wrong
)

// Addition is a question and its answer, or a newly known fact, for follow-ups.
type Addition struct {
	On       Date   `toml:"on" json:"on"`
	Question string `toml:"question" json:"question,omitempty"`
	Text     string `toml:"text" json:"text"`
}

// Exposure finds an exposure by ID.
func (in *Incident) Exposure(id string) (Exposure, bool) {
	for _, e := range in.Exposures {
		if e.ID == id {
			return e, true
		}
	}
	return Exposure{}, false
}

// ExposureIDs lists the IDs in the order of the incident.
func (in *Incident) ExposureIDs() []string {
	ids := make([]string, len(in.Exposures))
	for i, e := range in.Exposures {
		ids[i] = e.ID
	}
	return ids
}

// Desk returns the first desk for an audience.
func (in *Incident) Desk(audience Audience) (Desk, bool) {
	for _, d := range in.Desks {
		if d.Audience == audience {
			return d, true
		}
	}
	return Desk{}, false
}

// Merchants reports whether the group is made of merchants, not of people.
func (e *Exposure) Merchants() bool {
	for _, i := range e.Items {
		if !i.Merchant() {
			return false
		}
	}
	return len(e.Items) > 0
}

// Validate says what makes the facts unusable whatever is sent. What a notice
// of some stage lacks is for the checker of templates to say.
//
// Each error, all joined, is an *Error whose argument key is the key in the facts'
// file, as desks[0].days, or exposures[1] for what concerns an exposure as a whole.
func (in *Incident) Validate() error {
	var errs []error
	bad := func(err error) { errs = append(errs, err) }
	if !ValidID(in.ID) {
		bad(Invalid("facts.id", "key", "id", "id", in.ID))
	}
	if strings.TrimSpace(in.Title) == "" {
		bad(Invalid("facts.missing", "key", "title"))
	}
	if strings.TrimSpace(in.Operator.Name) == "" {
		bad(Invalid("facts.missing", "key", "operator.name"))
	}
	if !in.AttackFrom.IsZero() && !in.AttackTo.IsZero() && in.AttackTo.Before(in.AttackFrom) {
		bad(Invalid("facts.attack-order", "key", "attack_to", "to", in.AttackTo, "from", in.AttackFrom))
	}
	if len(in.Exposures) == 0 {
		bad(Invalid("facts.no-exposure", "key", "exposures"))
	}
	seen := make(map[string]bool)
	for i := range in.Exposures {
		e := &in.Exposures[i]
		if seen[e.ID] {
			bad(Invalid("exposure.twice", "key", "exposures", "exposure", e.ID))
		}
		seen[e.ID] = true
		errs = append(errs, e.validate(fmt.Sprintf("exposures[%d]", i))...)
	}
	for i := range in.Desks {
		if err := in.Desks[i].validate(fmt.Sprintf("desks[%d]", i), false); err != nil {
			bad(err)
		}
	}
	for i, c := range in.Corrections {
		if !slices.Contains([]CorrectionKind{CorrectionAdded, CorrectionRemoved, CorrectionMisdirected, CorrectionContent}, c.Kind) {
			bad(Invalid("facts.correction-kind", "key", fmt.Sprintf("corrections[%d].kind", i), "kind", c.Kind))
		}
	}
	if err := checkTexts(*in); err != nil {
		bad(err)
	}
	return errors.Join(errs...)
}

func (e *Exposure) validate(key string) (errs []error) {
	bad := func(err error) { errs = append(errs, err) }
	if strings.TrimSpace(e.ID) == "" {
		bad(Invalid("exposure.id", "key", key))
	}
	for _, i := range slices.Concat(e.Items, e.MaybeAlso) {
		if i.Japanese() == "" {
			bad(Invalid("exposure.item", "key", key, "exposure", e.ID, "item", i))
		}
	}
	if e.Certainty != CertaintyPossible && e.Certainty != CertaintyConfirmed {
		bad(Invalid("exposure.certainty", "key", key, "exposure", e.ID, "certainty", e.Certainty))
	}
	if e.From.IsZero() != e.To.IsZero() {
		bad(Invalid("exposure.period", "key", key, "exposure", e.ID))
	}
	if e.To.Before(e.From) {
		bad(Invalid("exposure.order", "key", key, "exposure", e.ID, "to", e.To, "from", e.From))
	}
	if e.Count < 0 {
		bad(Invalid("exposure.count", "key", key, "exposure", e.ID))
	}
	return errs
}

// validate checks a desk; a merchant's own desk may be absent and needs no audience.
func (d *Desk) validate(key string, own bool) error {
	audiences := []Audience{AudienceCustomers, AudienceMerchants, AudiencePress}
	if own {
		audiences = append(audiences, "")
	}
	if !slices.Contains(audiences, d.Audience) {
		return Invalid("desk.audience", "key", key+".audience", "audience", d.Audience)
	}
	if !slices.Contains([]Days{"", DaysEvery, DaysWeekdays}, d.Days) {
		return Invalid("desk.days", "key", key+".days", "days", d.Days)
	}
	if d.Email != "" {
		if _, err := ParseAddress(d.Email); err != nil {
			return Invalid("desk.email", "key", key+".email", "cause", err)
		}
	}
	return nil
}

// ValidID reports whether s may name an incident or a merchant.
func ValidID(s string) bool {
	if s == "" || len(s) > 64 || strings.HasPrefix(s, "-") {
		return false
	}
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' {
			return false
		}
	}
	return true
}
