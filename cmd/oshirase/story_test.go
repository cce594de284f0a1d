package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	"net/mail"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"oshirase/mailer"
	"oshirase/mailer/intake"
	"oshirase/mailer/sink"
)

var update = flag.Bool("update", false, "write the scenario goldens anew; read the diff")

// story is one working folder with a clock and a source of randomness of its
// own, and a receiver behind its relay. Two runs of one story write the same
// bytes.
type story struct {
	t    *testing.T
	dir  string
	now  time.Time
	step byte // seeds the randomness of each command, so that none depends on how much another took

	mu  sync.Mutex
	got []letter // everything that was received, in no order
}

// newStory makes the samples in a folder; the clock stands at an RFC 3339 time.
func newStory(t *testing.T, now string, faults ...string) *story {
	t.Helper()
	s := &story{t: t, dir: filepath.Join(t.TempDir(), "work")}
	s.at(now)
	rules, err := sink.ParseRules(faults)
	if err != nil {
		t.Fatal(err)
	}
	srv, err := sink.Listen("127.0.0.1:0", sink.Options{Rules: rules, OnMessage: s.receive})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	})
	s.ok("init", s.dir, "--relay", srv.Addr().String(), "--relay-tls", "none")
	edit(t, s.path("oshirase.toml"), `durability = "full"`, `durability = "normal"`)
	edit(t, s.path("oshirase.toml"), `level = "info"`, `level = "error"`)
	return s
}

func (s *story) path(elem ...string) string {
	return filepath.Join(append([]string{s.dir}, elem...)...)
}

// at moves the clock.
func (s *story) at(now string) {
	s.t.Helper()
	t, err := time.Parse(time.RFC3339, now)
	if err != nil {
		s.t.Fatal(err)
	}
	s.now = t
}

// locked lets goroutines share a source.
type locked struct {
	mu sync.Mutex
	r  io.Reader
}

func (l *locked) Read(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.r.Read(p)
}

// try runs one command line.
func (s *story) try(args ...string) (code int, stdout, stderr string) {
	s.t.Helper()
	s.step++
	var out, errs bytes.Buffer
	now := s.now
	a := &app{
		stdin: strings.NewReader(""), stdout: &out, stderr: &errs,
		now: func() time.Time { return now }, random: &locked{r: rand.NewChaCha8([32]byte{s.step})},
		configFile: s.path("oshirase.toml"),
	}
	code = a.run(s.t.Context(), args)
	return code, out.String(), errs.String()
}

// ok runs a command that must succeed.
func (s *story) ok(args ...string) string {
	s.t.Helper()
	code, out, errs := s.try(args...)
	if code != exitDone {
		s.t.Fatalf("oshirase %s: exit code %d\n%s%s", strings.Join(args, " "), code, out, errs)
	}
	return out
}

// ask runs a command with --json.
func (s *story) ask(into any, args ...string) {
	s.t.Helper()
	out := s.ok(append(args, "--json")...)
	if err := json.Unmarshal([]byte(out), into); err != nil {
		s.t.Fatalf("oshirase %s: %v in\n%s", strings.Join(args, " "), err, out)
	}
}

// load applies the facts and imports sample lists, or lists in testdata.
func (s *story) load(incident, merchant string, lists ...string) {
	s.t.Helper()
	s.ok("apply", "--yes")
	for _, name := range lists {
		file := s.path("lists", name)
		if strings.HasPrefix(name, "testdata/") {
			file = name
		}
		var res intake.Result
		s.ask(&res, "import", "--incident", incident, "--merchant", merchant, file)
		if res.Rejected > 0 || res.Imported+res.Updated == 0 {
			s.t.Fatalf("import %s: %+v", name, res)
		}
	}
}

// sent is what became of one campaign.
type sent struct {
	id      string
	check   mailer.CheckResult
	letters []letter          // by envelope recipient
	refs    map[string]string // reference number by address, of everybody in the campaign
}

func (c *sent) to(address string) *letter {
	for i := range c.letters {
		if c.letters[i].recipient == address {
			return &c.letters[i]
		}
	}
	return nil
}

// send takes a campaign through check, two approvals and start, sends it, and
// holds every message against what each reader must find.
func (s *story) send(incident, merchant string, stage mailer.Stage, args ...string) *sent {
	s.t.Helper()
	c := s.prepare(incident, merchant, stage, args...)
	s.mu.Lock()
	s.got = nil
	s.mu.Unlock()
	s.ok("run", "--campaign", c.id)
	s.mu.Lock()
	c.letters = slices.Clone(s.got)
	s.mu.Unlock()
	slices.SortFunc(c.letters, func(a, b letter) int { return strings.Compare(a.recipient, b.recipient) })
	s.proveEach(merchant, c)
	return c
}

func (s *story) prepare(incident, merchant string, stage mailer.Stage, args ...string) *sent {
	s.t.Helper()
	c := &sent{refs: map[string]string{}}
	var made struct{ ID string }
	s.ask(&made, append([]string{"campaign", "create", "--incident", incident, "--merchant", merchant, "--stage", string(stage)}, args...)...)
	c.id = made.ID
	s.ask(&c.check, "campaign", "check", c.id, "--accept-count", "リストの一部のみの配信")
	for _, by := range []string{"佐藤", "鈴木"} {
		s.ok("campaign", "approve", c.id, "--by", by, "--count", fmt.Sprint(c.check.Sendable))
	}
	s.ok("campaign", "start", c.id)
	var ledger struct{ Deliveries []mailer.DeliveryView }
	s.ask(&ledger, "deliveries", "--campaign", c.id)
	for _, d := range ledger.Deliveries {
		c.refs[d.Email] = d.Ref
	}
	return c
}

// letter is one received message, as a reader's mail program shows it.
type letter struct {
	sender, recipient string // envelope
	raw               []byte
	head              mail.Header
	from, to          *mail.Address
	replyTo           *mail.Address // nil: none
	subject           string
	body              string
}

func (s *story) receive(m sink.Received) {
	l, err := read(m)
	if err != nil {
		s.t.Errorf("message %d to %s: %v\n%s", m.Seq, m.Recipients, err, m.Data)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, *l)
}

// read decodes a message with nothing but the standard library.
func read(m sink.Received) (*letter, error) {
	l := &letter{sender: m.Sender, raw: slices.Clone(m.Data)}
	if len(m.Recipients) != 1 {
		return nil, fmt.Errorf("%d envelope recipients", len(m.Recipients))
	}
	l.recipient = m.Recipients[0]
	msg, err := mail.ReadMessage(bytes.NewReader(l.raw))
	if err != nil {
		return nil, err
	}
	l.head = msg.Header
	words := mime.WordDecoder{}
	if l.subject, err = words.DecodeHeader(l.head.Get("Subject")); err != nil {
		return nil, err
	}
	for name, field := range map[string]**mail.Address{"From": &l.from, "To": &l.to, "Reply-To": &l.replyTo} {
		if len(l.head[name]) == 0 && name == "Reply-To" {
			continue
		}
		list, err := l.head.AddressList(name)
		if err != nil || len(list) != 1 || len(l.head[name]) != 1 {
			return nil, fmt.Errorf("%s: %d addresses in %d fields: %w", name, len(list), len(l.head[name]), err)
		}
		*field = list[0]
	}
	kind, params, err := mime.ParseMediaType(l.head.Get("Content-Type"))
	if err != nil || kind != "text/plain" || !strings.EqualFold(params["charset"], "utf-8") || l.head.Get("Content-Transfer-Encoding") != "base64" {
		return nil, fmt.Errorf("%s %v in %s: %w", kind, params, l.head.Get("Content-Transfer-Encoding"), err)
	}
	body, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, msg.Body))
	l.body = strings.ReplaceAll(string(body), "\r\n", "\n")
	return l, err
}

// text is what the reader sees.
func (l *letter) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "差出人: %s <%s>\n", l.from.Name, l.from.Address)
	if l.replyTo != nil {
		fmt.Fprintf(&b, "返信先: %s\n", l.replyTo.Address)
	}
	fmt.Fprintf(&b, "宛先: %s\n日時: %s\n件名: %s\n\n%s", l.to.Address, l.head.Get("Date"), l.subject, l.body)
	return b.String()
}

var refPattern = regexp.MustCompile(`\b[34679ACDEFGHJKMNPQRTWXY]{5}-[34679ACDEFGHJKMNPQRTWXY]{5}\b`)

// allowedHeaders are all that a notice has: whatever else stood there would
// tell something about the sender's machines, or trace the reader.
var allowedHeaders = []string{
	"Auto-Submitted", "Content-Language", "Content-Transfer-Encoding", "Content-Type", "Date", "From",
	"Message-Id", "Mime-Version", "Reply-To", "Subject", "To", "X-Auto-Response-Suppress",
}

// proveEach holds every message of a campaign against what is true of all of
// them, whoever sends.
func (s *story) proveEach(merchant string, c *sent) {
	s.t.Helper()
	if int64(len(c.letters)) != c.check.Sendable {
		s.t.Errorf("%d messages for %d notices", len(c.letters), c.check.Sendable)
	}
	facts := document(s.t, "cmd/oshirase/samples/merchants/"+merchant+".toml")
	seen := map[string]string{}
	for i := range c.letters {
		l := &c.letters[i]
		wrong := func(format string, args ...any) {
			s.t.Errorf("message to %s: %s", l.recipient, fmt.Sprintf(format, args...))
		}
		address := strings.ReplaceAll(l.recipient, `"`, "")
		ref, known := c.refs[address]
		if !known || strings.ReplaceAll(l.to.Address, `"`, "") != address {
			wrong("in the head it is to %s, and in the ledger %t", l.to.Address, known)
		}
		if refs := refPattern.FindAllString(l.subject+l.body, -1); !slices.Equal(refs, []string{ref}) {
			wrong("it names %v, the recipient's reference number is %s", refs, ref)
		}
		if strings.Contains(l.body, "@"+domain(l.recipient)) || strings.Contains(l.subject, "@") {
			wrong("it names an address")
		}
		for name := range l.head {
			if !slices.Contains(allowedHeaders, name) {
				wrong("it has a header %s", name)
			}
		}
		if date, err := l.head.Date(); err != nil || !date.Equal(s.now) {
			wrong("date %v, %v", date, err)
		}
		token, at, _ := strings.Cut(strings.Trim(l.head.Get("Message-Id"), "<>"), "@")
		if at != domain(l.from.Address) || !strings.HasPrefix(l.sender, "b-") || !strings.HasSuffix(l.sender, "@"+at) {
			wrong("Message-ID %s, envelope sender %s, from %s", l.head.Get("Message-Id"), l.sender, l.from.Address)
		}
		verp, _, _ := strings.Cut(strings.TrimPrefix(l.sender, "b-"), "@")
		for name, values := range l.head {
			if strings.Contains(strings.Join(values, " "), verp) {
				wrong("the token of its envelope sender stands in %s", name)
			}
		}
		for what, value := range map[string]string{"message": token, "token": verp, "recipient": address} {
			if other, twice := seen[what+value]; twice {
				wrong("it has the %s of the message to %s", what, other)
			}
			seen[what+value] = address
		}
		if l.head.Get("Auto-Submitted") != "auto-generated" {
			wrong("it does not say that no person sent it")
		}
		if !strings.Contains(facts, `"`+l.from.Address+`"`) || !strings.Contains(facts, `"`+l.from.Name+`"`) {
			wrong("it comes from %s, which is not merchant %s", l.from, merchant)
		}
		for line := range strings.Lines(l.body) {
			if n := len([]rune(line)); n > 76 {
				wrong("a line has %d characters: %s", n, line)
			}
		}
	}
}

func domain(address string) string { return address[strings.LastIndexByte(address, '@')+1:] }

// golden compares the message to an address with testdata/scenario/name.txt
// (what the reader sees) and name.eml (the bytes).
func (s *story) golden(c *sent, name, address string) *letter {
	s.t.Helper()
	l := c.to(address)
	if l == nil {
		s.t.Fatalf("nothing came for %s", address)
	}
	for ext, got := range map[string]string{".txt": l.text(), ".eml": string(l.raw)} {
		file := filepath.Join("testdata", "scenario", name+ext)
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				s.t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			s.t.Fatal(err)
		}
		if got != string(want) {
			s.t.Errorf("%s differs; look at it after: go test ./cmd/oshirase -run Scenario -update\n%s", file, got)
		}
	}
	return l
}

// says wants sentences in a message, and others not. Lines are joined: where a
// line breaks says nothing.
func (l *letter) says(t *testing.T, want, not []string) {
	t.Helper()
	text := l.subject + "\n" + strings.NewReplacer("\n　", "", "\n", "").Replace(l.body)
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("the notice to %s does not say %q", l.recipient, w)
		}
	}
	for _, w := range not {
		if strings.Contains(text, w) {
			t.Errorf("the notice to %s says %q", l.recipient, w)
		}
	}
}
