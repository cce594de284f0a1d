package campaign_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"oshirase/mailer"
	"oshirase/mailer/campaign"
	"oshirase/mailer/smtp"
	"oshirase/torture/mailertest"
)

var must = mailertest.Must

// by is who acts in these tests: not the one who made the world.
var by = mailertest.Actor("鈴木")

func preparation(w *mailertest.World) *campaign.Preparation {
	return &campaign.Preparation{Ledger: w.DB, Templates: w.Set, Now: w.Clock.Now, Policy: mailertest.ByName(2)}
}

func steering(w *mailertest.World, people int) *campaign.Steering {
	return &campaign.Steering{Ledger: w.DB, Policy: mailertest.ByName(people)}
}

func approvals(w *mailertest.World, people int) *campaign.Approvals {
	return &campaign.Approvals{Ledger: w.DB, Templates: w.Set, Policy: mailertest.ByName(people), Now: w.Clock.Now}
}

func register(w *mailertest.World) *campaign.Register {
	return &campaign.Register{Ledger: w.DB, Now: w.Clock.Now}
}

func previewer(w *mailertest.World) *campaign.Previewer {
	return &campaign.Previewer{
		Ledger: w.DB, Templates: w.Set, Now: w.Clock.Now, Random: rand.Reader,
		Composer: func(*mailer.Merchant) (mailer.Composer, error) { return smtp.NewComposer(smtp.ComposerOptions{}) },
	}
}

// onlyAct wants one act of a kind, by the test's actor.
func onlyAct(t *testing.T, w *mailertest.World, action mailer.Action, subject string) mailer.Act {
	t.Helper()
	acts := w.Acts(action)
	if len(acts) != 1 || acts[0].By != by.Name || acts[0].Proof != by.Proof || acts[0].Subject != subject {
		t.Fatalf("%s of %s by %s is recorded as %+v", action, subject, by.Name, acts)
	}
	return acts[0]
}

// merchant gives the shop defaults for its campaigns.
func merchant(t *testing.T, w *mailertest.World, window mailer.WindowSpec, perHour int) {
	t.Helper()
	m, err := w.DB.Merchant(t.Context(), "shop")
	must(t, err)
	m.Window, m.PerHour = window, perHour
	_, err = w.DB.Apply(t.Context(), mailertest.Tester, nil, []mailer.Merchant{m})
	must(t, err)
}

func ptr[T any](v T) *T { return &v }

// TestCreateFillsIn: what a draft leaves out is the merchant's.
func TestCreateFillsIn(t *testing.T) {
	t.Parallel()
	w := mailertest.New(t, 1)
	weekdays := mailer.WindowSpec{Hours: "09:00-18:00", Days: "weekdays"}
	merchant(t, w, weekdays, 3840)
	for _, tt := range []struct {
		name    string
		draft   campaign.Draft
		window  mailer.WindowSpec
		perHour int
	}{
		{"nothing given", campaign.Draft{}, weekdays, 3840},
		{"other hours", campaign.Draft{Window: mailer.WindowSpec{Hours: "10:00-12:00"}}, mailer.WindowSpec{Hours: "10:00-12:00", Days: "weekdays"}, 3840},
		{"other days", campaign.Draft{Window: mailer.WindowSpec{Days: "every-day"}}, mailer.WindowSpec{Hours: "09:00-18:00", Days: "every-day"}, 3840},
		{"always is every day", campaign.Draft{Window: mailer.WindowSpec{Hours: "always"}}, mailer.WindowSpec{Hours: "always"}, 3840},
		{"always on weekdays", campaign.Draft{Window: mailer.WindowSpec{Hours: "always", Days: "weekdays"}}, mailer.WindowSpec{Hours: "always", Days: "weekdays"}, 3840},
		{"no limit", campaign.Draft{PerHour: ptr(0)}, weekdays, 0},
	} {
		d := tt.draft
		d.Incident, d.Merchant, d.Stage = "shop", "shop", mailer.StageFollowUp
		id, err := preparation(w).Create(t.Context(), by, d)
		must(t, err)
		c, err := w.DB.Campaign(t.Context(), id)
		must(t, err)
		if c.Window != tt.window || c.PerHour != tt.perHour {
			t.Errorf("%s: window %+v, %d an hour", tt.name, c.Window, c.PerHour)
		}
		if !strings.HasSuffix(c.Name, " 続報") || strings.Contains(c.Name, "株式会社") {
			t.Errorf("%s: it is called %q", tt.name, c.Name)
		}
	}
	merchant(t, w, mailer.WindowSpec{}, 0)
	night, err := preparation(w).Create(t.Context(), by, campaign.Draft{Incident: "shop", Merchant: "shop", Stage: mailer.StageFormal})
	must(t, err)
	if c, err := w.DB.Campaign(t.Context(), night); err != nil || c.Window.Hours != mailer.DefaultHours {
		t.Errorf("where nobody said when: %+v, %v", c.Window, err)
	}
	past := mailertest.Noon.Add(-time.Second)
	if _, err := preparation(w).Create(t.Context(), by, campaign.Draft{Incident: "shop", Merchant: "shop", Stage: mailer.StageFormal, At: past}); mailer.CodeOf(err) != "campaign.at-past" {
		t.Errorf("in the past: %v", err)
	}
	if _, err := preparation(w).Set(t.Context(), by, night, campaign.Settings{At: &past}); mailer.CodeOf(err) != "campaign.at-past" {
		t.Errorf("set to the past: %v", err)
	}
	id, err := preparation(w).Create(t.Context(), by, campaign.Draft{Incident: "shop", Merchant: "shop", Stage: mailer.StageFormal, Name: "試し"})
	must(t, err)
	if c, err := w.DB.Campaign(t.Context(), id); err != nil || c.Name != "試し" {
		t.Errorf("%+v, %v", c, err)
	}
	if acts := w.Acts(mailer.ActCreate); len(acts) != 8 || acts[7].By != by.Name || acts[7].Subject != id {
		t.Errorf("%+v", acts)
	}
}

// TestDraftIsRefused before the ledger is asked.
func TestDraftIsRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		draft campaign.Draft
		code  mailer.Code
	}{
		{campaign.Draft{Stage: "second"}, "campaign.stage"},
		{campaign.Draft{Stage: mailer.StageFormal, Certainty: "perhaps"}, "campaign.certainty"},
		{campaign.Draft{Stage: mailer.StageFormal, PerHour: ptr(-1)}, "campaign.per-hour"},
	} {
		if _, err := new(campaign.Preparation).Create(t.Context(), by, tt.draft); mailer.CodeOf(err) != tt.code || !errors.Is(err, mailer.ErrInvalid) {
			t.Errorf("%+v: %v", tt.draft, err)
		}
	}
	if err := (&campaign.Draft{Stage: mailer.StageFormal, Window: mailer.WindowSpec{Hours: "21:00-09:00"}}).Validate(); !errors.Is(err, mailer.ErrInvalid) {
		t.Errorf("a night: %v", err)
	}
	if err := (&campaign.Settings{Days: ptr("sundays")}).Validate(); !errors.Is(err, mailer.ErrInvalid) {
		t.Errorf("other days: %v", err)
	}
	if err := (&campaign.Settings{PerHour: ptr(-1)}).Validate(); mailer.CodeOf(err) != "campaign.per-hour" {
		t.Errorf("less than nothing: %v", err)
	}
	w := mailertest.New(t, 0)
	_, err := preparation(w).Create(t.Context(), by, campaign.Draft{Incident: "shop", Merchant: "gone", Stage: mailer.StageFormal})
	if mailer.CodeOf(err) != "campaign.no-merchant" || !errors.Is(err, mailer.ErrNotFound) {
		t.Errorf("no such merchant: %v", err)
	}
}

// TestSetMergesTheWindow: one half of a window changes without the other.
func TestSetMergesTheWindow(t *testing.T) {
	t.Parallel()
	w := mailertest.New(t, 1)
	id := w.Created(mailer.Campaign{Window: mailer.WindowSpec{Hours: "09:00-18:00", Days: "weekdays"}, PerHour: 100})
	p := preparation(w)
	c, err := p.Set(t.Context(), by, id, campaign.Settings{Hours: ptr("10:00-12:00")})
	must(t, err)
	if c.Window != (mailer.WindowSpec{Hours: "10:00-12:00", Days: "weekdays"}) || c.PerHour != 100 {
		t.Errorf("%+v", c)
	}
	c, err = p.Set(t.Context(), by, id, campaign.Settings{Days: ptr("every-day"), PerHour: ptr(0)})
	must(t, err)
	if c.Window != (mailer.WindowSpec{Hours: "10:00-12:00", Days: "every-day"}) || c.PerHour != 0 {
		t.Errorf("%+v", c)
	}
	at := mailertest.Noon.Add(time.Hour)
	if c, err = p.Set(t.Context(), by, id, campaign.Settings{At: &at}); err != nil || !c.At.Equal(at) {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err = p.Set(t.Context(), by, id, campaign.Settings{At: &time.Time{}}); err != nil || !c.At.IsZero() {
		t.Errorf("%+v, %v", c, err)
	}
	for _, a := range w.Acts(mailer.ActSet) {
		if a.By != by.Name || a.Subject != id {
			t.Errorf("%+v", a)
		}
	}
}

// TestFromDraftToEnd: what the use cases return on the way, and who is recorded.
func TestFromDraftToEnd(t *testing.T) {
	t.Parallel()
	w := mailertest.New(t, 5)
	p, s, r := preparation(w), steering(w, 2), register(w)
	id, err := p.Create(t.Context(), by, campaign.Draft{Incident: "shop", Merchant: "shop", Stage: mailer.StageFormal})
	must(t, err)
	rep, err := p.Check(t.Context(), by, id, campaign.CheckOptions{})
	must(t, err)
	if rep.Sendable != 5 || rep.Seconds <= 0 || rep.PerSecond <= 0 {
		t.Errorf("%+v", rep)
	}
	onlyAct(t, w, mailer.ActCheck, id)
	reader := mailertest.Actor("高橋")
	first, err := approvals(w, 2).Approve(t.Context(), reader, []string{id}, 5)
	if err != nil || first[0].Approvals != 1 || first[0].Missing != 1 || first[0].Approved {
		t.Errorf("%+v, %v", first, err)
	}
	w.Clock.Advance(time.Minute)
	second, err := approvals(w, 2).Approve(t.Context(), mailertest.Actor("佐藤"), []string{id}, 5)
	if err != nil || second[0].Approvals != 2 || second[0].Missing != 0 || !second[0].Approved {
		t.Errorf("%+v, %v", second, err)
	}
	d, err := r.Show(t.Context(), by, id)
	must(t, err)
	if d.Phase != mailer.PhaseApproved || len(d.Approvals) != 2 || d.Approvals[0].By != reader.Name || d.Total != 5 || d.Counts[mailer.StateQueued] != 5 || d.Findings == nil {
		t.Errorf("%+v", d)
	}
	if n, err := r.Pending(t.Context(), by, ""); n != 0 || err != nil {
		t.Errorf("%d pending though nothing runs, %v", n, err)
	}
	if n, err := r.Pending(t.Context(), by, id); n != 5 || err != nil {
		t.Errorf("%d pending, %v", n, err)
	}
	for _, step := range []struct {
		move  func() (mailer.Campaign, error)
		phase mailer.Phase
		act   mailer.Action
	}{
		{func() (mailer.Campaign, error) { return s.Start(t.Context(), by, id, false) }, mailer.PhaseRunning, mailer.ActStart},
		{func() (mailer.Campaign, error) { return s.Pause(t.Context(), by, id) }, mailer.PhasePaused, mailer.ActPause},
		{func() (mailer.Campaign, error) { return s.Resume(t.Context(), by, id) }, mailer.PhaseRunning, mailer.ActResume},
	} {
		if c, err := step.move(); err != nil || c.Phase != step.phase {
			t.Errorf("%s: %+v, %v", step.act, c, err)
		}
		onlyAct(t, w, step.act, id)
	}
	if n, err := r.Pending(t.Context(), by, ""); n != 5 || err != nil {
		t.Errorf("%d pending, %v", n, err)
	}
	st, err := r.Status(t.Context(), by, id)
	must(t, err)
	if c := st.Campaigns[0]; c.Remaining != 5 || c.Wait.Reason != mailer.WaitNoWorker {
		t.Errorf("%+v", c)
	}
	if c, err := s.Cancel(t.Context(), by, id); err != nil || c.Phase != mailer.PhaseCancelled {
		t.Errorf("%+v, %v", c, err)
	}
	onlyAct(t, w, mailer.ActCancel, id)
	if _, err := s.Pause(t.Context(), by, id); !errors.Is(err, mailer.ErrConflict) {
		t.Errorf("paused: %v", err)
	}
}

// TestResolveSettles: the last decision ends a campaign.
func TestResolveSettles(t *testing.T) {
	t.Parallel()
	w := mailertest.New(t, 2)
	id := w.Started(mailer.Campaign{})
	w.Lose(id)
	var ref string
	must(t, register(w).Deliveries(t.Context(), by, mailer.DeliveryFilter{Campaign: id, Limit: 1}, func(d *mailer.DeliveryView) error {
		ref = d.Ref
		return nil
	}))
	s := steering(w, 1)
	said := strings.ToLower(strings.ReplaceAll(ref, "-", " "))
	if n, err := s.Resolve(t.Context(), by, id, mailer.StateAccepted, said); n != 1 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	w.Phase(id, mailer.PhaseRunning)
	if n, err := s.Resolve(t.Context(), by, id, mailer.StateAccepted, ""); n != 1 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	w.Phase(id, mailer.PhaseFinished)
	if acts := w.Acts(mailer.ActResolve); len(acts) != 2 || acts[0].By != by.Name {
		t.Errorf("%+v", acts)
	}
}

// TestDeliveriesHaveMessageIDs: those of the sender that the check saw, whatever
// the merchant's address is now. The act comes first.
func TestDeliveriesHaveMessageIDs(t *testing.T) {
	t.Parallel()
	w := mailertest.New(t, 3)
	id, _ := w.Checked(mailer.Campaign{})
	m, err := w.DB.Merchant(t.Context(), "shop")
	must(t, err)
	_, domain, _ := strings.Cut(m.From, "@")
	m.From = "oshirase@elsewhere.example"
	_, err = w.DB.Apply(t.Context(), mailertest.Tester, nil, []mailer.Merchant{m})
	must(t, err)
	seen := map[string]bool{}
	must(t, register(w).Deliveries(t.Context(), by, mailer.DeliveryFilter{Campaign: id}, func(d *mailer.DeliveryView) error {
		if len(seen) == 0 {
			onlyAct(t, w, mailer.ActDeliveries, id)
		}
		if !strings.HasSuffix(d.MessageID, "@"+domain) || d.Email == "" {
			t.Errorf("%+v", d)
		}
		seen[d.MessageID] = true
		return nil
	}))
	if len(seen) != 3 {
		t.Errorf("%d Message-IDs of 3", len(seen))
	}
	draft := w.Created(mailer.Campaign{})
	if err := register(w).Deliveries(t.Context(), by, mailer.DeliveryFilter{Campaign: draft}, nil); err != nil {
		t.Errorf("of a draft: %v", err)
	}
}

// TestPreview: of a draft by the facts as they are, of a checked campaign as it was
// checked; the act is recorded and names nobody.
func TestPreview(t *testing.T) {
	t.Parallel()
	w := mailertest.New(t, 3)
	id := w.Created(mailer.Campaign{})
	p := previewer(w)
	v, err := p.Preview(t.Context(), by, id, "")
	must(t, err)
	if v.Recipient.Email != mailertest.Address(1) || v.Header.To != mailertest.Address(1) || !bytes.Contains(v.Message.Data, []byte(mailertest.Address(1))) {
		t.Errorf("%+v %+v", v.Recipient, v.Header)
	}
	if a := onlyAct(t, w, mailer.ActPreview, id); a.Detail != "ref the first" {
		t.Errorf("%+v", a)
	}
	w.Check(id)
	m, err := w.DB.Merchant(t.Context(), "shop")
	must(t, err)
	was := m.FromName
	m.FromName = "別の名前"
	_, err = w.DB.Apply(t.Context(), mailertest.Tester, nil, []mailer.Merchant{m})
	must(t, err)
	again, err := p.Preview(t.Context(), by, id, strings.ToLower(v.Recipient.Ref))
	must(t, err)
	if again.Header.FromName == "別の名前" || was != "" && again.Header.FromName != was {
		t.Errorf("it would come from %q", again.Header.FromName)
	}
	if again.Recipient.Ref != v.Recipient.Ref {
		t.Errorf("it is of %s, not of %s", again.Recipient.Ref, v.Recipient.Ref)
	}
	if _, err := p.Preview(t.Context(), by, id, "33333-33334"); !errors.Is(err, mailer.ErrInvalid) {
		t.Errorf("a wrong number: %v", err)
	}
	if _, err := p.Preview(t.Context(), by, id, "33333-33333"); mailer.CodeOf(err) != "campaign.no-recipient" || !errors.Is(err, mailer.ErrNotFound) {
		t.Errorf("nobody's number: %v", err)
	}
}

// TestPreviewOfNoCampaign is no act.
func TestPreviewOfNoCampaign(t *testing.T) {
	t.Parallel()
	w := mailertest.New(t, 1)
	_, err := previewer(w).Preview(t.Context(), by, "c-20200101-0000", "")
	if !errors.Is(err, mailer.ErrNotFound) || mailer.CodeOf(err) == "campaign.no-recipient" {
		t.Error(err)
	}
	if acts := w.Acts(mailer.ActPreview); len(acts) > 0 {
		t.Errorf("%+v", acts)
	}
}

// TestPreviewWithoutAddress: there is a notice and no message.
func TestPreviewWithoutAddress(t *testing.T) {
	t.Parallel()
	w := mailertest.New(t, 0)
	w.Add(mailer.Person{CustomerID: "N1", Name: "住所 のみ", Address: "星見県青葉市1-1"})
	v, err := previewer(w).Preview(t.Context(), by, w.Created(mailer.Campaign{}), "")
	must(t, err)
	if v.Message.Data != nil || v.Header.To != "" || !strings.Contains(v.Notice.Body, "住所 のみ") {
		t.Errorf("%+v", v)
	}
}

// relay keeps what it is given.
type relay struct {
	got   mailer.Message
	state mailer.State
	err   error
}

func (r *relay) SendOne(_ context.Context, m *mailer.Message) (mailer.Outcome, error) {
	r.got = *m
	return mailer.Outcome{State: r.state, Code: 550, Text: "no", Relay: "main"}, r.err
}

// TestTest: the recipient's notice goes to the operator's address, whose domain
// alone is recorded.
func TestTest(t *testing.T) {
	t.Parallel()
	w := mailertest.New(t, 1)
	id := w.Created(mailer.Campaign{})
	p, r := previewer(w), &relay{state: mailer.StateAccepted}
	p.Sender = r
	to, err := mailer.ParseAddress("reviewer@minato-jutaku.example")
	must(t, err)
	sent, err := p.Test(t.Context(), by, id, "", to)
	must(t, err)
	must(t, sent.Err())
	if r.got.Recipient != "reviewer@minato-jutaku.example" || bytes.Contains(r.got.Data, []byte(mailertest.Address(1))) {
		t.Errorf("to %s:\n%s", r.got.Recipient, r.got.Data)
	}
	if a := onlyAct(t, w, mailer.ActTest, id); a.Detail != "ref the first, to minato-jutaku.example" {
		t.Errorf("%+v", a)
	}
	if acts := w.Acts(mailer.ActPreview); len(acts) > 0 {
		t.Errorf("recorded as a preview, too: %+v", acts)
	}
	r.state = mailer.StateRejected
	sent, err = p.Test(t.Context(), by, id, "", to)
	must(t, err)
	if mailer.CodeOf(sent.Err()) != "campaign.test-refused" {
		t.Errorf("refused: %v", sent.Err())
	}
}

// TestLookUp takes a number as it is read out, and records who looked.
func TestLookUp(t *testing.T) {
	t.Parallel()
	w := mailertest.New(t, 2)
	r := register(w)
	found, err := r.LookUp(t.Context(), by, mailer.Query{CustomerID: "C002"})
	if err != nil || len(found.Matches) != 1 || found.Matches[0].Email != mailertest.Address(2) {
		t.Fatalf("%+v, %v", found, err)
	}
	again, err := r.LookUp(t.Context(), by, mailer.Query{Ref: strings.ToLower(strings.ReplaceAll(found.Matches[0].Ref, "-", " "))})
	if err != nil || len(again.Matches) != 1 || again.Matches[0].Ref != found.Matches[0].Ref {
		t.Errorf("%+v, %v", again, err)
	}
	if acts := w.Acts(mailer.ActLookUp); len(acts) != 2 || acts[1].By != by.Name {
		t.Errorf("%+v", acts)
	}
}

// TestNothingIsShownUnrecorded: where the act cannot be written, personal data is
// not shown.
func TestNothingIsShownUnrecorded(t *testing.T) {
	t.Parallel()
	w := mailertest.New(t, 2)
	id, _ := w.Checked(mailer.Campaign{})
	w.SQL(`CREATE TRIGGER full BEFORE INSERT ON act BEGIN SELECT raise(ABORT, 'no room'); END`)
	r := register(w)
	if found, err := r.LookUp(t.Context(), by, mailer.Query{CustomerID: "C002"}); err == nil || found.Matches != nil {
		t.Errorf("%+v, %v", found, err)
	}
	err := r.Deliveries(t.Context(), by, mailer.DeliveryFilter{Campaign: id}, func(d *mailer.DeliveryView) error {
		t.Errorf("%+v", d)
		return nil
	})
	if err == nil {
		t.Error("no error")
	}
	if v, err := previewer(w).Preview(t.Context(), by, id, ""); err == nil || v != nil {
		t.Errorf("%+v, %v", v, err)
	}
	if st, err := r.Status(t.Context(), by, ""); err != nil || len(st.Campaigns) != 1 {
		t.Errorf("status, which shows nobody: %+v, %v", st, err)
	}
}

// TestDestroyIsConfirmed: the wrong incident is not destroyed by a slip.
func TestDestroyIsConfirmed(t *testing.T) {
	t.Parallel()
	w := mailertest.New(t, 1)
	f := &campaign.Facts{Ledger: w.DB}
	d := mailer.Destroy{Incident: "shop"}
	if _, err := f.Destroy(t.Context(), by, d, "pay"); mailer.CodeOf(err) != campaign.NotConfirmed {
		t.Errorf("%v", err)
	}
	if acts := w.Acts(mailer.ActDestroyKey); len(acts) > 0 {
		t.Fatalf("%+v", acts)
	}
	res, err := f.Destroy(t.Context(), by, d, "shop")
	must(t, err)
	if len(res.Keys) != 1 || !res.Searched || res.Again {
		t.Errorf("%+v", res)
	}
	onlyAct(t, w, mailer.ActDestroyKey, "shop")
}

// TestReasonIsOneLine: it stands on other people's terminals.
func TestReasonIsOneLine(t *testing.T) {
	t.Parallel()
	w := mailertest.New(t, 1)
	id := w.Created(mailer.Campaign{})
	for _, reason := range []string{"一行目\n二行目", "\x1b[2J", "右から\u202e左", "見え\u200bない", strings.Repeat("長", 501), "\xff"} {
		if _, err := preparation(w).Check(t.Context(), by, id, campaign.CheckOptions{AcceptCount: reason}); mailer.CodeOf(err) != "campaign.reason" {
			t.Errorf("%q: %v", reason, err)
		}
	}
	if acts := w.Acts(mailer.ActCheck); len(acts) > 0 {
		t.Errorf("%+v", acts)
	}
}
