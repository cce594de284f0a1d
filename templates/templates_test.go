package templates

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"

	"oshirase/mailer"
	"oshirase/mailer/japanese"
)

func render(t *testing.T, tmpl *Template, r *mailer.Recipient) mailer.Notice {
	t.Helper()
	n, err := tmpl.Render(r)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func contains(t *testing.T, body string, want ...string) {
	t.Helper()
	flat := strings.ReplaceAll(strings.ReplaceAll(body, "\n　", ""), "\n", "")
	for _, w := range want {
		if !strings.Contains(flat, w) {
			t.Errorf("the notice lacks %q:\n%s", w, body)
		}
	}
}

func lacks(t *testing.T, body string, unwanted ...string) {
	t.Helper()
	flat := strings.ReplaceAll(strings.ReplaceAll(body, "\n　", ""), "\n", "")
	for _, w := range unwanted {
		if strings.Contains(flat, w) {
			t.Errorf("the notice has %q:\n%s", w, body)
		}
	}
}

func TestAdviceFollowsFromTheItems(t *testing.T) {
	tmpl := compile(t, snapshot(payIncident(), sports(), mailer.StageFormal, "2022-02-28"))
	body := func(exposures ...string) string { return render(t, tmpl, recipient("鈴木 健", exposures...)).Body }

	contains(t, body("A"), "2021年10月14日以降のご利用明細", "「ひかり決済不正アクセスの件」", "再発行の手数料")
	contains(t, body("A", "B1"), "2021年5月6日以降のご利用明細", "漏えいしたことを確認いたしました", "漏えいした可能性がございます")
	lacks(t, body("A", "B1"), "2021年10月14日以降")
	for _, id := range []string{"B2", "B3", "B4"} {
		lacks(t, body(id), "明細", "再発行", "ひかり決済不正アクセスの件", "カードの裏面", "パスワードの変更")
	}
	contains(t, body("B2"), "不審なメール、電話、ショートメッセージへのご注意")
	contains(t, body("B3"), "不審な電話、ショートメッセージ、郵便物へのご注意")
	contains(t, body("B4"), "不審なメールへのご注意", "届くおそれがございます")
	lacks(t, body("B4"), "郵便物")

	shopBody := render(t, compile(t, snapshot(shopIncident(), shop(), mailer.StageFormal, "2022-08-18")), recipient("中村 優子", "W")).Body
	contains(t, shopBody, "ほかのサービスでもお使いの場合は", "2020年4月27日以降のご利用明細")
}

func TestWhatWasToldBefore(t *testing.T) {
	tmpl := compile(t, snapshot(shopIncident(), shop(), mailer.StageFormal, "2022-08-18"))
	r := recipient("中村 優子", "W")
	lacks(t, render(t, tmpl, r).Body, "第一報にて")
	r.Told = []mailer.Told{told(mailer.StageFirstWarning, 2021, 12, 14, "W")}
	contains(t, render(t, tmpl, r).Body, "2021年12月14日付けの第一報にて")

	later := compile(t, snapshot(shopIncident(), shop(), mailer.StageFollowUp, "2022-09-01"))
	r.Told = append(r.Told, told(mailer.StageFormal, 2022, 8, 18, "W"), told(mailer.StageFollowUp, 2022, 8, 19, "W"))
	contains(t, render(t, later, r).Body, "2022年8月19日付けでお知らせいたしました", "なぜお知らせまでに時間がかかったのですか")
}

func TestCorrectionKinds(t *testing.T) {
	in := payIncident()
	in.Corrections = []mailer.Correction{
		{Kind: mailer.CorrectionRemoved, On: day("2022-02-28"), Right: "判定に誤りがありました。"},
		{Kind: mailer.CorrectionAdded, On: day("2022-02-28"), Right: "集計に誤りがありました。"},
	}
	tmpl := compile(t, snapshot(in, housing(), mailer.StageCorrection, "2022-03-10"))
	for _, tt := range []struct {
		name, column, value string
		want, not           string
		fails               bool
	}{
		{"removed", "correction", "removed", "含まれておりません", "明細", false},
		{"removed in Japanese", "訂正区分", "対象外", "判定に誤り", "集計に誤り", false},
		{"added", "訂正区分", "追加", "集計に誤り", "判定に誤り", false},
		{"none given", "会員区分", "一般", "", "", true},
		{"unknown", "correction", "whatever", "", "", true},
		{"not in the incident", "correction", "content", "", "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := recipient("渡辺 忠", "A")
			r.Attributes = map[string]string{tt.column: tt.value}
			n, err := tmpl.Render(r)
			if tt.fails {
				if err == nil {
					t.Fatal("rendered without knowing which correction the reader gets")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			contains(t, n.Body, tt.want)
			lacks(t, n.Body, tt.not)
		})
	}
}

// Leaving out what concerns cards must not make the rest untrue.
func TestHarmWithoutCards(t *testing.T) {
	for _, tt := range []struct{ text, exposure, want, not string }{
		{"カードの不正利用が確認されています。また、なりすましのおそれがあります。", "B4", "ひかり決済から受けた報告の内容は、次のとおりです。なりすましのおそれがあります。", "不正利用が確認"},
		{"カードの不正利用が確認されています。また、なりすましのおそれがあります。", "A", "カードの不正利用が確認されています。また、", ""},
		{"カードの不正利用が確認されています。そのほかの二次被害は確認されていません。", "B4", "カードの不正利用が確認されています。そのほかの二次被害", ""},
	} {
		in := payIncident()
		in.Harm.Text = tt.text
		n := render(t, compile(t, snapshot(in, sports(), mailer.StageFormal, "2022-02-28")), recipient("鈴木 健", tt.exposure))
		contains(t, n.Body, tt.want)
		if tt.not != "" {
			lacks(t, n.Body, tt.not)
		}
	}
}

func TestSalutation(t *testing.T) {
	for _, tt := range []struct {
		sender func() mailer.Merchant
		name   string
		exp    string
		want   string
	}{
		{housing, "髙橋 花子", "A", "髙橋 花子様"},
		{housing, " 　髙橋 花子　 ", "A", "髙橋 花子様"},
		{housing, "髙橋 花子様", "A", "髙橋 花子様"},
		{housing, "髙橋 花子 様", "A", "髙橋 花子 様"},
		{housing, "", "A", "お客さま"},
		{housing, "　", "A", "お客さま"},
		{donation, "", "A", "寄付者の皆さま"},
		{processor, "", "C", "加盟店各位"},
		{processor, "株式会社やまびこ書店", "C", "株式会社やまびこ書店\nご担当者様"},
		{processor, "山﨑 一郎", "A", "山﨑 一郎様"},
	} {
		n := render(t, compile(t, snapshot(payIncident(), tt.sender(), mailer.StageFormal, "2022-02-28")), recipient(tt.name, tt.exp))
		if !strings.Contains(n.Body, "\n\n"+tt.want+"\n\n") {
			t.Errorf("%q: no salutation %q in\n%s", tt.name, tt.want, n.Body[:200])
		}
	}
}

// Facts name the operator; where it writes itself, it says 弊社 of itself.
func TestOperatorSpeaksOfItself(t *testing.T) {
	n := render(t, compile(t, snapshot(payIncident(), processor(), mailer.StageFormal, "2022-02-28")), recipient("山﨑 一郎", "A"))
	contains(t, n.Body, "弊社の決済システムが第三者による", "「ひかり決済不正アクセスの件」", "弊社からカード会社に依頼しています")
	lacks(t, n.Body, "ひかり決済から", "ひかり決済の決済システム")
	n = render(t, compile(t, snapshot(payIncident(), housing(), mailer.StageFormal, "2022-02-28")), recipient("山﨑 一郎", "A"))
	contains(t, n.Body, "株式会社ひかり決済（以下「ひかり決済」といいます。）", "ひかり決済から受けた報告")
}

func TestReplacedParts(t *testing.T) {
	set, err := New()
	if err != nil {
		t.Fatal(err)
	}
	compileWith := func(parts map[string]string) (*Template, error) {
		m := housing()
		m.Parts = parts
		tmpl, err := set.Compile(snapshot(payIncident(), m, mailer.StageFormal, "2022-02-28"))
		if err != nil {
			return nil, err
		}
		return tmpl.(*Template), nil
	}
	t.Run("used and wrapped", func(t *testing.T) {
		tmpl, err := compileWith(map[string]string{"closing": "{{.Self}}一同、" + strings.Repeat("再発の防止に努めてまいりますので、", 4) + "以上"})
		if err != nil {
			t.Fatal(err)
		}
		n := render(t, tmpl, recipient("田中 実", "A"))
		contains(t, n.Body, "弊協会一同、")
		for _, line := range strings.Split(n.Body, "\n") {
			if japanese.Width(line) > columns {
				t.Errorf("line too wide: %q", line)
			}
		}
	})
	t.Run("emptied", func(t *testing.T) {
		tmpl, err := compileWith(map[string]string{"timeline": " \n"})
		if err != nil {
			t.Fatal(err)
		}
		lacks(t, render(t, tmpl, recipient("田中 実", "A")).Body, "これまでの経緯")
	})
	t.Run("loops and phrases", func(t *testing.T) {
		tmpl, err := compileWith(map[string]string{
			"closing": `{{range $i, $d := .Desks}}（{{number $i}}）{{with $d.Name}}{{.}}{{end}}{{range lines $d.Answers}}・{{.}}{{else}}・なし{{end}}
{{end}}{{range .Exposures}}{{template "_items" .}}{{end}}{{range $k, $v := .Attributes}}{{$k}}={{$v}}{{end}}{{print .Self "一同"}}`,
		})
		if err != nil {
			t.Fatal(err)
		}
		r := recipient("田中 実", "A")
		r.Attributes = map[string]string{"年度": "2021"}
		contains(t, render(t, tmpl, r).Body, "（1）", "クレジットカード番号", "年度=2021", "弊協会一同")
	})
	t.Run("attributes differ from person to person", func(t *testing.T) {
		tmpl, err := compileWith(map[string]string{
			"delay":   "受講年度は{{.Attributes.受講年度}}です。",
			"subject": "【重要】{{.CustomerID}}（みなと住宅支援協会）",
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, year := range []string{"2020", "2021"} {
			r := recipient("田中 実", "A")
			r.CustomerID, r.Attributes = "id-"+year, map[string]string{"受講年度": year}
			n := render(t, tmpl, r)
			contains(t, n.Body, "受講年度は"+year+"です。")
			contains(t, n.Subject, "id-"+year)
		}
		_, err = tmpl.Render(recipient("田中 実", "A"))
		if err == nil || !strings.Contains(err.Error(), `part "delay"`) || !strings.Contains(err.Error(), "delay:1") {
			t.Errorf("an attribute that the list lacks: %v", err)
		}
	})
	for name, tt := range map[string]struct{ part, source, want string }{
		"unknown part":     {"greeting", "x", "templates.no-part (merchant=housing, part=greeting,"},
		"bad syntax":       {"closing", "a\nb\n{{if}}", "closing:3"},
		"unknown field":    {"closing", "a\n{{.Nonsense}}", "closing:2"},
		"unknown function": {"closing", "{{shout .Self}}", "closing:1"},
		"two-line subject": {"subject", "a\nb", "templates.lines"},

		"another part":         {"closing", "a{{define \"desk\"}}0120-999-999{{end}}", "templates.define (defines=desk)"},
		"a phrase anew":        {"closing", "{{define \"_items\"}}x{{end}}", "templates.define (defines=_items)"},
		"a block":              {"closing", "{{block \"desk\" .}}x{{end}}", "templates.define (defines=desk)"},
		"itself":               {"closing", "a\n{{template \"closing\" .}}", "templates.call (line=2, calls=closing)"},
		"itself by a block":    {"closing", "{{block \"closing\" .}}x{{end}}", "closing:1"},
		"another":              {"closing", "{{if .Self}}{{template \"desk\" .}}{{end}}", "templates.call"},
		"a number":             {"closing", "a\n{{range 1000000000000}}{{end}}", "closing:2:8"},
		"a number of a fact":   {"closing", "{{range .Incident.KnownOn.Year}}{{end}}", "templates.no-list (type=int)"},
		"a count":              {"closing", "{{range len .Self}}x{{end}}", "templates.no-list"},
		"a variable":           {"closing", "{{$n := 1000000000000}}{{range $i := $n}}{{end}}", "templates.no-list"},
		"loops in loops":       {"closing", "{{range .Desks}}{{range lines .Answers}}{{with .}}\n{{range .}}{{end}}{{end}}{{end}}{{end}}", "templates.loops (line=2"},
		"many loops":           {"closing", strings.Repeat("{{range .Desks}}{{end}}", 21), "templates.loops"},
		"a long list":          {"closing", "{{range lines \"" + strings.Repeat("\\n.", 501) + "\"}}x{{end}}", "templates.long-list"},
		"doubling":             {"closing", "{{$s := .Sender}}{{range lines \"" + strings.Repeat("\\n.", 400) + "\"}}{{$s = print $s $s}}{{end}}", "templates.output"},
		"doubling by join":     {"closing", "{{$s := .Sender}}{{range lines \"" + strings.Repeat("\\n.", 400) + "\"}}{{$s = join $s $s $s}}{{end}}", "templates.output"},
		"too much":             {"closing", "{{range lines \"" + strings.Repeat("\\n.", 400) + "\"}}" + strings.Repeat("お", 200) + "{{end}}", "templates.output"},
		"a width":              {"closing", "\n{{printf \"%1000000000d\" 1}}", "templates.function (line=2, function=printf"},
		"a width within":       {"closing", "{{if (eq (printf \"%1000000d\" 1) \"\")}}{{end}}", "templates.function"},
		"js":                   {"closing", "{{.Self | js}}", "templates.function"},
		"a call":               {"closing", "{{call .Self}}", "templates.function"},
		"what stands in loops": {"closing", "{{bounded .Desks}}", "\"bounded\" not defined"},
		"a long source":        {"closing", strings.Repeat("お", 30000), "templates.source"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := compileWith(map[string]string{tt.part: tt.source})
			if err == nil || !strings.Contains(err.Error(), tt.want) || !errors.Is(err, mailer.ErrInvalid) {
				t.Errorf("got %v, want ErrInvalid with %q", err, tt.want)
			}
		})
	}
}

func TestRenderRefuses(t *testing.T) {
	tmpl := compile(t, snapshot(payIncident(), housing(), mailer.StageFormal, "2022-02-28"))
	for name, r := range map[string]*mailer.Recipient{
		"unknown exposure": recipient("田中 実", "A", "Z"),
		"no exposure":      recipient("田中 実"),
	} {
		if _, err := tmpl.Render(r); err == nil {
			t.Errorf("%s: rendered", name)
		}
	}
	set, err := New()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := set.Compile(snapshot(payIncident(), housing(), "letter", "2022-02-28")); !errors.Is(err, mailer.ErrInvalid) {
		t.Errorf("unknown stage: %v", err)
	}
}

func TestDigest(t *testing.T) {
	a, err := New()
	if err != nil {
		t.Fatal(err)
	}
	b, err := New()
	if err != nil {
		t.Fatal(err)
	}
	if a.Digest() != b.Digest() || !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(a.Digest()) {
		t.Errorf("digests %q and %q", a.Digest(), b.Digest())
	}
}

// Rendering the same person again, from a fresh set and from many goroutines,
// gives the same bytes: what was approved is compared with what is sent.
func TestRenderingIsRepeatable(t *testing.T) {
	sets := [][]string{{"A"}, {"B1"}, {"A", "B1"}, {"B2"}, {"B4"}, {"B1", "A"}}
	people := make([]*mailer.Recipient, 60)
	for i := range people {
		people[i] = recipient(fmt.Sprintf("田中 %d", i), sets[i%len(sets)]...)
	}
	shared := compile(t, snapshot(payIncident(), housing(), mailer.StageFormal, "2022-02-28"))
	got := make([]mailer.Notice, len(people)*4)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i, r := range people {
				got[g*len(people)+i], _ = shared.Render(r) // compared below
			}
		})
	}
	wg.Wait()
	for i, r := range people {
		var alone *Template
		if i%10 == 0 {
			alone = compile(t, snapshot(payIncident(), housing(), mailer.StageFormal, "2022-02-28"))
		} else {
			alone = shared
		}
		want := render(t, alone, r)
		for g := range 4 {
			if got[g*len(people)+i] != want {
				t.Fatalf("person %d: rendered differently", i)
			}
		}
	}
}

// Nothing of one reader is kept for another.
func TestVariantsHoldNothingPersonal(t *testing.T) {
	tmpl := compile(t, snapshot(payIncident(), housing(), mailer.StageFormal, "2022-02-28"))
	first := recipient("秘密 一郎", "A")
	first.Ref = otherRef()
	render(t, tmpl, first)
	second := render(t, tmpl, recipient("田中 実", "A"))
	lacks(t, second.Body, "秘密", first.Ref)
}

// A part that is cut around the name says what the executed part says.
func TestSlotsSayWhatPartsSay(t *testing.T) {
	for _, name := range []string{"髙橋 花子", "佐藤様", "", " 　山﨑　", "a\nb", "Maximilian  Alexander", "御中", "山田 各位", "𠮷野"} {
		for _, ref := range []string{"DEFGH-JKMNG", "short", ""} {
			for _, exposures := range [][]string{{"A"}, {"C"}} {
				tmpl := compile(t, snapshot(payIncident(), processor(), mailer.StageFormal, "2022-02-28"))
				r := recipient(name, exposures...)
				r.Ref = ref
				v, err := tmpl.variant(r)
				if err != nil {
					t.Fatal(err)
				}
				fast := render(t, tmpl, r)
				slots := 0
				for i := range v.segments {
					if v.segments[i].slot != noSlot {
						slots++
						v.segments[i].slot = noSlot
					}
				}
				if slots != 2 {
					t.Fatalf("%d slots, want name and reference", slots)
				}
				if slow := render(t, tmpl, r); slow != fast {
					t.Errorf("name %q, reference %q: with slots\n%s\nwithout\n%s", name, ref, fast.Body, slow.Body)
				}
			}
		}
	}
}

func TestSubjectsFit(t *testing.T) {
	for _, s := range scenes() {
		n := render(t, compile(t, s.snap), s.to)
		if w := japanese.Width(n.Subject); w > 60 || !strings.HasPrefix(n.Subject, "【重要】") {
			t.Errorf("%s: %d columns: %s", s.name, w, n.Subject)
		}
	}
}

func BenchmarkRender(b *testing.B) {
	tmpl := compile(b, snapshot(payIncident(), housing(), mailer.StageFormal, "2022-02-28"))
	r := recipient("髙橋 花子", "A", "B1")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tmpl.Render(r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheckNotice(b *testing.B) {
	tmpl := compile(b, snapshot(payIncident(), housing(), mailer.StageFormal, "2022-02-28"))
	r := recipient("髙橋 花子", "A", "B1")
	n, err := tmpl.Render(r)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if f := tmpl.CheckNotice(r, &n); len(f) > 0 {
			b.Fatal(f)
		}
	}
}
