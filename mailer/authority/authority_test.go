package authority

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"pgregory.net/rapid"

	"oshirase/mailer"
	"oshirase/mailer/sshsig"
)

type staff []mailer.Member

func (s staff) Members(context.Context) ([]mailer.Member, error) { return slices.Clone(s), nil }

// actions are all that the source declares.
func actions(t *testing.T) (all []mailer.Action) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			v, ok := n.(*ast.ValueSpec)
			if !ok || len(v.Values) != 1 {
				return true
			}
			if typ, ok := v.Type.(*ast.Ident); ok && typ.Name == "Action" {
				s, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, mailer.Action(s))
			}
			return true
		})
	}
	if len(all) < 20 {
		t.Fatalf("only %d actions found: the test looks in the wrong place", len(all))
	}
	return all
}

// TestEveryActionHasRoles: what has none in the table nobody may do, which must be meant;
// and docs/persons.md has the same table.
func TestEveryActionHasRoles(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "persons.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range actions(t) {
		roles, proof := mailer.RolesFor(a)
		if slices.Contains(mailer.OfProgram, a) {
			if len(roles) > 0 {
				t.Errorf("%s is the program's, and has roles", a)
			}
			continue
		}
		if len(roles) == 0 {
			t.Errorf("%s: no role may: put it into the table of mailer/person.go, or into OfProgram", a)
			continue
		}
		row := "| `" + string(a) + "` |"
		for _, r := range mailer.Roles {
			if slices.Contains(roles, r) {
				row += " ○ |"
			} else {
				row += "  |"
			}
		}
		if proof {
			row += " ○ |"
		} else {
			row += "  |"
		}
		if !strings.Contains(string(doc), row) {
			t.Errorf("docs/persons.md has no row\n%s", row)
		}
	}
}

func signer(t *testing.T) mailer.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, pemOf(block), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := (&sshsig.Keys{}).Open(file)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestAny holds what is granted against the rules, over every action, role, proof and
// claim.
func TestAny(t *testing.T) {
	mine, other := signer(t), signer(t)
	all := actions(t)
	rapid.Check(t, func(t *rapid.T) {
		m := mailer.Member{
			ID: "sato", Name: "佐藤", From: time.Unix(0, 0),
			Roles:     rapid.SliceOfNDistinct(rapid.SampledFrom(mailer.Roles), 1, 3, rapid.ID).Draw(t, "roles"),
			Merchants: rapid.SampledFrom([][]string{nil, {"shop"}, {"shop", "housing"}}).Draw(t, "merchants"),
		}
		if rapid.Bool().Draw(t, "has a key") {
			m.Key = mine.Public()
		}
		if rapid.Bool().Draw(t, "has a user") {
			m.OSUser = "sato-os"
		}
		if rapid.Bool().Draw(t, "ended") {
			m.Until = time.Unix(1, 0)
		}
		admin := mailer.Member{ID: "boss", Name: "責任者", Roles: []mailer.Role{mailer.RoleAdmin}, OSUser: "boss-os"}
		a := rapid.SampledFrom(all).Draw(t, "action")
		merchant := rapid.SampledFrom([]string{"", "shop", "housing", "sports"}).Draw(t, "of merchant")
		by := mailer.Actor{Proof: mailer.ProofNone, OSUser: rapid.SampledFrom([]string{"", "sato-os", "thief"}).Draw(t, "runs as")}
		if by.Name = rapid.SampledFrom([]string{"sato", "佐 藤", "ＳＡＴＯ", "だれか", ""}).Draw(t, "claims"); by.Name == "" {
			by.Name, by.Proof = by.OSUser, mailer.ProofOSUser
		}
		switch rapid.SampledFrom([]string{"no", "own", "other"}).Draw(t, "key") {
		case "own":
			by.Keys = []mailer.Signer{other, mine}
		case "other":
			by.Keys = []mailer.Signer{other}
		}
		who, err := May(context.Background(), staff{admin, m}, by, a, merchant)

		signs := m.Key != "" && len(by.Keys) == 2
		asUser := m.OSUser != "" && by.OSUser == m.OSUser
		is := m.Until.IsZero() && (by.Proof == mailer.ProofNone && by.Name != "だれか" || by.Proof == mailer.ProofOSUser && asUser)
		proved := signs || asUser
		roles, proof := mailer.RolesFor(a)
		inRole := slices.ContainsFunc(m.Roles, func(r mailer.Role) bool { return slices.Contains(roles, r) })
		sees := len(m.Merchants) == 0 || slices.Contains(m.Merchants, merchant)
		want := is && (proved || !m.Provable()) && inRole && (proved || !proof) && sees
		if (err == nil) != want {
			t.Fatalf("granted %t, want %t: %v", err == nil, want, err)
		}
		if err != nil {
			return
		}
		wantProof := mailer.ProofNone
		if signs {
			wantProof = mailer.ProofSSHKey
		} else if asUser {
			wantProof = mailer.ProofOSUser
		}
		if who.ID != "sato" || who.Name != "佐藤" || who.Proof != wantProof {
			t.Fatalf("%+v, want proof %s", who, wantProof)
		}
	})
}

// TestNobodyIsRegistered: then names are free, and only then; persons who all have
// ended do not free them.
func TestNobodyIsRegistered(t *testing.T) {
	by := mailer.Actor{Name: "だれか", Proof: mailer.ProofNone}
	for _, a := range actions(t) {
		if who, err := May(context.Background(), staff{}, by, a, "shop"); err != nil || who.Name != by.Name || who.Proof != by.Proof {
			t.Errorf("%s: %+v, %v", a, who, err)
		}
		gone := staff{{ID: "gone", Name: "以前", Roles: mailer.Roles, OSUser: "x", Until: time.Unix(1, 0)}}
		_, err := May(context.Background(), gone, by, a, "")
		founding := a == mailer.ActPerson || a == mailer.ActPolicy
		if founding != (err == nil) || err != nil && !errors.Is(err, mailer.ErrNotAllowed) {
			t.Errorf("%s, with all ended: %v", a, err)
		}
	}
	for name, code := range map[string]mailer.Code{"": "actor.missing", " 　": "actor.missing", "佐\u200b藤": "actor.unreadable"} {
		if _, err := May(context.Background(), staff{}, mailer.Actor{Name: name, Proof: mailer.ProofNone}, mailer.ActCreate, ""); mailer.CodeOf(err) != code {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// liar has the key of somebody, it says.
type liar struct{ mailer.Signer }

func (l liar) Public() string { return "ssh-ed25519 AAAA" }

// TestKeyIsChallenged: to name a key proves nothing, nor does a signature made before.
func TestKeyIsChallenged(t *testing.T) {
	key := signer(t)
	m := mailer.Member{ID: "sato", Name: "佐藤", Roles: []mailer.Role{mailer.RoleAdmin}, Key: key.Public()}
	before, err := key.Sign(mailer.NamespaceAct, []byte("oshirase act\n"))
	if err != nil {
		t.Fatal(err)
	}
	old, err := sshsig.Detached([]byte(before))
	if err != nil {
		t.Fatal(err)
	}
	m2 := m
	m2.Key = liar{}.Public()
	for name, tt := range map[string]struct {
		m   mailer.Member
		key mailer.Signer
	}{"replayed": {m, old}, "another key behind it": {m2, liar{key}}} {
		by := mailer.Actor{Name: "sato", Proof: mailer.ProofNone, Keys: []mailer.Signer{tt.key}}
		if _, err := May(context.Background(), staff{tt.m}, by, mailer.ActDestroyKey, ""); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func pemOf(b *pem.Block) []byte { return pem.EncodeToMemory(b) }
