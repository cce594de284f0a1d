// Package approval has what approvers read and sign, as text, and says whether the
// approvals of a campaign are enough: pure functions of what the ledger holds.
//
// A text is fixed once it is made: the ledger keeps it, and a signature is over its
// bytes. What stands in it in two forms cannot print alike: see the writer.
package approval

import (
	"slices"
	"time"

	"oshirase/mailer"
	"oshirase/mailer/japanese"
	"oshirase/mailer/sshsig"
)

// Given is an approval as the ledger holds it.
type Given struct {
	Who       string // the name, folded
	Name      string
	Person    string // ID of the member; empty: none was registered
	Key       string // public, that signed; empty: no signature
	Proof     mailer.Proof
	Count     int64
	Digest    string
	CheckID   string
	At        time.Time
	Sheet     string // the text that was signed; empty: none
	Signature string // armored; empty: none
}

// Act is what somebody did to a campaign before it was approved.
type Act struct {
	By string
	At time.Time
}

// Standing is all on which it depends whether a campaign is approved.
type Standing struct {
	Campaign string
	CheckID  string
	Digest   string
	Count    int64
	Policy   mailer.Policy   // in force; the zero Policy: none is
	Given    []Given         // that were not voided
	Members  []mailer.Member // everybody who may act, or ever might
	Made     []Act           // who created, checked or changed it
}

// Check is nil where the approvals stand, and are enough.
func (s *Standing) Check() error {
	if err := s.CheckEach(); err != nil {
		return err
	}
	if n := len(s.Given); n < s.Policy.People {
		return mailer.Conflict("approvals.few", "campaign", s.Campaign, "approvals", n, "people", s.Policy.People)
	}
	return nil
}

// CheckEach is nil where each approval that was given stands for itself, and no two are
// one person's.
func (s *Standing) CheckEach() error {
	if err := s.Policy.Valid(); err != nil {
		return mailer.Conflict("approvals.policy", "campaign", s.Campaign, "cause", err)
	}
	seen := map[string]bool{}
	for i := range s.Given {
		g := &s.Given[i]
		if err := s.checkOne(g); err != nil {
			return err
		}
		for _, is := range []string{"name " + japanese.FoldName(g.Name), "person " + g.Person, "key " + g.Key} {
			if seen[is] {
				return mailer.Conflict("approvals.twice", "campaign", s.Campaign, "by", g.Name)
			}
			seen[is] = is != "person " && is != "key "
		}
	}
	return nil
}

func (s *Standing) checkOne(g *Given) error {
	switch {
	case g.CheckID != s.CheckID || s.CheckID == "" || g.Digest != s.Digest || g.Count != s.Count:
		return mailer.Conflict("approvals.other-check", "campaign", s.Campaign, "by", g.Name)
	case g.Who != japanese.FoldName(g.Name) || g.Who == "":
		return mailer.Conflict("approvals.name", "campaign", s.Campaign, "by", g.Name)
	case s.Policy.Proof == mailer.PolicySignature && g.Signature == "":
		return mailer.Conflict("approvals.unsigned", "campaign", s.Campaign, "by", g.Name)
	case !s.Policy.MakerMayApprove && s.made(g):
		return mailer.Conflict("approvals.maker", "campaign", s.Campaign, "by", g.Name)
	}
	if g.Person == "" && g.Signature == "" {
		return nil // a name, from before anybody was registered
	}
	m := s.member(g)
	if m == nil || !m.Is(mailer.RoleApprover) || japanese.FoldName(m.Name) != g.Who {
		return mailer.Conflict("approvals.member", "campaign", s.Campaign, "by", g.Name)
	}
	if g.Signature == "" {
		return nil
	}
	if m.Key == "" || m.Key != g.Key {
		return mailer.Conflict("approvals.key", "campaign", s.Campaign, "by", g.Name)
	}
	if !Covers(g.Sheet, s.Campaign, s.CheckID, s.Digest, s.Count) {
		return mailer.Conflict("approvals.sheet", "campaign", s.Campaign, "by", g.Name)
	}
	if err := sshsig.Verify(m.Key, mailer.NamespaceApproval, []byte(g.Sheet), g.Signature); err != nil {
		return mailer.Conflict("approvals.signature", "campaign", s.Campaign, "by", g.Name, "cause", err)
	}
	return nil
}

// member is who gave an approval, as they were then; nil: nobody was.
func (s *Standing) member(g *Given) *mailer.Member {
	for i := range s.Members {
		if m := &s.Members[i]; m.ID == g.Person && m.Valid(g.At) {
			return m
		}
	}
	return nil
}

// made reports whether the approver had a hand in what they approved.
func (s *Standing) made(g *Given) bool {
	return slices.ContainsFunc(s.Made, func(a Act) bool { return !a.At.After(g.At) && japanese.FoldName(a.By) == g.Who })
}
