package smtp_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"oshirase/mailer"
	"oshirase/mailer/sink"
	"oshirase/mailer/smtp"
)

// BenchmarkSend hands 7.8 KB messages to the receiver on this machine, through
// ten connections; its own cost is in the figures.
func BenchmarkSend(b *testing.B) {
	body := strings.Repeat(strings.Repeat("A", 76)+"\r\n", 97)
	for name, set := range modes {
		b.Run(name, func(b *testing.B) {
			srv, err := sink.Listen("127.0.0.1:0", sink.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer srv.Close()
			opt := relay{RelayOptions: smtp.RelayOptions{Address: srv.Addr().String(), TLS: smtp.TLSNone, Pipelining: true}, Connections: 10}
			set(&opt)
			p, err := newPool(opt)
			if err != nil {
				b.Fatal(err)
			}
			defer p.Close()
			m := message("a@x.example", body)
			var wg sync.WaitGroup
			began := time.Now()
			for w := range p.Size() {
				n := b.N / p.Size()
				if w < b.N%p.Size() {
					n++
				}
				wg.Go(func() { stream(b, p, m, n) })
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "msg/s")
			if got := srv.Counts().Messages; got != int64(b.N) {
				b.Errorf("%d of %d messages arrived", got, b.N)
			}
		})
	}
}

// stream sends n messages through one connection, the next envelope behind each
// body where that is possible.
func stream(b *testing.B, p *pool, m *mailer.Message, n int) {
	if n == 0 {
		return
	}
	ctx := b.Context()
	c, err := p.Get(ctx)
	if err != nil {
		b.Error(err)
		return
	}
	defer p.Put(c)
	accepted := func() {
		if out := c.Outcome(ctx); out.State != mailer.StateAccepted {
			b.Error(out)
		}
	}
	for i := range n {
		if i > 0 && !c.Pipelining() {
			accepted()
		}
		c.Begin(ctx, m)
		if i > 0 && c.Pipelining() {
			accepted()
		}
		if out, ok := c.Ready(ctx); !ok {
			b.Error(out)
			return
		}
		c.Finish(ctx)
	}
	accepted()
}
