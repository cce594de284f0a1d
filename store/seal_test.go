package store

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/text/encoding/japanese"
	"pgregory.net/rapid"

	"oshirase/mailer"
)

// No plain name, address, number or customer id reaches the database, its
// journal or the log, in UTF-8 or in the encoding of Excel.
func TestNothingPersonalOnDisk(t *testing.T) {
	ctx := context.Background()
	var log bytes.Buffer
	e := &env{tb: t, path: filepath.Join(t.TempDir(), "ledger.db"), clock: &clock{t0}}
	db, err := Open(ctx, Options{
		Path: e.path, MasterKey: masterKey(1), Now: e.clock.Now,
		Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	must(t, err)
	e.DB = db
	p := mailer.Person{
		CustomerID: "KAIIN-778899", Name: "髙﨑 珠代", NameKana: "タカサキ タマヨ", Email: "tamayo.takasaki@mail.example",
		PostalCode: "900-0031", Address: "沖縄県那覇市若狭三丁目", Phone: "098-000-4321", Attributes: map[string]string{"会員区分": "特別会員"},
	}
	id := e.campaign(3)
	e.load("shop", "secret", []mailer.Row{row(2, p, "A"), row(3, p, "B1")})
	mended := p
	mended.Address = "沖縄県那覇市久茂地一丁目"
	e.load("shop", "mended", []mailer.Row{row(2, mended, "A")})
	e.run(id)
	l := claim(t, db, id, 10)
	must(t, db.Record(ctx, intent(&l.Deliveries[3]))[0])
	must(t, db.Record(ctx, outcome(&l.Deliveries[3], mailer.StateUnknown, mailer.AtDot))[0])
	for _, q := range []mailer.Query{{Email: p.Email}, {CustomerID: p.CustomerID}, {Ref: l.Deliveries[3].Recipient.Ref}, {Email: "nobody.here@mail.example"}} {
		_, err := db.Lookup(ctx, actor("窓口"), q)
		must(t, err)
	}
	must(t, db.Pause(ctx, tester, id, "stop"))
	needles := []string{
		p.CustomerID, "髙﨑", "珠代", "タカサキ", "tamayo", "takasaki", p.PostalCode, "那覇", "久茂地", p.Phone, "特別会員", "nobody.here",
	}
	files := map[string][]byte{"log": log.Bytes()}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		b, err := os.ReadFile(e.path + suffix)
		must(t, err)
		files["ledger.db"+suffix] = b
	}
	if len(files["ledger.db-wal"]) == 0 || !bytes.Contains(files["ledger.db-wal"], []byte("株式会社みなと")) {
		t.Error("the journal does not hold what may be plain: the search proves nothing")
	}
	must(t, db.Close())
	b, err := os.ReadFile(e.path)
	must(t, err)
	files["closed ledger.db"] = b
	for name, content := range files {
		for _, n := range needles {
			if bytes.Contains(content, []byte(n)) {
				t.Errorf("%s holds %q", name, n)
			}
			if cp, err := japanese.ShiftJIS.NewEncoder().String(n); err == nil && bytes.Contains(content, []byte(cp)) {
				t.Errorf("%s holds %q in CP932", name, n)
			}
		}
	}
}

func TestFileModes(t *testing.T) {
	e := open(t)
	e.campaign(1)
	claim(t, e.DB, e.create(mailer.Campaign{}), 0)
	for _, suffix := range []string{"", "-wal", "-shm"} {
		st, err := os.Stat(e.path + suffix)
		must(t, err)
		if st.Mode().Perm() != 0o600 {
			t.Errorf("ledger.db%s has mode %o", suffix, st.Mode().Perm())
		}
	}
}

// A sealed person that was moved to another row does not open.
func TestSealedPersonIsBound(t *testing.T) {
	ctx := context.Background()
	e := open(t)
	id := e.campaign(2)
	_, err := e.w.Exec(`UPDATE recipient SET sealed = (SELECT sealed FROM recipient WHERE id = 1) WHERE id = 2`)
	must(t, err)
	_, err = e.Claim(ctx, id, t0, t0.Add(1e9), 2, nil)
	wantErr(t, err, mailer.ErrWrongKey, "does not open")
	wantCounts(t, e.DB, id, mailer.Counts{mailer.StateQueued: 2}) // given back at once
}

func TestDestroyKey(t *testing.T) {
	ctx := context.Background()
	e := open(t)
	id := e.campaign(3)
	other := e.again()
	d := claim(t, e.DB, id, 1).Deliveries
	must(t, e.Record(ctx, intent(&d[0]))[0])
	must(t, e.Record(ctx, outcome(&d[0], mailer.StateAccepted, mailer.AtDot))[0])
	wantErr(t, e.DestroyKey(ctx, actor("佐藤"), "pay"), mailer.ErrConflict, "running")
	must(t, e.Pause(ctx, tester, id, "stop"))
	var wrapped []byte
	must(t, e.r.Get(&wrapped, `SELECT sealed_key FROM incident`))
	must(t, e.DestroyKey(ctx, actor("佐藤"), "pay"))
	wantErr(t, e.DestroyKey(ctx, actor("佐藤"), "pay"), mailer.ErrKeyDestroyed, "pay")
	for _, db := range []*DB{e.DB, other} {
		if _, err := db.selection(ctx, id); err == nil {
			t.Error("recipients can still be read")
		} else {
			wantErr(t, err, mailer.ErrKeyDestroyed, "pay")
		}
		m, err := db.Lookup(ctx, actor("窓口"), mailer.Query{Email: person(0).Email})
		if err != nil || len(m) != 0 {
			t.Errorf("found by address: %+v %v", m, err)
		}
		m, err = db.Lookup(ctx, actor("窓口"), mailer.Query{Ref: d[0].Recipient.Ref})
		if err != nil || len(m) != 1 || m[0].Name != "" || m[0].Notices[0].State != mailer.StateAccepted {
			t.Errorf("found by reference number: %+v %v", m, err)
		}
		n := 0
		must(t, db.EachDelivery(ctx, tester, mailer.DeliveryFilter{Campaign: id, State: ""}, func(r mailer.DeliveryView) error { n++; return nil }))
		if n != 3 {
			t.Errorf("%d deliveries left", n)
		}
	}
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(e.path + suffix)
		must(t, err)
		if bytes.Contains(b, wrapped) {
			t.Errorf("ledger.db%s still holds the wrapped key", suffix)
		}
	}
	_, err := e.Import(ctx, tester, mailer.Import{Incident: "pay", Merchant: "shop"}, source(people(1)))
	wantErr(t, err, mailer.ErrKeyDestroyed, "pay")
}

func TestNames(t *testing.T) {
	n, err := newNames(masterKey(9))
	must(t, err)
	other, err := newNames(masterKey(8))
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
	n, err := newNames(masterKey(9))
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

func TestEncodePerson(t *testing.T) {
	str := rapid.String()
	rapid.Check(t, func(t *rapid.T) {
		p := mailer.Person{
			CustomerID: str.Draw(t, "id"), Name: str.Draw(t, "name"), NameKana: str.Draw(t, "kana"), Email: str.Draw(t, "email"),
			PostalCode: str.Draw(t, "postal"), Address: str.Draw(t, "address"), Phone: str.Draw(t, "phone"),
			Attributes: rapid.MapOfN(str, str, 0, 4).Draw(t, "attributes"),
		}
		got, err := decodePerson(encodePerson(nil, &p))
		if err != nil || fmt.Sprintf("%q", got) != fmt.Sprintf("%q", p) {
			t.Fatalf("%q became %q: %v", p, got, err)
		}
	})
}

func FuzzDecodePerson(f *testing.F) {
	p := person(1)
	f.Add(encodePerson(nil, &p))
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := decodePerson(b)
		if err != nil {
			return
		}
		again, err := decodePerson(encodePerson(nil, &p))
		if err != nil || fmt.Sprintf("%q", again) != fmt.Sprintf("%q", p) {
			t.Fatalf("%q became %q: %v", p, again, err)
		}
	})
}
