package storetest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"oshirase/mailer"
	"oshirase/store"
)

// durable opens a ledger with the durability that is sold: full.
func durable(b *testing.B, e Engine) *env {
	b.Helper()
	env := suite{e}.newEnv(b, store.Options{})
	env.DB = env.again()
	return env
}

// BenchmarkRecord is the ledger's share of sending: lanes that each record the
// outcome before with the next intent, synced at each commit, batches claimed as the
// sender does.
func BenchmarkRecord(b *testing.B, engine Engine) {
	for _, lanes := range []int{10, 50, 100} {
		b.Run(fmt.Sprint(lanes), func(b *testing.B) {
			ctx := context.Background()
			e := durable(b, engine)
			id := e.campaign(b.N + 1)
			var claimed atomic.Int64
			batches := make(chan []mailer.Delivery, 2)
			go func() {
				defer close(batches)
				for {
					l, err := e.Claim(ctx, id, t0, t0.Add(time.Hour), 1000, nil)
					if err != nil || l == nil {
						return
					}
					claimed.Add(int64(len(l.Deliveries)))
					batches <- l.Deliveries
				}
			}()
			var mu sync.Mutex
			var batch []mailer.Delivery
			next := func() *mailer.Delivery {
				mu.Lock()
				defer mu.Unlock()
				if len(batch) == 0 {
					batch = <-batches
				}
				if len(batch) == 0 {
					return nil
				}
				d := &batch[0]
				batch = batch[1:]
				return d
			}
			b.ResetTimer()
			var wg sync.WaitGroup
			for range lanes {
				wg.Go(func() { recordAll(b, e, next) })
			}
			wg.Wait()
			b.StopTimer()
			b.ReportMetric(float64(claimed.Load())/b.Elapsed().Seconds(), "deliveries/s")
			e.recount()
		})
	}
}

// recordAll is one lane.
func recordAll(b *testing.B, e *env, next func() *mailer.Delivery) {
	for last := (*mailer.Delivery)(nil); ; {
		var records []mailer.Record
		if last != nil {
			records = append(records, outcome(last, mailer.StateAccepted, mailer.AtDot))
		}
		d := next()
		if d != nil {
			records = append(records, intent(d))
		}
		for _, err := range e.Record(context.Background(), records...) {
			if err != nil {
				b.Error(err)
				return
			}
		}
		if last = d; d == nil {
			return
		}
	}
}

// BenchmarkClaim shows that a batch costs the same at any size of campaign.
func BenchmarkClaim(b *testing.B, engine Engine) {
	for _, size := range []int{10_000, 200_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			ctx := context.Background()
			e := durable(b, engine)
			id := e.campaign(size)
			b.ResetTimer()
			for range b.N {
				l, err := e.Claim(ctx, id, t0, t0.Add(time.Hour), 500, nil)
				must(b, err)
				must(b, e.Release(ctx, l.Epoch))
			}
			b.ReportMetric(float64(b.N)*500/b.Elapsed().Seconds(), "deliveries/s")
		})
	}
}

// BenchmarkImport takes new people in.
func BenchmarkImport(b *testing.B, engine Engine) {
	e := durable(b, engine)
	e.apply()
	n := 0
	res, err := e.Import(context.Background(), tester, mailer.Import{Incident: "pay", Merchant: "shop"}, func() (mailer.Row, error) {
		if n == b.N {
			return source(nil)()
		}
		n++
		return mailer.Row{Number: int64(n + 1), Person: person(n), Exposures: []string{"A"}}, nil
	})
	must(b, err)
	b.ReportMetric(float64(res.Imported)/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkFreeze reads, opens and freezes the recipients of a campaign.
func BenchmarkFreeze(b *testing.B, engine Engine) {
	e := durable(b, engine)
	e.apply()
	e.load("shop", "list", people(b.N))
	id := e.create(mailer.Campaign{})
	b.ResetTimer()
	e.check(id, nil)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
