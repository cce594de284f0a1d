package torture

import (
	"context"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"oshirase/mailer"
	"oshirase/mailer/send"
	"oshirase/mailer/smtp"
	"oshirase/store"
	"oshirase/templates"
)

// TestClockJumps lets two workers with clocks of their own work on one campaign,
// and their clocks jump back and forth by up to a day, again and again while
// messages are on the wire: leases lapse under whoever holds them, and retries
// come early or late. The command has no switch for its clock, so these workers
// run inside the test, on the same parts.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	s := settings{
		people: 400, connections: 4, latency: 5 * time.Millisecond, mark: marks,
		rules: []string{"rcpt=refused*@*:550 5.1.1 User unknown", "rcpt=grey*@*,first=1:450 4.7.1 Later", "dot,p=0.01:take-drop"},
	}
	every := 10
	if *longFlag {
		s.people, s.connections, every = 20000, 10, 100
	}
	w := newWorld(t, "clock", s)
	var clocks [2]atomic.Int64 // offsets
	jumps := [...]time.Duration{-24 * time.Hour, -time.Hour, -3 * time.Second, 0, 3 * time.Second, time.Hour, 24 * time.Hour}
	jumped := 0
	var jump func()
	jump = func() {
		clocks[w.rng.IntN(2)].Store(int64(jumps[w.rng.IntN(len(jumps))]))
		jumped++
		w.recv.after(every, jump)
	}
	w.recv.after(every, jump)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, len(clocks))
	for i := range clocks {
		r := w.runner(func() time.Time { return time.Now().Add(time.Duration(clocks[i].Load())) })
		go func() { ended <- r.Serve(ctx, func(*mailer.Campaign) bool { return true }) }()
	}
	// What a clock that went ahead has deferred is due only where one is as far.
	w.until("nothing is left to send", func() bool {
		if w.recv.count() > w.people*9/10 {
			w.recv.forget()
			clocks[0].Store(int64(25 * time.Hour))
			clocks[1].Store(int64(25 * time.Hour))
		}
		return w.pending() == 0
	})
	stop()
	for range clocks {
		if err := <-ended; err != nil {
			t.Errorf("seed %d: worker: %v", seed, err)
		}
	}
	w.recv.settle()
	if jumped < 5 {
		t.Errorf("only %d jumps: the test proves nothing", jumped)
	}
	w.audit("after the jumps")
	// A lease that seems to lapse leaves what was on the wire unknown; the
	// outcome that comes then settles it.
	w.done.freezes = jumped
	w.resolve()
	w.finish()
}

// runner is what `serve` would run, with a clock of its own.
func (w *world) runner(now func() time.Time) *send.Runner {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(w.dir, "master.key"))
	if err != nil {
		w.t.Fatal(err)
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		w.t.Fatal(err)
	}
	db, err := store.Open(w.t.Context(), store.Options{Path: filepath.Join(w.dir, "oshirase.db"), MasterKey: key, Now: now})
	if err != nil {
		w.t.Fatal(err)
	}
	set, err := templates.New()
	if err != nil {
		w.t.Fatal(err)
	}
	dialer, err := smtp.NewDialer(smtp.RelayOptions{
		Name: "main", Address: w.recv.addr, TLS: "none", Pipelining: true,
		MessagesPerConnection: 100, DialTimeout: 5 * time.Second, CommandTimeout: 5 * time.Second, DataTimeout: 5 * time.Second,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	pool, err := send.NewPool(time.Now, send.Relay{Name: "main", Dialer: dialer, Connections: w.connections})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		_ = pool.Close()
		_ = db.Close()
	})
	o := send.Options{Lease: w.lease, Retry: []time.Duration{time.Second}, StopGrace: 4 * time.Second, Now: now}
	o.Batch = 50
	return &send.Runner{
		Ledger: db, Notices: set, Relays: pool, Options: o,
		Composer: func(*mailer.Merchant) (mailer.Composer, error) { return smtp.NewComposer(smtp.ComposerOptions{}) },
	}
}
