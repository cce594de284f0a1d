package campaign

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"oshirase/mailer"
	"oshirase/mailer/authority"
	"oshirase/mailer/check"
)

// Preparation is what is done to campaigns before they are approved, and to when
// they are sent.
type Preparation struct {
	Ledger    Drafts
	Templates mailer.Templates
	Grouping  *mailer.Grouping // nil knows no domain groups
	Now       func() time.Time
	// CountTolerance is the share by which a declared count may be missed.
	CountTolerance float64
	// Words puts an error into a finding of a check; see check.Check.
	Words func(error) string
	// Policy is what the config wishes for approvals. A check takes it over where it may
	// be, so that what is checked is not void again when it is approved.
	Policy mailer.Policy
}

// Draft is a campaign as somebody asks for it. What is left out is the merchant's
// default.
type Draft struct {
	Incident, Merchant string
	Stage              mailer.Stage
	// Cause names why there is a follow-up or correction: nobody gets two of one cause.
	// Empty is a cause like any other; first warnings and formal notices have none.
	Cause     string
	Name      string   // empty: made from merchant and stage
	Exposures []string // empty: all
	// Certainty is possible or confirmed; empty: both.
	Certainty mailer.Certainty
	At        time.Time // zero: started by hand
	// Window has the merchant's hours or days where its own are empty, and
	// mailer.DefaultHours where the merchant has none. Hours that are always, without
	// days, are so on every day.
	Window  mailer.WindowSpec
	PerHour *int // nil: the merchant's; 0 is no limit
}

// Validate says what is wrong with a draft whatever the ledger holds.
func (d *Draft) Validate() error {
	if !slices.Contains(mailer.Stages, d.Stage) {
		return mailer.Invalid("campaign.stage", "stage", d.Stage)
	}
	switch d.Certainty {
	case "", mailer.CertaintyPossible, mailer.CertaintyConfirmed:
	default:
		return mailer.Invalid("campaign.certainty", "certainty", d.Certainty)
	}
	if d.PerHour != nil && !mailer.ValidPerHour(*d.PerHour) {
		return mailer.Invalid("campaign.per-hour", "per_hour", *d.PerHour, "most", mailer.MaxPerHour)
	}
	if d.Cause != "" && !d.Stage.Repeats() {
		return mailer.Invalid("campaign.cause", "stage", d.Stage)
	}
	for name, value := range map[string]string{"name": d.Name, "cause": d.Cause} {
		if err := mailer.CheckLine(name, value); err != nil {
			return err
		}
	}
	_, err := mailer.ParseWindow(d.Window)
	return err
}

// window fills in what the draft leaves to the merchant.
func (d *Draft) window(of mailer.WindowSpec) mailer.WindowSpec {
	if d.Window.Hours != "" {
		of.Hours = d.Window.Hours
		if d.Window.Hours == "always" {
			of.Days = ""
		}
	}
	if d.Window.Days != "" {
		of.Days = d.Window.Days
	}
	of.Hours = cmp.Or(of.Hours, mailer.DefaultHours)
	return of
}

// Create makes a campaign and returns its ID; nothing is frozen yet.
func (p *Preparation) Create(ctx context.Context, by mailer.Actor, d Draft) (id string, err error) {
	if err := d.Validate(); err != nil {
		return "", err
	}
	if by, err = authority.May(ctx, p.Ledger, by, mailer.ActCreate, d.Merchant); err != nil {
		return "", err
	}
	if err := p.toCome(d.At); err != nil {
		return "", err
	}
	m, err := p.Ledger.Merchant(ctx, d.Merchant)
	if errors.Is(err, mailer.ErrNotFound) {
		return "", mailer.NotFound("campaign.no-merchant", "cause", err)
	}
	if err != nil {
		return "", err
	}
	c := mailer.Campaign{
		Incident: d.Incident, Merchant: d.Merchant, Stage: d.Stage, Cause: strings.TrimSpace(d.Cause), Name: d.Name, Exposures: d.Exposures, Certainty: d.Certainty,
		At: d.At, Window: d.window(m.Window), PerHour: m.PerHour,
	}
	if c.Name == "" {
		c.Name = m.ShortName() + " " + c.Stage.Japanese()
	}
	if d.PerHour != nil {
		c.PerHour = *d.PerHour
	}
	return p.Ledger.CreateCampaign(ctx, by, c)
}

// toCome refuses a start at a time that has passed; zero is none.
func (p *Preparation) toCome(at time.Time) error {
	if !at.IsZero() && !at.After(p.Now()) {
		return mailer.Invalid("campaign.at-past", "at", at.In(mailer.JST))
	}
	return nil
}

// Settings are what of a campaign may change under its approvals; nil leaves as it
// is.
type Settings struct {
	PerHour     *int // 0 is no limit
	Hours, Days *string
	At          *time.Time // zero: started by hand
}

// Validate says what is wrong with settings whatever the ledger holds.
func (s *Settings) Validate() error {
	if s.PerHour != nil && !mailer.ValidPerHour(*s.PerHour) {
		return mailer.Invalid("campaign.per-hour", "per_hour", *s.PerHour, "most", mailer.MaxPerHour)
	}
	_, err := mailer.ParseWindow(s.window(mailer.WindowSpec{}))
	return err
}

func (s *Settings) window(of mailer.WindowSpec) mailer.WindowSpec {
	if s.Hours != nil {
		of.Hours = *s.Hours
	}
	if s.Days != nil {
		of.Days = mailer.Days(*s.Days)
	}
	return of
}

// Set changes how a campaign is sent, not what: its approvals stay. It returns the
// campaign as it is then.
func (p *Preparation) Set(ctx context.Context, by mailer.Actor, id string, to Settings) (mailer.Campaign, error) {
	if err := to.Validate(); err != nil {
		return mailer.Campaign{}, err
	}
	by, c, err := mayWith(ctx, p.Ledger, by, mailer.ActSet, id)
	if err == nil && to.At != nil {
		err = p.toCome(*to.At)
	}
	if err != nil {
		return mailer.Campaign{}, err
	}
	var window *mailer.WindowSpec
	if to.Hours != nil || to.Days != nil {
		w := to.window(c.Window)
		window = &w
	}
	if err := p.Ledger.Set(ctx, by, id, to.PerHour, window, to.At); err != nil {
		return mailer.Campaign{}, err
	}
	return p.Ledger.Campaign(ctx, id)
}

// CheckOptions say how a campaign is checked.
type CheckOptions struct {
	// AllowRepeat also takes people who already got a notice of the stage that said
	// the same.
	AllowRepeat bool
	// AcceptCount is why declared counts may be missed as they are; empty: they may not.
	AcceptCount string
	Progress    func(done int64) // called on one goroutine; may be nil
}

// Check freezes the recipients of a campaign, renders and lints every notice, and
// stores its hash. Any approval given before is void.
func (p *Preparation) Check(ctx context.Context, by mailer.Actor, id string, o CheckOptions) (mailer.CheckReport, error) {
	by, _, err := mayWith(ctx, p.Ledger, by, mailer.ActCheck, id)
	if err == nil && o.AcceptCount != "" {
		_, _, err = mayWith(ctx, p.Ledger, by, mailer.ActCount, id)
	}
	if err != nil {
		return mailer.CheckReport{}, err
	}
	if utf8.RuneCountInString(o.AcceptCount) > maxReason || mailer.CheckLine("accept-count", o.AcceptCount) != nil {
		return mailer.CheckReport{}, mailer.Invalid("campaign.reason", "most", maxReason)
	}
	if err := p.Ledger.KeepPolicy(ctx, by, p.Policy); err != nil && !errors.Is(err, mailer.ErrConflict) {
		return mailer.CheckReport{}, err
	}
	c := check.Check{
		Store: p.Ledger, Notices: p.Templates, Now: p.Now, Grouping: p.Grouping, Words: p.Words,
		AllowRepeat: o.AllowRepeat, Progress: o.Progress, CountTolerance: p.CountTolerance, AcceptCount: o.AcceptCount,
	}
	began := time.Now() // and not the clock of the ledger: it is the machine's speed
	result, err := c.Run(ctx, by, id)
	if err != nil {
		return mailer.CheckReport{}, err
	}
	took := time.Since(began).Seconds()
	return mailer.CheckReport{CheckResult: result, Seconds: took, PerSecond: float64(result.Recipients) / took}, nil
}

// maxReason is how long a reason may be, in characters. It is one visible line: it will
// stand on other people's terminals.
const maxReason = 500
