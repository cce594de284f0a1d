package send

import (
	"context"
	"errors"
	"fmt"
	"time"

	"oshirase/mailer"
)

// What is held: notices that are not what was approved, and people whom another campaign
// may be telling the same.

const (
	// manyDiffer is how many notices of a campaign may differ from the approved ones until
	// the campaign is paused: one is a person who changed, several are a fault.
	manyDiffer = 3
	// reviewShare bounds what looking at held deliveries takes: one part in so many.
	reviewShare = 20
)

// errDamaged is a delivery of which the ledger does not have who it is for.
var errDamaged = &mailer.Error{Kind: mailer.ErrDamaged, Code: "send.damaged"}

// keepBack holds a delivery that cannot be what was approved.
func (s *session) keepBack(j *job, why mailer.Held, cause error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	d := j.delivery
	switch err := s.Ledger.Hold(ctx, d.Campaign, d.ID, d.Epoch, why); {
	case errors.Is(err, mailer.ErrLeaseLost):
		return // another one has it, or it is held already
	case err != nil:
		s.fail(fmt.Errorf("hold a delivery of campaign %s: %w", d.Campaign, err))
		return
	}
	s.log.Warn("a delivery is held", "held", why, "campaign", d.Campaign, "ref", d.Recipient.Ref, "error", cause)
	s.mu.Lock()
	s.different[d.Campaign]++
	n := s.different[d.Campaign]
	if n == manyDiffer {
		delete(s.different, d.Campaign)
	}
	s.mu.Unlock()
	if n == manyDiffer {
		s.cannotSend(j.work, d.Recipient.Ref, mailer.NewError(nil, "send.many-differ", "count", n))
	}
}

// review decides what is held of a campaign for the sake of others. True: something may
// be due now, or it is too early to look once more.
func (s *session) review(ctx context.Context, b *backlog) (bool, error) {
	began := time.Now()
	if began.Before(b.reviewAt) {
		return true, nil
	}
	n, err := s.Ledger.Review(ctx, b.ID)
	b.reviewAt = time.Now().Add(reviewShare * time.Since(began))
	return n > 0, err
}
