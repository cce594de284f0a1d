package send

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"oshirase/mailer"
)

// testSession is one that gives up when relays never take a connection. Its
// clock is far from that of the relays, as in a test or a rehearsal.
func testSession(t *testing.T) *session {
	t.Helper()
	r := &Runner{Options: Options{
		Now: func() time.Time { return time.Now().Add(-1000 * time.Hour) }, Logger: slog.New(slog.DiscardHandler), RelayWait: 5 * time.Minute,
	}}
	s := &session{Runner: r, log: r.Options.Logger, impatient: true}
	s.running, s.halt = context.WithCancel(t.Context())
	t.Cleanup(s.halt)
	return s
}

// find has workers find that relays are down, each so much later than the one
// before, and returns when all have waited.
func find(s *session, workers int, later time.Duration, err error) {
	var wg sync.WaitGroup
	for n := range workers {
		wg.Go(func() {
			time.Sleep(time.Duration(n) * later)
			s.relayDown(err)
		})
	}
	wg.Wait()
}

// TestTriesAreCountedNotWorkers: however many workers find the relays set aside, it is
// one try; the third one in vain is the last.
func TestTriesAreCountedNotWorkers(t *testing.T) {
	for name, later := range map[string]time.Duration{"at once": 0, "one after the other": 3 * time.Millisecond, "until after the next": 70 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := testSession(t)
				refused := errors.New("421 not now")
				for try := range dialTries {
					if s.failure() != nil {
						t.Fatalf("gave up before try %d", try+1)
					}
					began := time.Now()
					find(s, 20, later, &mailer.RelayDown{RetryAt: began.Add(time.Second), Err: refused})
					if took := time.Since(began); try < dialTries-1 && (took < time.Second || took > 2*time.Second) {
						t.Errorf("try %d: the workers waited %v", try+1, took)
					}
				}
				if err := s.failure(); !errors.Is(err, refused) {
					t.Errorf("after %d tries: %v", dialTries, err)
				}
			})
		})
	}
}

// TestTriesOfALateWorker: one that was told of an earlier try, and is late to say
// so, does not make the later ones count again.
func TestTriesOfALateWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := testSession(t)
		before := &mailer.RelayDown{RetryAt: time.Now().Add(time.Second), Err: errors.New("first")}
		after := &mailer.RelayDown{RetryAt: time.Now().Add(3 * time.Second), Err: errors.New("second")}
		for _, err := range []error{before, after, before, after, before, after} {
			find(s, 1, 0, err)
		}
		if err := s.failure(); err != nil {
			t.Errorf("gave up after two tries: %v", err)
		}
	})
}

// TestTriesBeginAnew once a relay took a connection; then only the time counts.
func TestTriesBeginAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := testSession(t)
		s.relayUp()
		for began := time.Now(); time.Since(began) <= s.Options.RelayWait; {
			if s.failure() != nil {
				t.Fatalf("gave up after %v", time.Since(began))
			}
			find(s, 3, 0, &mailer.RelayDown{RetryAt: time.Now().Add(time.Minute), Err: errors.New("gone")})
		}
		find(s, 3, 0, &mailer.RelayDown{RetryAt: time.Now().Add(time.Minute), Err: errors.New("gone")})
		if s.failure() == nil {
			t.Errorf("still waiting after %v", s.Options.RelayWait)
		}
	})
}
