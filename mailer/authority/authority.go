// Package authority finds out who acts, how that is proved, and whether they may:
// every use case asks it first, whoever calls. It knows the ledger only through the
// interface below, and decides nothing about what is done then.
package authority

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"

	"oshirase/mailer"
	"oshirase/mailer/japanese"
	"oshirase/mailer/sshsig"
)

// Register has everybody who may act or ever might, oldest first.
type Register interface {
	Members(ctx context.Context) ([]mailer.Member, error)
}

// Grant is somebody who may do what they asked for.
type Grant struct {
	// Actor is who it is, as it is recorded. Of its keys those remain that are theirs.
	Actor  mailer.Actor
	member *mailer.Member // nil: nobody is registered, or the program acts
}

// Sees reports whether what concerns a merchant may be shown to them.
func (g *Grant) Sees(merchant string) bool { return g.member == nil || g.member.Sees(merchant) }

// May says who does something that concerns one merchant, or with an empty one all of
// them; or why they may not.
func May(ctx context.Context, r Register, by mailer.Actor, a mailer.Action, merchant string) (mailer.Actor, error) {
	g, err := Any(ctx, r, by, a)
	if err != nil {
		return mailer.Actor{}, err
	}
	return g.Actor, g.For(merchant)
}

// For refuses what concerns a merchant that is not the member's.
func (g *Grant) For(merchant string) error {
	if g.Sees(merchant) {
		return nil
	}
	return mailer.NewError(mailer.ErrNotAllowed, "person.merchant", "by", g.Actor.ID, "merchant", merchant)
}

// Any says who does something of which each part that concerns a merchant is asked for
// later, with Sees or For.
//
// As long as nobody is registered, names are free. Then the actor has to be somebody who
// is, by ID, name, or as the user of the operating system, in a role that may; who has
// a key or such a user has to prove it by that. While no admin is there who could prove
// it, persons and policy are anybody's to set up.
func Any(ctx context.Context, r Register, by mailer.Actor, a mailer.Action) (Grant, error) {
	if by.Proof == mailer.ProofProgram {
		return Grant{Actor: by}, nil
	}
	if err := ValidName(by.Name); err != nil {
		return Grant{}, err
	}
	all, err := r.Members(ctx)
	if err != nil {
		return Grant{}, err
	}
	if len(all) == 0 {
		return Grant{Actor: by}, nil
	}
	all = slices.DeleteFunc(all, func(m mailer.Member) bool { return !m.Until.IsZero() })
	m := find(all, &by)
	if m == nil {
		if founding(all, a) {
			return Grant{Actor: by}, nil
		}
		return Grant{}, mailer.NewError(mailer.ErrNotAllowed, "person.unknown", "by", by.Name)
	}
	who := mailer.Actor{Name: m.Name, ID: m.ID, OSUser: by.OSUser}
	if key := KeyOf(by.Keys, m.Key); key != nil {
		who.Keys = []mailer.Signer{key}
	}
	if who.Proof, err = prove(m, &by, a); err != nil {
		return Grant{}, err
	}
	if founding(all, a) {
		return Grant{Actor: who, member: m}, nil
	}
	roles, proof := mailer.RolesFor(a)
	if !slices.ContainsFunc(m.Roles, func(r mailer.Role) bool { return slices.Contains(roles, r) }) {
		return Grant{}, mailer.NewError(mailer.ErrNotAllowed, "person.no-role", "by", m.ID, "action", a, "roles", words(roles))
	}
	if proof && who.Proof == mailer.ProofNone {
		return Grant{}, mailer.NewError(mailer.ErrNotAllowed, "person.no-proof", "by", m.ID, "action", a)
	}
	return Grant{Actor: who, member: m}, nil
}

// ValidName refuses names that cannot be read, or not by everybody in one way.
func ValidName(name string) error {
	if r, bad := japanese.Unreadable(name); bad {
		return mailer.Invalid("actor.unreadable", "character", fmt.Sprintf("%U", r))
	}
	if japanese.FoldName(name) == "" {
		return mailer.Invalid("actor.missing")
	}
	return nil
}

// founding reports whether nobody is there yet who could be asked for persons and policy.
func founding(members []mailer.Member, a mailer.Action) bool {
	if a != mailer.ActPerson && a != mailer.ActPolicy {
		return false
	}
	return !slices.ContainsFunc(members, func(m mailer.Member) bool { return m.Is(mailer.RoleAdmin) && m.Provable() })
}

// find is the member who is meant; nil: none.
func find(members []mailer.Member, by *mailer.Actor) *mailer.Member {
	typed := by.Proof == mailer.ProofNone
	fold := japanese.FoldName(by.Name)
	for i := range members {
		m := &members[i]
		if typed && (m.ID == by.Name || japanese.FoldName(m.Name) == fold || japanese.FoldName(m.ID) == fold) {
			return m
		}
		if !typed && m.OSUser != "" && m.OSUser == by.OSUser {
			return m
		}
	}
	return nil
}

// prove says by what the member is known to act.
func prove(m *mailer.Member, by *mailer.Actor, a mailer.Action) (mailer.Proof, error) {
	if key := KeyOf(by.Keys, m.Key); key != nil {
		return mailer.ProofSSHKey, challenge(key, m, a)
	}
	switch {
	case m.OSUser != "" && m.OSUser == by.OSUser:
		return mailer.ProofOSUser, nil
	case m.Provable():
		return "", mailer.NewError(mailer.ErrNotAllowed, "person.unproved", "by", m.ID)
	}
	return mailer.ProofNone, nil
}

// KeyOf is the signer with a public key; nil: there is none.
func KeyOf(keys []mailer.Signer, public string) mailer.Signer {
	for _, k := range keys {
		if public != "" && k.Public() == public {
			return k
		}
	}
	return nil
}

// challenge has the key sign what nobody could know before: it is there now. Who
// approves, or consents to a change, signs what they read instead, and the ledger
// takes nothing else.
func challenge(key mailer.Signer, m *mailer.Member, a mailer.Action) error {
	if a == mailer.ActApprove || a == mailer.ActConsent {
		return nil
	}
	text := []byte("oshirase act\naction " + string(a) + "\nperson " + m.ID + "\nnonce " + rand.Text() + "\n")
	sig, err := key.Sign(mailer.NamespaceAct, text)
	if err != nil {
		return err
	}
	return sshsig.Verify(m.Key, mailer.NamespaceAct, text, sig)
}

func words(roles []mailer.Role) []string {
	out := make([]string, len(roles))
	for i, r := range roles {
		out[i] = string(r)
	}
	return out
}
