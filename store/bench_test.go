package store

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"oshirase/mailer"
)

// durable opens a ledger with the durability that is sold: full.
func durable(b *testing.B) *env {
	b.Helper()
	e := &env{tb: b, path: filepath.Join(b.TempDir(), "ledger.db"), clock: &clock{t0}}
	db, err := Open(context.Background(), Options{Path: e.path, MasterKey: masterKey(1), Now: e.clock.Now})
	must(b, err)
	b.Cleanup(func() { must(b, db.Close()) })
	e.DB = db
	return e
}

// BenchmarkRecord is the ledger's share of sending: lanes that each record the
// outcome before with the next intent, synchronous=FULL, batches claimed as the
// runner does.
func BenchmarkRecord(b *testing.B) {
	for _, lanes := range []int{10, 50, 100} {
		b.Run(fmt.Sprint(lanes), func(b *testing.B) {
			ctx := context.Background()
			e := durable(b)
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
				wg.Go(func() {
					var last *mailer.Delivery
					for {
						var records []mailer.Record
						if last != nil {
							records = append(records, outcome(last, mailer.StateAccepted, mailer.AtDot))
						}
						d := next()
						if d != nil {
							records = append(records, intent(d))
						}
						for _, err := range e.Record(ctx, records...) {
							if err != nil {
								b.Error(err)
								return
							}
						}
						if last = d; d == nil {
							return
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			b.ReportMetric(float64(claimed.Load())/b.Elapsed().Seconds(), "deliveries/s")
			recount(b, e.DB)
		})
	}
}

// BenchmarkClaim shows that a batch costs the same at any size of campaign.
func BenchmarkClaim(b *testing.B) {
	for _, size := range []int{10_000, 200_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			ctx := context.Background()
			e := durable(b)
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
func BenchmarkImport(b *testing.B) {
	e := durable(b)
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
func BenchmarkFreeze(b *testing.B) {
	e := durable(b)
	e.apply()
	e.load("shop", "list", people(b.N))
	id := e.create(mailer.Campaign{})
	b.ResetTimer()
	e.check(id, nil)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
