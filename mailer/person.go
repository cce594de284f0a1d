package mailer

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Member is a person who may act (担当者); a Person is one who is told. A member ends
// and never vanishes: who comes back has another row.
type Member struct {
	ID    string `json:"id"` // lower-case letters, digits and hyphens: what is typed, and the principal of signatures
	Name  string `json:"name"`
	Roles []Role `json:"roles"`
	// Merchants are those that the member may act for and see; empty: all.
	Merchants []string  `json:"merchants"`
	Key       string    `json:"public_key"`     // SSH public key, "TYPE BASE64" as in authorized_keys; empty: none
	OSUser    string    `json:"os_user"`        // of the machine; empty: none
	From      time.Time `json:"from,omitzero"`  // valid from here on
	Until     time.Time `json:"until,omitzero"` // and until here; zero: until further notice
}

// MemberView is a member as lists show it. JSON keys are the contract of `person list`.
type MemberView struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Roles     []Role    `json:"roles"`
	Merchants []string  `json:"merchants"` // empty: all
	Key       string    `json:"key"`       // fingerprint; empty: none
	OSUser    string    `json:"os_user,omitempty"`
	From      time.Time `json:"from"`
	Until     time.Time `json:"until,omitzero"` // absent: until further notice
}

// View is the member for lists.
func (m *Member) View() MemberView {
	v := MemberView{
		ID: m.ID, Name: m.Name, Roles: m.Roles, Merchants: m.Merchants, Key: m.Fingerprint(), OSUser: m.OSUser, From: m.From, Until: m.Until,
	}
	if v.Merchants == nil {
		v.Merchants = []string{}
	}
	return v
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
	ActTakeBack:   {RoleOperator, RoleMerchant},
	ActCreate:     {RoleOperator, RoleMerchant},
	ActCheck:      {RoleOperator, RoleMerchant},
	ActCount:      {RoleOperator}, // and not the merchant whose count is missed
	ActSet:        {RoleOperator, RoleMerchant},
	ActPreview:    {RoleOperator, RoleApprover, RoleMerchant, RoleAuditor},
	ActTest:       {RoleOperator, RoleApprover, RoleMerchant},
	ActApprove:    {RoleApprover},
	ActStart:      {RoleOperator},
	ActPause:      {RoleAdmin, RoleOperator, RoleApprover},
	ActResume:     {RoleOperator},
	ActCancel:     {RoleOperator},
	ActResolve:    {RoleOperator},
	ActRequeue:    {RoleOperator},
	ActLookUp:     {RoleOperator, RoleDesk, RoleAuditor},
	ActDeliveries: {RoleOperator, RoleMerchant, RoleAuditor},
	ActDestroyKey: {RoleAdmin},
	ActRekey:      {RoleAdmin},
	ActBackup:     {RoleAdmin, RoleOperator},
	ActRestore:    {RoleAdmin},
	ActVerify:     {RoleAdmin, RoleOperator, RoleApprover, RoleAuditor},
	ActPerson:     {RoleAdmin},
	ActConsent:    {RoleApprover},
	ActPolicy:     {RoleAdmin},
	ActView:       {RoleAdmin, RoleOperator, RoleApprover, RoleMerchant, RoleDesk, RoleAuditor},
	ActSheet:      {RoleAdmin, RoleOperator, RoleApprover, RoleMerchant, RoleAuditor},
	ActAudit:      {RoleAdmin, RoleOperator, RoleApprover, RoleAuditor},
}

// OfProgram are the actions that only follow from others, or that the program takes by
// itself: no role is asked for them.
var OfProgram = []Action{ActVoid, ActWake, ActFinish, ActEndChain}

// proved are the actions for which a typed name is never enough, once there are members.
var proved = []Action{ActApprove, ActDestroyKey, ActRekey, ActRestore, ActPerson, ActConsent, ActPolicy}

// RolesFor are the roles that may do something, and whether they have to prove who they
// are.
func RolesFor(a Action) (roles []Role, proof bool) { return may[a], slices.Contains(proved, a) }

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

// String is the policy as the audit has it.
func (p Policy) String() string {
	if p == (Policy{}) {
		return "none"
	}
	return fmt.Sprintf("people %d, proof %s, maker_may_approve %t", p.People, p.Proof, p.MakerMayApprove)
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

// Consents is how many approvers must sign a change of approvers or of the policy, once
// as many with a key are registered: the first ones are bootstrapped.
const Consents = 2

// AmendmentKind is what an amendment is about.
type AmendmentKind string

// The kinds.
const (
	AmendAdd     AmendmentKind = "add"     // somebody comes
	AmendReplace AmendmentKind = "replace" // somebody is known by other facts from now on
	AmendEnd     AmendmentKind = "end"     // somebody goes
	AmendPolicy  AmendmentKind = "policy"
)

// Amendment is a change of persons or of the policy, from when it is proposed.
type Amendment struct {
	ID     string        `json:"id"`
	Kind   AmendmentKind `json:"kind"`
	Member *Member       `json:"-"`                // as it shall be; with AmendEnd, as it is
	Policy *Policy       `json:"policy,omitempty"` // as it shall be
	// Text is what approvers sign; empty where nobody had to.
	Text    string    `json:"sheet,omitempty"`
	By      string    `json:"by"`
	Proof   Proof     `json:"proof"`
	At      time.Time `json:"at"`
	Signed  []string  `json:"signed"`  // IDs of who did
	Missing int       `json:"missing"` // signatures, until it takes effect
}

// Consent is a signature by an approver, over a sheet.
type Consent struct {
	Person    string // ID
	Signature string // armored
}

// Signed is a signature with the text that it is over; the zero Signed: there is none.
// Text may stand without a signature: it was read.
type Signed struct {
	Key       string // public, that signed
	Text      string
	Signature string // armored
}

// Approved is what an approval of one campaign came to. JSON keys are the contract of
// `campaign approve`.
type Approved struct {
	Campaign  string `json:"campaign"`
	Approvals int    `json:"approvals"` // so far
	Approved  bool   `json:"approved"`  // they are enough
	Missing   int    `json:"missing"`   // are still needed
	Digest    string `json:"digest"`
	Proof     Proof  `json:"proof"`
}
