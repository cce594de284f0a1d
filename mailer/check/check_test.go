package check_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"oshirase/mailer"
	"oshirase/mailer/check"
	"oshirase/torture/mailertest"
)

// TestCheckCountsEverybody: who is passed over is counted with the reason, and
// nobody falls through.
func TestCheckCountsEverybody(t *testing.T) {
	t.Parallel()
	w := mailertest.New(t, 1200) // several pages
	w.Add(mailer.Person{CustomerID: "N1", Name: "住所 のみ", Address: "星見県青葉市1-1"}, mailer.Person{CustomerID: "N2", Name: "電話 のみ", Phone: "090-0000-0001"})
	id, err := w.DB.CreateCampaign(t.Context(), mailertest.Tester, mailer.Campaign{Incident: "shop", Merchant: "shop", Stage: mailer.StageFormal})
	mailertest.Must(t, err)
	var progress []int64
	check := check.Check{
		Store: w.DB, Notices: w.Set, Now: w.Clock.Now,
		Progress: func(done int64) { progress = append(progress, done) },
	}
	res, err := check.Run(t.Context(), mailertest.Tester, id)
	mailertest.Must(t, err)
	if res.Recipients != 1202 || res.Sendable != 1200 || res.Suppressed[mailer.SuppressedNoEmail] != 2 || res.Errors() > 0 {
		t.Errorf("%+v", res)
	}
	if res.Declared != nil {
		t.Errorf("declared %d, though nothing is", *res.Declared)
	}
	for i := 1; i < len(progress); i++ {
		if progress[i] <= progress[i-1] {
			t.Errorf("progress went from %d to %d", progress[i-1], progress[i])
		}
	}
	if len(progress) < 2 || progress[len(progress)-1] != 1202 {
		t.Errorf("progress %v", progress)
	}
	w.Counts(id, mailer.Counts{mailer.StateQueued: 1200, mailer.StateSuppressed: 2})
}

// TestDigestOfACheck is the same for the same campaign, and another for any change.
func TestDigestOfACheck(t *testing.T) {
	t.Parallel()
	w := mailertest.New(t, 50)
	id, first := w.Checked(mailer.Campaign{})
	if again := w.Check(id); again.Digest != first.Digest || len(first.Digest) != 64 {
		t.Errorf("digest %s, then %s", first.Digest, again.Digest)
	}
	if _, other := w.Checked(mailer.Campaign{}); other.Digest == first.Digest {
		t.Errorf("another campaign has the same digest: what it says can be tried by who made this one")
	}
	w.Add(mailer.Person{CustomerID: "N1", Name: "山田 太郎", Email: "taro@mail.example"})
	more := w.Check(id)
	if more.Digest == first.Digest {
		t.Error("one person more has the same digest")
	}
	m, err := w.DB.Merchant(t.Context(), "shop")
	mailertest.Must(t, err)
	m.ReplyTo = "madoguchi@komorebi-market.example"
	_, err = w.DB.Apply(t.Context(), mailertest.Tester, nil, []mailer.Merchant{m})
	mailertest.Must(t, err)
	if changed := w.Check(id); changed.Digest == more.Digest {
		t.Error("another Reply-To has the same digest")
	}
}

// TestCheckFindsTheOneAmongMany: an error in one person's notice forbids the
// approval of all; of many findings of a rule some are shown and all are counted.
func TestCheckFindsTheOneAmongMany(t *testing.T) {
	t.Parallel()
	for _, broken := range []int{1, 25} {
		t.Run(fmt.Sprint(broken), func(t *testing.T) {
			t.Parallel()
			w := mailertest.New(t, 50)
			var ps []mailer.Person
			for i := range broken {
				ps = append(ps, mailer.Person{CustomerID: fmt.Sprintf("X%d", i), Name: "○○ ○○", Email: fmt.Sprintf("x%d@mail.example", i)})
			}
			w.Add(ps...)
			id, res := w.Checked(mailer.Campaign{})
			shown := 0
			for _, f := range res.Findings {
				if f.Rule == "placeholder" && f.Severity == mailer.SeverityError && f.Ref != "" {
					shown++
				}
			}
			if shown != min(broken, 20) || res.Errors() < shown {
				t.Errorf("%d of %d shown: %v", shown, broken, res.Findings)
			}
			if broken > 20 && !strings.HasPrefix(res.Findings[len(res.Findings)-1].Message, "5 more") {
				t.Errorf("the rest is not counted: %v", res.Findings[len(res.Findings)-1])
			}
			w.Phase(id, mailer.PhaseDraft)
			if _, err := w.DB.Approve(t.Context(), mailertest.Actor("佐藤"), []string{id}, res.Sendable, mailertest.ByName(1), mailer.Signed{}); !errors.Is(err, mailer.ErrConflict) {
				t.Errorf("approved: %v", err)
			}
		})
	}
}

// TestCheckOfWhatChangesMeanwhile is void: what was rendered is no longer what
// stands there.
func TestCheckOfWhatChangesMeanwhile(t *testing.T) {
	t.Parallel()
	w := mailertest.New(t, 50)
	id, err := w.DB.CreateCampaign(t.Context(), mailertest.Tester, mailer.Campaign{Incident: "shop", Merchant: "shop", Stage: mailer.StageFormal})
	mailertest.Must(t, err)
	check := check.Check{
		Store: w.DB, Notices: w.Set, Now: w.Clock.Now,
		Progress: func(int64) { w.Add(mailer.Person{CustomerID: "N1", Name: "山田 太郎", Email: "taro@mail.example"}) },
	}
	if _, err := check.Run(t.Context(), mailertest.Tester, id); !errors.Is(err, mailer.ErrConflict) {
		t.Errorf("error %v", err)
	}
	w.Phase(id, mailer.PhaseDraft)
	if res := w.Check(id); res.Sendable != 51 {
		t.Errorf("the next one counts %d", res.Sendable)
	}
}

// TestToldOnce: who got a notice of a stage is passed over by the next campaign
// of that stage, and is told again where something new is to be said.
func TestToldOnce(t *testing.T) {
	t.Parallel()
	w := mailertest.New(t, 10)
	w.Send(w.Started(mailer.Campaign{}), func(to string) bool { return to == mailertest.Address(1) })
	w.Add(mailer.Person{CustomerID: "N1", Name: "山田 太郎", Email: "taro@mail.example"})
	_, res := w.Checked(mailer.Campaign{})
	if res.Sendable != 2 || res.Suppressed[mailer.SuppressedAlreadyNotified] != 9 {
		t.Errorf("%+v", res)
	}
}

// TestStoppedCheck leaves a draft.
func TestStoppedCheck(t *testing.T) {
	t.Parallel()
	w := mailertest.New(t, 1200)
	id, err := w.DB.CreateCampaign(t.Context(), mailertest.Tester, mailer.Campaign{Incident: "shop", Merchant: "shop", Stage: mailer.StageFormal})
	mailertest.Must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	check := check.Check{Store: w.DB, Notices: w.Set, Now: w.Clock.Now, Progress: func(int64) { stop() }}
	if _, err := check.Run(ctx, mailertest.Tester, id); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	w.Phase(id, mailer.PhaseDraft)
	if res := w.Check(id); res.Sendable != 1200 {
		t.Errorf("the next one counts %d", res.Sendable)
	}
}
