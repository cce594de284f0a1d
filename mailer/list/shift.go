package list

import (
	"math"
	"slices"

	"oshirase/mailer"
)

// DefaultShiftThreshold is the share of shifted rows above which a list is refused.
const DefaultShiftThreshold = 0.3

const (
	reach     = 3  // rows to each side that an address is looked for in
	minVotes  = 20 // shifted rows before anything is concluded
	dominance = 4  // times that the offset must outdo the fourth best one

	// A short list is refused on fewer votes where they say almost the same and
	// most of its rows tell.
	fewVotes = 5
	fewShare = 0.8
)

// shiftDetector compares each row with its neighbours, in constant memory.
//
// A row votes "own" where its address holds its surname or given name, "shifted"
// where a neighbour's address holds more of its name than its own address does,
// and more than the neighbour's address holds of the neighbour's name. So families
// and lists in order of names, whose neighbours share a surname, do not vote
// shifted. Names and addresses that were put together at random meet by chance
// equally often at every distance, hence the demand for one that stands out.
type shiftDetector struct {
	threshold float64
	window    [2*reach + 1]profile // the last rows, oldest first
	votes     [2*reach + 1]int64   // shifted by index-reach
	runs      [2*reach + 1]run
	report    mailer.Shift
}

// run follows a stretch of rows that are shifted alike: a shifted row adds to its
// score, any other vote takes from it.
type run struct {
	score, best     int
	start, bestFrom int64
}

func newShiftDetector(threshold float64) (*shiftDetector, error) {
	switch {
	case threshold == 0:
		threshold = DefaultShiftThreshold
	case threshold > 1 || math.IsNaN(threshold):
		return nil, mailer.Invalid("list.threshold", "threshold", threshold)
	}
	return &shiftDetector{threshold: threshold}, nil
}

// add takes the next good row.
func (d *shiftDetector) add(r *mailer.Row) { d.push(newProfile(r)) }

// skip takes the place of a row that was refused.
func (d *shiftDetector) skip() { d.push(profile{}) }

func (d *shiftDetector) push(p profile) {
	copy(d.window[:], d.window[1:])
	d.window[len(d.window)-1] = p
	d.judge()
}

// judge lets the row in the middle of the window vote.
func (d *shiftDetector) judge() {
	me := &d.window[reach]
	if !me.votes() {
		return
	}
	d.report.Voting++
	own := me.score(me.local)
	best, at := own, reach
	for i := range d.window {
		n := &d.window[i]
		if i == reach || n.local == "" || n.local == me.local {
			continue
		}
		s := me.score(n.local)
		if s > own && (s > best || s == best && d.votes[i] > d.votes[at]) && n.score(n.local) < s {
			best, at = s, i
		}
	}
	switch {
	case at != reach:
		d.votes[at]++
	case own > 0:
		d.report.Own++
	default:
		return
	}
	for i := range d.runs {
		if i != reach {
			d.runs[i].vote(i == at, at == reach, me.number)
		}
	}
}

func (r *run) vote(mine, own bool, number int64) {
	switch {
	case mine:
		if r.score == 0 {
			r.start = number
		}
		if r.score++; r.score > r.best {
			r.best, r.bestFrom = r.score, r.start
		}
	case own:
		r.score = max(0, r.score-2)
	default:
		r.score = max(0, r.score-1)
	}
}

// finish lets the last rows vote and reports whether the list is to be refused.
func (d *shiftDetector) finish() bool {
	for range reach {
		d.push(profile{})
	}
	at, sorted := 0, d.votes
	for i := range d.votes {
		if d.votes[i] > d.votes[at] {
			at = i
		}
	}
	slices.Sort(sorted[:])
	background := sorted[len(sorted)-4]
	stretch := false
	for i, r := range d.runs {
		if r.best >= minVotes && (!stretch || r.best > d.runs[at].best) {
			at, stretch = i, true
		}
	}
	rep := &d.report
	rep.Shifted = d.votes[at]
	if rep.Shifted == 0 {
		return false
	}
	rep.Offset, rep.From = at-reach, d.runs[at].bestFrom
	rep.Share = float64(rep.Shifted) / float64(rep.Own+rep.Shifted)
	if d.threshold < 0 {
		return false
	}
	few := rep.Shifted >= fewVotes && rep.Share >= fewShare && rep.Shifted*2 >= rep.Voting
	return stretch || (few || rep.Shifted >= minVotes) && rep.Share > d.threshold && rep.Shifted >= dominance*background
}

// shiftedError ends a list whose names stand beside other people's addresses.
func shiftedError(s *mailer.Shift) error {
	percent := int(math.Round(100 * s.Share))
	if s.Offset < 0 {
		return mailer.Invalid("list.shifted-up", "from", s.From, "percent", percent, "shifted", s.Shifted, "compared", s.Own+s.Shifted, "rows", -s.Offset)
	}
	return mailer.Invalid("list.shifted-down", "from", s.From, "percent", percent, "shifted", s.Shifted, "compared", s.Own+s.Shifted, "rows", s.Offset)
}
