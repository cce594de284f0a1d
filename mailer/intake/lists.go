package intake

import (
	"context"

	"oshirase/mailer"
)

// Lists shows the lists that were taken in.
type Lists struct {
	// Ledger has them oldest first, and never nil.
	Ledger interface {
		Lists(ctx context.Context, of mailer.ListFilter) ([]mailer.ListView, error)
	}
}

// List has the lists of an incident, of a merchant, of both, or all.
func (l *Lists) List(ctx context.Context, _ mailer.Actor, of mailer.ListFilter) ([]mailer.ListView, error) {
	return l.Ledger.Lists(ctx, of)
}

// Removal takes lists back.
type Removal struct {
	Ledger interface {
		RemoveList(ctx context.Context, by mailer.Actor, id string) (mailer.ListRemoved, error)
	}
}

// Remove takes a list back, as long as nothing of it was sent and no later list builds
// upon it: whom it alone had brought is gone, of the others stands again what was said
// before, and campaigns that select any of them are void.
func (r *Removal) Remove(ctx context.Context, by mailer.Actor, id string) (mailer.ListRemoved, error) {
	return r.Ledger.RemoveList(ctx, by, id)
}
