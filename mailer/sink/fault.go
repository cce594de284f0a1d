package sink

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"sync"
	"time"

	"oshirase/mailer"
)

// Syntax explains the rules to people; it is part of the help of the command.
const Syntax = `A fault rule is  POINT[=PATTERN][,CONDITION...]:ACTION

POINT is where in the dialogue the rule applies:
  connect  ehlo  starttls  auth  mail  rcpt  data  body  dot
PATTERN is matched against the envelope recipient (at mail: the envelope
sender), in any case; * is any text and ? any character. Without it the rule
applies to all. connect, ehlo, starttls and auth take no pattern.
CONDITION limits the rule (all must hold):
  first=N   only the first N times for one address (greylisting)
  after=N   not for the first N times in all
  every=N   each Nth time in all
  p=P       with probability P (0 to 1); --seed decides which
ACTION is one of:
  CODE TEXT     this reply; \n in TEXT makes a multi-line reply
  drop          close the connection without a reply; at dot the message is not taken
  take-drop     at dot: take the message, then close without a reply
  reset         as drop, with a TCP reset
  stall         never reply
  garbage       a reply that is no SMTP
  raw TEXT      these bytes as the reply, with \r \n \t \\ \xHH
  delay TIME    reply later (200ms, 2s); further rules still apply
  drip TIME     reply as usual, but wait TIME after each byte
  without EXT   at ehlo: do not offer the extension (STARTTLS, PIPELINING, ...)
  wrong-cert    at starttls (or connect with implicit TLS): the certificate of another host
The first rule that applies decides. body is when the first bytes of a message
have come and its final dot may not have. BDAT passes mail, rcpt, body and dot.

Examples
  rcpt=refused*@*:550 5.1.1 User unknown
  rcpt=busy*@*,first=1:450 4.2.1 Mailbox busy
  dot=cut*@*:take-drop
  dot,p=0.01:drop
  ehlo:without STARTTLS
`

// DemoRules let the beginning of an address decide what happens to its mail:
// refused* is refused, busy* refused temporarily once, cut* taken and the
// connection then cut.
var DemoRules = []string{
	"rcpt=refused*@*:550 5.1.1 User unknown",
	"rcpt=busy*@*,first=1:450 4.2.1 Mailbox busy, try again later",
	"dot=cut*@*:take-drop",
}

// Rule is one fault: where, for whom, how often, and what.
type Rule struct {
	Point   string // one of the points of Syntax
	Pattern string // * where none was given

	First, After, Every int     // 0: no such condition
	P                   float64 // 1: always

	Action Action
	// Code and Text are the reply of a Reply; the lines of Text are separated by LF.
	Code int
	Text string // of Reply, Raw; the extension of Without
	Wait time.Duration
}

// Action is what a Rule does.
type Action string

// The actions, as they are written; Reply is written as its code.
const (
	Reply     Action = "reply"
	Drop      Action = "drop"
	TakeDrop  Action = "take-drop"
	Reset     Action = "reset"
	Stall     Action = "stall"
	Garbage   Action = "garbage"
	Raw       Action = "raw"
	Delay     Action = "delay"
	Drip      Action = "drip"
	Without   Action = "without"
	WrongCert Action = "wrong-cert"
)

var points = map[string]bool{ // point: takes a pattern
	"connect": false, "ehlo": false, "starttls": false, "auth": false,
	"mail": true, "rcpt": true, "data": true, "body": true, "dot": true,
}

// ParseRules reads rules, in order.
func ParseRules(texts []string) ([]Rule, error) {
	rules := make([]Rule, len(texts))
	for i, t := range texts {
		var err error
		if rules[i], err = ParseRule(t); err != nil {
			return nil, err
		}
	}
	return rules, nil
}

// ParseRule reads one rule; see Syntax.
func ParseRule(text string) (Rule, error) {
	r := Rule{P: 1}
	if err := r.parse(text); err != nil {
		return Rule{}, mailer.Invalid("fault.rule", "rule", text, "cause", err)
	}
	return r, nil
}

func (r *Rule) parse(text string) error {
	when, what, ok := strings.Cut(text, ":")
	if !ok {
		return mailer.Invalid("fault.no-action")
	}
	parts := strings.Split(when, ",")
	if err := r.where(parts[0]); err != nil {
		return err
	}
	for _, c := range parts[1:] {
		if err := r.condition(c); err != nil {
			return err
		}
	}
	return r.action(strings.TrimSpace(what))
}

// where reads POINT or POINT=PATTERN.
func (r *Rule) where(text string) error {
	point, pattern, given := strings.Cut(text, "=")
	r.Point, r.Pattern = strings.TrimSpace(point), strings.TrimSpace(pattern)
	takesPattern, known := points[r.Point]
	switch {
	case !known:
		return mailer.Invalid("fault.point", "point", r.Point)
	case given && r.Pattern == "":
		return mailer.Invalid("fault.empty-pattern")
	case !given:
		r.Pattern = "*"
	case !takesPattern && r.Pattern != "*":
		return mailer.Invalid("fault.pattern", "point", r.Point)
	}
	return nil
}

func (r *Rule) condition(text string) error {
	name, value, _ := strings.Cut(strings.TrimSpace(text), "=")
	if name == "p" {
		p, err := strconv.ParseFloat(value, 64)
		if err != nil || !(p >= 0 && p <= 1) {
			return mailer.Invalid("fault.share", "value", value)
		}
		r.P = p
		return nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 {
		return mailer.Invalid("fault.condition", "condition", text)
	}
	switch name {
	case "first":
		r.First = n
	case "after":
		r.After = n
	case "every":
		r.Every = n
	default:
		return mailer.Invalid("fault.no-condition", "condition", name)
	}
	return nil
}

func (r *Rule) action(text string) error {
	verb, rest, _ := strings.Cut(text, " ")
	if code, err := strconv.Atoi(verb); err == nil {
		if code < 200 || code > 599 || len(verb) != 3 {
			return mailer.Invalid("fault.code", "reply", verb)
		}
		r.Action, r.Code, r.Text = Reply, code, strings.ReplaceAll(rest, `\n`, "\n")
		if strings.ContainsAny(r.Text, "\r\x00") {
			return mailer.Invalid("fault.reply")
		}
		return nil
	}
	r.Action = Action(verb)
	rest = strings.TrimSpace(rest)
	switch r.Action {
	case Drop, Reset, Stall, Garbage:
	case TakeDrop:
		if r.Point != "dot" {
			return mailer.Invalid("fault.take-drop")
		}
	case WrongCert:
		if r.Point != "starttls" && r.Point != "connect" {
			return mailer.Invalid("fault.wrong-cert")
		}
	case Without:
		if r.Point != "ehlo" || rest == "" {
			return mailer.Invalid("fault.without")
		}
		r.Text = strings.ToUpper(rest)
		return nil
	case Raw:
		raw, err := strconv.Unquote(`"` + strings.ReplaceAll(rest, `"`, `\"`) + `"`)
		if err != nil {
			return mailer.Invalid("fault.raw")
		}
		r.Text = raw
		return nil
	case Delay, Drip:
		d, err := time.ParseDuration(rest)
		if err != nil || d <= 0 {
			return mailer.Invalid("fault.wait", "action", verb)
		}
		r.Wait = d
		return nil
	default:
		return mailer.Invalid("fault.action", "action", verb)
	}
	if rest != "" {
		return mailer.Invalid("fault.rest", "action", verb)
	}
	return nil
}

// faults decides which rules apply.
type faults struct {
	seed    uint64
	byPoint map[string][]*live

	mu sync.Mutex
}

type live struct {
	Rule
	index int
	total int            // times that the pattern matched
	seen  map[string]int // the same per address
}

func newFaults(rules []Rule, seed uint64) *faults {
	f := &faults{seed: seed, byPoint: make(map[string][]*live)}
	for i, r := range rules {
		f.byPoint[r.Point] = append(f.byPoint[r.Point], &live{Rule: r, index: i, seen: make(map[string]int)})
	}
	return f
}

// at returns how long to wait and the rule that applies; nil where none does.
func (f *faults) at(point, address string) (wait time.Duration, rule *Rule) {
	for _, r := range f.byPoint[point] {
		if r.Action == Without || !f.applies(r, address) {
			continue
		}
		if r.Action == Delay {
			wait += r.Wait
			continue
		}
		return wait, &r.Rule
	}
	return wait, nil
}

// without lists the extensions that are not to be offered now.
func (f *faults) without() (names []string) {
	for _, r := range f.byPoint["ehlo"] {
		if r.Action == Without && f.applies(r, "") {
			names = append(names, r.Text)
		}
	}
	return names
}

func (f *faults) applies(r *live, address string) bool {
	if r.Pattern != "*" && !match(r.Pattern, address) {
		return false
	}
	if r.P == 1 && r.First == 0 && r.After == 0 && r.Every == 0 {
		return true
	}
	key := strings.ToLower(address)
	f.mu.Lock()
	r.total++
	r.seen[key]++
	total, nth := r.total, r.seen[key]
	f.mu.Unlock()
	switch {
	case r.First > 0 && nth > r.First,
		r.After > 0 && total <= r.After,
		r.Every > 0 && total%r.Every != 0:
		return false
	}
	return r.P == 1 || f.chance(r.index, key, nth) < r.P
}

// chance depends on the rule, the address and how often it came, not on the
// order in which connections happen to run: a run can be repeated.
func (f *faults) chance(index int, address string, nth int) float64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %d %d %s", f.seed, index, nth, address)
	x := h.Sum64() // FNV mixes its last bytes badly: finish as splitmix64 does
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	x ^= x >> 31
	return float64(x>>11) / (1 << 53)
}

// match matches text against a pattern of * and ?, in any case (ASCII).
func match(pattern, text string) bool {
	p, t := 0, 0
	star, back := -1, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, back = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || lower(pattern[p]) == lower(text[t])):
			p++
			t++
		case star >= 0:
			back++
			p, t = star+1, back
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
