package campaign

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestThrottle: an export takes its share of the CPUs while much is being sent,
// and does not wait otherwise.
func TestThrottle(t *testing.T) {
	var cpu, waited time.Duration
	rate := float64(busyRate)
	var lost error
	w := &throttle{
		rate:  func(context.Context) (float64, error) { return rate, lost },
		cpu:   func() time.Duration { return cpu },
		wait:  func(_ context.Context, d time.Duration) error { waited += d; return nil },
		share: 0.1,
	}
	rows := func(n int, each time.Duration) (time.Duration, error) {
		waited = 0
		for range n {
			cpu += each
			if err := w.step(t.Context()); err != nil {
				return waited, err
			}
		}
		return waited, nil
	}
	if d, err := rows(throttleRows-1, 10*time.Microsecond); d != 0 || err != nil {
		t.Errorf("a short one waited %v, %v", d, err)
	}
	if d, err := rows(1+9*throttleRows, 10*time.Microsecond); d != 9*10*throttleRows*10*time.Microsecond || err != nil {
		t.Errorf("waited %v, %v, want nine times the %v that it took", d, err, 10*throttleRows*10*time.Microsecond)
	}
	if d, err := rows(throttleRows, time.Millisecond); d != longestWait || err != nil {
		t.Errorf("slow rows waited %v, %v", d, err)
	}
	rate = busyRate - 1
	if d, err := rows(10*throttleRows, 10*time.Microsecond); d != 0 || err != nil {
		t.Errorf("with little being sent it waited %v, %v", d, err)
	}
	lost = errors.New("lost")
	if _, err := rows(throttleRows, 0); !errors.Is(err, lost) {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(lost)
	if err := sleep(ctx, time.Hour); !errors.Is(err, lost) {
		t.Errorf("told to stop: %v", err)
	}
	if ownCPU() <= 0 {
		t.Error("this process took no time")
	}
}
