package approval

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"pgregory.net/rapid"

	"oshirase/mailer"
	"oshirase/mailer/japanese"
	"oshirase/mailer/sshsig"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, mailer.JST)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newKey(t *testing.T) mailer.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	block, err := ssh.MarshalPrivateKey(private, "")
	must(t, err)
	file := filepath.Join(t.TempDir(), "key")
	must(t, os.WriteFile(file, pem.EncodeToMemory(block), 0o600))
	s, err := (&sshsig.Keys{}).Open(file)
	must(t, err)
	return s
}

func part() Part {
	declared := int64(30)
	return Part{
		Campaign: mailer.Campaign{ID: "c-20261124-7f3a", Name: "通知", Incident: "pay", Merchant: "shop", Stage: mailer.StageFormal},
		CheckID:  "0123456789abcdef0123456789abcdef",
		Snapshot: mailer.Snapshot{
			Incident: mailer.Incident{ID: "pay", Title: "不正アクセス", Operator: mailer.Organisation{Name: "株式会社ひかり決済"}},
			Merchant: mailer.Merchant{ID: "shop", Name: "あおば", From: "info@aoba.example", Desk: mailer.Desk{Name: "窓口", Phone: "03-0000-0000"}},
			Stage:    mailer.StageFormal, NoticeOn: mailer.DateOf(noon),
		},
		Result: mailer.CheckResult{
			Recipients: 29, Sendable: 28, Declared: &declared, Digest: "d1", Suppressed: map[mailer.Suppression]int64{mailer.SuppressedNoEmail: 1},
			Findings: []mailer.Finding{{Severity: mailer.SeverityWarning, Rule: "declared-count", Message: "the lists hold 29 people"}},
		},
		Sample: mailer.Notice{Subject: "お知らせ", Body: "見本 太郎様\n\n本文\n"},
	}
}

// world is two approvers who have signed.
func world(t *testing.T) (*Standing, []mailer.Signer) {
	t.Helper()
	keys := []mailer.Signer{newKey(t), newKey(t), newKey(t)}
	s := &Standing{
		Campaign: "c-20261124-7f3a", CheckID: part().CheckID, Digest: "d1", Count: 28,
		Policy: mailer.Policy{People: 2, Proof: mailer.PolicySignature},
		Members: []mailer.Member{
			{ID: "sato", Name: "佐藤", Roles: []mailer.Role{mailer.RoleApprover}, Key: keys[0].Public(), From: noon},
			{ID: "suzuki", Name: "鈴木", Roles: []mailer.Role{mailer.RoleApprover}, Key: keys[1].Public(), From: noon},
			{ID: "ops", Name: "運用", Roles: []mailer.Role{mailer.RoleOperator}, Key: keys[2].Public(), From: noon},
		},
		Made: []Act{{By: "運用", At: noon}},
	}
	text := Sheet(noon, s.Policy, s.Members, []Part{part()})
	for i, name := range []string{"佐藤", "鈴木"} {
		sig, err := keys[i].Sign(mailer.NamespaceApproval, []byte(text))
		must(t, err)
		s.Given = append(s.Given, Given{
			Who: japanese.FoldName(name), Name: name, Person: s.Members[i].ID, Key: keys[i].Public(), Proof: mailer.ProofSSHKey,
			Count: 28, Digest: "d1", CheckID: s.CheckID, At: noon.Add(time.Hour), Sheet: text, Signature: sig,
		})
	}
	return s, keys
}

// TestStanding: every single thing that could be otherwise in the rows is noticed.
func TestStanding(t *testing.T) {
	t.Parallel()
	s, _ := world(t)
	must(t, s.Check())
	for name, tt := range map[string]struct {
		change func(s *Standing, keys []mailer.Signer)
		want   mailer.Code
	}{
		"no policy":      {func(s *Standing, _ []mailer.Signer) { s.Policy = mailer.Policy{} }, "approvals.policy"},
		"three needed":   {func(s *Standing, _ []mailer.Signer) { s.Policy.People = 3 }, "approvals.few"},
		"one gone":       {func(s *Standing, _ []mailer.Signer) { s.Given = s.Given[1:] }, "approvals.few"},
		"another check":  {func(s *Standing, _ []mailer.Signer) { s.CheckID = "f" }, "approvals.other-check"},
		"no check":       {func(s *Standing, _ []mailer.Signer) { s.CheckID, s.Given[0].CheckID = "", "" }, "approvals.other-check"},
		"another digest": {func(s *Standing, _ []mailer.Signer) { s.Digest = "d2" }, "approvals.other-check"},
		"another count":  {func(s *Standing, _ []mailer.Signer) { s.Count = 29 }, "approvals.other-check"},
		"its digest edited": {func(s *Standing, _ []mailer.Signer) {
			s.Digest, s.Given[0].Digest, s.Given[1].Digest = "d2", "d2", "d2"
		}, "approvals.sheet"},
		"its count edited": {func(s *Standing, _ []mailer.Signer) { s.Count, s.Given[0].Count, s.Given[1].Count = 5, 5, 5 }, "approvals.sheet"},
		"its check edited": {func(s *Standing, _ []mailer.Signer) {
			s.CheckID, s.Given[0].CheckID, s.Given[1].CheckID = "f", "f", "f"
		}, "approvals.sheet"},
		"another campaign":      {func(s *Standing, _ []mailer.Signer) { s.Campaign = "c-20261124-7f3b" }, "approvals.sheet"},
		"renamed":               {func(s *Standing, _ []mailer.Signer) { s.Given[0].Name = "山田" }, "approvals.name"},
		"renamed twice":         {func(s *Standing, _ []mailer.Signer) { s.Given[0].Name, s.Given[0].Who = "山田", "山田" }, "approvals.member"},
		"unsigned":              {func(s *Standing, _ []mailer.Signer) { s.Given[0].Signature = "" }, "approvals.unsigned"},
		"the other's signature": {func(s *Standing, _ []mailer.Signer) { s.Given[0].Signature = s.Given[1].Signature }, "approvals.signature"},
		"the sheet edited": {func(s *Standing, _ []mailer.Signer) {
			s.Given[0].Sheet = strings.Replace(s.Given[0].Sheet, "0000", "9999", 1)
		}, "approvals.signature"},
		"one person twice": {func(s *Standing, _ []mailer.Signer) { s.Given[1] = s.Given[0] }, "approvals.twice"},
		"one key twice": {func(s *Standing, keys []mailer.Signer) {
			s.Members[1].Key, s.Given[1].Key, s.Given[1].Signature = keys[0].Public(), keys[0].Public(), s.Given[0].Signature
		}, "approvals.twice"},
		"no approver then":    {func(s *Standing, _ []mailer.Signer) { s.Members[0].From = noon.Add(2 * time.Hour) }, "approvals.member"},
		"ended before":        {func(s *Standing, _ []mailer.Signer) { s.Members[0].Until = noon.Add(time.Minute) }, "approvals.member"},
		"in another role":     {func(s *Standing, _ []mailer.Signer) { s.Members[0].Roles = []mailer.Role{mailer.RoleOperator} }, "approvals.member"},
		"nobody registered":   {func(s *Standing, _ []mailer.Signer) { s.Members = nil }, "approvals.member"},
		"no name of a person": {func(s *Standing, _ []mailer.Signer) { s.Given[0].Person = "" }, "approvals.member"},
		"another key since":   {func(s *Standing, keys []mailer.Signer) { s.Members[0].Key = keys[2].Public() }, "approvals.key"},
		"signed in another space": {func(s *Standing, keys []mailer.Signer) {
			s.Given[0].Signature, _ = keys[0].Sign("file", []byte(s.Given[0].Sheet))
		}, "approvals.signature"},
		"who made it": {func(s *Standing, _ []mailer.Signer) { s.Made = append(s.Made, Act{"佐 藤", noon}) }, "approvals.maker"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, keys := world(t)
			tt.change(s, keys)
			if err := s.Check(); mailer.CodeOf(err) != tt.want {
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
}

// TestStandingHolds: what may change afterwards does not void an approval.
func TestStandingHolds(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(s *Standing){
		"ended since":         func(s *Standing) { s.Members[0].Until = noon.Add(2 * time.Hour) },
		"set since":           func(s *Standing) { s.Made = append(s.Made, Act{"佐藤", noon.Add(2 * time.Hour)}) },
		"makers may":          func(s *Standing) { s.Made = append(s.Made, Act{"佐藤", noon}); s.Policy.MakerMayApprove = true },
		"one would be enough": func(s *Standing) { s.Policy.People = 1 },
		"names would do":      func(s *Standing) { s.Policy.Proof = mailer.PolicyName },
		"names, from before anybody was registered": func(s *Standing) {
			s.Policy.Proof = mailer.PolicyName
			for i := range s.Given {
				g := &s.Given[i]
				g.Person, g.Key, g.Signature, g.Proof = "", "", "", mailer.ProofNone
			}
		},
	} {
		s, _ := world(t)
		change(s)
		if err := s.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestNothingPassesForALine: whatever stands in a fact, no line of the sheet but those
// that are the sheet's own begins at the margin, and the head of the campaign is one.
func TestNothingPassesForALine(t *testing.T) {
	t.Parallel()
	clean := part()
	labels := margin(Sheet(noon, mailer.Policy{People: 2, Proof: mailer.PolicySignature}, nil, []Part{clean}))
	rapid.Check(t, func(t *rapid.T) {
		evil := rapid.SampledFrom([]string{
			"\n送信件数　1\n", "\r送信件数　1", "\u2028送信件数　1", "\u0085■ 配信　x", "\x1b[2J", "\u202e", "\\u{200b}", "a\x00b", "末尾 　", "\n" + head("c-x", "f", "d", 1), "\v\f\t\n\n",
		}).Draw(t, "text") + rapid.String().Draw(t, "more")
		p := part()
		m, in := &p.Snapshot.Merchant, &p.Snapshot.Incident
		for _, field := range []*string{&p.Campaign.Name, &in.Title, &in.Operator.Name, &m.Name, &m.From, &m.Desk.Name, &m.Desk.Phone, &p.Sample.Subject, &p.Sample.Body, &p.Result.Findings[0].Message, &p.Campaign.Window.Hours} {
			if rapid.Bool().Draw(t, "there") {
				*field = evil
			}
		}
		text := Sheet(noon, mailer.Policy{People: 2, Proof: mailer.PolicySignature}, []mailer.Member{{ID: "sato", Name: evil, Roles: mailer.Roles, Key: "ssh-ed25519 AAAA"}}, []Part{p})
		got := margin(text)
		if len(got) != len(labels) {
			t.Fatalf("%d lines at the margin, want %d:\n%s", len(got), len(labels), text)
		}
		if Covers(text, "c-x", "f", "d", 1) || !Covers(text, p.Campaign.ID, p.CheckID, p.Result.Digest, p.Result.Sendable) {
			t.Fatalf("it covers another campaign than its own:\n%s", text)
		}
		if r, bad := japanese.Unreadable(strings.ReplaceAll(text, "\n", "")); bad {
			t.Fatalf("%U stands in it", r)
		}
	})
}

func margin(text string) (lines []string) {
	for _, l := range strings.Split(text, "\n") {
		if l != "" && !strings.HasPrefix(l, "  ") {
			lines = append(lines, l)
		}
	}
	return lines
}

// TestPlainIsOneToOne: no two texts are spelled alike.
func TestPlainIsOneToOne(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		gen := rapid.StringOf(rapid.SampledFrom([]rune(`\u{20}nab 　` + "\n\u200b\t")))
		a, b := gen.Draw(t, "a"), gen.Draw(t, "b")
		if a != b && plain(a) == plain(b) {
			t.Fatalf("%q and %q are both %q", a, b, plain(a))
		}
	})
	for in, want := range map[string]string{"a\nb": `a\nb`, `a\nb`: `a\\nb`, "佐\u200b藤": `佐\u{200b}藤`, "a ": `a\u{20}`, "a b　c": "a b　c", "a\u00a0b": `a\u{a0}b`} {
		if got := plain(in); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}

// TestSheetSaysWhatMatters: each of these is on the sheet, so that none can change unseen.
func TestSheetSaysWhatMatters(t *testing.T) {
	t.Parallel()
	policy := mailer.Policy{People: 2, Proof: mailer.PolicySignature}
	text := Sheet(noon, policy, nil, []Part{part()})
	if text != Sheet(noon, policy, nil, []Part{part()}) {
		t.Error("two sheets of one check differ")
	}
	for name, change := range map[string]func(p *Part){
		"name":      func(p *Part) { p.Campaign.Name = "x" },
		"incident":  func(p *Part) { p.Snapshot.Incident.Title = "x" },
		"merchant":  func(p *Part) { p.Snapshot.Merchant.Name = "x" },
		"from":      func(p *Part) { p.Snapshot.Merchant.From = "x@aoba.example" },
		"reply to":  func(p *Part) { p.Snapshot.Merchant.ReplyTo = "x@aoba.example" },
		"phone":     func(p *Part) { p.Snapshot.Merchant.Desk.Phone = "03-9999-9999" },
		"stage":     func(p *Part) { p.Campaign.Stage = mailer.StageFollowUp },
		"exposures": func(p *Part) { p.Campaign.Exposures = []string{"A"} },
		"certainty": func(p *Part) { p.Campaign.Certainty = mailer.CertaintyConfirmed },
		"count":     func(p *Part) { p.Result.Sendable = 27 },
		"declared":  func(p *Part) { p.Result.Declared = nil },
		"passed":    func(p *Part) { p.Result.Suppressed[mailer.SuppressedNoEmail] = 2 },
		"findings":  func(p *Part) { p.Result.Findings = nil },
		"digest":    func(p *Part) { p.Result.Digest = "d2" },
		"check":     func(p *Part) { p.CheckID = "f" },
		"subject":   func(p *Part) { p.Sample.Subject = "x" },
		"text":      func(p *Part) { p.Sample.Body = "x" },
		"remarks":   func(p *Part) { p.Remarks = []string{"x"} },
	} {
		p := part()
		change(&p)
		if Sheet(noon, policy, nil, []Part{p}) == text {
			t.Errorf("%s is not on the sheet", name)
		}
	}
	policy.People = 1
	if Sheet(noon, policy, nil, []Part{part()}) == text {
		t.Error("the policy is not on the sheet")
	}
}
