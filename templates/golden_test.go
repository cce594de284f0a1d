package templates

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"oshirase/mailer"
)

var update = flag.Bool("update", false, "rewrite the goldens")

// scene is a notice of docs/scenarios: who writes what to whom.
type scene struct {
	name string
	snap *mailer.Snapshot
	to   *mailer.Recipient
}

func corrected(m func() mailer.Incident, c ...mailer.Correction) mailer.Incident {
	in := m()
	in.Corrections = c
	return in
}

func scenes() []scene {
	const payDay, shopDay = "2022-02-28", "2022-08-18"
	warned := func(r *mailer.Recipient, t ...mailer.Told) *mailer.Recipient { r.Told = t; return r }
	first := told(mailer.StageFirstWarning, 2021, 12, 14, "W")
	formal := told(mailer.StageFormal, 2022, 8, 18, "W")
	added := mailer.Correction{Kind: mailer.CorrectionAdded, On: day(payDay), Right: "対象期間の始まりの日を誤って集計していたため、一部の方へのお知らせが漏れておりました。"}
	removed := mailer.Correction{Kind: mailer.CorrectionRemoved, On: day(payDay), Right: "対象期間の判定に誤りがあり、期間外にご利用になった方にもお知らせをお送りしておりました。"}
	misdirected := mailer.Correction{Kind: mailer.CorrectionMisdirected, On: day(payDay), Right: "送信先の一覧の作成に誤りがあり、対象ではない方の宛先が含まれておりました。"}
	content := mailer.Correction{
		Kind: mailer.CorrectionContent, On: day(payDay),
		Wrong: "カード会社へは「ひかり決済の件」とお伝えください。", Right: "カード会社へは「ひかり決済不正アクセスの件」とお伝えください。",
	}
	return []scene{
		{"01-processor-to-merchants", snapshot(payIncident(), processor(), mailer.StageFormal, payDay), recipient("株式会社やまびこ書店", "C")},
		{"01-processor-to-merchants-first", snapshot(payFirst(), processor(), mailer.StageFirstWarning, "2021-12-29"), recipient("", "C")},
		{"02-merchant-possible", snapshot(payIncident(), housing(), mailer.StageFormal, payDay), recipient("髙橋 花子", "A")},
		{"02-merchant-first-warning", snapshot(payFirst(), housing(), mailer.StageFirstWarning, "2021-12-29"), recipient("髙橋 花子", "A")},
		{"03-processor-direct", snapshot(payIncident(), processor(), mailer.StageFormal, payDay), recipient("山﨑 一郎", "A")},
		{"05-era-donors", snapshot(payIncident(), donation(), mailer.StageFormal, payDay), recipient("佐藤 明", "A")},
		{"06-confirmed", snapshot(payIncident(), donation(), mailer.StageFormal, payDay), recipient("𠮷田 さくら", "B1")},
		{"07-convenience-store", snapshot(payIncident(), sports(), mailer.StageFormal, payDay), recipient("鈴木 健", "B2")},
		{"07-e-money-no-name", snapshot(payIncident(), housing(), mailer.StageFormal, payDay), recipient("", "B4")},
		{"09-overlap", snapshot(payIncident(), housing(), mailer.StageFormal, payDay), recipient("田中 実", "A", "B1")},
		{"11-first-warning", snapshot(shopFirst(), shop(), mailer.StageFirstWarning, "2021-12-14"), recipient("中村 優子", "W")},
		{"11-formal-warned", snapshot(shopIncident(), shop(), mailer.StageFormal, shopDay), warned(recipient("中村 優子", "W"), first)},
		{"11-formal-newly-found", snapshot(shopIncident(), shop(), mailer.StageFormal, shopDay), recipient("小林 誠", "W")},
		{"11-follow-up", snapshot(shopIncident(), shop(), mailer.StageFollowUp, "2022-08-20"), warned(recipient("中村 優子", "W"), first, formal)},
		{"12-added", snapshot(corrected(payIncident, added), housing(), mailer.StageCorrection, "2022-03-10"), recipient("伊藤 円", "A")},
		{"12-removed", snapshot(corrected(payIncident, removed), housing(), mailer.StageCorrection, "2022-03-10"), warned(recipient("渡辺 忠", "A"), told(mailer.StageFormal, 2022, 2, 28, "A"))},
		{"12-misdirected", snapshot(corrected(payIncident, misdirected), housing(), mailer.StageCorrection, "2022-03-10"), warned(recipient("加藤 望", "A"), told(mailer.StageFormal, 2022, 2, 28, "A"))},
		{"12-content", snapshot(corrected(payIncident, content), housing(), mailer.StageCorrection, "2022-03-10"), warned(recipient("高橋 花子", "A"), told(mailer.StageFormal, 2022, 2, 28, "A"))},
		{"13-second-merchant", snapshot(payIncident(), sports(), mailer.StageFormal, payDay), recipient("髙橋 花子", "A")},
	}
}

func TestGolden(t *testing.T) {
	for _, s := range scenes() {
		t.Run(s.name, func(t *testing.T) {
			n, err := compile(t, s.snap).Render(s.to)
			if err != nil {
				t.Fatal(err)
			}
			got := "Subject: " + n.Subject + "\n\n" + n.Body
			file := filepath.Join("testdata", s.name+".golden")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s differs; look at it after: go test ./templates -run Golden -update\n%s", file, got)
			}
		})
	}
}
