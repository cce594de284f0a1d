package check

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"oshirase/mailer"
	"oshirase/mailer/envelope"
	"oshirase/mailer/journal"
)

// Rule is one that is judged by the campaign as a whole, beside those that judge
// facts and texts.
type Rule struct {
	Name     string
	Severity mailer.Severity
	Doc      string // one line, for docs/rules.md
}

// Rules are the rules that a check holds a campaign against.
var Rules = []Rule{
	{"no-recipients", mailer.SeverityError, "nobody is selected, or a correction concerns nobody whom the campaign selects"},
	{"declared-count", mailer.SeverityError, "the lists hold more or fewer people of an exposure than the merchant has declared; a warning within the tolerance of the config, or once somebody has accepted the difference (`campaign check --accept-count REASON`)"},
	{"overlap", mailer.SeverityWarning, "another campaign of the stage, checked and not ended, is still to be sent to some of the same people: they get the one that starts first"},
	{"allow-repeat", mailer.SeverityWarning, "the check took people who were told all of this before, because it was asked to"},
	{"passed-over", mailer.SeverityInfo, "people get nothing by this campaign: the message says how many, and why"},
	{"template", mailer.SeverityError, "a part of the notice cannot be read or rendered; the message names the part and the line"},
	{"sender-address", mailer.SeverityError, "the merchant's from, reply_to or bounce_domain is none that mail can bear, or its from_name holds what nobody sees"},
}

// passedOver says why people get nothing, and what is to be done for them.
var passedOver = map[mailer.Suppression]string{
	mailer.SuppressedNoEmail:         "no e-mail address: they need a letter",
	mailer.SuppressedBadAddress:      "an address that cannot be sent to: they need a letter, or a mended list",
	mailer.SuppressedAlreadyNotified: "told before: notices of this stage named all of their exposures (--allow-repeat takes them too; a follow-up or correction wants another --cause)",
	mailer.SuppressedNeverTold:       "no first warning or formal notice ever reached them: they need one, and not this",
	mailer.SuppressedUndecided:       "their first warning or formal notice is still open or unknown: check again once that is decided",
	mailer.SuppressedNotConcerned:    "the correction does not concern them",
}

// findingsPerRule bounds how many findings of one rule a result carries one by
// one; the rest is counted in a last one.
const findingsPerRule = 20

// Check freezes the recipients of a campaign, renders and lints every notice
// and stores its hash.
type Check struct {
	Store    Freezer
	Notices  mailer.Templates
	Now      func() time.Time
	Progress func(done int64) // called on one goroutine; may be nil
	// AllowRepeat also takes people who already got a notice of this stage that
	// said the same.
	AllowRepeat bool
	// CountTolerance is the share of a declared count by which the lists may miss it
	// before that is an error; zero: none. AcceptCount is why whoever checks accepts
	// that they do; empty: it is not accepted.
	CountTolerance float64
	AcceptCount    string
	// Grouping finds the domain group of an address; nil knows none.
	Grouping *mailer.Grouping
	// Words puts what a part or an address has wrong into words, for a finding; nil
	// leaves its codes.
	Words func(error) string
}

func (c *Check) say(err error) string {
	if c.Words == nil {
		return err.Error()
	}
	return c.Words(err)
}

// Run checks one campaign. Memory does not grow with the number of recipients:
// pages are read, rendered on all cores and written in order.
func (c *Check) Run(ctx context.Context, by mailer.Actor, id string) (mailer.CheckResult, error) {
	camp, err := c.Store.Campaign(ctx, id)
	if err != nil {
		return mailer.CheckResult{}, err
	}
	snap, err := Snapshot(ctx, c.Store, c.Notices, camp, c.Now())
	if err != nil {
		return mailer.CheckResult{}, err
	}
	snap.AllowRepeat = c.AllowRepeat
	revision, err := c.Store.BeginCheck(ctx, by, id)
	if err != nil {
		return mailer.CheckResult{}, err
	}
	grouping := c.Grouping
	if grouping == nil {
		grouping = mailer.NoGrouping()
	}
	tally := newTally()
	env, err := envelope.New(&snap.Merchant)
	if err != nil {
		tally.find(mailer.Finding{Severity: mailer.SeverityError, Rule: "sender-address", Message: c.say(err)})
	}
	tmpl, err := c.Notices.Compile(&snap)
	if err != nil {
		tally.find(mailer.Finding{Severity: mailer.SeverityError, Rule: "template", Message: c.say(err)})
	}
	if tally.errors == 0 {
		tally.find(tmpl.CheckFacts()...)
		if tally.facts, err = json.Marshal(snap); err != nil {
			return mailer.CheckResult{}, fmt.Errorf("encode snapshot: %w", err)
		}
		r := &renderer{tmpl: tmpl, env: &env, say: c.say, stage: camp.Stage, cause: camp.Cause, repeat: c.AllowRepeat, grouping: grouping}
		if err := c.freeze(ctx, id, r, tally); err != nil {
			return mailer.CheckResult{}, err
		}
		tally.count()
		if err := c.declared(ctx, by, id, &snap, tally); err != nil {
			return mailer.CheckResult{}, err
		}
		if c.AllowRepeat {
			tally.repeats()
		}
		if err := c.overlaps(ctx, id, tally); err != nil {
			return mailer.CheckResult{}, err
		}
	}
	result := tally.result()
	result.AllowRepeat = c.AllowRepeat
	if err := c.Store.EndCheck(ctx, id, revision, snap, result); err != nil {
		return mailer.CheckResult{}, err
	}
	return result, nil
}

// Snapshot is what the notices of a campaign are rendered from, by the facts as
// they are at a time.
func Snapshot(ctx context.Context, facts Applied, notices mailer.Templates, camp mailer.Campaign, at time.Time) (mailer.Snapshot, error) {
	in, err := facts.Incident(ctx, camp.Incident)
	if err != nil {
		return mailer.Snapshot{}, err
	}
	m, err := facts.Merchant(ctx, camp.Merchant)
	if err != nil {
		return mailer.Snapshot{}, err
	}
	return mailer.Snapshot{
		Incident: in, Merchant: m, Stage: camp.Stage, Cause: camp.Cause, Certainty: camp.Certainty, Exposures: camp.Exposures,
		NoticeOn: mailer.DateOf(at), Templates: notices.Digest(),
	}, nil
}

// overlaps warns of people whom two campaigns that are still to be sent would
// tell the same: whichever starts first tells them.
func (c *Check) overlaps(ctx context.Context, id string, tally *tally) error {
	others, people, err := c.Store.Overlaps(ctx, id)
	for i, other := range others {
		tally.find(mailer.Finding{
			Severity: mailer.SeverityWarning, Rule: "overlap",
			Message: fmt.Sprintf("%d people are to get a notice of this stage by campaign %s as well: whichever starts first tells them, the other only those whom that one does not reach", people[i], other),
		})
	}
	return err
}

// page is one page of recipients on its way through the check.
type page struct {
	recipients []mailer.Recipient
	done       chan []rendered // one value, then nothing
}

// freeze streams the recipients: one goroutine reads, the workers render, and
// this one writes the pages in the order in which they were read.
func (c *Check) freeze(ctx context.Context, id string, r *renderer, tally *tally) error {
	workers := runtime.GOMAXPROCS(0)
	todo := make(chan page)
	ordered := make(chan page, 2*workers)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(todo)
		defer close(ordered)
		return c.Store.Recipients(ctx, id, func(rs []mailer.Recipient) error {
			p := page{recipients: rs, done: make(chan []rendered, 1)}
			for _, ch := range []chan page{ordered, todo} {
				select {
				case ch <- p:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return nil
		})
	})
	for range workers {
		g.Go(func() error {
			for p := range todo {
				p.done <- r.page(p.recipients)
			}
			return nil
		})
	}
	g.Go(func() error {
		for p := range ordered {
			var out []rendered
			select {
			case out = <-p.done:
			case <-ctx.Done():
				return ctx.Err()
			}
			frozen := make([]mailer.Frozen, len(out))
			for i := range out {
				tally.add(&p.recipients[i], &out[i])
				frozen[i] = out[i].frozen
			}
			if err := c.Store.Freeze(ctx, id, frozen); err != nil {
				return err
			}
			if c.Progress != nil {
				c.Progress(tally.recipients)
			}
		}
		return nil
	})
	return g.Wait()
}

// renderer renders for the check; it is safe for concurrent use.
type renderer struct {
	tmpl   mailer.Template
	env    *envelope.Envelope
	stage  mailer.Stage
	cause  string
	repeat bool
	say    func(error) string

	grouping *mailer.Grouping
}

// rendered is what the check knows of one recipient.
type rendered struct {
	frozen   mailer.Frozen
	findings []mailer.Finding
}

func (r *renderer) page(rs []mailer.Recipient) []rendered {
	out := make([]rendered, len(rs))
	for i := range rs {
		out[i] = r.one(&rs[i])
	}
	return out
}

func (r *renderer) one(rec *mailer.Recipient) (out rendered) {
	out.frozen = mailer.Frozen{Recipient: rec.ID, Told: rec.Told, Exposures: rec.Exposures}
	if rec.Email == "" {
		out.frozen.Suppressed = mailer.SuppressedNoEmail
		return out
	}
	to, err := mailer.ParseAddress(rec.Email)
	if err != nil {
		out.frozen.Suppressed = mailer.SuppressedBadAddress
		return out
	}
	if out.frozen.Suppressed = r.passOver(rec); out.frozen.Suppressed != "" {
		return out
	}
	n, err := r.tmpl.Render(rec)
	if errors.Is(err, mailer.ErrNotConcerned) {
		out.frozen.Suppressed = mailer.SuppressedNotConcerned
		return out
	}
	if err != nil {
		out.findings = []mailer.Finding{{Severity: mailer.SeverityError, Rule: "template", Message: r.say(err), Ref: rec.Ref}}
		return out
	}
	out.findings = r.tmpl.CheckNotice(rec, &n)
	out.frozen.Hash = r.env.Commit(rec.Salt, to, &n)
	out.frozen.Group = r.grouping.Find(to.Domain)
	return out
}

// tally adds up what a check finds.
type tally struct {
	recipients int64
	sendable   int64
	again      int64 // that are sent to people who were told all of it
	suppressed map[mailer.Suppression]int64
	exposed    map[string]int64 // recipients by exposure, suppressed or not
	declared   *int64
	accepted   []mailer.CountAcceptance // counts that are missed, and may be
	facts      []byte                   // the snapshot, as JSON
	people     journal.Tree             // who is told what
	leaf       []byte                   // a buffer
	findings   []mailer.Finding
	perRule    map[string]int64
	errors     int
}

func newTally() *tally {
	return &tally{
		suppressed: map[mailer.Suppression]int64{}, exposed: map[string]int64{},
		perRule: map[string]int64{},
	}
}

func (t *tally) find(fs ...mailer.Finding) {
	for _, f := range fs {
		if f.Severity == mailer.SeverityError {
			t.errors++
		}
		t.perRule[f.Rule]++
		if t.perRule[f.Rule] <= findingsPerRule {
			t.findings = append(t.findings, f)
		}
	}
}

func (t *tally) add(r *mailer.Recipient, out *rendered) {
	t.recipients++
	for _, e := range r.Exposures {
		t.exposed[e]++
	}
	if s := out.frozen.Suppressed; s != "" {
		t.suppressed[s]++
	} else {
		t.sendable++
		if alreadyTold(r) {
			t.again++
		}
	}
	leaf := journal.Person{Ref: r.Ref, Suppressed: string(out.frozen.Suppressed), Commitment: out.frozen.Hash}
	t.leaf = leaf.AppendLeaf(t.leaf[:0])
	t.people.Add(journal.LeafHash(t.leaf))
	t.find(out.findings...)
}

// count says who gets nothing, and finds a campaign to nobody.
func (t *tally) count() {
	if t.recipients == 0 {
		t.find(mailer.Finding{
			Severity: mailer.SeverityError, Rule: "no-recipients",
			Message: "nobody is selected: import a list for this incident and merchant, or widen --exposure and --certainty",
		})
	}
	if t.sendable == 0 && t.suppressed[mailer.SuppressedNotConcerned] > 0 {
		t.find(mailer.Finding{
			Severity: mailer.SeverityError, Rule: "no-recipients",
			Message: "nobody is concerned: the incident has corrections of several kinds, and no list says who gets which (column correction or 訂正区分)",
		})
	}
	for _, reason := range slices.Sorted(maps.Keys(t.suppressed)) {
		t.find(mailer.Finding{
			Severity: mailer.SeverityInfo, Rule: "passed-over",
			Message: fmt.Sprintf("%d people, %s: %s", t.suppressed[reason], reason, passedOver[reason]),
		})
	}
}

func (t *tally) result() mailer.CheckResult {
	for rule, n := range t.perRule {
		if n > findingsPerRule {
			i := slices.IndexFunc(t.findings, func(f mailer.Finding) bool { return f.Rule == rule })
			t.findings = append(t.findings, mailer.Finding{
				Severity: t.findings[i].Severity, Rule: rule,
				Message: fmt.Sprintf("%d more findings of this rule", n-findingsPerRule),
			})
		}
	}
	order := map[mailer.Severity]int{mailer.SeverityError: 0, mailer.SeverityWarning: 1, mailer.SeverityInfo: 2}
	slices.SortStableFunc(t.findings, func(a, b mailer.Finding) int {
		return cmp.Or(cmp.Compare(order[a.Severity], order[b.Severity]), cmp.Compare(a.Rule, b.Rule))
	})
	if t.findings == nil {
		t.findings = []mailer.Finding{}
	}
	return mailer.CheckResult{
		Recipients: t.recipients, Sendable: t.sendable, Suppressed: t.suppressed, Declared: t.declared, AcceptedCounts: t.accepted,
		Digest: journal.Digest(t.facts, &t.people).String(), Findings: t.findings,
	}
}
