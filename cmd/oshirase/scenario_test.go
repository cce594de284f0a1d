package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"oshirase/mailer"
)

// payDay is when the notices about the sample incident pay go out.
const payDay = "2022-03-02T10:00:00+09:00"

// noCards is what a reader whose card is not concerned must not be told.
var noCards = []string{"カード会社へ", "ご利用明細", "再発行"}

// 1: the processor tells its merchants, in a desk's words for merchants.
func TestScenario01ProcessorToMerchants(t *testing.T) {
	t.Parallel()
	s := newStory(t, payDay)
	s.load("pay", "processor", "processor-merchants.csv", "processor-customers.csv")
	c := s.send("pay", "processor", mailer.StageFormal, "--exposure", "C")
	if len(c.letters) != 38 || len(c.check.Findings) > 0 {
		t.Errorf("%d messages, %v", len(c.letters), c.check.Findings)
	}
	for _, l := range c.letters {
		if !strings.HasPrefix(l.recipient, "tantou@") {
			t.Errorf("%s is no merchant", l.recipient)
		}
	}
	s.golden(c, "01-processor-to-merchants", "tantou@akebono.example").says(t,
		[]string{"株式会社あけぼの文具", "ご担当者様", "加盟店さま", "加盟店コード", "0120-000-850"},
		append([]string{"0120-000-620", "あけぼの文具様"}, noCards...))
}

// 2: a merchant tells its customers in its own voice, in batches, addresses of
// another age among them.
func TestScenario02MerchantInBatches(t *testing.T) {
	t.Parallel()
	s := newStory(t, payDay)
	edit(t, s.path("oshirase.toml"), "batch = 500", "batch = 5")
	s.load("pay", "housing", "housing.csv")
	c := s.send("pay", "housing", mailer.StageFormal)
	if len(c.letters) != 28 || len(c.check.Findings) > 0 {
		t.Errorf("%d messages, %v", len(c.letters), c.check.Findings)
	}
	for _, legacy := range []string{`"a..ito"@keitai.example`, `".yamada"@keitai.example`} {
		if c.to(legacy) == nil {
			t.Errorf("nothing came for %s", legacy)
		}
	}
	s.golden(c, "02-merchant", "takahashi-sakura@keitai.example").says(t,
		[]string{"髙橋 さくら様", "弊協会がクレジットカード決済を委託", "可能性", "2021/10/14から2022/01/25まで", "03-0000-7346", "0120-000-620"},
		[]string{"弊社", "2021年", "令和"})
}

// 3: the processor tells the customers of its own services.
func TestScenario03ProcessorDirect(t *testing.T) {
	t.Parallel()
	s := newStory(t, payDay)
	s.load("pay", "processor", "processor-merchants.csv", "processor-customers.csv")
	c := s.send("pay", "processor", mailer.StageFormal, "--exposure", "A,B1,B2,B3,B4")
	if len(c.letters) != 22 || c.check.Suppressed["no-email"] != 2 {
		t.Errorf("%d messages, %v", len(c.letters), c.check.Suppressed)
	}
	for _, l := range c.letters {
		if strings.HasPrefix(l.recipient, "tantou@") {
			t.Errorf("%s is a merchant", l.recipient)
		}
	}
	s.golden(c, "03-processor-direct", "takahashi88@keitai.example").says(t,
		[]string{"髙橋 誠様", "弊社", "2021年10月14日以降のご利用明細", "0120-000-620"},
		[]string{"委託", "加盟店さま"})
}

// 5 and 6: era dates and 寄付者 for those of whom it is only possible; the one
// person of whom it is certain gets another wording, in another campaign.
func TestScenario05And06Donors(t *testing.T) {
	t.Parallel()
	const confirmed = "takeuchi-sakura@post.example"
	s := newStory(t, payDay)
	s.load("pay", "donation", "donation.csv")
	c := s.send("pay", "donation", mailer.StageFormal, "--certainty", "possible")
	if len(c.letters) != 30 || c.to(confirmed) != nil {
		t.Errorf("%d messages, the confirmed person among them: %t", len(c.letters), c.to(confirmed) != nil)
	}
	s.golden(c, "05-era-donors", "ryo.yoshida@mail.example").says(t,
		[]string{"𠮷田 亮様", "寄付者の皆さま", "令和3年10月14日", "漏えいが確認されたものではございません", "最大"},
		[]string{"2021年", "2021/", "お客さま各位"})

	c = s.send("pay", "donation", mailer.StageFormal, "--certainty", "confirmed")
	if len(c.letters) != 1 {
		t.Errorf("%d messages for one person", len(c.letters))
	}
	s.golden(c, "06-confirmed", confirmed).says(t,
		[]string{"竹内 さくら様", "漏えいしたことが", "令和3年5月6日以降のご利用明細"},
		[]string{"漏えいが確認されたものではございません", "最大", "460,395"})
}

// 7: no card data leaked, no advice about cards; nobody's name is held, nobody
// is called by one.
func TestScenario07NoCardData(t *testing.T) {
	t.Parallel()
	s := newStory(t, payDay)
	s.load("pay", "processor", "processor-customers.csv")
	c := s.send("pay", "processor", mailer.StageFormal, "--exposure", "B2,B4")
	if len(c.letters) != 6 {
		t.Errorf("%d messages", len(c.letters))
	}
	s.golden(c, "07-convenience-store", "osamu.saito@post.example").says(t,
		[]string{"斎藤 修様", "コンビニ決済", "氏名、電話番号、メールアドレス", "不審な"}, noCards)
	s.golden(c, "07-e-money-no-name", "hashimoto18@keitai.example").says(t,
		[]string{"電子マネー決済", "メールアドレス"}, append([]string{"コンビニ", "ペイジー"}, noCards...))
}

// 9: a person in two groups gets one notice that names both, and looks through
// statements since the earlier of the two.
func TestScenario09Overlap(t *testing.T) {
	t.Parallel()
	s := newStory(t, payDay)
	s.load("pay", "housing", "housing.csv", "testdata/scenario/09-second-group.csv")
	c := s.send("pay", "housing", mailer.StageFormal)
	if len(c.letters) != 28 {
		t.Errorf("%d messages for 28 people", len(c.letters))
	}
	s.golden(c, "09-overlap", "haruka.sato@mail.example").says(t,
		[]string{"トークン方式クレジットカード決済情報データベース", "2021/05/06から2022/01/25まで", "2021/10/14から2022/01/25まで", "2021/05/06以降のご利用明細"},
		[]string{"2021/10/14以降のご利用明細"})
	c.to("suzuki47@post.example").says(t, []string{"2021/10/14以降のご利用明細"}, []string{"2021/05/06"})
}

// 11: a first warning, the formal notice also to those found since, and an
// addition for all.
func TestScenario11Stages(t *testing.T) {
	t.Parallel()
	const warned, found = "kenichi.kondo@tayori.example", "asuka_yoshida@keitai.example"
	s := newStory(t, "2021-12-14T10:00:00+09:00")
	s.firstFacts()
	s.load("shop", "shop", "testdata/scenario/11-first-wave.csv")
	c := s.send("shop", "shop", mailer.StageFirstWarning)
	if len(c.letters) != 20 || c.to(found) != nil {
		t.Errorf("%d messages, somebody not yet found among them: %t", len(c.letters), c.to(found) != nil)
	}
	s.golden(c, "11-first-warning", warned).says(t,
		[]string{"調査", "2021年12月7日"}, []string{"2022年", "2021年12月22日", "原因は次のとおり"})

	s.at("2022-08-18T10:00:00+09:00")
	s.finalFacts()
	s.load("shop", "shop", "shop.csv")
	c = s.send("shop", "shop", mailer.StageFormal)
	if len(c.letters) != 32 {
		t.Errorf("%d messages", len(c.letters))
	}
	reference := []string{"2021年12月14日付けの第一報にてお知らせいたしました"}
	s.golden(c, "11-formal-warned", warned).says(t, reference, nil)
	s.golden(c, "11-formal-newly-found", found).says(t, nil, reference)

	s.at("2022-08-20T10:00:00+09:00")
	c = s.send("shop", "shop", mailer.StageFollowUp)
	if len(c.letters) != 32 {
		t.Errorf("%d messages", len(c.letters))
	}
	s.golden(c, "11-follow-up", warned).says(t, []string{"なぜお知らせまでに時間がかかったのですか"}, nil)
}

// firstFacts are what was known when the first warning went out.
func (s *story) firstFacts() {
	s.t.Helper()
	file := s.path("incidents", "shop.toml")
	edit(s.t, file, "attack_to = 2021-12-22", "attack_to = 2021-12-07")
	edit(s.t, file, "\nto = 2021-12-22", "\nto = 2021-12-07")
	edit(s.t, file, "2020年4月27日から2021年12月22日までの間に入力された情報が", "2020年4月27日から2021年12月7日までの間に入力された情報が")
	edit(s.t, file, "count = 18_136", "count = 0")
	edit(s.t, file, "info/20220818.html", "info/")
}

// finalFacts are those of the sample, which remember where the first warning's
// period ended.
func (s *story) finalFacts() {
	s.t.Helper()
	file := s.path("incidents", "shop.toml")
	edit(s.t, file, "attack_to = 2021-12-07", "attack_to = 2021-12-22")
	edit(s.t, file, "\nto = 2021-12-07", "\nto = 2021-12-22\nfirst_to = 2021-12-07")
	edit(s.t, file, "2020年4月27日から2021年12月7日までの間に入力された情報が", "2020年4月27日から2021年12月22日までの間に入力された情報が")
	edit(s.t, file, "count = 0", "count = 18_136")
	edit(s.t, file, "komorebi-market.example/info/", "komorebi-market.example/info/20220818.html")
}

// 12: the list names who was left out, who was told in error, and who never
// should have been written to; only they are told, each of their own matter. Who was
// left out has no notice that a correction could set right, and gets the formal one.
func TestScenario12Corrections(t *testing.T) {
	t.Parallel()
	const added, removed, misdirected = "nozomi.ueda@mail.example", "suzuki47@post.example", "takuya_tanaka@tayori.example"
	s := newStory(t, payDay)
	s.load("pay", "housing", "housing.csv")
	if c := s.send("pay", "housing", mailer.StageFormal); len(c.letters) != 28 {
		t.Fatalf("%d messages", len(c.letters))
	}
	s.at("2022-03-10T10:00:00+09:00")
	s.corrections()
	s.load("pay", "housing", "testdata/scenario/12-corrections.csv")
	c := s.send("pay", "housing", mailer.StageCorrection)
	var to []string
	for _, l := range c.letters {
		to = append(to, l.recipient)
	}
	if want := []string{removed, misdirected}; !slices.Equal(to, want) {
		t.Errorf("told were %v, concerned are %v", to, want)
	}
	if s := c.check.Suppressed; s["not-concerned"] != 27-1 || s["never-told"] != 1 {
		t.Errorf("%v were passed over", s)
	}
	s.golden(c, "12-removed", removed).says(t, []string{"鈴木 直樹様", "2022/03/02付けのお知らせにて", "含まれておりません"}, noCards)
	s.golden(c, "12-misdirected", misdirected).says(t, []string{"田中 拓也様", "2022/03/02付けでお送りした"}, noCards)
	c = s.send("pay", "housing", mailer.StageFormal)
	if len(c.letters) != 1 {
		t.Errorf("%d messages", len(c.letters))
	}
	s.golden(c, "12-added", added).says(t, []string{"上田 望様"}, []string{"訂正"})
}

// corrections puts three kinds of corrections in place of the sample's one.
func (s *story) corrections() {
	s.t.Helper()
	edit(s.t, s.path("incidents", "pay.toml"), `kind = "content"
on = 2022-02-28
wrong = "お客さま相談窓口の受付日：平日のみ"
right = "お客さま相談窓口の受付日：毎日（土曜日・日曜日・祝日も受け付けております）"
`, `kind = "added"
on = 2022-03-02
right = "ご利用の記録を改めて確認した結果、対象となる方の一部が、それまでのお知らせの対象に含まれていなかったことが判明いたしました。"

[[corrections]]
kind = "removed"
on = 2022-03-02
right = "ご利用の記録を改めて確認した結果、対象期間にご利用のなかった方にもお知らせをお送りしていたことが判明いたしました。"

[[corrections]]
kind = "misdirected"
on = 2022-03-02
right = "お送りする宛先の確認に誤りがあり、お知らせの対象ではない方にもお送りしておりました。"
`)
	edit(s.t, s.path("merchants", "housing.toml"), "declared = { A = 28 }", "declared = { A = 29 }")
}

// 13: one person is a customer of two merchants: two notices, each with its own
// sender, number and data, and nothing of the one in the other.
func TestScenario13TwoMerchants(t *testing.T) {
	t.Parallel()
	const person = "haruka.sato@mail.example"
	s := newStory(t, payDay)
	s.load("pay", "housing", "housing.csv")
	s.load("pay", "sports", "sports.csv", "testdata/scenario/13-same-person.csv")
	first := s.send("pay", "housing", mailer.StageFormal)
	second := s.send("pay", "sports", mailer.StageFormal)
	a := s.golden(first, "13-first-merchant", person)
	b := s.golden(second, "13-second-merchant", person)
	a.says(t, []string{"みなと住宅支援協会"}, []string{"なぎさ", "指導者講習会", "当協会", "受講者", "コンビニ", second.refs[person]})
	b.says(t, []string{"なぎさ球技指導者協会", "コンビニ決済"}, []string{"みなと", "弊協会", "J10231", "〈トークン方式", first.refs[person]})
	if bytes.Contains(b.raw, []byte("minato")) || bytes.Contains(a.raw, []byte("nagisa")) {
		t.Error("one merchant's message names the other's domain")
	}

	var found struct{ Matches []mailer.Match }
	s.ask(&found, "lookup", "--email", person, "--by", "窓口担当")
	if len(found.Matches) != 2 || found.Matches[0].Ref == found.Matches[1].Ref {
		t.Fatalf("found %+v", found.Matches)
	}
	s.ask(&found, "lookup", "--ref", second.refs[person], "--by", "窓口担当")
	if len(found.Matches) != 1 || found.Matches[0].Merchant != "sports" || len(found.Matches[0].Notices) != 1 {
		t.Errorf("by the second merchant's number: %+v", found.Matches)
	}
}
