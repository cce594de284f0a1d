package send

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"oshirase/mailer"
)

// The brake. A refusal of us moves nobody: the delivery stays queued. So that it is not
// tried without end, and a campaign is not thrown at a relay that will have none of it:
//
//   - A sender that is refused pauses the campaign at once.
//   - Refusals of us at one domain group hold that group, in this campaign and this
//     session: at the first where nobody of the group was taken, else at three in a row.
//     Of the domains that no group lists each is a group here, at three in a row; its
//     people are held one by one as they come up, since chunks know groups alone.
//   - A delivery over which we are refused three times while others are taken is held.
//   - Two groups that are held pause the campaign (all unlisted domains are one, or whoever
//     owns two could stop it), as do refusals of us in a row, and a first group where
//     nothing was accepted and nothing else is left.
//   - The first replies of a campaign pause it where all are refusals for good, of
//     whatever kind: a relay has more words than anybody knows.
//   - Several notices that we cannot compose ourselves pause it.
//
// It knows what this session saw; a pause stands in the ledger. A campaign that was
// resumed has a new one.

const (
	firstReplies = 20 // that pause a campaign, where all refuse
	fewReplies   = 5  // the same, where there are no more in all
	rowOfUs      = 20 // refusals of us since the last acceptance that pause a campaign
	groupRow     = 3  // refusals of us since the group's last acceptance that hold it
	triesOfOne   = 3  // refusals of us over one delivery that hold it, or pause
	composeMost  = 3  // notices that cannot be composed
)

// brake is that of one campaign in one session.
type brake struct {
	mu       sync.Mutex
	over     atomic.Bool // the campaign was, or is about to be, paused by it
	accepted bool        // somebody's message was taken
	replies  int         // before that: all,
	refused  int         // and those that refused for good
	row      int         // refusals of us since the last acceptance
	sender   int         // temporary refusals of the sender since then
	composed int
	taken    map[string]bool // groups of which somebody was taken
	strikes  map[string]int  // refusals of us since the group's last acceptance
	tries    map[int64]int   // refusals of us by delivery
	held     map[string]kept // groups and domains that are held
	holds    atomic.Bool     // there are some
	senders  map[string]bool // relays that take the campaign's sender
	proofs   map[string]*sync.Mutex
}

// kept is why a group is held.
type kept struct {
	group string      // its name in the ledger
	us    mailer.Halt // the reply: relay and codes
	since time.Time
}

func newBrake() *brake {
	return &brake{
		taken: map[string]bool{}, strikes: map[string]int{}, tries: map[int64]int{}, held: map[string]kept{}, senders: map[string]bool{}, proofs: map[string]*sync.Mutex{},
	}
}

// listed reports whether a group has a provider behind it.
func listed(group string) bool { return group != mailer.OtherDomains && group != "" }

// keyOf is by what a delivery is held: its group, or its domain where no group lists it.
func keyOf(group, domain string) string {
	if listed(group) {
		return group
	}
	return "@" + domain
}

// replied notes an outcome that a relay's reply or our own composing gave. It says
// whether the delivery is to be held, and why the campaign is to be paused (zero: it
// is not).
func (k *brake) replied(j *job, o *mailer.Outcome, now time.Time) (hold mailer.Held, why mailer.Halt) {
	k.mu.Lock()
	defer k.mu.Unlock()
	us := mailer.Halt{Relay: o.Relay, Code: o.Code, Enhanced: o.Enhanced}
	switch {
	case o.Advice.Ours:
		if k.composed++; k.composed >= composeMost {
			why = mailer.Halt{Why: mailer.HaltCompose, Count: int64(k.composed)}
		}
		return mailer.HeldCompose, k.once(why)
	case o.Code == 0 && !o.Advice.RefusesUs:
		return "", mailer.Halt{} // nobody said anything
	case o.State == mailer.StateAccepted:
		k.accepted, k.row, k.sender = true, 0, 0
		if len(k.strikes) > 0 {
			delete(k.strikes, keyOf(j.delivery.Group, j.to.Domain))
		}
		if group := j.delivery.Group; listed(group) && !k.taken[group] {
			k.taken[group] = true
		}
		return "", mailer.Halt{}
	}
	key := keyOf(j.delivery.Group, j.to.Domain)
	// Of one group only the refusals that hold it count for the whole: what was on the
	// wire meanwhile says nothing new, and is as much as there are connections.
	if news := !o.Advice.RefusesUs || k.strikes[key] < groupRow; news && !k.accepted {
		k.replies++
		if o.State == mailer.StateRejected || o.Advice.RefusesUs {
			k.refused++
		}
	}
	if o.Advice.RefusesUs {
		hold, us.Why, us.Count = k.refusesUs(j, o, key, now)
		us.Groups = k.groups()
	}
	if us.Why == "" && !k.accepted && k.refused == k.replies && k.replies >= firstReplies {
		us.Why, us.Count = mailer.HaltFirst, int64(k.replies)
	}
	if us.Why == "" {
		return hold, mailer.Halt{}
	}
	if us.Why != mailer.HaltGroups {
		us.Groups = nil
	}
	return hold, k.once(us)
}

// once lets a campaign be paused one time.
func (k *brake) once(why mailer.Halt) mailer.Halt {
	if why.IsZero() || k.over.Swap(true) {
		return mailer.Halt{}
	}
	return why
}

// refusesUs notes a refusal of us; k.mu is held.
func (k *brake) refusesUs(j *job, o *mailer.Outcome, key string, now time.Time) (hold mailer.Held, why mailer.HaltReason, n int64) {
	if o.Point == mailer.AtMail || o.Point == mailer.AtConnect {
		if k.sender++; o.Code >= 500 || k.sender >= groupRow {
			return "", mailer.HaltSender, int64(k.sender)
		}
		return "", "", 0
	}
	if k.strikes[key]++; k.strikes[key] <= groupRow {
		k.row++
	}
	k.tries[j.delivery.ID]++
	if _, already := k.held[key]; !already && (k.strikes[key] >= groupRow || listed(j.delivery.Group) && !k.taken[key]) {
		k.held[key] = kept{group: j.delivery.Group, us: mailer.Halt{Relay: o.Relay, Code: o.Code, Enhanced: o.Enhanced}, since: now}
		k.holds.Store(true)
	}
	switch tries := k.tries[j.delivery.ID]; {
	case len(k.groups()) > 1:
		return "", mailer.HaltGroups, int64(k.row)
	case k.row >= rowOfUs:
		return "", mailer.HaltRow, int64(k.row)
	case tries >= triesOfOne:
		hold = mailer.HeldRefused
	}
	return hold, "", 0
}

// groups are the groups in which something is held, by name; k.mu is held.
func (k *brake) groups() (names []string) {
	for _, h := range k.held {
		name := h.group
		if !listed(name) {
			name = mailer.OtherDomains
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// skip are the groups of which nothing is to be claimed, and the hold that came last.
func (k *brake) skip() (names []string, last kept) {
	if !k.holds.Load() {
		return nil, kept{}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for key := range k.held {
		if !strings.HasPrefix(key, "@") {
			names = append(names, key)
		}
	}
	slices.Sort(names)
	return names, k.last()
}

// last is the hold that came last; k.mu is held.
func (k *brake) last() (last kept) {
	for _, h := range k.held {
		if last.since.IsZero() || h.since.After(last.since) {
			last = h
		}
	}
	return last
}

// holding says whether a delivery is not to be sent: its group is held (group), or its
// domain (alone).
func (k *brake) holding(d *mailer.Delivery) (group, alone bool) {
	if !k.holds.Load() {
		return false, false
	}
	domain := ""
	if to, err := mailer.ParseAddress(d.Recipient.Email); err == nil {
		domain = to.Domain
	}
	key := keyOf(d.Group, domain)
	k.mu.Lock()
	defer k.mu.Unlock()
	_, held := k.held[key]
	return held && listed(d.Group), held && !listed(d.Group)
}

// atEnd says why a campaign of which nothing more can be sent, and nothing comes due, is
// to be paused: nobody was taken, and we are refused wherever we tried, or all were
// refused for good.
func (k *brake) atEnd(open int64) mailer.Halt {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.accepted || k.replies == 0:
		return mailer.Halt{}
	case open > 0 && len(k.held) > 0:
		why := k.last().us
		why.Why, why.Groups, why.Count = mailer.HaltGroups, k.groups(), int64(k.row)
		return k.once(why)
	case open == 0 && k.refused == k.replies && k.replies >= fewReplies:
		return k.once(mailer.Halt{Why: mailer.HaltFirst, Count: int64(k.replies)})
	}
	return mailer.Halt{}
}

// acceptedBefore notes that somebody was taken before this session: then its first
// replies are not those of the campaign.
func (k *brake) acceptedBefore() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.accepted = true
	k.over.Store(false)
}

func codes(o *mailer.Outcome) string {
	c := mailer.Outcome{Code: o.Code, Enhanced: o.Enhanced}
	return c.Reply()
}

// pause pauses a campaign for what the brake found. Its first replies are those of the
// session at first: they count only where the ledger knows of nobody who was told.
func (s *session) pause(b *backlog, why mailer.Halt) {
	if why.IsZero() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if why.Why == mailer.HaltFirst {
		counts, err := s.Ledger.Counts(ctx, b.ID)
		if err != nil {
			s.fail(err)
			return
		}
		if counts[mailer.StateAccepted]+counts[mailer.StateDelivered]+counts[mailer.StateBounced] > 0 {
			b.brake.acceptedBefore()
			return
		}
	}
	s.log.Error("campaign paused", "campaign", b.ID, "why", why.Why, "relay", why.Relay, "code", why.Code, "enhanced", why.Enhanced,
		"groups", strings.Join(why.Groups, " "), "count", why.Count)
	err := haltError(why)
	if herr := s.Ledger.Halt(ctx, b.ID, why, s.Options.Explain(err)); herr != nil {
		s.fail(herr)
		return
	}
	s.queue.drop(b.ID)
}

// haltError is a halt as an error, for the catalogue of words.
func haltError(h mailer.Halt) error {
	relay, reply := cmp.Or(h.Relay, "-"), cmp.Or(h.Reply(), "-")
	switch h.Why {
	case mailer.HaltSender:
		return mailer.Conflict("halt.sender", "relay", relay, "reply", reply)
	case mailer.HaltGroups:
		return mailer.Conflict("halt.groups", "groups", strings.Join(h.Groups, ", "), "relay", relay, "reply", reply)
	case mailer.HaltFirst:
		return mailer.Conflict("halt.first", "count", h.Count, "relay", relay, "reply", reply)
	case mailer.HaltRow:
		return mailer.Conflict("halt.row", "count", h.Count, "relay", relay, "reply", reply)
	}
	return mailer.Conflict("halt.compose", "count", h.Count)
}
