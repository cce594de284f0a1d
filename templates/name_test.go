package templates

import (
	"strings"
	"testing"

	"oshirase/mailer"
)

// What customers typed for their name must not stand at the head of an official notice
// where it is a message.
func TestNoName(t *testing.T) {
	tmpl := compile(t, snapshot(payIncident(), housing(), mailer.StageFormal, "2022-02-28"))
	for _, name := range []string{
		"カード停止のお知らせ evil.example/pay", "https://evil.example", "hxxps://evil[.]example", "HTTP://EVIL", "h t t p : / / evil",
		"evil.com", "ｅｖｉｌ．ｃｏｍ", "evil。com", "evil｡com", "evil․com", "evil .example", "evil. example / pay", "e v i l . c o m", "evil[.]com", "evil(.)com",
		"evil・com", "evil·com", "evil dot com", "evil(dot)com", "evilドットコム", "еvil.com", "evil.соm", "例え.みんな", "例え。jp", "xn--r8jz45g.jp", "xn--evil-4sa",
		"bank.evil.photography", "evil.com/1", "山田 evil.com", "www.evil", "x.com", "t.co/x", "bit.ly/x", "youtu.be/x", "ｔ．ｃｏ／ｘ", "192.0.2.1", "１９２．０．２．１", "//evil/x",
		"taro@example.jp", "ｔａｒｏ＠example", "0120-000-999", "０９０−００００−０００１", "〇一二〇ー一二三ー四五六", "至急 03 0000 0000",
		"<b>山田</b>", "＜a href=x＞", "&lt;b&gt;", "山田\n様", "山田\u202e", "山\u200b田", "山田\u2028様",
		"カードは止まりました。窓口へ", "当選！おめでとう！", "至急ご連絡を", "停止しました", "ク リ ッ ク", "パスワードを変更", "こちらへ",
		strings.Repeat("長い名前", 26),
	} {
		r := recipient(name, "A")
		n := render(t, tmpl, r)
		if !strings.Contains(n.Body, "\nお客さま\n") {
			t.Errorf("%q stands in the notice:\n%.200s", name, n.Body)
		}
		if squeezed := squeeze(name); strings.Contains(squeeze(n.Body), squeezed) {
			t.Errorf("%q stands in the notice", name)
		}
		var found []string
		for _, f := range tmpl.CheckNotice(r, &n) {
			found = append(found, f.Rule+" "+f.Ref)
		}
		if len(found) != 1 || found[0] != "reader-name "+r.Ref {
			t.Errorf("%q: found %v", name, found)
		}
	}
	for _, name := range []string{
		"山田 太郎", "髙橋 﨑子", "𠮷野 家子", "葛\U000e0100城", "佐々木　一・二", "ジョン・スミス", "ﾔﾏﾀﾞ ﾀﾛｳ", "O'Brien, Jr.", "O’Brien", "J. R. Smith", "J.Smith", "St. John", "St.John",
		"Dr. Com", "Dr.Link", "J.Link", "M.Page", "K.Co", "A.Li", "Smith, J.", "Müller-Lüdenscheidt", "Nguyễn Văn A", "Мария Иванова", "김민수", "Hideo Drechsler", "Hurley Curl", "Xavier",
		"株式会社 山田.商店", "株式会社山田商店", "㈱山田", "モーニング隊。", "有限会社ワオ！", "A&B商事", "田中（旧姓 佐藤）", "山田太郎/花子", "利用者12345", "一二三 四五六", "〇", "お福", "くこ", "口野 至", "停 一郎",
		"山田太郎様", "Maximilian Alexander von Habsburg-Lothringen the Younger of Ballindalloch Castle", "No. 5", "3.14",
	} {
		if why := noName(name); why != "" {
			t.Errorf("%q is taken for none: %s", name, why)
		}
	}
}

// A merchant whose list has no name for it is addressed as all are.
func TestNoNameToMerchants(t *testing.T) {
	m := housing()
	m.Operator = true
	tmpl := compile(t, snapshot(payIncident(), m, mailer.StageFormal, "2022-02-28"))
	n := render(t, tmpl, recipient("evil.example/pay", "C"))
	contains(t, n.Body, "加盟店各位")
	lacks(t, n.Body, "evil")
}

// Other columns count where a part shows them.
func TestReaderData(t *testing.T) {
	m := housing()
	m.Parts = map[string]string{"delay": "会社名は{{.Attributes.会社名}}、番号は{{.CustomerID}}です。", "salutation": "{{.Name}}様"}
	tmpl := compile(t, snapshot(payIncident(), m, mailer.StageFormal, "2022-02-28"))
	for company, want := range map[string]bool{
		"株式会社山田": false, "10-0001/7": false, "03-0000-0000": false, "2021年度. 前期": false,
		"evil.example/pay": true, "詳しくは こちら から http://evil": true, "<img src=x>": true, "停止のお知らせ": true,
		"とても長い文章が続いてから " + strings.Repeat("そして", 20) + " evil.com": true,
	} {
		r := recipient("田中 実", "A")
		r.CustomerID, r.Attributes = "10000001", map[string]string{"会社名": company, "使わない列": "https://evil.example"}
		n := render(t, tmpl, r)
		got := false
		for _, f := range tmpl.CheckNotice(r, &n) {
			got = got || f.Rule == "reader-data" && f.Severity == mailer.SeverityError && strings.Contains(f.Message, "会社名")
			if strings.Contains(f.Message, "使わない列") {
				t.Errorf("%s", f.Message)
			}
		}
		if got != want {
			t.Errorf("%q: found %t", company, got)
		}
	}
}
