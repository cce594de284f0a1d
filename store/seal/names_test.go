package seal

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func secret(n byte) []byte {
	key := make([]byte, 32)
	key[0] = n
	return key
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func TestNames(t *testing.T) {
	n, err := NewNames(secret(9))
	must(t, err)
	other, err := NewNames(secret(8))
	must(t, err)
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.Int64Range(1, refSpace-1).Draw(t, "id")
		ref := n.Ref(id)
		if got, err := n.ParseRef(strings.ToLower(ref)); err != nil || got != id {
			t.Fatalf("%s is %d, want %d: %v", ref, got, id, err)
		}
		token := n.Token(id)
		if got, ok := n.ParseToken(token); !ok || got != id || len(token) != 26 {
			t.Fatalf("token %s is %d %v, want %d", token, got, ok, id)
		}
		if got, ok := n.ParseToken(strings.ToUpper(token)); !ok || got != id {
			t.Fatalf("token in capitals is %d %v, want %d", got, ok, id)
		}
		name := n.MessageName(id)
		if got, ok := n.ParseMessageName(strings.ToUpper(name)); !ok || got != id || len(name) != 26 {
			t.Fatalf("Message-ID %s is %d %v, want %d", name, got, ok, id)
		}
		if _, ok := n.ParseToken(name); ok || name == token {
			t.Fatal("a Message-ID passes for a token")
		}
		if _, ok := n.ParseMessageName(token); ok {
			t.Fatal("a token passes for a Message-ID")
		}
		if _, ok := other.ParseToken(token); ok {
			t.Fatal("a token of another ledger is taken")
		}
		forged := []byte(token)
		i := rapid.IntRange(0, 24).Draw(t, "at")
		forged[i] = "abcdefghijklmnopqrstuvwxyz234567"[(strings.IndexByte("abcdefghijklmnopqrstuvwxyz234567", forged[i])+1)%32]
		if _, ok := n.ParseToken(string(forged)); ok {
			t.Fatal("a forged token is taken")
		}
	})
	seen := map[string]int64{}
	for id := range int64(20_000) {
		ref := n.Ref(id)
		if was, twice := seen[ref]; twice {
			t.Fatalf("%s stands for %d and %d", ref, was, id)
		}
		seen[ref] = id
	}
}

func FuzzToken(f *testing.F) {
	n, err := NewNames(secret(9))
	must(f, err)
	f.Add(n.Token(1))
	f.Add("")
	f.Add("aaaaaaaaaaaaaaaaaaaaaaaaaa")
	f.Fuzz(func(t *testing.T, s string) {
		if id, ok := n.ParseToken(s); ok && !strings.EqualFold(n.Token(id), s) {
			t.Fatalf("%q is taken for %d, whose token is %s", s, id, n.Token(id))
		}
	})
}
