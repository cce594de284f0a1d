package templates

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"oshirase/mailer"
)

// factRules judge incident and merchant before any notice is looked at.
var factRules = []Rule{
	{
		Name: "missing-fact", Severity: mailer.SeverityError, facts: missingFacts,
		Doc: "a fact that a notice of this stage needs is not filled in; the message names the key",
	},
	{
		Name: "thin-facts", Severity: mailer.SeverityWarning, facts: thinFacts,
		Doc: "a fact is not filled in that careful senders give",
	},
	{
		Name: "exposure-facts", Severity: mailer.SeverityError, facts: exposureFacts,
		Doc: "an exposure has no leaked items or no usage period, an unknown item, or a period that ends before it begins",
	},
	{
		Name: "desk", Severity: mailer.SeverityError, facts: deskFacts,
		Doc: "the readers have no desk to call",
	},
	{
		Name: "desk-hours", Severity: mailer.SeverityWarning, facts: deskHours,
		Doc: "a desk does not say its hours and days",
	},
	{
		Name: "first-warning-period", Severity: mailer.SeverityWarning, facts: firstWarningPeriod,
		Doc: "the first warning named a period that ends before the formal one's, and no correction of kind added tells the people between",
	},
	{
		Name: "from-address", Severity: mailer.SeverityError, facts: fromAddress,
		Doc: "the sender's address is none; Message-ID is built on its domain",
	},
	{
		Name: "sender-domain", Severity: mailer.SeverityWarning, facts: senderDomain,
		Doc: "the sender's mail comes from another domain than its page, its desk, its Reply-To, its DKIM key or (where it is the operator) its publication",
	},
	{
		Name: "facts-self-name", Severity: mailer.SeverityError, facts: factsSelfName,
		Doc: "a fact says 弊社 or the like, which in another sender's notice would mean that sender",
	},
	{
		Name: "plain-style", Severity: mailer.SeverityWarning, facts: plainStyle,
		Doc: "a sentence of the facts does not end in です or ます",
	},
	{
		Name: "date-order", Severity: mailer.SeverityWarning, facts: dateOrder,
		Doc: "the timeline is not in order, or a fact lies after the day that the notice bears",
	},
}

// fact is one text of the incident and its key.
type fact struct {
	key, text string
	sentence  bool // in full sentences
}

// factTexts lists every text of the incident that reaches readers.
func factTexts(in *mailer.Incident) []fact {
	all := []fact{
		{"outline", in.Outline, true},
		{"harm.text", in.Harm.Text, true},
		{"reissue_fee", in.ReissueFee, true},
		{"monitoring", in.Monitoring, true},
		{"delay", in.Delay, true},
		{"title", in.Title, false},
		{"system", in.System, false},
	}
	for i, c := range in.Causes {
		all = append(all, fact{fmt.Sprintf("causes[%d].text", i), c.Text, false}, fact{fmt.Sprintf("causes[%d].measure", i), c.Measure, true})
	}
	for i, p := range in.Prevention {
		all = append(all, fact{fmt.Sprintf("prevention[%d]", i), p, true})
	}
	for i, e := range in.Timeline {
		all = append(all, fact{fmt.Sprintf("timeline[%d].text", i), e.Text, false})
	}
	for i, a := range in.Additions {
		all = append(all, fact{fmt.Sprintf("additions[%d].text", i), a.Text, true}, fact{fmt.Sprintf("additions[%d].question", i), a.Question, true})
	}
	for i, c := range in.Corrections {
		all = append(all, fact{fmt.Sprintf("corrections[%d].right", i), c.Right, true})
	}
	return slices.DeleteFunc(all, func(f fact) bool { return f.text == "" })
}

// selected are the exposures that the snapshot's campaign selects.
func (t *Template) selected() []mailer.Exposure {
	var out []mailer.Exposure
	for _, e := range t.snap.Incident.Exposures {
		if len(t.snap.Exposures) == 0 || slices.Contains(t.snap.Exposures, e.ID) {
			out = append(out, e)
		}
	}
	return out
}

func (t *Template) selectedCard() bool {
	return slices.ContainsFunc(t.selected(), func(e mailer.Exposure) bool {
		return slices.Contains(slices.Concat(e.Items, e.MaybeAlso), mailer.ItemCardNumber)
	})
}

// replaced reports whether the merchant has a part of its own.
func (t *Template) replaced(part string) bool {
	_, ok := t.snap.Merchant.Parts[part]
	return ok
}

// whole reports whether the notices must have the five matters of Rule 10.
func (t *Template) whole() bool {
	return t.snap.Stage == mailer.StageFormal || t.snap.Stage == mailer.StageCorrection &&
		slices.ContainsFunc(t.snap.Incident.Corrections, func(c mailer.Correction) bool { return c.Kind == mailer.CorrectionAdded })
}

func missingFacts(t *Template) []string {
	in, m := &t.snap.Incident, &t.snap.Merchant
	var out []string
	need := func(have bool, key, what string) {
		if !have {
			out = append(out, fmt.Sprintf("fill in %s: %s", key, what))
		}
	}
	need(in.Title != "", "title of the incident", "what the matter is called")
	need(in.Operator.Name != "", "operator.name of the incident", "who runs the system that was breached")
	need(in.System != "", "system of the incident", "what was breached")
	need(m.Name != "", "name of the merchant", "who the notice comes from")
	need(m.SelfName != "", "self_name of the merchant", "how the sender calls itself (弊社)")
	need(m.Reader != "", "reader of the merchant", "how the sender calls its people (お客さま)")
	need(!t.snap.NoticeOn.IsZero(), "notice_on", "the date that the notice bears")
	need(len(t.selected()) > 0, "exposures of the incident", "who is affected")
	switch t.snap.Stage {
	case mailer.StageFollowUp:
		need(len(in.Additions) > 0, "[[additions]] of the incident", "what the follow-up adds")
	case mailer.StageCorrection:
		need(len(in.Corrections) > 0, "[[corrections]] of the incident", "what the correction sets right")
		for i, c := range in.Corrections {
			need(c.Right != "", fmt.Sprintf("corrections[%d].right of the incident", i), "what is right")
		}
	}
	if t.snap.Stage == mailer.StageFirstWarning || t.whole() {
		need(in.Outline != "" || t.replaced("outline"), "outline of the incident", "what happened")
	}
	if t.whole() {
		need(len(in.Causes) > 0 || t.replaced("cause"), "[[causes]] of the incident", "the cause (Rule 10 item 3)")
		need(in.Harm.Text != "" || t.replaced("harm"), "harm.text of the incident", "secondary harm or its risk (Rule 10 item 4)")
		need(len(in.Prevention) > 0 || t.replaced("measures"), "prevention of the incident", "what is done so that it does not happen again")
	}
	if t.selectedCard() && t.snap.Stage != mailer.StageFirstWarning {
		need(in.Passphrase != "", "passphrase of the incident", "what a cardholder says to the card company")
		need(in.ReissueFee != "", "reissue_fee of the incident", "who bears the fee of a new card")
	}
	return out
}

func thinFacts(t *Template) []string {
	in := &t.snap.Incident
	var out []string
	want := func(have bool, key, what string) {
		if !have {
			out = append(out, fmt.Sprintf("%s is not filled in: %s", key, what))
		}
	}
	if !t.whole() {
		return nil
	}
	want(len(in.Timeline) > 0 || t.replaced("timeline"), "[[timeline]]", "the course of events")
	want(len(in.Authorities) > 0 || t.replaced("authorities"), "[[authorities]]", "who was told (Article 26(1) asks for the Personal Information Protection Commission)")
	want(in.Publication.URL != "", "publication.url", "readers check on the web whether a notice is genuine")
	want(!in.KnownOn.IsZero(), "known_on", "day 1 of Rule 8")
	if t.selectedCard() {
		want(in.Monitoring != "", "monitoring", "what is done to watch for misuse of cards")
	}
	return out
}

func exposureFacts(t *Template) []string {
	var out []string
	for _, e := range t.selected() {
		say := func(format string, args ...any) {
			out = append(out, "exposure "+e.ID+": "+fmt.Sprintf(format, args...))
		}
		if len(e.Items) == 0 {
			say("fill in items: which data leaked")
		}
		if (e.From.IsZero() || e.To.IsZero()) && !e.Merchants() {
			say("fill in from and to: whose data is concerned")
		}
		if !e.From.IsZero() && e.To.Before(e.From) {
			say("it ends on %s, before it begins on %s", e.To, e.From)
		}
		if e.Data == "" {
			say("fill in data: which data set is concerned")
		}
		if e.Certainty != mailer.CertaintyPossible && e.Certainty != mailer.CertaintyConfirmed {
			say("fill in certainty: possible or confirmed")
		}
		for _, i := range slices.Concat(e.Items, e.MaybeAlso) {
			if i.Japanese() == "" {
				say("item %q is not known", i)
			}
		}
	}
	return out
}

// desksNeeded are the desks of the audiences that the campaign writes to.
func (t *Template) desksNeeded() (desks []mailer.Desk, missing []string) {
	customers, merchants := false, false
	for _, e := range t.selected() {
		if e.Merchants() && t.snap.Merchant.Operator {
			merchants = true
		} else {
			customers = true
		}
	}
	own := t.snap.Merchant.Desk
	if own.Phone != "" {
		desks = append(desks, own)
	}
	for _, a := range []struct {
		audience mailer.Audience
		needed   bool
	}{{mailer.AudienceCustomers, customers}, {mailer.AudienceMerchants, merchants}} {
		if !a.needed {
			continue
		}
		d, ok := t.snap.Incident.Desk(a.audience)
		switch {
		case ok && d.Phone != "":
			desks = append(desks, d)
		case a.audience == mailer.AudienceMerchants || own.Phone == "":
			missing = append(missing, fmt.Sprintf("there is no desk for %s: add [[desks]] with audience %q and a phone number", a.audience, a.audience))
		}
	}
	return desks, missing
}

func deskFacts(t *Template) []string {
	_, missing := t.desksNeeded()
	return missing
}

func deskHours(t *Template) []string {
	desks, _ := t.desksNeeded()
	var out []string
	for _, d := range desks {
		if d.Hours == "" || d.Days == "" {
			out = append(out, fmt.Sprintf("desk %s: fill in hours and days", d.Phone))
		}
	}
	return out
}

func firstWarningPeriod(t *Template) []string {
	if t.snap.Stage != mailer.StageFormal || slices.ContainsFunc(t.snap.Incident.Corrections, func(c mailer.Correction) bool { return c.Kind == mailer.CorrectionAdded }) {
		return nil
	}
	var out []string
	for _, e := range t.selected() {
		if !e.FirstTo.IsZero() && e.FirstTo.Before(e.To) {
			out = append(out, fmt.Sprintf("exposure %s: the first warning told of the time to %s, this notice to %s; "+
				"make sure that the list has those who became affected in between", e.ID, e.FirstTo, e.To))
		}
	}
	return out
}

func fromAddress(t *Template) []string {
	var out []string
	if _, err := mailer.ParseAddress(t.snap.Merchant.From); err != nil {
		out = append(out, fmt.Sprintf("from of the merchant: %v", err))
	}
	if r := t.snap.Merchant.ReplyTo; r != "" {
		if _, err := mailer.ParseAddress(r); err != nil {
			out = append(out, fmt.Sprintf("reply_to of the merchant: %v", err))
		}
	}
	return out
}

// site is the part of a host name that one owner registers, as far as the
// labels tell: example.co.jp, hikari-pay.example.
func site(host string) string {
	labels := strings.Split(strings.ToLower(strings.TrimSuffix(host, ".")), ".")
	n := 2
	if len(labels) >= 3 && labels[len(labels)-1] == "jp" &&
		slices.Contains([]string{"co", "or", "ne", "ac", "go", "ed", "gr", "lg", "ad"}, labels[len(labels)-2]) {
		n = 3
	}
	return strings.Join(labels[max(0, len(labels)-n):], ".")
}

func urlSite(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return ""
	}
	return site(u.Hostname())
}

func mailSite(address string) string {
	_, domain, _ := strings.Cut(address, "@")
	return site(domain)
}

func senderDomain(t *Template) []string {
	m := &t.snap.Merchant
	own := mailSite(m.From)
	var out []string
	compare := func(key, other string) {
		if other != "" && other != own {
			out = append(out, fmt.Sprintf("%s is of %s, but the mail comes from %s", key, other, own))
		}
	}
	compare("website of the merchant", urlSite(m.Website))
	if m.Operator {
		compare("publication.url of the incident", urlSite(t.snap.Incident.Publication.URL))
	}
	if m.ReplyTo != "" {
		compare("reply_to of the merchant", mailSite(m.ReplyTo))
	}
	if m.Desk.Email != "" {
		compare("desk.email of the merchant", mailSite(m.Desk.Email))
	}
	if m.DKIM.Selector != "" && m.DKIM.Domain != "" {
		compare("dkim.domain of the merchant", site(m.DKIM.Domain))
	}
	return out
}

var selfNames = regexp.MustCompile(`弊社|当社|小社|弊協会|当協会|弊店|当店|弊会|当会|当行|私ども`)

func factsSelfName(t *Template) []string {
	if t.snap.Merchant.Operator {
		return nil
	}
	var out []string
	for _, f := range factTexts(&t.snap.Incident) {
		if m := selfNames.FindString(f.text); m != "" {
			out = append(out, fmt.Sprintf("%s says %s: name the operator instead", f.key, m))
		}
	}
	return out
}

var polite = regexp.MustCompile(`(です|ます|ました|ません|でした|ましょう|ください|ませ|ですか|ますか|でしょうか)[。？]?[）」]*[。？]?$`)

func plainStyle(t *Template) []string {
	var out []string
	for _, f := range factTexts(&t.snap.Incident) {
		if !f.sentence {
			continue
		}
		for _, s := range sentences(f.text) {
			s = strings.TrimSpace(s)
			if s != "" && !polite.MatchString(s) {
				out = append(out, fmt.Sprintf("%s: a sentence ends in %q", f.key, tail(s, 8)))
			}
		}
	}
	return out
}

// tail is the last n characters of s.
func tail(s string, n int) string {
	r := []rune(s)
	return string(r[max(0, len(r)-n):])
}

func dateOrder(t *Template) []string {
	in := &t.snap.Incident
	var out []string
	for i := 1; i < len(in.Timeline); i++ {
		if in.Timeline[i].On.Before(in.Timeline[i-1].On) {
			out = append(out, fmt.Sprintf("timeline[%d] (%s) stands after a later day", i, in.Timeline[i].On))
		}
	}
	if t.snap.Stage == mailer.StageFirstWarning || t.snap.NoticeOn.IsZero() {
		return out // neither causes nor timeline are shown
	}
	after := func(key string, d mailer.Date) {
		if t.snap.NoticeOn.Before(d) {
			out = append(out, fmt.Sprintf("%s (%s) lies after the notice (%s)", key, d, t.snap.NoticeOn))
		}
	}
	for i, e := range in.Timeline {
		after(fmt.Sprintf("timeline[%d]", i), e.On)
	}
	for i, c := range in.Causes {
		after(fmt.Sprintf("causes[%d].done_on", i), c.DoneOn)
	}
	for _, e := range t.selected() {
		after("exposure "+e.ID+".to", e.To)
	}
	after("publication.on", in.Publication.On)
	return out
}
