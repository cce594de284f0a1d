package templates

import (
	"slices"
	"strings"
	"sync"
	"unicode"

	"oshirase/mailer"
)

// Rule is one thing that the checker looks at.
type Rule struct {
	Name     string
	Severity mailer.Severity
	Doc      string // one line, for docs/rules.md

	// facts judges what is the same for every recipient, notice a whole notice,
	// personal what in it is the reader's own. Each returns messages.
	facts    func(*Template) []string
	notice   func(*sheet) []string
	personal func(*sheet) []string
	// needs is what of a reader personal depends on. Nothing said, the reader's own
	// lines are laid out and looked at for every reader.
	needs need
}

// need is what of a reader a personal rule depends on, beside the text that the
// variant has for all. What a rule does not need, it is not shown again.
type need uint8

const (
	// needLines: the reader's own lines.
	needLines need = iota
	// needName: the characters of the name, wherever they stand.
	needName
	// needSigns: what no plain name holds (see plainName). Of readers with such a
	// name and a reference number as all have, the rule says what it says of the
	// neutral one, with whom the variant is looked at once.
	needSigns
)

// Rules lists all rules, in the order of docs/rules.md.
var Rules = slices.Concat(factRules, textRules, personRules, []Rule{renderRule})

var renderRule = Rule{
	Name: "render", Severity: mailer.SeverityError,
	Doc: "a part could not be rendered for the recipient; the message names part and line",
}

// sheet is one notice laid out for the rules.
type sheet struct {
	t             *Template
	b             *base
	r             *mailer.Recipient
	subject, body string
	lines         []string
	// sentences are those of the body with the line breaks of the layout undone.
	sentences []string
	flat      string            // the body without line breaks and indents
	parts     map[string]string // what each part said
}

func (t *Template) sheet(v *variant, r *mailer.Recipient, subject, body string) *sheet {
	s := &sheet{t: t, b: v.base, r: r, subject: subject, body: body, parts: v.texts}
	s.lines = strings.Split(body, "\n")
	wrong := s.b.wrong()
	for _, p := range unwrap(s.lines) {
		for _, x := range sentences(p) {
			if wrong == "" || !strings.Contains(wrong, strings.TrimSpace(x)) {
				s.sentences = append(s.sentences, x)
			}
		}
	}
	s.flat = strings.Join(s.sentences, "")
	return s
}

// wrong is what a content correction quotes as wrong, and no rule holds against it.
func (b *base) wrong() string {
	if b.Kind != mailer.CorrectionContent {
		return ""
	}
	var all strings.Builder
	for _, c := range b.Corrections {
		if c.Wrong != "" {
			all.WriteString("（誤）" + b.Prose(c.Wrong) + "\n")
		}
	}
	return all.String()
}

// unwrap joins lines that the layout broke. A line goes on where the one before
// did not end a sentence and it does not begin something of its own.
func unwrap(lines []string) []string {
	var out []string
	open := false
	for _, line := range lines {
		text := strings.TrimSpace(line)
		if text == "" {
			open = false
			continue
		}
		if open && !strings.ContainsAny(text[:1], "-h") && !beginsItem(text) {
			out[len(out)-1] += text
		} else {
			out = append(out, text)
		}
		open = !strings.HasSuffix(text, "。") && !strings.HasPrefix(text, "■") && !strings.HasSuffix(text, "】")
	}
	return out
}

func beginsItem(s string) bool {
	for _, mark := range []string{"■", "・", "※", "【", "〈", "（1", "（2", "（3", "（4", "（5", "（6", "（7", "（8", "（9", "（誤", "（正", "対策："} {
		if strings.HasPrefix(s, mark) {
			return true
		}
	}
	return false
}

// CheckFacts lints what is the same for every recipient.
func (t *Template) CheckFacts() []mailer.Finding {
	var out []mailer.Finding
	for i := range Rules {
		rule := &Rules[i]
		if rule.facts != nil {
			out = report(out, rule, rule.facts(t), "")
		}
	}
	return out
}

// CheckNotice lints one rendered notice. A notice that is what Render made of
// the recipient is judged by its variant, which is looked at once, and by what
// in it is personal; any other is looked at as a whole.
func (t *Template) CheckNotice(r *mailer.Recipient, n *mailer.Notice) []mailer.Finding {
	v, err := t.variant(r)
	if err != nil {
		return report(nil, &renderRule, []string{err.Error()}, r.Ref)
	}
	if own, err := t.fill(v, r); err == nil && own == *n && t.plain(v) {
		return t.checkPersonal(v, r, v.findings(t))
	}
	s := t.sheet(v, r, n.Subject, n.Body)
	var out []mailer.Finding
	for i := range Rules {
		rule := &Rules[i]
		if rule.notice != nil {
			out = report(out, rule, rule.notice(s.masked()), r.Ref)
		}
		if rule.personal != nil {
			out = report(out, rule, rule.personal(s), r.Ref)
		}
	}
	return out
}

// plain reports whether only the built-in salutation and reference are personal.
func (t *Template) plain(v *variant) bool {
	if v.subjectPart != nil {
		return false
	}
	for _, s := range v.segments {
		if s.part == nil {
			continue
		}
		name := s.part.Name()
		if _, replaced := t.snap.Merchant.Parts[name]; replaced || name != "salutation" && name != "reference" {
			return false
		}
	}
	return true
}

// checkPersonal adds to the findings of the variant those of the reader's own lines.
func (t *Template) checkPersonal(v *variant, r *mailer.Recipient, shared []finding) []mailer.Finding {
	var out []mailer.Finding
	for _, f := range shared {
		out = report(out, f.rule, []string{f.message}, r.Ref)
	}
	rules := t.personal.all
	if plainName(r.Name) && len(r.Ref) == len(probeRef) {
		for _, rule := range t.personal.byName {
			out = report(out, rule, rule.personal(&sheet{t: t, b: v.base, r: r, body: r.Name}), r.Ref)
		}
		rules = t.personal.byLines
	}
	if len(rules) == 0 {
		return out
	}
	s, err := t.ownLines(v, r)
	if err != nil {
		return report(out, &renderRule, []string{err.Error()}, r.Ref)
	}
	for _, rule := range rules {
		out = report(out, rule, rule.personal(s), r.Ref)
	}
	return out
}

// personalRules are the rules that judge what is the reader's own: all of them, and
// those that a plain name does not spare.
type personalRules struct{ all, byName, byLines []*Rule }

func newPersonalRules() (p personalRules) {
	for i := range Rules {
		rule := &Rules[i]
		if rule.personal == nil {
			continue
		}
		p.all = append(p.all, rule)
		switch rule.needs {
		case needLines:
			p.byLines = append(p.byLines, rule)
		case needName:
			p.byName = append(p.byName, rule)
		}
	}
	return p
}

// ownLines lays out what a variant leaves to the reader's own data.
func (t *Template) ownLines(v *variant, r *mailer.Recipient) (*sheet, error) {
	own := &variant{base: v.base, subject: v.subject, texts: v.texts}
	for _, s := range v.segments {
		if s.part != nil {
			own.segments = append(own.segments, s)
		}
	}
	n, err := t.fill(own, r)
	if err != nil {
		return nil, err
	}
	return t.sheet(own, r, n.Subject, n.Body), nil
}

// plainName reports whether a name is of letters that no rule looks for.
func plainName(name string) bool {
	if name = strings.TrimSpace(name); name == "" || len(name) > 200 || strings.Contains(name, "TODO") || strings.Contains(name, "TBD") {
		return false
	}
	for _, a := range addresses {
		if strings.Contains(name, a) {
			return false
		}
	}
	for _, r := range name {
		switch {
		case r == 'X' || r == 'x' || r == '〇':
			return false
		case r >= 'A' && r <= 'Z', r >= 'a' && r <= 'z', r == ' ', r == '　', r == '・', r == 'ー':
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana):
		default:
			return false
		}
	}
	return true
}

type finding struct {
	rule    *Rule
	message string
}

// variantCheck keeps what the checker said of a variant.
type variantCheck struct {
	once     sync.Once
	findings []finding
}

// neutral is a reader whose data nothing can be said against.
func neutral(r *mailer.Recipient) *mailer.Recipient {
	return &mailer.Recipient{
		Ref: probeRef, Person: mailer.Person{Name: neutralName, Attributes: r.Attributes},
		Exposures: r.Exposures, Told: r.Told,
	}
}

const neutralName = "山田太郎"

// findings looks at the variant with a neutral reader, once.
func (v *variant) findings(t *Template) []finding {
	v.checked.once.Do(func() {
		r := neutral(&mailer.Recipient{})
		n, err := t.fill(v, r)
		if err != nil {
			v.checked.findings = []finding{{&renderRule, err.Error()}}
			return
		}
		s := t.sheet(v, r, n.Subject, n.Body)
		for i := range Rules {
			rule := &Rules[i]
			for _, check := range []func(*sheet) []string{rule.notice, rule.personal} {
				if check == nil {
					continue
				}
				for _, m := range check(s) {
					v.checked.findings = append(v.checked.findings, finding{rule, m})
				}
			}
		}
	})
	return v.checked.findings
}

// masked is the sheet with the reader's own name and reference replaced by
// neutral ones: a name such as 今日子 is no relative date.
func (s *sheet) masked() *sheet {
	var pairs []string
	if name := nameOf(s.r); name != "" {
		for _, a := range addresses {
			pairs = append(pairs, name+a, neutralName+a)
		}
	}
	if s.r.Ref != "" {
		pairs = append(pairs, s.r.Ref, probeRef)
	}
	body := strings.NewReplacer(pairs...).Replace(s.body)
	return s.t.sheet(&variant{base: s.b, texts: s.parts}, neutral(s.r), s.subject, body)
}

// report turns messages into findings; the same message is reported once.
func report(out []mailer.Finding, rule *Rule, messages []string, ref string) []mailer.Finding {
	for _, m := range messages {
		f := mailer.Finding{Severity: rule.Severity, Rule: rule.Name, Message: m, Ref: ref}
		if !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	return out
}
