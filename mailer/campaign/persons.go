package campaign

import (
	"context"
	"slices"

	"oshirase/mailer"
	"oshirase/mailer/approval"
	"oshirase/mailer/authority"
	"oshirase/mailer/sshsig"
)

// Persons says who may act, and what it takes to approve.
type Persons struct {
	Ledger Staff
	Policy mailer.Policy // that the config wishes
}

// List has who may act now, or with ended everybody who ever might, oldest first; never
// nil.
func (p *Persons) List(ctx context.Context, by mailer.Actor, ended bool) ([]mailer.MemberView, error) {
	all, err := p.members(ctx, by)
	if err != nil {
		return nil, err
	}
	out := []mailer.MemberView{}
	for i := range all {
		if ended || all[i].Until.IsZero() {
			out = append(out, all[i].View())
		}
	}
	return out, nil
}

// Signers is a file of allowed signers for ssh-keygen: every approver who ever had a
// key, for as long as it was theirs.
func (p *Persons) Signers(ctx context.Context, by mailer.Actor) (string, error) {
	all, err := p.members(ctx, by)
	return approval.Signers(all), err
}

func (p *Persons) members(ctx context.Context, by mailer.Actor) ([]mailer.Member, error) {
	if _, err := authority.May(ctx, p.Ledger, by, mailer.ActView, ""); err != nil {
		return nil, err
	}
	return p.Ledger.Members(ctx)
}

// Add has somebody act from now on, or with replace by other facts than before.
func (p *Persons) Add(ctx context.Context, by mailer.Actor, m mailer.Member, replace bool) (mailer.Amendment, error) {
	if err := validMember(&m); err != nil {
		return mailer.Amendment{}, err
	}
	kind := mailer.AmendAdd
	if replace {
		kind = mailer.AmendReplace
	}
	return p.amend(ctx, by, mailer.ActPerson, mailer.Amendment{Kind: kind, Member: &m})
}

// End ends somebody, who stays in the ledger.
func (p *Persons) End(ctx context.Context, by mailer.Actor, id string) (mailer.Amendment, error) {
	return p.amend(ctx, by, mailer.ActPerson, mailer.Amendment{Kind: mailer.AmendEnd, Member: &mailer.Member{ID: id}})
}

// SetPolicy has the policy that the config wishes come into force; ErrConflict where it
// is.
func (p *Persons) SetPolicy(ctx context.Context, by mailer.Actor) (mailer.Amendment, error) {
	wished := p.Policy
	if now, err := p.InForce(ctx, by); err != nil {
		return mailer.Amendment{}, err
	} else if now == wished {
		return mailer.Amendment{}, mailer.Conflict("policy.same")
	}
	return p.amend(ctx, by, mailer.ActPolicy, mailer.Amendment{Kind: mailer.AmendPolicy, Policy: &wished})
}

// InForce is the policy that is; the zero Policy: none is yet.
func (p *Persons) InForce(ctx context.Context, by mailer.Actor) (mailer.Policy, error) {
	if _, err := authority.May(ctx, p.Ledger, by, mailer.ActView, ""); err != nil {
		return mailer.Policy{}, err
	}
	return p.Ledger.Policy(ctx)
}

// Agrees is ErrConflict where another policy is in force than the config wishes.
func (p *Persons) Agrees(ctx context.Context) error {
	now, err := p.Ledger.Policy(ctx)
	if err == nil && now != (mailer.Policy{}) && now != p.Policy {
		err = mailer.Conflict("policy.differs", "force", now.String(), "config", p.Policy.String())
	}
	return err
}

// amend makes a change. Where approvers have to consent, those whose keys are at hand
// do so at once.
func (p *Persons) amend(ctx context.Context, by mailer.Actor, action mailer.Action, a mailer.Amendment) (mailer.Amendment, error) {
	who, err := authority.May(ctx, p.Ledger, by, action, "")
	if err != nil {
		return mailer.Amendment{}, err
	}
	signing, err := p.signing(ctx, by.Keys, who)
	if err != nil {
		return mailer.Amendment{}, err
	}
	if a, err = p.Ledger.Amend(ctx, who, a, p.Policy); err != nil {
		return mailer.Amendment{}, err
	}
	for _, s := range signing {
		if a.Missing == 0 {
			break
		}
		if a, err = p.consent(ctx, s, a); err != nil {
			return mailer.Amendment{}, err
		}
	}
	return a, nil
}

// signing are the approvers whose keys are at hand.
func (p *Persons) signing(ctx context.Context, keys []mailer.Signer, who mailer.Actor) (out []mailer.Actor, err error) {
	all, err := p.Ledger.Members(ctx)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		i := slices.IndexFunc(all, func(m mailer.Member) bool { return m.Until.IsZero() && m.Key == key.Public() })
		switch {
		case i >= 0 && all[i].Signs():
			out = append(out, mailer.Actor{Name: all[i].Name, ID: all[i].ID, Proof: mailer.ProofSSHKey, Keys: []mailer.Signer{key}})
		case i < 0 && !slices.Contains(who.Keys, key):
			return nil, mailer.NewError(mailer.ErrNotAllowed, "person.key-unknown", "fingerprint", mailer.Fingerprint(key.Public()))
		}
	}
	return out, nil
}

func (p *Persons) consent(ctx context.Context, by mailer.Actor, a mailer.Amendment) (mailer.Amendment, error) {
	sig, err := by.Keys[0].Sign(mailer.NamespaceApproval, []byte(a.Text))
	if err != nil {
		return mailer.Amendment{}, err
	}
	return p.Ledger.Consent(ctx, by, a.ID, sig)
}

// Pending are the changes that wait for signatures, with the text that is signed; never
// nil.
func (p *Persons) Pending(ctx context.Context, by mailer.Actor) ([]mailer.Amendment, error) {
	if _, err := authority.May(ctx, p.Ledger, by, mailer.ActView, ""); err != nil {
		return nil, err
	}
	return p.Ledger.Amendments(ctx)
}

// Sign consents to a change that waits, with the approver's key.
func (p *Persons) Sign(ctx context.Context, by mailer.Actor, id string) (mailer.Amendment, error) {
	who, err := authority.May(ctx, p.Ledger, by, mailer.ActConsent, "")
	if err != nil {
		return mailer.Amendment{}, err
	}
	if len(who.Keys) == 0 {
		return mailer.Amendment{}, mailer.NewError(mailer.ErrNotAllowed, "amendment.approver", "by", who.Name)
	}
	waiting, err := p.Ledger.Amendments(ctx)
	if err != nil {
		return mailer.Amendment{}, err
	}
	for _, a := range waiting {
		if a.ID == id {
			return p.consent(ctx, who, a)
		}
	}
	return mailer.Amendment{}, mailer.NotFound("amendment.none", "id", id)
}

// validMember refuses who could not be told from others, or do anything.
func validMember(m *mailer.Member) error {
	if !mailer.ValidID(m.ID) {
		return mailer.Invalid("person.id", "id", m.ID)
	}
	if err := authority.ValidName(m.Name); err != nil {
		return err
	}
	if m.OSUser != "" {
		if err := authority.ValidName(m.OSUser); err != nil {
			return err
		}
	}
	if len(m.Roles) == 0 {
		return mailer.Invalid("person.no-roles", "id", m.ID)
	}
	for i, r := range m.Roles {
		if !slices.Contains(mailer.Roles, r) || slices.Contains(m.Roles[:i], r) {
			return mailer.Invalid("person.role", "role", r)
		}
	}
	if m.Is(mailer.RoleMerchant) && len(m.Merchants) == 0 {
		return mailer.Invalid("person.no-merchants", "id", m.ID)
	}
	if m.Key == "" {
		return nil
	}
	key, err := sshsig.ParsePublic([]byte(m.Key))
	if err == nil {
		m.Key = key
	}
	return err
}
