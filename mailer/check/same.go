package check

import (
	"cmp"
	"encoding/json"
	"errors"
	"maps"
	"regexp"
	"slices"

	"oshirase/mailer"
	"oshirase/mailer/envelope"
)

// Same reports whether the facts of now would have made of a checked campaign what
// those of then did: the same texts, headers and findings for whomever it selects.
// What no notice says, such as the hours of the press desk, may then change under an
// approval. Where that cannot be said for certain, they are not the same.
//
// Readers differ in exposures, in what they were told before, in the correction that
// they get and in whether they have a name; notices are rendered for all of these.
// What a merchant's own parts read may be anything else, so these are looked into.
func Same(t mailer.Templates, then, now *mailer.Snapshot) (bool, error) {
	if equal, err := sameFacts(then, now); equal || err != nil {
		return equal, err
	}
	if !sameFrame(then, now) || !plainParts(then.Merchant.Parts) {
		return false, nil
	}
	before, err1 := t.Compile(then)
	after, err2 := t.Compile(now)
	if err1 != nil || err2 != nil {
		return false, nil // the check will say what is wrong
	}
	if !slices.Equal(before.CheckFacts(), after.CheckFacts()) {
		return false, nil
	}
	// What no part reads is left out, since most changes beside the text are of this
	// kind, and rendering for all readers takes its time.
	if equal, err := sameFacts(unread(then), unread(now)); equal || err != nil {
		return equal, err
	}
	for r := range readers(then, now) {
		a, errA := before.Render(r)
		b, errB := after.Render(r)
		concerned := errA == nil && errB == nil
		if !concerned && errors.Is(errA, mailer.ErrNotConcerned) && errors.Is(errB, mailer.ErrNotConcerned) {
			continue
		}
		if !concerned || a != b {
			return false, nil
		}
		// Findings are of lines, which readers who were told something before share.
		if r.Told == nil && !slices.Equal(before.CheckNotice(r, &a), after.CheckNotice(r, &b)) {
			return false, nil
		}
	}
	return true, nil
}

func sameFacts(a, b *mailer.Snapshot) (bool, error) {
	x, err := json.Marshal(a)
	if err != nil {
		return false, err
	}
	y, err := json.Marshal(b)
	return string(x) == string(y), err
}

// unread is a snapshot without what no part reads, and sameFrame has compared. Names of
// desks stay: no line break may part them.
func unread(snap *mailer.Snapshot) *mailer.Snapshot {
	s := *snap
	s.Incident.Desks = slices.Clone(s.Incident.Desks)
	for i, d := range s.Incident.Desks {
		if d.Audience == mailer.AudiencePress {
			s.Incident.Desks[i] = mailer.Desk{Audience: d.Audience, Name: d.Name}
		}
	}
	s.Merchant.Window, s.Merchant.PerHour, s.Merchant.PerSecond = mailer.WindowSpec{}, 0, 0
	s.Merchant.Charset = cmp.Or(s.Merchant.Charset, mailer.CharsetUTF8)
	return &s
}

// sameFrame compares what surrounds a text: sender and signature, whom a campaign
// selects, and what they are counted against.
func sameFrame(then, now *mailer.Snapshot) bool {
	a, err1 := envelope.New(&then.Merchant)
	b, err2 := envelope.New(&now.Merchant)
	if err1 != nil || err2 != nil || a != b || then.Merchant.DKIM != now.Merchant.DKIM || !maps.Equal(then.Merchant.Parts, now.Merchant.Parts) {
		return false
	}
	for _, e := range then.Incident.Exposures {
		other, found := now.Incident.Exposure(e.ID)
		if !found || then.Certainty != "" && other.Certainty != e.Certainty {
			return false
		}
		if len(then.Exposures) > 0 && !slices.Contains(then.Exposures, e.ID) {
			continue
		}
		n, declared := then.Merchant.Declared[e.ID]
		m, still := now.Merchant.Declared[e.ID]
		if n != m || declared != still {
			return false
		}
	}
	return true
}

// plainParts reports whether parts of a merchant's own read nothing but what every
// part is given in words, and compare nothing: what they say then differs between
// readers as what built-in parts say.
func plainParts(parts map[string]string) bool {
	for _, source := range parts {
		if deep.MatchString(source) {
			return false
		}
	}
	return true
}

// deep is what leads a part to single facts, or to single readers.
var deep = regexp.MustCompile(`\b(Incident|Merchant|Attributes|CustomerID|index|range|with|eq|ne|lt|le|gt|ge|len|slice|define|template|block)\b`)

// maxCombined bounds how many exposures of an incident are combined; where there are
// more, one reader has no kind, and nothing is the same.
const maxCombined = 8

// readers yields one reader of each kind. Where there are too many kinds, one yields
// no notice, which is the same as nothing.
func readers(then, now *mailer.Snapshot) func(yield func(*mailer.Recipient) bool) {
	ids := then.Incident.ExposureIDs()
	attributes := []map[string]string{nil}
	if then.Stage == mailer.StageCorrection {
		for _, c := range slices.Concat(then.Incident.Corrections, now.Incident.Corrections) {
			attributes = append(attributes, map[string]string{"correction": string(c.Kind)})
		}
	}
	return func(yield func(*mailer.Recipient) bool) {
		if len(ids) > maxCombined {
			yield(&mailer.Recipient{}) // renders as an error
			return
		}
		for set := 1; set < 1<<len(ids); set++ {
			exposures := chosen(ids, set)
			if !selects(then, exposures) {
				continue
			}
			before := [][]mailer.Told{nil}
			if len(exposures) == 1 || len(exposures) == len(ids) { // what was told is told by group
				before = tolds(then, now, exposures)
			}
			for _, told := range before {
				for _, attribute := range attributes {
					r := mailer.Recipient{
						Ref: "33333-33333", Incident: then.Incident.ID, Merchant: then.Merchant.ID, Exposures: exposures, Told: told,
						Person: mailer.Person{Name: "山田 花子", Attributes: attribute},
					}
					if !yield(&r) {
						return
					}
					if r.Name = ""; told == nil && !yield(&r) {
						return
					}
				}
			}
		}
	}
}

// chosen are the ids whose bits are set.
func chosen(ids []string, set int) (of []string) {
	for i, id := range ids {
		if set&(1<<i) != 0 {
			of = append(of, id)
		}
	}
	return of
}

// selects reports whether a campaign is for people with these exposures.
func selects(snap *mailer.Snapshot, exposures []string) bool {
	confirmed, wanted := false, len(snap.Exposures) == 0
	for _, id := range exposures {
		e, _ := snap.Incident.Exposure(id)
		confirmed = confirmed || e.Certainty == mailer.CertaintyConfirmed
		wanted = wanted || slices.Contains(snap.Exposures, id)
	}
	return wanted && (snap.Certainty == "" || confirmed == (snap.Certainty == mailer.CertaintyConfirmed))
}

// tolds are what a reader may have been told before: nothing, some of it, all of it,
// and, where follow-ups are told apart, one before and after each addition.
func tolds(then, now *mailer.Snapshot, exposures []string) [][]mailer.Told {
	on := then.NoticeOn.AddDays(-7)
	first := mailer.Told{Stage: mailer.StageFirstWarning, On: on, Exposures: exposures}
	formal := mailer.Told{Stage: mailer.StageFormal, On: on.AddDays(1), Exposures: exposures}
	all := [][]mailer.Told{nil, {first}, {formal}, {first, formal}}
	if len(exposures) > 1 {
		all = append(all, []mailer.Told{{Stage: mailer.StageFirstWarning, On: on, Exposures: exposures[:1]}})
	}
	if then.Stage != mailer.StageFollowUp && len(then.Merchant.Parts) == 0 {
		return all
	}
	for _, a := range slices.Concat(then.Incident.Additions, now.Incident.Additions) {
		if a.On.IsZero() {
			continue
		}
		for _, on := range []mailer.Date{a.On.AddDays(-1), a.On} {
			all = append(all, []mailer.Told{{Stage: mailer.StageFollowUp, On: on, Exposures: exposures}})
		}
	}
	return all
}
