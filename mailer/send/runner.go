package send

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"oshirase/mailer"
	"oshirase/mailer/envelope"
)

// Pace is what may change while a runner works; see Runner.SetPace.
type Pace struct {
	Batch      int           // deliveries that are claimed ahead of the workers; 500
	BatchPause time.Duration // of a campaign, each time that so many of it were claimed
	PerSecond  int           // over all merchants; 0 is no limit
	PerHour    int           // over all merchants; 0 is no limit
	// Groups has the limits of domain groups, by their names; none has no limits.
	Groups []mailer.DomainGroup
}

// Options steer a Runner. Zero values are replaced as each field says.
type Options struct {
	Pace
	Lease     time.Duration   // 60 s; renewed at a third of it
	Retry     []time.Duration // waits between attempts, the last repeats; mailer.DefaultRetry
	Deadline  time.Duration   // from the first attempt until a delivery expires; 48 h
	Grace     time.Duration   // how late a scheduled campaign may start by itself; 1 h
	StopGrace time.Duration   // how long what is on the wire may take after a stop; 10 s
	// Hurry, once it is done, ends the StopGrace of a stop at once; what is known is
	// recorded all the same. nil: never.
	Hurry     context.Context
	RelayWait time.Duration // how long Run waits for a relay that had worked; 5 m
	// MinConnections is how many connections are used at least, however much the
	// relays push back; 1.
	MinConnections int
	// Grouping finds the domain group of an address, with its limits; none has
	// limits.
	Grouping *mailer.Grouping
	Resend   bool // unknown deliveries are sent again instead of held
	Now      func() time.Time
	Logger   *slog.Logger
	// Explain puts into words why a campaign was stopped; nil: the error's codes.
	Explain func(error) string
	// Progress is called after each outcome with the number of outcomes so far;
	// it must be quick and safe for concurrent use. May be nil.
	Progress func(done int64)
}

func (o *Options) defaults() {
	if o.Batch <= 0 {
		o.Batch = mailer.DefaultBatch
	}
	if o.Lease <= 0 {
		o.Lease = mailer.DefaultLease
	}
	if len(o.Retry) == 0 {
		o.Retry = mailer.DefaultRetry()
	}
	if o.Deadline <= 0 {
		o.Deadline = mailer.DefaultDeadline
	}
	if o.Grace <= 0 {
		o.Grace = mailer.DefaultGrace
	}
	if o.StopGrace <= 0 {
		o.StopGrace = mailer.DefaultStopGrace
	}
	if o.RelayWait <= 0 {
		o.RelayWait = 5 * time.Minute
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Explain == nil {
		o.Explain = error.Error
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

// Runner sends what is due. Several runners may work on one ledger.
type Runner struct {
	Ledger  Ledger
	Notices mailer.Templates
	Relays  *Pool
	// Composer returns what composes the messages of a merchant.
	Composer func(*mailer.Merchant) (mailer.Composer, error)
	Options  Options

	changed  atomic.Pointer[Pace]
	sessions atomic.Int64 // that were begun
}

// SetPace changes the pace of a runner that works, within a second.
func (r *Runner) SetPace(p Pace) {
	if p.Batch <= 0 {
		p.Batch = r.Options.Batch
	}
	r.changed.Store(&p)
}

// pace is the pace in force.
func (r *Runner) pace() *Pace {
	if p := r.changed.Load(); p != nil {
		return p
	}
	return &r.Options.Pace
}

// Summary is what a run came to. JSON keys are the contract of `run`.
type Summary struct {
	Accepted int64             `json:"accepted"`       // deliveries that a relay accepted in this run
	Deferred int64             `json:"deferred"`       // deliveries that wait for another attempt now
	Rejected int64             `json:"rejected"`       // deliveries that were refused for good in this run
	Unknown  int64             `json:"unknown"`        // deliveries that wait for a decision now
	Held     mailer.HeldCounts `json:"held,omitempty"` // queued deliveries that are kept back now, by reason
	// Remaining deliveries are open in all campaigns that were started, or should have
	// been by now, also where they are paused or their approval is void: queued, on the
	// wire, deferred, unknown or held.
	Remaining int64 `json:"remaining"`
	// Waits says for each campaign with remaining deliveries why they wait.
	Waits map[string]mailer.Wait `json:"-"`
	// Stuck has those of them that nothing but a person brings on, wholly or in part.
	Stuck map[string]mailer.Wait `json:"-"`
	// Interrupted: a stop came before the run was at its end.
	Interrupted bool `json:"-"`
}

// Run sends until nothing is due now: in one campaign, or in all where campaign
// is empty. A cancelled context finishes what is on the wire, records it and
// returns what was done, without an error.
func (r *Runner) Run(ctx context.Context, campaign string) (Summary, error) {
	r.Options.defaults()
	s, err := r.begin(ctx, func(c *mailer.Campaign) bool { return campaign == "" || c.ID == campaign })
	if err != nil {
		return Summary{}, err
	}
	s.impatient = true
	err = s.dispatch(ctx, false)
	sum, err := s.summary(campaign, err)
	sum.Interrupted = ctx.Err() != nil
	return sum, err
}

// summary counts from the ledger what stands after the run.
func (s *session) summary(campaign string, err error) (Summary, error) {
	// The context of the run may be over; counting is not.
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	sum := Summary{Accepted: s.accepted.Load(), Rejected: s.rejected.Load(), Waits: map[string]mailer.Wait{}, Stuck: map[string]mailer.Wait{}}
	all, serr := s.Ledger.Status(ctx, campaign)
	if serr != nil {
		return sum, errors.Join(err, serr)
	}
	own := s.campaignWaits()
	now := s.Options.Now()
	for i := range all {
		c := &all[i]
		if !c.Started() && campaign == "" {
			continue
		}
		sum.Deferred += c.Counts[mailer.StateDeferred]
		sum.Unknown += c.Counts[mailer.StateUnknown]
		for why, n := range c.Held {
			if sum.Held == nil {
				sum.Held = mailer.HeldCounts{}
			}
			sum.Held[why] += n
		}
		sum.Remaining += c.Counts.Open()
		wait, person := c.Wait(now), c.NeedsPerson(now)
		if w, mine := own[c.ID]; mine && c.Phase == mailer.PhaseRunning && c.Counts.Open() > 0 {
			wait = w
			if w.NeedsPerson() {
				person = w
			}
		}
		if !c.Started() && wait.IsZero() && c.Counts.Open() > 0 { // it was asked for by name
			wait = mailer.Wait{Scope: mailer.WaitCampaign, Name: c.ID, Reason: mailer.WaitPhase, Phase: c.Phase}
			person = wait
		}
		if c.Counts.Open() > 0 && !wait.IsZero() || !person.IsZero() {
			sum.Waits[c.ID] = wait
		}
		if !person.IsZero() {
			sum.Stuck[c.ID] = person
		}
	}
	return sum, err
}

// Plan says which running campaigns may be sent at a moment; see Serve.
type Plan func(c *mailer.Campaign) bool

// Serve sends whatever becomes due until the context ends; then it finishes
// what is on the wire and records it. Only campaigns that the plan admits are
// sent.
func (r *Runner) Serve(ctx context.Context, plan Plan) error {
	r.Options.defaults()
	s, err := r.begin(ctx, plan)
	if err != nil {
		return err
	}
	return s.dispatch(ctx, true)
}

// SendOne hands one message to a relay outside any campaign and returns what
// came of it.
func (r *Runner) SendOne(ctx context.Context, m *mailer.Message) (mailer.Outcome, error) {
	conn, err := r.Relays.Get(ctx)
	if err != nil {
		return mailer.Outcome{}, err
	}
	defer r.Relays.Put(conn)
	return conn.Send(ctx, m, func() bool { return true }), nil
}

// work is a running campaign, ready to be rendered. It does not change.
type work struct {
	campaign mailer.Campaign
	snap     mailer.Snapshot
	tmpl     mailer.Template
	env      envelope.Envelope
	composer mailer.Composer
	window   mailer.Window
}

// prepare makes a running campaign ready. An error means that it cannot be sent
// as it was approved.
func (r *Runner) prepare(ctx context.Context, c mailer.Campaign) (*work, error) {
	w := &work{campaign: c}
	var err error
	if w.snap, err = r.Ledger.Snapshot(ctx, c.ID); err != nil {
		return nil, err
	}
	if w.env, err = envelope.New(&w.snap.Merchant); err != nil {
		return nil, differs(err)
	}
	if got := r.Notices.Digest(); got != w.snap.Templates {
		return nil, mailer.NewError(mailer.ErrRenderedDifferently, "send.templates-changed")
	}
	if w.tmpl, err = r.Notices.Compile(&w.snap); err != nil {
		return nil, differs(err)
	}
	if w.composer, err = r.Composer(&w.snap.Merchant); err != nil {
		return nil, err
	}
	if w.window, err = mailer.ParseWindow(c.Window); err != nil {
		return nil, err
	}
	return w, nil
}

// differs: a notice is not what was approved. The cause may be nil.
func differs(cause error) error {
	if cause == nil {
		return mailer.NewError(mailer.ErrRenderedDifferently, "send.differs")
	}
	return mailer.NewError(mailer.ErrRenderedDifferently, "send.differs", "cause", cause)
}

// messages reuses the memory of messages; queue.done gives it back.
var messages = sync.Pool{New: func() any { return new(mailer.Message) }}

// message renders the notice of a delivery, holds it against what was approved,
// and composes it.
func (w *work) message(d *mailer.Delivery, now time.Time) (mailer.Address, *mailer.Message, error) {
	if d.Damaged {
		return mailer.Address{}, nil, errDamaged
	}
	to, err := mailer.ParseAddress(d.Recipient.Email)
	if err != nil {
		return to, nil, differs(err)
	}
	n, err := w.tmpl.Render(&d.Recipient)
	if err != nil {
		return to, nil, differs(err)
	}
	if w.env.Commit(d.Recipient.Salt, to, &n) != d.Hash {
		return to, nil, differs(nil)
	}
	m := messages.Get().(*mailer.Message)
	h := w.env.Header(to, &n, d.MessageName, now)
	data, err := w.composer.Compose(m.Data, h, &n)
	if err != nil {
		return to, nil, err
	}
	*m = mailer.Message{Sender: w.env.Sender(d.Token), Recipient: h.To, Data: data}
	return to, m, nil
}
