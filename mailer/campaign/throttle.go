package campaign

import (
	"context"
	"runtime"
	"syscall"
	"time"
)

const (
	// exportShare is the share of all CPUs that an export takes while campaigns are
	// being sent fast. On a machine that sending keeps busy it is taken from sending, which
	// loses more than that: commits, which follow one another, wait too.
	exportShare = 0.02
	// busyRate is the number of messages a second from which on sending is taken to go
	// as fast as the machine lets it. Slower ones leave enough of it.
	busyRate = 1000
	// throttleRows is after how many rows an export looks whether to wait.
	throttleRows = 500
	// longestWait is how long it waits at a time.
	longestWait = time.Second
)

// throttle makes a long export wait between its rows while messages leave so fast
// that the machine is busy with them.
type throttle struct {
	rate  func(context.Context) (float64, error) // of messages a second
	cpu   func() time.Duration                   // of this process so far
	wait  func(context.Context, time.Duration) error
	share float64 // of one CPU

	rows int
	used time.Duration // when it looked last
}

func newThrottle(rate func(context.Context) (float64, error)) *throttle {
	w := &throttle{rate: rate, cpu: ownCPU, wait: sleep, share: min(1, exportShare*float64(runtime.NumCPU()))}
	w.used = w.cpu()
	return w
}

// step is called after each row, while nothing is held in the ledger.
func (w *throttle) step(ctx context.Context) error {
	if w.rows++; w.rows < throttleRows {
		return nil
	}
	w.rows = 0
	before := w.used
	w.used = w.cpu()
	rate, err := w.rate(ctx)
	if err != nil || rate < busyRate {
		return err
	}
	took := float64(w.used - before)
	return w.wait(ctx, min(time.Duration(took/w.share-took), longestWait))
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// ownCPU is user and system time of this process.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
