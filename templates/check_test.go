package templates

import (
	"slices"
	"strings"
	"testing"

	"oshirase/mailer"
)

// The built-in notices have nothing that the checker could say against.
func TestBuiltInNoticesAreClean(t *testing.T) {
	for _, s := range scenes() {
		t.Run(s.name, func(t *testing.T) {
			tmpl := compile(t, s.snap)
			for _, f := range tmpl.CheckFacts() {
				t.Errorf("facts: %s %s: %s", f.Severity, f.Rule, f.Message)
			}
			n, err := tmpl.Render(s.to)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range tmpl.CheckNotice(s.to, &n) {
				t.Errorf("notice: %s %s: %s", f.Severity, f.Rule, f.Message)
			}
			// Looked at as a whole, as a text from elsewhere is, it is clean too.
			n.Body += "\n"
			for _, f := range tmpl.CheckNotice(s.to, &n) {
				t.Errorf("whole: %s %s: %s", f.Severity, f.Rule, f.Message)
			}
		})
	}
}

// firing is a defect and the rule that must see it.
type firing struct {
	rule, name string
	stage      mailer.Stage // empty: formal
	facts      func(*mailer.Incident)
	sender     func(*mailer.Merchant)
	merchant   func() mailer.Merchant // nil: housing
	to         *mailer.Recipient      // nil: exposure A
	// from and into change the rendered notice.
	from, into string
	// message is part of what the finding says; empty: anything.
	message string
}

func part(name, text string) func(*mailer.Merchant) {
	return func(m *mailer.Merchant) { m.Parts = map[string]string{name: text} }
}

func firings() []firing {
	tel := "0120-000-620"
	return []firing{
		{rule: "reader-name", name: "address on the web", to: recipient("カード停止のお知らせ evil.example/pay", "A"), message: "web"},
		{rule: "reader-name", name: "word of plain letters", to: recipient("カード停止", "A")},
		{rule: "reader-data", name: "customer number", to: &mailer.Recipient{Ref: recipient("", "A").Ref, Person: mailer.Person{Name: "田中 実", CustomerID: "evil.example"}, Exposures: []string{"A"}}, sender: part("delay", "{{.CustomerID}}です。"), message: "customer_id"},
		{rule: "missing-fact", name: "title", facts: func(in *mailer.Incident) { in.Title = "" }, message: "title"},
		{rule: "missing-fact", name: "causes", facts: func(in *mailer.Incident) { in.Causes = nil }, message: "[[causes]]"},
		{rule: "missing-fact", name: "harm", facts: func(in *mailer.Incident) { in.Harm.Text = "" }, message: "harm.text"},
		{rule: "missing-fact", name: "pass-phrase", facts: func(in *mailer.Incident) { in.Passphrase = "" }, message: "passphrase"},
		{rule: "missing-fact", name: "self-name", sender: func(m *mailer.Merchant) { m.SelfName = "" }, message: "self_name"},
		{rule: "missing-fact", name: "additions", stage: mailer.StageFollowUp, message: "[[additions]]"},
		{rule: "thin-facts", name: "timeline", facts: func(in *mailer.Incident) { in.Timeline = nil }, message: "[[timeline]]"},
		{rule: "exposure-facts", name: "no items", facts: func(in *mailer.Incident) { in.Exposures[0].Items = nil }, message: "items"},
		{rule: "exposure-facts", name: "no period", facts: func(in *mailer.Incident) { in.Exposures[0].From, in.Exposures[0].To = mailer.Date{}, mailer.Date{} }, message: "from and to"},
		{rule: "desk", name: "none", facts: func(in *mailer.Incident) { in.Desks = nil }, sender: func(m *mailer.Merchant) { m.Desk = mailer.Desk{} }, message: "customers"},
		{rule: "desk-hours", name: "no hours", facts: func(in *mailer.Incident) { in.Desks[0].Hours = "" }},
		{rule: "first-warning-period", name: "shorter then", facts: func(in *mailer.Incident) { in.Exposures[0].FirstTo = day("2021-12-16") }, message: "2021-12-16"},
		{rule: "from-address", name: "no address", sender: func(m *mailer.Merchant) { m.From = "info" }},
		{rule: "sender-domain", name: "website", sender: func(m *mailer.Merchant) { m.Website = "https://www.elsewhere.example/" }, message: "website"},
		{rule: "sender-domain", name: "publication of the operator", merchant: processor, facts: func(in *mailer.Incident) { in.Publication.URL = "https://www.elsewhere.example/" }, message: "publication"},
		{rule: "facts-self-name", name: "operator's 弊社", facts: func(in *mailer.Incident) {
			in.Outline = "弊社のシステムが不正アクセスを受けました。"
		}, message: "弊社"},
		{rule: "plain-style", name: "である", facts: func(in *mailer.Incident) { in.Delay = "調査に時間を要したためである。" }, message: "delay"},
		{rule: "date-order", name: "timeline", facts: func(in *mailer.Incident) { in.Timeline[0].On = day("2022-01-30") }, message: "timeline[1]"},
		{rule: "date-order", name: "after the notice", facts: func(in *mailer.Incident) { in.Timeline[3].On = day("2022-03-08") }, message: "lies after"},

		{rule: "rule10", name: "cause emptied", sender: part("cause", "{{/* nothing */}}"), message: "原因"},
		{rule: "rule10", name: "item left out", from: "セキュリティコード", into: "番号", message: "セキュリティコード"},
		{rule: "rule10", name: "harm emptied", sender: part("harm", "{{/* nothing */}}"), message: "二次被害"},
		{rule: "rule10", name: "desk emptied", sender: part("desk", "{{/* nothing */}}"), message: "その他"},
		{rule: "empty-part", name: "apology emptied", sender: part("apology", "{{/* nothing */}}"), message: "apology"},
		{rule: "certainty", name: "told as certain", from: "可能性がございます。漏えいが確認されたものではございません。", into: "可能性がございます。お客さまの情報が漏えいしたことを確認いたしました。", message: "as certain"},
		{rule: "certainty", name: "流出しました", sender: part("concerns", "お客さまのカード番号が流出しました。"), message: "as certain"},
		{rule: "certainty", name: "everyone", facts: func(in *mailer.Incident) {
			in.Outline = "対象の期間にご利用になった方全員が被害の対象です。"
		}, message: "all are affected"},
		{rule: "certainty", name: "confirmed played down", to: recipient("田中 実", "B1"), from: "確認いたしました", into: "可能性がございます", message: "confirmed leak"},
		{rule: "certainty", name: "not said to be possible", facts: func(in *mailer.Incident) { in.Timeline = nil }, sender: func(m *mailer.Merchant) {
			m.Parts = map[string]string{"apology": "お詫び申し上げます。", "concerns": "対象です。", "exposures": "対象の情報です。", "harm": "おそれはありません。", "measures": "対応します。"}
		}, from: "おそれ", into: "心配"},
		{rule: "statement-start", name: "another group's start", to: recipient("田中 実", "A", "B1"), from: "2021/05/06以降", into: "2021/10/14以降", message: "2021/10/14"},
		{rule: "statement-start", name: "month only", merchant: donation, from: "令和3年10月14日以降", into: "令和3年10月以降", message: "令和3年10月"},
		{rule: "statement-start", name: "no date", from: "2021/10/14以降の", into: "", message: "does not say"},
		{rule: "passphrase", name: "with の", from: "「ひかり決済不正アクセスの件」", into: "「ひかり決済の不正アクセスの件」", message: "ひかり決済の不正アクセスの件"},
		{rule: "passphrase", name: "facts", facts: func(in *mailer.Incident) {
			in.ReissueFee = "カード会社へは「ひかり決済の不正アクセスの件」とお伝えください。"
		}, message: "reissue_fee"},
		{rule: "passphrase", name: "left out", from: "「ひかり決済不正アクセスの件」", into: "「本件」", message: "does not give"},
		{rule: "password-advice", name: "left out", merchant: shop, to: recipient("中村 優子", "W"), sender: part("request", "2020年4月27日以降のご利用明細をご確認ください。パスワードを変更してください。")},
		{rule: "card-advice", name: "no card data", to: recipient("鈴木 健", "B4"), sender: part("request", "ご利用明細をご確認ください。"), message: "明細"},
		{rule: "relative-date", name: "notice", from: "2021/08/02から", into: "昨年8月2日から", message: "昨年"},
		{rule: "relative-date", name: "facts", facts: func(in *mailer.Incident) { in.Delay = "先月まで調査を続けていました。" }, message: "delay"},
		{rule: "date-style", name: "western in slash", from: "2021/08/02から", into: "2021年8月2日から", message: "2021年8月2日"},
		{rule: "unit-mixed", name: "件 and 名", from: "（うち弊協会分は", into: "（460,395名。うち弊協会分は", message: "460,395"},
		{rule: "phone-spelling", name: "two ways", from: tel + "（", into: "0120-000620（", message: "0120-000620"},
		{rule: "phone-spelling", name: "facts", facts: func(in *mailer.Incident) { in.Desks[0].Phone = "0120000620" }, message: "0120000620"},
		{rule: "reader-spelling", name: "お客様", from: "お客さまには", into: "お客様には", message: "お客様"},
		{rule: "subject", name: "too wide", sender: func(m *mailer.Merchant) { m.Short = strings.Repeat("長い名前の", 4) + "協会" }, message: "beyond 30"},
		{rule: "subject", name: "no sender", sender: part("subject", "【重要】お知らせ"), message: "name the sender"},
		{rule: "url", name: "http", from: "https://www.hikari-pay", into: "http://www.hikari-pay", message: "https:"},
		{rule: "url", name: "elsewhere", from: "https://www.hikari-pay.example", into: "https://www.hikari-pay.elsewhere.example", message: "domain"},

		{rule: "salutation", name: "様 missing", from: "髙橋 花子様", into: "髙橋 花子"},
		{rule: "salutation", name: "replaced part", sender: part("salutation", "はじめまして。")},
		{rule: "placeholder", name: "no value", from: "髙橋 花子様", into: "髙橋 花子様\n<no value>", message: "variable"},
		{rule: "placeholder", name: "lone 様", from: "髙橋 花子様", into: "髙橋 花子様\n　様", message: "form of address"},
		{rule: "placeholder", name: "empty brackets", from: "「住宅相談員講座」", into: "「」", message: "brackets"},
		{rule: "placeholder", name: "circles", from: "「住宅相談員講座」", into: "「○○講座」", message: "placeholder"},
		{rule: "placeholder", name: "braces", from: "「住宅相談員講座」", into: "「{{.Service}}」", message: "template"},
		{rule: "placeholder", name: "XX", from: tel + "（", into: "XXX（", message: "placeholder"},
		{rule: "placeholder", name: "label", from: "・電話番号：" + tel + "（通話料無料）", into: "・電話番号：", message: "label"},
		{rule: "placeholder", name: "empty attribute", to: recipient("髙橋 花子", "A"), sender: part("reference", `担当「{{index .Attributes "担当"}}」{{.Ref}}`), message: "brackets"},
		{rule: "foreign-data", name: "address", from: "■ 公表", into: "other@mail.example\n■ 公表", message: "e-mail"},
		{rule: "foreign-data", name: "reference", from: "■ 公表", into: otherRef() + "\n■ 公表", message: "reference"},
		{rule: "foreign-data", name: "名様", from: "■ 公表", into: "佐藤 太郎様\n■ 公表", message: "somebody else"},
		{rule: "foreign-data", name: "part", sender: part("delay", "佐藤 太郎様"), message: "somebody else"},
		{rule: "card-digits", name: "in one", from: "■ 公表", into: "4111111111111111\n■ 公表"},
		{rule: "card-digits", name: "groups", from: "■ 公表", into: "番号 4111-1111-1111-1111 です\n■ 公表"},
		{rule: "card-digits", name: "full-width", from: "■ 公表", into: "４１１１　１１１１　１１１１　１１１１\n■ 公表"},
		{rule: "card-digits", name: "fifteen", from: "■ 公表", into: "3782 822463 10005\n■ 公表"},
		{rule: "line-octets", name: "long", from: "■ 公表", into: strings.Repeat("a", 999) + "\n■ 公表"},
		{rule: "line-width", name: "wide", from: "■ 公表", into: strings.Repeat("あ", 37) + "\n■ 公表"},
		{rule: "charset", name: "rare name", sender: func(m *mailer.Merchant) { m.Charset = "iso-2022-jp" }, message: "髙"},
		{rule: "charset", name: "text", to: recipient("田中", "A"), sender: func(m *mailer.Merchant) { m.Charset, m.PostalAddress = "iso-2022-jp", "①号室" }, message: "①"},
		{rule: "broken-text", name: "lost character", from: "髙橋 花子様", into: "\uFFFD橋 花子様"},
		{rule: "honorifics", name: "さま様", from: "お客さまには", into: "お客さま様には"},
		{rule: "honorifics", name: "ご…される", from: "ご利用いただいた", into: "ご利用された"},
		{rule: "render", name: "unknown exposure", to: recipient("髙橋 花子", "Z")},
	}
}

// otherRef is the reference number of somebody else.
func otherRef() string {
	ref, err := mailer.NewRef(repeat(100))
	if err != nil {
		panic(err)
	}
	return ref
}

func TestRulesFire(t *testing.T) {
	for _, f := range firings() {
		t.Run(f.rule+"/"+f.name, func(t *testing.T) {
			for _, got := range f.run(t) {
				if got.Rule == f.rule && strings.Contains(got.Message, f.message) {
					return
				}
			}
			t.Errorf("no finding of rule %s with %q", f.rule, f.message)
		})
	}
}

// run makes the defect and returns all findings.
func (f *firing) run(t *testing.T) []mailer.Finding {
	t.Helper()
	in, m := payIncident(), housing()
	if f.merchant != nil {
		m = f.merchant()
		if m.ID == "shop" {
			in = shopIncident()
		}
	}
	if f.facts != nil {
		f.facts(&in)
	}
	if f.sender != nil {
		f.sender(&m)
	}
	stage := f.stage
	if stage == "" {
		stage = mailer.StageFormal
	}
	on := "2022-02-28"
	if in.ID == "shop" {
		on = "2022-08-18"
	}
	tmpl := compile(t, snapshot(in, m, stage, on))
	to := f.to
	if to == nil {
		to = recipient("髙橋 花子", "A")
	}
	out := tmpl.CheckFacts()
	n, err := tmpl.Render(to)
	if err != nil {
		return append(out, tmpl.CheckNotice(to, &mailer.Notice{})...)
	}
	if f.from != "" {
		body := strings.ReplaceAll(n.Body, f.from, f.into)
		if body == n.Body {
			t.Fatalf("the notice has no %q:\n%s", f.from, n.Body)
		}
		n.Body = body
	}
	return append(out, tmpl.CheckNotice(to, &n)...)
}

func TestEveryRuleHasATestThatFiresIt(t *testing.T) {
	for _, r := range Rules {
		if !slices.ContainsFunc(firings(), func(f firing) bool { return f.rule == r.Name }) {
			t.Errorf("rule %s: no case in firings", r.Name)
		}
	}
}

// What lists hold must not be taken for a defect.
func TestNamesAreNoDefect(t *testing.T) {
	names := []string{
		"髙橋 﨑子", "𠮷野 家子", "Maximilian Alexander von Habsburg-Lothringen the Younger of Ballindalloch Castle",
		strings.Repeat("寿限無", 20), "今日子", "先月 昨日", "　空白 花子　", "佐藤様", "株式会社様", "○", "明", "一二三 四五六",
		"山田殿", "お客様 太郎", "漏えい しました", "",
	}
	for _, sender := range []func() mailer.Merchant{housing, donation} {
		tmpl := compile(t, snapshot(payIncident(), sender(), mailer.StageFormal, "2022-02-28"))
		for _, name := range names {
			r := recipient(name, "A")
			n, err := tmpl.Render(r)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(n.Body, "様様") || strings.Contains(n.Body, "殿様") {
				t.Errorf("%q: addressed twice", name)
			}
			for _, f := range tmpl.CheckNotice(r, &n) {
				t.Errorf("%q: %s: %s", name, f.Rule, f.Message)
			}
		}
	}
}

// The built-in text is within JIS X 0208: only names make a message fall back.
func TestBuiltInTextFitsISO2022JP(t *testing.T) {
	for _, s := range scenes() {
		snap := *s.snap
		snap.Merchant.Charset = "iso-2022-jp"
		tmpl := compile(t, &snap)
		r := *s.to
		r.Name = "田中 実"
		n := render(t, tmpl, &r)
		for _, f := range tmpl.CheckNotice(&r, &n) {
			t.Errorf("%s: %s: %s", s.name, f.Rule, f.Message)
		}
	}
}

// A correction may quote what was wrong.
func TestCorrectionQuotesTheWrongText(t *testing.T) {
	in := payIncident()
	in.Corrections = []mailer.Correction{{
		Kind: mailer.CorrectionContent, On: day("2022-02-28"),
		Wrong: "「ひかり決済の不正アクセスの件」とお伝えください。2021年10月以降の明細をご確認ください。", Right: "「ひかり決済不正アクセスの件」とお伝えください。",
	}}
	tmpl := compile(t, snapshot(in, sports(), mailer.StageCorrection, "2022-03-10"))
	r := recipient("田中 実", "A")
	n := render(t, tmpl, r)
	for _, f := range tmpl.CheckNotice(r, &n) {
		t.Errorf("%s: %s", f.Rule, f.Message)
	}
}

// Whoever is judged by the variant gets the same findings as who is judged by
// the whole text.
func TestShortcutsFindWhatTheWholeFinds(t *testing.T) {
	m := housing()
	m.Charset = "iso-2022-jp"
	tmpl := compile(t, snapshot(payIncident(), m, mailer.StageFormal, "2022-02-28"))
	for _, name := range []string{"髙橋", "田中", "田中　花子", "ジョン・スミス", "John Smith", "○○", "XX", "X", "xx", "TODO", "佐藤殿", "先生", "4111111111111111", "a\tb", "○", "\uFFFD", "{{.Name}}", "%s", "𠮷野", "〇〇"} {
		r := recipient(name, "A")
		n := render(t, tmpl, r)
		rules := func(n mailer.Notice) []string {
			var out []string
			for _, f := range tmpl.CheckNotice(r, &n) {
				out = append(out, f.Rule)
			}
			slices.Sort(out)
			return slices.Compact(out)
		}
		short := rules(n)
		n.Body += "\n"
		if whole := rules(n); !slices.Equal(short, whole) {
			t.Errorf("%q: by the variant %v, as a whole %v", name, short, whole)
		}
	}
}

// A personal rule that nobody told the checker's shortcuts of sees the lines of
// every reader all the same, whatever their names.
func TestNewPersonalRuleSeesEveryReader(t *testing.T) {
	built := Rules
	defer func() { Rules = built }()
	Rules = append(slices.Clone(built), Rule{
		Name: "no-tanaka", Severity: mailer.SeverityError,
		personal: func(s *sheet) []string {
			if strings.Contains(s.flat, "田中") && strings.Contains(s.body, s.r.Ref) {
				return []string{"田中"}
			}
			return nil
		},
	})
	tmpl := compile(t, snapshot(payIncident(), housing(), mailer.StageFormal, "2022-02-28"))
	for name, want := range map[string]bool{"田中 実": true, "田中 実○": true, "山田 花子": false} {
		r := recipient(name, "A")
		n := render(t, tmpl, r)
		found := slices.ContainsFunc(tmpl.CheckNotice(r, &n), func(f mailer.Finding) bool { return f.Rule == "no-tanaka" })
		if found != want {
			t.Errorf("%s: found %v", name, found)
		}
	}
}

// Whatever a text holds, it is judged without a panic, and a card number in it
// is seen.
func FuzzCheckNotice(f *testing.F) {
	f.Add("【重要】お知らせ", "田中様\n\n明細を令和元年5月1日以降ご確認ください。", "田中")
	f.Add("", "「（【〈様\n・：\n0120-000-6200 0312345678", "")
	f.Add("x", "a@b.example 34679-ACDEF 460,395件 460,395名 99999999999年99月99日", "\xff")
	tmpl := compile(f, snapshot(payIncident(), housing(), mailer.StageFormal, "2022-02-28"))
	f.Fuzz(func(t *testing.T, subject, body, name string) {
		r := recipient(name, "A", "B1")
		n, err := tmpl.Render(r)
		if err != nil {
			t.Fatal(err)
		}
		tmpl.CheckNotice(r, &n)
		found := tmpl.CheckNotice(r, &mailer.Notice{Subject: subject, Body: body + "\n番号 4111 1111 1111 1111\n"})
		if !slices.ContainsFunc(found, func(f mailer.Finding) bool { return f.Rule == "card-digits" }) {
			t.Errorf("a card number was not seen behind %q", body)
		}
	})
}

func TestMisspeltPassphrase(t *testing.T) {
	const phrase = "ひかり決済不正アクセスの件"
	for text, want := range map[string]int{
		"「ひかり決済不正アクセスの件」と":   0,
		"「ひかり決済の不正アクセスの件」と":  1,
		"「ひかり決済 不正アクセスの件」と":  1,
		"「ひかり決済不正アクセス件」と":    1,
		"ひかり決済への不正アクセスがあった件": 0,
	} {
		if got := misspelt(text, phrase); len(got) != want {
			t.Errorf("misspelt(%q) = %v", text, got)
		}
	}
}
