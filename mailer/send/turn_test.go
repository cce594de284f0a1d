package send

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"oshirase/mailer"
	"oshirase/mailer/envelope"
)

// book is a ledger in memory of campaigns that are running, for turns: it has no
// faults, and time is that of the bubble.
type book struct {
	mu        sync.Mutex
	merchant  mailer.Merchant
	hash      [32]byte
	campaigns []*entry
	epoch     int64
	leases    map[int64]*entry // by epoch
	tat       map[string]time.Time
	reserved  int
	waits     [][]mailer.Wait
	onWaits   func()
}

// entry is one campaign: how many are queued and claimed, and when messages of it were
// accepted.
type entry struct {
	mailer.Campaign
	queued, claimed int
	at              []time.Time
}

func newBook(t *testing.T, sizes ...int) *book {
	t.Helper()
	b := &book{merchant: mailer.Merchant{ID: "m", Name: "M", From: "info@m.example"}, leases: map[int64]*entry{}, tat: map[string]time.Time{}}
	env, err := envelope.New(&b.merchant)
	if err != nil {
		t.Fatal(err)
	}
	to, err := mailer.ParseAddress("p@mail.example")
	if err != nil {
		t.Fatal(err)
	}
	b.hash = env.Commit([16]byte{}, to, &mailer.Notice{})
	for _, n := range sizes {
		b.add(n)
	}
	return b
}

func (b *book) add(n int) *entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	id := fmt.Sprintf("c%03d", len(b.campaigns))
	e := &entry{Campaign: mailer.Campaign{ID: id, Merchant: id, Phase: mailer.PhaseRunning}, queued: n}
	b.campaigns = append(b.campaigns, e)
	return e
}

func (b *book) find(id string) *entry {
	i := slices.IndexFunc(b.campaigns, func(e *entry) bool { return e.ID == id })
	return b.campaigns[i]
}

func (b *book) Recover(context.Context, time.Time, bool) (mailer.Recovered, error) {
	return mailer.Recovered{}, nil
}
func (b *book) Wake(context.Context, time.Time, time.Duration) error      { return nil }
func (b *book) Renew(context.Context, []int64, time.Time) error           { return nil }
func (b *book) Pause(context.Context, mailer.Actor, string, string) error { return nil }
func (b *book) Void(context.Context, mailer.Actor, string, string) error  { return nil }
func (b *book) Review(context.Context, string) (int64, error)             { return 0, nil }
func (b *book) FireOnce(context.Context, string, time.Time) (bool, error) { return false, nil }

func (b *book) Held(context.Context, string) (mailer.HeldCounts, error) { return nil, nil }

func (b *book) Hold(context.Context, string, int64, int64, mailer.Held) error { return nil }

func (b *book) Running(context.Context) ([]mailer.Backlog, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []mailer.Backlog
	for _, e := range b.campaigns {
		if e.Phase == mailer.PhaseRunning {
			out = append(out, mailer.Backlog{Campaign: e.Campaign, Left: int64(e.queued)})
		}
	}
	return out, nil
}

func (b *book) Snapshot(context.Context, string) (mailer.Snapshot, error) {
	return mailer.Snapshot{Merchant: b.merchant}, nil
}

func (b *book) Claim(_ context.Context, id string, _, _ time.Time, n int, _ []string) (*mailer.Lease, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.find(id)
	n = min(n, e.queued)
	if n == 0 {
		return nil, nil
	}
	b.epoch++
	b.leases[b.epoch] = e
	e.queued -= n
	e.claimed += n
	l := &mailer.Lease{Epoch: b.epoch, Campaign: id}
	for range n {
		l.Deliveries = append(l.Deliveries, mailer.Delivery{
			Campaign: id, Epoch: b.epoch, Hash: b.hash, Token: "t", Recipient: mailer.Recipient{Person: mailer.Person{Email: "p@mail.example"}},
		})
	}
	return l, nil
}

func (b *book) Release(_ context.Context, epochs ...int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, epoch := range epochs {
		delete(b.leases, epoch)
	}
	return nil
}

func (b *book) Record(_ context.Context, records ...mailer.Record) []error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range records {
		if r.Outcome != nil {
			e := b.find(r.Campaign)
			e.claimed--
			e.at = append(e.at, time.Now())
		}
	}
	return make([]error, len(records))
}

func (b *book) Settle(_ context.Context, id string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.find(id).Phase = mailer.PhaseFinished
	return nil
}

func (b *book) NextDue(_ context.Context, id string) (time.Time, bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return time.Time{}, b.find(id).queued > 0, nil
}

// Reserve has one limit at most in these tests.
func (b *book) Reserve(_ context.Context, now time.Time, n int, limits []mailer.Limit) (mailer.Grant, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := limits[0]
	one := l.Per / time.Duration(l.N)
	tat := b.tat[l.Key]
	if tat.Before(now) {
		tat = now
	}
	granted := min(n, int(now.Add(time.Duration(l.Burst)*one).Sub(tat)/one))
	b.tat[l.Key] = tat.Add(time.Duration(granted) * one)
	b.reserved += granted
	g := mailer.Grant{N: granted}
	if granted < n {
		g.Bound = l.Key
	}
	if granted == 0 {
		g.Wait = tat.Add(one).Sub(now.Add(time.Duration(l.Burst) * one))
	}
	return g, nil
}

func (b *book) SetWaits(_ context.Context, _ int64, _ time.Time, list []mailer.Wait) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waits = append(b.waits, list)
	if b.onWaits != nil {
		b.onWaits()
	}
	return nil
}

func (b *book) Counts(_ context.Context, id string) (mailer.Counts, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.find(id)
	return mailer.Counts{mailer.StateQueued: int64(e.queued), mailer.StateClaimed: int64(e.claimed), mailer.StateAccepted: int64(len(e.at))}, nil
}

func (b *book) Halt(context.Context, string, mailer.Halt, string) error { return nil }

func (b *book) Status(ctx context.Context, id string) (all []mailer.CampaignStatus, err error) {
	for _, e := range b.campaigns {
		if id == "" || e.ID == id {
			counts, err := b.Counts(ctx, e.ID)
			if err != nil {
				return nil, err
			}
			all = append(all, mailer.CampaignStatus{Campaign: mailer.Campaign{ID: e.ID, Phase: mailer.PhaseRunning}, Counts: counts, StartedAt: time.Unix(1, 0)})
		}
	}
	return all, nil
}

// plain are notices without a word.
type plain struct{ mailer.Template }

func (plain) Digest() string { return "" }

func (plain) Compile(*mailer.Snapshot) (mailer.Template, error) { return plain{}, nil }

func (plain) Render(*mailer.Recipient) (mailer.Notice, error) { return mailer.Notice{}, nil }

func (plain) Compose(dst []byte, _ *mailer.Header, _ *mailer.Notice) ([]byte, error) { return dst, nil }

// send runs so many runners on a book until nothing is left, and says how long that
// took.
func (b *book) send(t *testing.T, runners int, pace Pace) time.Duration {
	t.Helper()
	began := time.Now()
	var wg sync.WaitGroup
	for range runners {
		pool, err := NewPool(time.Now, Relay{Name: "toy", Dialer: &toy{name: "toy", took: takes(10 * time.Millisecond)}, Connections: 5})
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			defer pool.Close()
			r := &Runner{
				Ledger: b, Notices: plain{}, Relays: pool, Options: Options{Pace: pace},
				Composer: func(*mailer.Merchant) (mailer.Composer, error) { return plain{}, nil },
			}
			if _, err := r.Run(context.Background(), ""); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	return time.Since(began)
}

// TestTurns: however big campaigns are, under one pace for all of them each begins
// within the first tenth of the time, and none is left alone for longer than a fifth
// until it is finished; nothing of the pace is wasted.
func TestTurns(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		for _, runners := range []int{1, 2} {
			synctest.Test(t, func(t *testing.T) {
				rng := rand.New(rand.NewPCG(seed, 1))
				sizes := make([]int, 100)
				total := 0
				for i := range sizes {
					sizes[i] = 20 + rng.IntN(40)
					if i%10 == 0 {
						sizes[i] *= 8
					}
					total += sizes[i]
				}
				b := newBook(t, sizes...)
				pace := Pace{Batch: 500, PerSecond: 50 + rng.IntN(100)}
				if seed%2 == 1 {
					pace = Pace{Batch: 500, PerHour: 3600 * (30 + rng.IntN(30))}
				}
				began := time.Now()
				took := b.send(t, runners, pace)
				for i, e := range b.campaigns {
					if len(e.at) != sizes[i] {
						t.Fatalf("%d of %d were sent", len(e.at), sizes[i])
					}
					last, most := began, took/10
					for _, at := range e.at {
						if gap := at.Sub(last); gap > most {
							t.Fatalf("seed %d, %d runners: campaign %d of %d was left alone for %v of %v, after %v", seed, runners, i, sizes[i], gap, took, last.Sub(began))
						}
						last, most = at, took/5
					}
				}
				perSecond := max(pace.PerSecond, pace.PerHour/3600)
				if want := time.Duration(total) * time.Second / time.Duration(perSecond); took > want*11/10 || b.reserved > total*101/100 {
					t.Errorf("seed %d, %d runners: it took %v, the pace allows %v; %d were reserved for %d", seed, runners, took, want, b.reserved, total)
				}
			})
		}
	}
}

// TestLateBigCampaign does not keep one from being finished that nearly is.
func TestLateBigCampaign(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBook(t, 200)
		small := b.campaigns[0]
		time.AfterFunc(9*time.Second, func() { b.add(10_000) })
		took := b.send(t, 1, Pace{Batch: 500, PerSecond: 20})
		if late := small.at[199].Sub(small.at[0]); late > took/5 {
			t.Errorf("the small one was finished after %v of %v", late, took)
		}
		if got := len(b.campaigns[1].at); got != 10_000 {
			t.Errorf("%d of the big one were sent", got)
		}
	})
}

// TestWhoWaitsForATurnSaysSo: no campaign that is running has neither something in
// hand nor a reason to wait.
func TestWhoWaitsForATurnSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBook(t, slices.Repeat([]int{100}, 30)...)
		silent := 0
		b.onWaits = func() {
			list := b.waits[len(b.waits)-1]
			for _, e := range b.campaigns {
				waits := slices.ContainsFunc(list, func(w mailer.Wait) bool { return w.Name == e.ID })
				if e.Phase == mailer.PhaseRunning && len(e.at) == 0 && e.claimed == 0 && !waits && len(list) > 0 {
					silent++
				}
			}
		}
		b.send(t, 1, Pace{Batch: 500, PerSecond: 5})
		if silent > 0 || len(b.waits) < 10 {
			t.Errorf("%d times a campaign had no reason to wait, in %d reports", silent, len(b.waits))
		}
	})
}
