// Package check is what happens to a campaign before anybody approves it: its
// recipients are frozen, every notice is rendered, linted and hashed, and people
// are counted against what was declared. It sends nothing.
package check

import (
	"context"

	"oshirase/mailer"
)

// Applied has the facts as they are now.
type Applied interface {
	Incident(ctx context.Context, id string) (mailer.Incident, error)
	Merchant(ctx context.Context, id string) (mailer.Merchant, error)
}

// Freezer is what the check needs of the store.
type Freezer interface {
	Applied
	Campaign(ctx context.Context, id string) (mailer.Campaign, error)
	// BeginCheck takes the campaign to draft, drops its approvals, findings and
	// the deliveries that were never tried, and returns the revision of
	// everything the check depends on. A delivery that was tried (or is held)
	// stays; its recipient is passed over by Recipients. Refused with ErrConflict
	// while the campaign is running, finished or cancelled.
	BeginCheck(ctx context.Context, by mailer.Actor, campaign string) (revision int64, err error)
	// Recipients streams the recipients that the campaign selects, in order of
	// their IDs, in pages; yield is called on one goroutine and may keep the page.
	Recipients(ctx context.Context, campaign string, yield func([]mailer.Recipient) error) error
	// Freeze adds deliveries in one transaction.
	Freeze(ctx context.Context, campaign string, rows []mailer.Frozen) error
	// Overlaps counts, by other campaigns of the stage that are checked and not
	// ended, the queued recipients who are open there too.
	Overlaps(ctx context.Context, campaign string) (campaigns []string, people []int64, err error)
	// CountAcceptances are those that were given for the campaign, oldest first.
	CountAcceptances(ctx context.Context, campaign string) ([]mailer.CountAcceptance, error)
	// AcceptCounts records that somebody accepts these differences, for a reason.
	AcceptCounts(ctx context.Context, by mailer.Actor, campaign, reason string, of []mailer.CountAcceptance) error
	// EndCheck stores what the check came to; with sendable errors absent the
	// campaign becomes checked, else it stays draft. ErrConflict where anything
	// the check depends on changed since BeginCheck.
	EndCheck(ctx context.Context, campaign string, revision int64, snap mailer.Snapshot, result mailer.CheckResult) error
}
