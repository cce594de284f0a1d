package templates

import (
	"testing"
	"time"

	"oshirase/mailer"
)

// day reads a date that the test itself wrote.
func day(s string) mailer.Date {
	if s == "" {
		return mailer.Date{}
	}
	d, err := mailer.ParseDate(s)
	if err != nil {
		panic(err)
	}
	return d
}

// payIncident is a payment processor's breach that concerns many merchants.
func payIncident() mailer.Incident {
	card := []mailer.Item{mailer.ItemCardNumber, mailer.ItemCardExpiry}
	return mailer.Incident{
		ID: "pay", Title: "不正アクセスによる個人情報漏えい",
		Operator:   mailer.Organisation{Name: "株式会社ひかり決済", Short: "ひかり決済", Services: []string{"かいひナビ", "つどいナビ"}},
		System:     "決済システム",
		AttackFrom: day("2021-08-02"), AttackTo: day("2022-01-25"), KnownOn: day("2021-12-14"),
		Outline: "2021-08-02から2022-01-25にかけて、ひかり決済の決済システムが第三者による不正アクセスを受け、決済情報などを保管するデータベースから情報が外部に送信されました。専門の調査会社による調査は、2022-02-08に完了しています。",
		Causes: []mailer.Cause{
			{Text: "社内の管理システムへの不正なログイン", Measure: "ログイン時の認証を強化し、システムの環境を分離しました。", DoneOn: day("2022-01-08")},
			{Text: "一部のアプリケーションの脆弱性を突いたSQLインジェクション", Measure: "接続元を限定し、脆弱性を修正しました。", DoneOn: day("2022-01-08")},
			{Text: "遠隔操作のための不正なファイル（バックドア）の設置", Measure: "不正なファイルをすべて削除しました。", DoneOn: day("2022-01-25")},
		},
		Harm:       mailer.Harm{Known: true, Text: "クレジットカードについては、一部で不正に利用された疑いがあるとの連絡をカード会社から受けています。そのほかの二次被害は、現時点で確認されていません。"},
		Passphrase: "ひかり決済不正アクセスの件",
		ReissueFee: "再発行の手数料をお客さまにご負担いただくことのないよう、ひかり決済からカード会社に依頼しています。",
		Monitoring: "カード会社と連携し、漏えいした可能性のあるカードによる取引の監視を続けています。",
		Prevention: []string{"不正な通信を常時監視する体制を整えました。", "外部の専門家を交えた再発防止委員会を設置し、検証を進めています。"},
		Delay:      "不確かな情報によって混乱を招くことを避けるため、専門の調査会社による調査の完了を待ち、ご案内の準備を整えたうえでお知らせすることといたしました。",
		Timeline: []mailer.TimelineEntry{
			{On: day("2021-12-14"), Text: "カード会社から、不正利用の懸念について連絡を受領"},
			{On: day("2021-12-17"), Text: "専門の調査会社による調査を開始"},
			{On: day("2022-01-25"), Text: "トークン方式によるクレジットカード決済を停止"},
			{On: day("2022-02-08"), Text: "調査会社の最終報告書を受領"},
		},
		Authorities: []mailer.Authority{
			{Name: "個人情報保護委員会", Kind: "報告"},
			{Name: "警察", Kind: "被害申告", On: day("2022-02-18")},
		},
		Publication: mailer.Publication{On: day("2022-02-28"), URL: "https://www.hikari-pay.example/notice/20220228.html"},
		Desks: []mailer.Desk{
			{Audience: "customers", Name: "ひかり決済　お客さま相談窓口", Phone: "0120-000-620", FreeCall: true, Hours: "9:00-21:00", Days: "every-day", Answers: []string{"経緯、原因および対策のご説明", "お願いしている事項のご説明"}},
			{Audience: "merchants", Name: "ひかり決済　加盟店さま窓口", Phone: "0120-000-850", FreeCall: true, Hours: "9:30-17:30", Days: "weekdays"},
			{Audience: "press", Name: "ひかり決済　広報担当", Phone: "03-0000-6819", Hours: "9:30-17:30", Days: "weekdays"},
		},
		Exposures: []mailer.Exposure{
			{ID: "A", Data: "トークン方式クレジットカード決済のデータベース", Used: "クレジットカード決済をご利用", From: day("2021-10-14"), To: day("2022-01-25"), Items: append(card[:2:2], mailer.ItemCardCode), Certainty: mailer.CertaintyPossible, Count: 460395},
			{ID: "B1", Data: "決済情報データベース（クレジットカード決済）", Used: "クレジットカード決済をご利用", From: day("2021-05-06"), To: day("2022-01-25"), Items: card, MaybeAlso: []mailer.Item{mailer.ItemName, mailer.ItemPhone, mailer.ItemAddress, mailer.ItemEmail}, Certainty: mailer.CertaintyConfirmed, Count: 434},
			{ID: "B2", Data: "決済情報データベース（コンビニ決済）", Used: "コンビニ決済をご利用", From: day("2021-05-06"), To: day("2022-01-25"), Items: []mailer.Item{mailer.ItemName, mailer.ItemPhone, mailer.ItemEmail}, Certainty: mailer.CertaintyConfirmed, Count: 109},
			{ID: "B3", Data: "決済情報データベース（ペイジー決済）", Used: "ペイジー決済をご利用", From: day("2021-05-06"), To: day("2022-01-25"), Items: []mailer.Item{mailer.ItemName, mailer.ItemPostalCode, mailer.ItemAddress, mailer.ItemPhone}, Certainty: mailer.CertaintyConfirmed, Count: 17},
			{ID: "B4", Data: "決済情報データベース（電子マネー決済）", Used: "電子マネー決済をご利用", From: day("2021-05-06"), To: day("2022-01-25"), Items: []mailer.Item{mailer.ItemEmail}, Certainty: mailer.CertaintyConfirmed, Count: 33},
			{ID: "C", Data: "加盟店情報データベース", Items: []mailer.Item{mailer.ItemMerchantName, mailer.ItemMerchantCode}, Certainty: mailer.CertaintyConfirmed, Count: 38},
		},
	}
}

// payFirst is what was known of payIncident when the first warning went out.
func payFirst() mailer.Incident {
	in := payIncident()
	in.Outline = "2021-12-14に、カード会社から不正利用の懸念について連絡があり、ひかり決済の決済システムが第三者による不正アクセスを受けた可能性のあることが分かりました。専門の調査会社による調査を2021-12-17から進めています。"
	for i := range in.Exposures {
		in.Exposures[i].Certainty = mailer.CertaintyPossible
		in.Exposures[i].Count = 0
		if !in.Exposures[i].To.IsZero() {
			in.Exposures[i].To = day("2021-12-16")
		}
	}
	return in
}

// shopFirst is what was known of shopIncident when the first warning went out.
func shopFirst() mailer.Incident {
	in := shopIncident()
	in.Outline = "2021-12-07に、警察から、通販サイト「あおばパーク」から情報が不正に送信されている可能性があるとの連絡を受けました。調査の結果、不正なプログラムが見つかりましたため、除去しています。"
	in.Exposures[0].To, in.Exposures[0].Count = day("2021-12-07"), 0
	return in
}

// shopIncident is the breach of a shop that wrote to its customers itself.
func shopIncident() mailer.Incident {
	return mailer.Incident{
		ID: "shop", Title: "不正アクセスによる個人情報漏えい",
		Operator:   mailer.Organisation{Name: "株式会社あおば古着店", Short: "あおば古着店", Services: []string{"あおばパーク"}},
		System:     "通販サイト「あおばパーク」",
		KnownOn:    day("2021-12-07"),
		Outline:    "通販サイト「あおばパーク」が第三者による不正アクセスを受け、お支払いの画面が改ざんされました。2020-04-27から2021-12-22までに入力された情報が、外部に送信された可能性があります。",
		Causes:     []mailer.Cause{{Text: "サイトのシステムの一部にあった脆弱性を突いた、決済用プログラムの改ざん", Measure: "不正なプログラムを除去し、脆弱性を修正しました。"}},
		Harm:       mailer.Harm{Known: true, Text: "一部のお客さまのクレジットカードが不正に利用された可能性があることを、調査会社による調査で確認しています。"},
		Passphrase: "あおばパーク不正アクセスの件",
		ReissueFee: "再発行の手数料をお客さまにご負担いただくことのないよう、あおば古着店からカード会社に依頼しています。",
		Monitoring: "カード会社と連携し、漏えいした可能性のあるカードによる取引の監視を続けています。",
		Prevention: []string{"サイトのシステムの安全対策と監視の体制を強化しています。", "クレジットカード決済は、安全を確認できるまで停止しています。"},
		Delay:      "不確かな情報によって混乱を招くことを避けるため、調査会社による調査とカード会社との連携が整うのを待ってお知らせすることといたしました。",
		Timeline: []mailer.TimelineEntry{
			{On: day("2021-12-07"), Text: "警察から、情報が送信されている可能性について連絡を受領"},
			{On: day("2021-12-29"), Text: "サイトでのクレジットカード決済を停止"},
			{On: day("2022-06-28"), Text: "調査会社による調査が完了"},
		},
		Authorities: []mailer.Authority{
			{Name: "個人情報保護委員会", Kind: "報告", On: day("2022-07-11")},
			{Name: "警察", Kind: "被害申告", On: day("2021-12-08")},
		},
		Publication: mailer.Publication{On: day("2022-08-18"), URL: "https://www.aoba-park.example/info/notice.html"},
		Desks: []mailer.Desk{{
			Audience: "customers", Name: "あおばパーク　お客さま相談窓口", Phone: "0120-000-858", FreeCall: true,
			Email: "info@aoba-park.example", Hours: "10:00-17:00", Days: "weekdays",
		}},
		Exposures: []mailer.Exposure{{
			ID: "W", Data: "「あおばパーク」のお支払いの情報", Used: "クレジットカード決済をご利用",
			From: day("2020-04-27"), To: day("2021-12-22"),
			Items:     []mailer.Item{mailer.ItemCardHolder, mailer.ItemCardNumber, mailer.ItemCardExpiry, mailer.ItemCardCode, mailer.ItemLoginID, mailer.ItemPassword},
			Certainty: mailer.CertaintyPossible, Count: 18136,
		}},
		Additions: []mailer.Addition{
			{On: day("2022-08-20"), Question: "なぜお知らせまでに時間がかかったのですか。", Text: "2021-12-14から順次、第一報をメールでお送りし、ご注意をお願いしておりました。その後、調査会社による調査とカード会社との連携が整うのを待って、2022-08-18に正式なお知らせをいたしました。"},
			{On: day("2022-08-20"), Text: "サイトでのクレジットカード決済の再開日は、決まりしだいサイトでお知らせします。"},
		},
	}
}

// The senders.
func housing() mailer.Merchant {
	return mailer.Merchant{
		ID: "housing", Name: "一般社団法人みなと住宅支援協会", SelfName: "弊協会", Reader: "お客さま",
		Service: "住宅相談員講座", Entrusts: "クレジットカード決済", From: "info@minato-jutaku.example",
		DateStyle: mailer.Slash, PostalAddress: "東京都港区みなと一丁目0番0号", Website: "https://www.minato-jutaku.example/notice/",
		Desk:     mailer.Desk{Name: "みなと住宅支援協会　講座担当", Phone: "03-0000-7346", Hours: "10:00-16:00", Days: "weekdays"},
		Declared: map[string]int64{"A": 3120},
	}
}

func donation() mailer.Merchant {
	return mailer.Merchant{
		ID: "donation", Name: "公益社団法人ともしび基金", SelfName: "当基金", Reader: "寄付者の皆さま",
		Service: "オンライン寄付", Entrusts: "オンライン寄付の決済", From: "kifu@tomoshibi.example",
		DateStyle: mailer.Era, Declared: map[string]int64{"A": 5283, "B1": 1},
	}
}

func sports() mailer.Merchant {
	return mailer.Merchant{
		ID: "sports", Name: "一般財団法人さくら野球連盟", SelfName: "当連盟", Reader: "受講者の皆さま",
		Service: "指導者講習会", Entrusts: "受講料の決済", From: "kensyu@sakura-baseball.example", DateStyle: mailer.Western,
	}
}

func processor() mailer.Merchant {
	return mailer.Merchant{
		ID: "processor", Name: "株式会社ひかり決済", SelfName: "弊社", Reader: "お客さま", Service: "かいひナビ",
		Operator: true, From: "notice@hikari-pay.example", DateStyle: mailer.Western,
	}
}

func shop() mailer.Merchant {
	return mailer.Merchant{
		ID: "shop", Name: "株式会社あおば古着店", SelfName: "弊社", Reader: "お客さま", Service: "あおばパーク",
		Operator: true, From: "info@aoba-park.example", DateStyle: mailer.Western,
		PostalAddress: "岡山県岡山市あおば町0番0号", Declared: map[string]int64{"W": 18136},
	}
}

// snapshot puts facts together; the notice bears the given day.
func snapshot(in mailer.Incident, m mailer.Merchant, stage mailer.Stage, on string) *mailer.Snapshot {
	return &mailer.Snapshot{Incident: in, Merchant: m, Stage: stage, NoticeOn: day(on)}
}

func compile(t testing.TB, snap *mailer.Snapshot) *Template {
	t.Helper()
	set, err := New()
	if err != nil {
		t.Fatal(err)
	}
	tmpl, err := set.Compile(snap)
	if err != nil {
		t.Fatal(err)
	}
	return tmpl.(*Template)
}

func recipient(name string, exposures ...string) *mailer.Recipient {
	ref, err := mailer.NewRef(repeat(7))
	if err != nil {
		panic(err)
	}
	return &mailer.Recipient{
		ID: 1, Ref: ref, Exposures: exposures,
		Person: mailer.Person{CustomerID: "10001", Name: name, Email: "reader@mail.example"},
	}
}

func told(stage mailer.Stage, y int, m time.Month, d int, exposures ...string) mailer.Told {
	return mailer.Told{Stage: stage, On: mailer.Date{Year: y, Month: m, Day: d}, Exposures: exposures}
}

// repeat is a source of one and the same byte.
type repeat byte

func (r repeat) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(r) + byte(i)
	}
	return len(b), nil
}
