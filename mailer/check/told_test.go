package check_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"oshirase/mailer"
	"oshirase/mailer/check"
	"oshirase/torture/mailertest"
)

// lose has the connection cut behind the final dot of what is left of a campaign.
func lose(w *mailertest.World, id string) {
	w.T.Helper()
	now := w.Clock.Now()
	l, err := w.DB.Claim(w.T.Context(), id, now, now.Add(time.Hour), 100, nil)
	mailertest.Must(w.T, err)
	for _, d := range l.Deliveries {
		r := mailer.Record{Delivery: d.ID, Epoch: l.Epoch, Campaign: id, At: now}
		mailertest.Must(w.T, w.DB.Record(w.T.Context(), r)[0])
		r.Outcome = &mailer.Outcome{State: mailer.StateUnknown, Point: mailer.AtDot, Relay: "main", At: now}
		mailertest.Must(w.T, w.DB.Record(w.T.Context(), r)[0])
	}
	mailertest.Must(w.T, w.DB.Release(w.T.Context(), l.Epoch))
}

// bodies are the notices of a campaign that is about to be checked, by address.
func bodies(w *mailertest.World, id string) map[string]string {
	w.T.Helper()
	c, err := w.DB.Campaign(w.T.Context(), id)
	mailertest.Must(w.T, err)
	snap, err := check.Snapshot(w.T.Context(), w.DB, w.Set, c, w.Clock.Now())
	mailertest.Must(w.T, err)
	tmpl, err := w.Set.Compile(&snap)
	mailertest.Must(w.T, err)
	out := map[string]string{}
	mailertest.Must(w.T, w.DB.Recipients(w.T.Context(), id, func(rs []mailer.Recipient) error {
		for i := range rs {
			n, err := tmpl.Render(&rs[i])
			if err != nil {
				return err
			}
			out[rs[i].Email] = n.Body
		}
		return nil
	}))
	return out
}

// TestToldBefore: follow-ups and corrections go to whom a first warning or formal notice
// has reached, and to nobody else; the day that they name is the one on which a relay
// took that notice, person by person.
func TestToldBefore(t *testing.T) {
	t.Parallel()
	w := mailertest.New(t, 4)
	create := func(stage mailer.Stage) string {
		id, err := w.DB.CreateCampaign(t.Context(), mailertest.Tester, mailer.Campaign{Incident: "shop", Merchant: "shop", Stage: stage})
		mailertest.Must(t, err)
		return id
	}
	in, err := w.DB.Incident(t.Context(), "shop")
	mailertest.Must(t, err)
	in.Corrections = []mailer.Correction{{Kind: mailer.CorrectionContent, On: in.KnownOn, Wrong: "誤り。", Right: "正しい内容。"}}
	_, err = w.DB.Apply(t.Context(), mailertest.Tester, []mailer.Incident{in}, nil)
	mailertest.Must(t, err)

	// On the 24th two are told and two refused.
	first := w.Started(mailer.Campaign{})
	w.Send(first, func(to string) bool { return to != mailertest.Address(1) && to != mailertest.Address(2) })
	// On the 25th a campaign that was checked a day before may have reached those.
	second, res := w.Checked(mailer.Campaign{})
	_, err = w.DB.Approve(t.Context(), mailertest.Actor("佐藤"), []string{second}, res.Sendable, mailertest.ByName(1), mailer.Signed{})
	mailertest.Must(t, err)
	w.Clock.Advance(24 * time.Hour)
	mailertest.Must(t, w.DB.Start(t.Context(), mailertest.Tester, second, true))
	lose(w, second)
	w.Add(mailer.Person{CustomerID: "N1", Name: "山田 太郎", Email: "taro@mail.example"})
	for _, stage := range []mailer.Stage{mailer.StageFollowUp, mailer.StageCorrection} {
		res := w.Check(create(stage))
		if res.Sendable != 2 || res.Suppressed[mailer.SuppressedUndecided] != 2 || res.Suppressed[mailer.SuppressedNeverTold] != 1 {
			t.Errorf("%s: %+v", stage, res)
		}
	}
	// On the 27th somebody finds that the relay had them.
	w.Clock.Advance(48 * time.Hour)
	n, err := w.DB.Resolve(t.Context(), mailertest.Tester, second, mailer.StateAccepted, "")
	if err != nil || n != 2 {
		t.Fatal(n, err)
	}
	for stage, says := range map[mailer.Stage]string{
		mailer.StageFollowUp:   "付けでお知らせいたしました",
		mailer.StageCorrection: "付けでお送りした情報漏えいに関するお知らせの内容に、誤りがございました",
	} {
		id := create(stage)
		for i, day := range map[int]string{1: "2026年11月24日", 3: "2026年11月25日"} {
			if body := strings.ReplaceAll(bodies(w, id)[mailertest.Address(i)], "\n", ""); !strings.Contains(body, day+says) {
				t.Errorf("%s to %d does not name %s", stage, i, day)
			}
		}
		if res := w.Check(id); res.Sendable != 4 || res.Suppressed[mailer.SuppressedNeverTold] != 1 || res.Errors() > 0 {
			t.Errorf("%s: %+v", stage, res)
		}
	}
}

// TestAllowRepeat is a part of what is approved: it stands in the digest, the snapshot and
// the result, and whoever approves is told how many are told again.
func TestAllowRepeat(t *testing.T) {
	t.Parallel()
	w := mailertest.New(t, 3)
	id, plain := w.Checked(mailer.Campaign{})
	repeat := check.Check{Store: w.DB, Notices: w.Set, Now: w.Clock.Now, AllowRepeat: true}
	res, err := repeat.Run(t.Context(), mailertest.Tester, id)
	mailertest.Must(t, err)
	if res.Digest == plain.Digest || !res.AllowRepeat || plain.AllowRepeat {
		t.Errorf("%+v, without %+v", res, plain)
	}
	if snap, err := w.DB.Snapshot(t.Context(), id); err != nil || !snap.AllowRepeat {
		t.Errorf("snapshot %+v %v", snap, err)
	}
	w.Send(w.Started(mailer.Campaign{}), nil)
	res, err = repeat.Run(t.Context(), mailertest.Tester, id)
	mailertest.Must(t, err)
	if res.Sendable != 3 || !slices.ContainsFunc(res.Findings, func(f mailer.Finding) bool {
		return f.Rule == "allow-repeat" && strings.HasPrefix(f.Message, "3 of them were told")
	}) {
		t.Errorf("%+v", res)
	}
	// And what was approved with it is sent, though a plain one would be held back.
	_, err = w.DB.Approve(t.Context(), mailertest.Actor("佐藤"), []string{id}, 3, mailertest.ByName(1), mailer.Signed{})
	mailertest.Must(t, err)
	mailertest.Must(t, w.DB.Start(t.Context(), mailertest.Tester, id, true))
	w.Counts(id, mailer.Counts{mailer.StateQueued: 3})
}
