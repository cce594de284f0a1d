package intake

import (
	"context"
	"slices"

	"oshirase/mailer"
	"oshirase/mailer/authority"
)

// Lists shows the lists that were taken in.
type Lists struct {
	// Ledger has them oldest first, and never nil.
	Ledger interface {
		authority.Register
		Lists(ctx context.Context, of mailer.ListFilter) ([]mailer.ListView, error)
	}
}

// List has the lists of an incident, of a merchant, of both, or all, as far as they
// concern who asks.
func (l *Lists) List(ctx context.Context, by mailer.Actor, of mailer.ListFilter) ([]mailer.ListView, error) {
	who, err := authority.Any(ctx, l.Ledger, by, mailer.ActView)
	if err == nil && of.Merchant != "" {
		err = who.For(of.Merchant)
	}
	if err != nil {
		return nil, err
	}
	all, err := l.Ledger.Lists(ctx, of)
	return slices.DeleteFunc(all, func(v mailer.ListView) bool { return !who.Sees(v.Merchant) }), err
}

// Removal takes lists back.
type Removal struct {
	Ledger interface {
		authority.Register
		// ListMerchant is the merchant whose list it is.
		ListMerchant(ctx context.Context, id string) (merchant string, err error)
		RemoveList(ctx context.Context, by mailer.Actor, id string) (mailer.ListRemoved, error)
	}
}

// Remove takes a list back, as long as nothing of it was sent and no later list builds
// upon it: whom it alone had brought is gone, and campaigns that are to tell any of them
// are void; of the others stands again what was said before, and what is still to be
// sent to them is held.
func (r *Removal) Remove(ctx context.Context, by mailer.Actor, id string) (mailer.ListRemoved, error) {
	who, err := authority.Any(ctx, r.Ledger, by, mailer.ActTakeBack)
	if err != nil {
		return mailer.ListRemoved{}, err
	}
	merchant, err := r.Ledger.ListMerchant(ctx, id)
	if err == nil {
		err = who.For(merchant)
	}
	if err != nil {
		return mailer.ListRemoved{}, err
	}
	return r.Ledger.RemoveList(ctx, who.Actor, id)
}
