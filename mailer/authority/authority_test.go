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

// claim is one way in which somebody comes along.
type claim struct {
	Role                mailer.Role
	Merchants           []string
	HasKey, HasUser     bool
	Action              mailer.Action
	Merchant            string // that the action concerns
	RunsAs, Typed       string
	OwnKey, Other, Gone bool
}

// claims are all of them.
func claims(actions []mailer.Action) func(yield func(claim) bool) {
	both := []bool{false, true}
	return func(yield func(claim) bool) {
		for _, role := range mailer.Roles {
			for _, a := range actions {
				for _, only := range [][]string{nil, {"shop"}} {
					for _, of := range []string{"", "shop", "housing"} {
						for _, hasKey := range both {
							for _, hasUser := range both {
								for _, as := range []string{"sato-os", "thief"} {
									for _, typed := range []string{"佐 藤", "だれか", ""} {
										for _, own := range both {
											if !yield(claim{role, only, hasKey, hasUser, a, of, as, typed, own, !own && as == "thief", false}) {
												return
											}
										}
									}
								}
							}
						}
					}
				}
			}
			if !yield(claim{Role: role, Action: mailer.ActView, RunsAs: "sato-os", HasUser: true, Gone: true}) {
				return
			}
		}
	}
}

// TestAny holds what is granted against the rules, over every action, role, proof and
// claim.
func TestAny(t *testing.T) {
	mine, other := signer(t), signer(t)
	granted := 0
	for c := range claims(actions(t)) {
		m := mailer.Member{ID: "sato", Name: "佐藤", From: time.Unix(0, 0), Roles: []mailer.Role{c.Role}, Merchants: c.Merchants}
		if c.HasKey {
			m.Key = mine.Public()
		}
		if c.HasUser {
			m.OSUser = "sato-os"
		}
		if c.Gone {
			m.Until = time.Unix(1, 0)
		}
		by := mailer.Actor{Name: c.Typed, Proof: mailer.ProofNone, OSUser: c.RunsAs}
		if c.Typed == "" {
			by.Name, by.Proof = c.RunsAs, mailer.ProofOSUser
		}
		if c.OwnKey {
			by.Keys = []mailer.Signer{other, mine}
		} else if c.Other {
			by.Keys = []mailer.Signer{other}
		}
		admin := mailer.Member{ID: "boss", Name: "責任者", Roles: []mailer.Role{mailer.RoleAdmin}, OSUser: "boss-os"}
		who, err := May(context.Background(), staff{admin, m}, by, c.Action, c.Merchant)

		signs, asUser := c.HasKey && c.OwnKey, c.HasUser && c.RunsAs == "sato-os"
		is := !c.Gone && (c.Typed == "佐 藤" || c.Typed == "" && asUser)
		roles, proof := mailer.RolesFor(c.Action)
		want := is && slices.Contains(roles, c.Role) && (signs || asUser || !c.HasKey && !c.HasUser && !proof) &&
			(c.Merchants == nil || c.Merchant == "shop")
		if (err == nil) != want {
			t.Fatalf("%+v: granted %t, want %t: %v", c, err == nil, want, err)
		}
		if err != nil {
			continue
		}
		granted++
		wantProof := mailer.ProofNone
		if signs {
			wantProof = mailer.ProofSSHKey
		} else if asUser {
			wantProof = mailer.ProofOSUser
		}
		if who.ID != "sato" || who.Name != "佐藤" || who.Proof != wantProof {
			t.Fatalf("%+v: %+v, want proof %s", c, who, wantProof)
		}
	}
	if granted < 1000 {
		t.Errorf("only %d were granted: the test hardly tries", granted)
	}
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
