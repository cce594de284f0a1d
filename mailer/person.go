package mailer

import (
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"
	"time"
)

// Member is a person who may act (担当者); a Person is one who is told. A member ends
// and never vanishes: who comes back has another row.
type Member struct {
	ID    string // lower-case letters, digits and hyphens: what is typed, and the principal of signatures
	Name  string
	Roles []Role
	// Merchants are those that the member may act for and see; empty: all.
	Merchants []string
	Key       string    // SSH public key, "TYPE BASE64" as in authorized_keys; empty: none
	OSUser    string    // of the machine; empty: none
	From      time.Time // valid from here on
	Until     time.Time // and until here; zero: until further notice
}

// Valid reports whether the member may act at a time.
func (m *Member) Valid(at time.Time) bool {
	return !at.Before(m.From) && (m.Until.IsZero() || at.Before(m.Until))
}

// Is reports whether the member has a role.
func (m *Member) Is(r Role) bool { return slices.Contains(m.Roles, r) }

// Provable reports whether the member can prove who they are.
func (m *Member) Provable() bool { return m.Key != "" || m.OSUser != "" }

// Signs reports whether the member is an approver with a key.
func (m *Member) Signs() bool { return m.Is(RoleApprover) && m.Key != "" }

// Fingerprint is that of the member's key; empty without one.
func (m *Member) Fingerprint() string { return Fingerprint(m.Key) }

// Fingerprint is that of an SSH public key ("TYPE BASE64"), as ssh-keygen -l shows it:
// SHA256:… Empty: it is none.
func Fingerprint(key string) string {
	_, blob, ok := strings.Cut(key, " ")
	if !ok {
		return ""
	}
	b, err := base64.StdEncoding.DecodeString(blob)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(b)
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

// Role is what a member is there for.
type Role string

// The roles.
const (
	RoleAdmin    Role = "admin"    // 管理: persons, policy, keys, facts
	RoleOperator Role = "operator" // 運用: facts, lists, campaigns from draft to end
	RoleApprover Role = "approver" // 承認: reads, approves, and may pause
	RoleMerchant Role = "merchant" // 加盟店: lists and campaigns of its own, up to the approval
	RoleDesk     Role = "desk"     // 窓口: finds people who call
	RoleAuditor  Role = "auditor"  // 監査: reads everything, changes nothing
)

// Roles lists all roles, in the order of tables.
var Roles = []Role{RoleAdmin, RoleOperator, RoleApprover, RoleMerchant, RoleDesk, RoleAuditor}

// Japanese returns the word for tables and sheets.
func (r Role) Japanese() string {
	switch r {
	case RoleAdmin:
		return "管理"
	case RoleOperator:
		return "運用"
	case RoleApprover:
		return "承認"
	case RoleMerchant:
		return "加盟店"
	case RoleDesk:
		return "窓口"
	case RoleAuditor:
		return "監査"
	}
	return string(r)
}

// ParseRole takes either word for a role.
func ParseRole(s string) (Role, error) {
	for _, r := range Roles {
		if s = strings.TrimSpace(s); strings.EqualFold(s, string(r)) || s == r.Japanese() {
			return r, nil
		}
	}
	return "", Invalid("person.role", "role", s)
}

// may says which roles an action takes, once there are members; what stands not here
// nobody may do. docs/persons.md has the same table; a test compares.
var may = map[Action][]Role{
	ActApply:      {RoleAdmin, RoleOperator},
	ActImport:     {RoleOperator, RoleMerchant},
	ActCreate:     {RoleOperator, RoleMerchant},
	ActCheck:      {RoleOperator, RoleMerchant},
	ActSet:        {RoleOperator, RoleMerchant},
	ActPreview:    {RoleOperator, RoleApprover, RoleMerchant, RoleAuditor},
	ActTest:       {RoleOperator, RoleApprover, RoleMerchant},
	ActApprove:    {RoleApprover},
	ActStart:      {RoleOperator},
	ActPause:      {RoleAdmin, RoleOperator, RoleApprover},
	ActResume:     {RoleOperator},
	ActCancel:     {RoleOperator},
	ActResolve:    {RoleOperator},
	ActLookUp:     {RoleOperator, RoleDesk, RoleAuditor},
	ActDeliveries: {RoleOperator, RoleMerchant, RoleAuditor},
	ActDestroyKey: {RoleAdmin},
	ActPerson:     {RoleAdmin},
	ActConsent:    {RoleApprover},
	ActPolicy:     {RoleAdmin},
	ActView:       {RoleAdmin, RoleOperator, RoleApprover, RoleMerchant, RoleDesk, RoleAuditor},
	ActSheet:      {RoleAdmin, RoleOperator, RoleApprover, RoleMerchant, RoleAuditor},
	ActAudit:      {RoleAdmin, RoleOperator, RoleApprover, RoleAuditor},
}

// OfProgram are the actions that only follow from others, or that the program takes by
// itself: no role is asked for them.
var OfProgram = []Action{ActVoid, ActWake, ActFinish}

// proved are the actions for which a typed name is never enough, once there are members.
var proved = []Action{ActApprove, ActDestroyKey, ActPerson, ActConsent, ActPolicy}

// RolesFor are the roles that may do something, and whether they have to prove who they
// are.
func RolesFor(a Action) (roles []Role, proof bool) { return may[a], slices.Contains(proved, a) }

// May reports whether a member may do something that concerns a merchant; empty: every
// merchant, or none. How it was proved who they are is another matter.
func (m *Member) May(a Action, merchant string) bool {
	if !slices.ContainsFunc(m.Roles, func(r Role) bool { return slices.Contains(may[a], r) }) {
		return false
	}
	return m.Sees(merchant)
}

// Sees reports whether what concerns a merchant concerns the member. What concerns all
// of them is not for somebody who has only some.
func (m *Member) Sees(merchant string) bool {
	return len(m.Merchants) == 0 || slices.Contains(m.Merchants, merchant)
}

// Policy is what it takes to let a campaign go out.
type Policy struct {
	People int         `json:"people"` // how many different ones must approve
	Proof  PolicyProof `json:"proof"`
	// MakerMayApprove lets who created, checked or changed a campaign approve it too.
	MakerMayApprove bool `json:"maker_may_approve"`
}

// PolicyProof is what an approval has to prove.
type PolicyProof string

// The kinds.
const (
	PolicySignature PolicyProof = "signature" // a signature by a registered key, over the sheet
	PolicyName      PolicyProof = "name"      // a name
)

// Valid refuses a policy that is none.
func (p Policy) Valid() error {
	if p.People < 1 {
		return Invalid("policy.people", "people", p.People)
	}
	if p.Proof != PolicySignature && p.Proof != PolicyName {
		return Invalid("policy.proof", "proof", p.Proof)
	}
	return nil
}

// PoliciesNeed is how many approvers with a key there must be for the policy and the
// approvers to be theirs: fewer are bootstrapped, and from then on what they are takes
// the signatures of as many of them.
const PoliciesNeed = 2
