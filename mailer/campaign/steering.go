package campaign

import (
	"context"

	"oshirase/mailer"
)

// Steering moves campaigns from their approval to their end.
type Steering struct {
	Ledger Phases
	Policy mailer.Policy // that the config wishes
}

// Start lets an approved campaign be sent. One with a time of its own keeps to it,
// unless now is true; one whose time has passed starts at once. It returns the
// campaign as it is then, and so do the others.
func (s *Steering) Start(ctx context.Context, by mailer.Actor, id string, now bool) (mailer.Campaign, error) {
	by, _, err := mayWith(ctx, s.Ledger, by, mailer.ActStart, id)
	if err == nil {
		err = s.Ledger.KeepPolicy(ctx, by, s.Policy)
	}
	if err != nil {
		return mailer.Campaign{}, err
	}
	return s.moved(ctx, id, s.Ledger.Start(ctx, by, id, now))
}

// pausedByHand is what status says of a campaign that a person paused.
const pausedByHand = "paused by hand"

// Pause lets nothing more be handed to a relay, in any process, from when it
// returns. What a relay was given is finished and recorded.
func (s *Steering) Pause(ctx context.Context, by mailer.Actor, id string) (mailer.Campaign, error) {
	by, _, err := mayWith(ctx, s.Ledger, by, mailer.ActPause, id)
	if err != nil {
		return mailer.Campaign{}, err
	}
	return s.moved(ctx, id, s.Ledger.Pause(ctx, by, id, pausedByHand))
}

// Resume lets a paused campaign be sent again.
func (s *Steering) Resume(ctx context.Context, by mailer.Actor, id string) (mailer.Campaign, error) {
	by, _, err := mayWith(ctx, s.Ledger, by, mailer.ActResume, id)
	if err != nil {
		return mailer.Campaign{}, err
	}
	return s.moved(ctx, id, s.Ledger.Resume(ctx, by, id))
}

// Cancel ends a campaign for good. What is in flight is finished and recorded;
// unknown deliveries stay to be resolved.
func (s *Steering) Cancel(ctx context.Context, by mailer.Actor, id string) (mailer.Campaign, error) {
	by, _, err := mayWith(ctx, s.Ledger, by, mailer.ActCancel, id)
	if err != nil {
		return mailer.Campaign{}, err
	}
	return s.moved(ctx, id, s.Ledger.Cancel(ctx, by, id))
}

func (s *Steering) moved(ctx context.Context, id string, err error) (mailer.Campaign, error) {
	if err != nil {
		return mailer.Campaign{}, err
	}
	return s.Ledger.Campaign(ctx, id)
}

// Resolve decides unknown deliveries: accepted, where a person knows that the relay
// has the message, or queued, to send it again. ref names one recipient, in any
// form in which it is read out; empty decides all. It returns how many were decided.
func (s *Steering) Resolve(ctx context.Context, by mailer.Actor, id string, as mailer.State, ref string) (n int64, err error) {
	if ref != "" {
		if ref, err = mailer.ParseRef(ref); err != nil {
			return 0, err
		}
	}
	if by, _, err = mayWith(ctx, s.Ledger, by, mailer.ActResolve, id); err != nil {
		return 0, err
	}
	if n, err = s.Ledger.Resolve(ctx, by, id, as, ref); err != nil {
		return 0, err
	}
	return n, s.Ledger.Settle(ctx, id) // it may have been the last open one
}

// DecideHeld decides deliveries that are held for a person's decision: queued, to go if
// their notices are those that were approved, or cancelled, so that another campaign may
// tell these people what is right now. ref is as for Resolve. It returns how many were
// decided.
func (s *Steering) DecideHeld(ctx context.Context, by mailer.Actor, id string, as mailer.State, ref string) (n int64, err error) {
	if ref != "" {
		if ref, err = mailer.ParseRef(ref); err != nil {
			return 0, err
		}
	}
	if by, _, err = mayWith(ctx, s.Ledger, by, mailer.ActResolve, id); err != nil {
		return 0, err
	}
	if n, err = s.Ledger.DecideHeld(ctx, by, id, as, ref); err != nil {
		return 0, err
	}
	return n, s.Ledger.Settle(ctx, id)
}

// Requeue has deliveries sent again that were rejected or have expired, or, from queued,
// are held. ref names one recipient, in any form in which it is read out; empty takes
// all. It returns how many.
func (s *Steering) Requeue(ctx context.Context, by mailer.Actor, id string, from mailer.State, ref string) (n int64, err error) {
	if ref != "" {
		if ref, err = mailer.ParseRef(ref); err != nil {
			return 0, err
		}
	}
	if by, _, err = mayWith(ctx, s.Ledger, by, mailer.ActRequeue, id); err != nil {
		return 0, err
	}
	return s.Ledger.Requeue(ctx, by, id, from, ref)
}
