package campaign

import (
	"context"
	"time"

	"oshirase/mailer"
	"oshirase/mailer/approval"
	"oshirase/mailer/authority"
	"oshirase/mailer/check"
)

// Drafts is what preparing campaigns needs of the ledger.
type Drafts interface {
	authority.Register
	check.Freezer
	// KeepPolicy takes over the policy that is wished, where it may be; ErrConflict where
	// it may not.
	KeepPolicy(ctx context.Context, by mailer.Actor, wished mailer.Policy) error
	// CreateCampaign stores a draft and returns its ID; window and pace are taken as
	// they are.
	CreateCampaign(ctx context.Context, by mailer.Actor, c mailer.Campaign) (id string, err error)
	// Set changes pace, window or time; nil leaves as it is. The zero time is none.
	Set(ctx context.Context, by mailer.Actor, campaign string, perHour *int, window *mailer.WindowSpec, at *time.Time) error
}

// Previews is what showing single notices needs of the ledger.
type Previews interface {
	authority.Register
	check.Applied
	Snapshots
	Campaign(ctx context.Context, id string) (mailer.Campaign, error)
	// FindRecipient finds whose notice is asked for. The act is committed before
	// anything is returned.
	FindRecipient(ctx context.Context, by mailer.Actor, q mailer.RecipientQuery) (mailer.Recipient, error)
}

// Snapshots have what campaigns were checked with.
type Snapshots interface {
	// Snapshot is what a campaign was checked with; ErrConflict before it was.
	Snapshot(ctx context.Context, campaign string) (mailer.Snapshot, error)
}

// Sender hands one message to a relay outside any campaign.
type Sender interface {
	SendOne(ctx context.Context, m *mailer.Message) (mailer.Outcome, error)
}

// Phases is what steering campaigns needs of the ledger. Each method refuses with
// ErrConflict what the campaign's phase does not allow.
type Phases interface {
	authority.Register
	Campaign(ctx context.Context, id string) (mailer.Campaign, error)
	// KeepPolicy is as in Drafts.
	KeepPolicy(ctx context.Context, by mailer.Actor, wished mailer.Policy) error
	// Start lets a campaign be sent: at its time where it has one that is to come,
	// unless now is true.
	Start(ctx context.Context, by mailer.Actor, campaign string, now bool) error
	Pause(ctx context.Context, by mailer.Actor, campaign, reason string) error
	Resume(ctx context.Context, by mailer.Actor, campaign string) error
	Cancel(ctx context.Context, by mailer.Actor, campaign string) error
	// Resolve decides unknown deliveries: that of one reference number, or all with
	// an empty one.
	Resolve(ctx context.Context, by mailer.Actor, campaign string, as mailer.State, ref string) (n int64, err error)
	// DecideHeld decides deliveries that are held for a person: queued or cancelled; that
	// of one reference number, or all with an empty one.
	DecideHeld(ctx context.Context, by mailer.Actor, campaign string, as mailer.State, ref string) (n int64, err error)
	// Requeue has deliveries sent again that were rejected, have expired or (queued) are
	// held; a finished campaign is running again.
	Requeue(ctx context.Context, by mailer.Actor, campaign string, from mailer.State, ref string) (n int64, err error)
	// Settle moves a running campaign without open deliveries to finished.
	Settle(ctx context.Context, campaign string) error
}

// Sheets is what approving needs of the ledger.
type Sheets interface {
	authority.Register
	Campaign(ctx context.Context, id string) (mailer.Campaign, error)
	// KeepPolicy is as in Drafts.
	KeepPolicy(ctx context.Context, by mailer.Actor, wished mailer.Policy) error
	// Policy is the one in force; the zero Policy: none is yet.
	Policy(ctx context.Context) (mailer.Policy, error)
	// Part is what stands on a sheet of a campaign, but for the sample; ErrConflict
	// where it is not checked.
	Part(ctx context.Context, campaign string) (approval.Part, error)
	// Sheet is the text that is kept of these campaigns as they are checked; where there
	// is none text makes it.
	Sheet(ctx context.Context, by mailer.Actor, parts []approval.Part, text func(mailer.Policy, []mailer.Member) string) (string, error)
	// SheetTexts are all that are kept of a campaign as it is checked, newest first.
	SheetTexts(ctx context.Context, campaign string) ([]string, error)
	// Approve records one person's consent to all of the campaigns, which send that many
	// notices together.
	Approve(ctx context.Context, by mailer.Actor, campaigns []string, count int64, wished mailer.Policy, signed mailer.Signed) ([]mailer.Approved, error)
	// Given are the approvals of a campaign that stand, with what was signed.
	Given(ctx context.Context, campaign string) ([]approval.Given, error)
	ApprovalsStand(ctx context.Context, campaign string) error
}

// Staff is what changing persons and policy needs of the ledger.
type Staff interface {
	authority.Register
	// Policy is the one in force; the zero Policy: none is yet.
	Policy(ctx context.Context) (mailer.Policy, error)
	// Amend makes a change, or where approvers have to consent keeps it until they do.
	Amend(ctx context.Context, by mailer.Actor, a mailer.Amendment, wished mailer.Policy) (mailer.Amendment, error)
	// Consent records a signature over the text of a change that waits.
	Consent(ctx context.Context, by mailer.Actor, id, signature string) (mailer.Amendment, error)
	// Amendments are the changes that wait, oldest first.
	Amendments(ctx context.Context) ([]mailer.Amendment, error)
}

// Records is what reading needs of the ledger. What shows personal data takes the
// Actor, and commits the act before it shows anything.
type Records interface {
	authority.Register
	Campaign(ctx context.Context, id string) (mailer.Campaign, error)
	Campaigns(ctx context.Context) ([]mailer.Campaign, error)
	Merchant(ctx context.Context, id string) (mailer.Merchant, error)
	Snapshots
	Approvals(ctx context.Context, campaign string) ([]mailer.Approval, error)
	Findings(ctx context.Context, campaign string) ([]mailer.Finding, error)
	CountAcceptances(ctx context.Context, campaign string) ([]mailer.CountAcceptance, error)
	// Status is that of one campaign, or of all with an empty ID, oldest first.
	Status(ctx context.Context, campaign string) ([]mailer.CampaignStatus, error)
	// RelayWaits are the relays that are set aside, by name.
	RelayWaits(ctx context.Context) ([]mailer.Wait, error)
	Counts(ctx context.Context, campaign string) (mailer.Counts, error)
	// Late counts who came after a campaign's check and is in none of its stage.
	Late(ctx context.Context, campaign string) (int64, error)
	// Rate is how many messages a second are being accepted.
	Rate(ctx context.Context) (float64, error)
	EachDelivery(ctx context.Context, by mailer.Actor, of mailer.DeliveryFilter, fn func(mailer.DeliveryView) error) error
	Lookup(ctx context.Context, by mailer.Actor, q mailer.Query) ([]mailer.Match, error)
	// Searched is what a look-up goes through.
	Searched(ctx context.Context) ([]mailer.Searched, error)
	// NotSearched are the merchants of whom no list was taken in.
	NotSearched(ctx context.Context) ([]string, error)
	EachAct(ctx context.Context, fn func(mailer.Act) error) error
}

// Incidents is what taking facts over, and ending an incident, needs of the ledger.
type Incidents interface {
	authority.Register
	// PlanApply says what ApplyPlanned would come to.
	PlanApply(ctx context.Context, incidents []mailer.Incident, merchants []mailer.Merchant, same mailer.SameNotices) (mailer.ApplyResult, error)
	// ApplyPlanned takes all over, or none where one has an error, or where it would
	// come to something else than shown.
	ApplyPlanned(ctx context.Context, by mailer.Actor, incidents []mailer.Incident, merchants []mailer.Merchant,
		same mailer.SameNotices, shown *mailer.ApplyResult) (mailer.ApplyResult, error)
	// DestroyKey goes on where an earlier call was cut off.
	DestroyKey(ctx context.Context, by mailer.Actor, d mailer.Destroy) (mailer.Destroyed, error)
}

// Proofs is what looking whether a ledger is as it was written needs of it.
type Proofs interface {
	authority.Register
	Verify(ctx context.Context, o mailer.VerifyOptions) (mailer.Verification, error)
	// CheckpointKey is the public key of its signed checkpoints.
	CheckpointKey() (string, error)
}
