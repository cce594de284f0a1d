package storetest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"oshirase/mailer"
	"oshirase/store"
	"oshirase/store/keyring"
)

func (e *env) keys() *keyring.Folder {
	return keyring.NewFolder(filepath.Join(filepath.Dir(e.path), "keys"))
}

// keyFile is the file of an incident's key.
func (e *env) keyFile(incident string) string {
	e.tb.Helper()
	var id string
	must(e.tb, e.sql().Get(&id, `SELECT key_id FROM incident WHERE id = ?`, incident))
	return filepath.Join(filepath.Dir(e.path), "keys", id+".key")
}

func (e *env) value(incident string) *keyring.Value {
	e.tb.Helper()
	text, err := os.ReadFile(e.keyFile(incident))
	must(e.tb, err)
	v, err := keyring.Parse(text)
	must(e.tb, err)
	return v
}

func (e *env) destroy(incident string) mailer.Destroyed {
	e.tb.Helper()
	res, err := e.DestroyKey(context.Background(), actor("佐藤"), mailer.Destroy{Incident: incident})
	must(e.tb, err)
	return res
}

// readers are the ways to the persons of a campaign of incident pay.
func readers(db *store.DB, campaign string) map[string]error {
	ctx := context.Background()
	nobody := func() (mailer.Row, error) { return source(people(1))() }
	errs := map[string]error{
		"recipients": db.Recipients(ctx, campaign, func([]mailer.Recipient) error { return nil }),
	}
	_, errs["look-up"] = db.Lookup(ctx, actor("窓口"), mailer.Query{Email: person(0).Email})
	_, errs["claim"] = db.Claim(ctx, campaign, t0, t0.Add(1e9), 1, nil)
	_, errs["import"] = db.Import(ctx, tester, mailer.Import{Incident: "pay", Merchant: "shop"}, nobody)
	return errs
}

// TestKeyFaults: what is wrong with a key is said as what it is, and never as a wrong
// master key where that is right.
func (s suite) TestKeyFaults(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, e *env, file string)
		kind error
		code mailer.Code
	}{
		{"missing", func(t *testing.T, _ *env, file string) { must(t, os.Remove(file)) }, mailer.ErrKeyMissing, "incident.key-missing"},
		{"no folder", func(t *testing.T, _ *env, file string) { must(t, os.RemoveAll(filepath.Dir(file))) }, mailer.ErrKeyMissing, "incident.key-missing"},
		{"empty", func(t *testing.T, _ *env, file string) { must(t, os.WriteFile(file, nil, 0o600)) }, mailer.ErrDamaged, "incident.key-damaged"},
		{"flipped", func(t *testing.T, e *env, file string) {
			v := e.value("pay")
			v.Wraps[0].Sealed[20] ^= 1
			must(t, os.WriteFile(file, v.Text(), 0o600))
		}, mailer.ErrDamaged, "incident.key-damaged"},
		{"another incident's", func(t *testing.T, e *env, file string) {
			b, err := os.ReadFile(e.keyFile("other"))
			must(t, err)
			must(t, os.WriteFile(file, b, 0o600))
		}, mailer.ErrConflict, "incident.key-another"},
		{"another incident's that says it is this one's", func(t *testing.T, e *env, file string) {
			own, v := e.value("pay"), e.value("other")
			v.Key, v.Incident = own.Key, own.Incident
			must(t, os.WriteFile(file, v.Text(), 0o600))
		}, mailer.ErrDamaged, "incident.key-damaged"},
		{"another ledger's", func(t *testing.T, e *env, file string) {
			v := e.value("pay")
			v.Ledger = "0123456789abcdef"
			must(t, os.WriteFile(file, v.Text(), 0o600))
		}, mailer.ErrConflict, "incident.key-another"},
		{"under another master key", func(t *testing.T, e *env, file string) {
			v := e.value("pay")
			v.Wraps[0].Master = "01234567"
			must(t, os.WriteFile(file, v.Text(), 0o600))
		}, mailer.ErrWrongKey, "incident.wrong-key"},
		{"shown", func(t *testing.T, _ *env, file string) { must(t, os.Chmod(file, 0o640)) }, mailer.ErrInvalid, "incident.key-unreadable"},
		{"exchanged by a name that leads away", func(t *testing.T, e *env, _ string) {
			_, err := e.sql().Exec(`UPDATE incident SET key_id = '../keys/x' WHERE id = 'pay'`)
			must(t, err)
		}, mailer.ErrInvalid, "incident.key-unreadable"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := s.open(t)
			e.damaged = true
			id := e.campaign(2)
			_, err := e.Apply(context.Background(), tester, []mailer.Incident{incident("other")}, nil)
			must(t, err)
			tt.do(t, e, e.keyFile("pay"))
			db := e.again() // what is in memory stays good
			for what, err := range readers(db, id) {
				if !errors.Is(err, tt.kind) || mailer.CodeOf(err) != tt.code {
					t.Errorf("%s: %v, want %s", what, err, tt.code)
				}
				if tt.kind != mailer.ErrWrongKey && errors.Is(err, mailer.ErrWrongKey) {
					t.Errorf("%s: %v: the master key is right", what, err)
				}
			}
			if _, err := db.CheckKeys(context.Background()); !errors.Is(err, tt.kind) {
				t.Errorf("check: %v", err)
			}
		})
	}
}

// TestSecretDamaged: a damaged secret is no wrong master key.
func (s suite) TestSecretDamaged(t *testing.T) {
	e := s.open(t)
	e.damaged = true
	_, err := e.sql().Exec(`UPDATE secret SET wrapped = ?`, make([]byte, 60))
	must(t, err)
	_, err = s.Open(t, e.options)
	wantErr(t, err, mailer.ErrDamaged, "ledger.secret-damaged")
}

// TestKeyIsKeptFirst: an incident is in the ledger only once its key is kept, and what
// a crash in between leaves is known as nobody's.
func (s suite) TestKeyIsKeptFirst(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	mend := s.BreakCommits(t, e.sql(), "incident")
	if _, err := e.Apply(ctx, tester, []mailer.Incident{incident("pay")}, nil); err == nil {
		t.Fatal("the commit was to fail")
	}
	mend()
	orphans, err := e.CheckKeys(ctx)
	if err != nil || len(orphans) != 1 {
		t.Errorf("keys without an incident %v %v", orphans, err)
	}
	e.apply()
	ledger := e.value("pay").Ledger
	if file := filepath.Base(e.keyFile("pay")); len(orphans) == 1 && file == orphans[0]+".key" {
		t.Error("the key of the incident is the one that was left")
	}
	// It goes with the incident that it was made for.
	if res := e.destroy("pay"); len(res.Keys) != 2 {
		t.Errorf("destroyed %+v", res)
	}
	if left, err := e.keys().List(ctx); err != nil || len(left) > 0 {
		t.Errorf("left %v %v", left, err)
	}
	// One whose incident the ledger does not know goes by its name; there may be nothing
	// of that name.
	v := &keyring.Value{Key: "orphan", Ledger: ledger, Incident: "later", Wraps: []keyring.Wrap{{Master: "x", Sealed: []byte("x")}}}
	must(t, e.keys().Put(ctx, v.Key, v.Text()))
	if res := e.destroy("later"); len(res.Keys) != 1 {
		t.Errorf("destroyed %+v", res)
	}
	_, err = e.DestroyKey(ctx, tester, mailer.Destroy{Incident: "later"})
	wantErr(t, err, mailer.ErrNotFound, "later")
	blocked := filepath.Join(filepath.Dir(e.path), "keys")
	must(t, os.Chmod(blocked, 0o755))
	_, err = e.Apply(ctx, tester, []mailer.Incident{incident("two")}, nil)
	wantErr(t, err, mailer.ErrInvalid, "keyring.shown")
	must(t, os.Chmod(blocked, 0o700))
	if _, err := e.Incident(ctx, "two"); !errors.Is(err, mailer.ErrNotFound) {
		t.Errorf("an incident without a key: %v", err)
	}
}

func (s suite) TestDestroyKey(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	id := e.campaign(3)
	other := e.again()
	d := claim(t, e.DB, id, 1).Deliveries
	must(t, e.Record(ctx, intent(&d[0]))[0])
	must(t, e.Record(ctx, outcome(&d[0], mailer.StateAccepted, mailer.AtDot))[0])
	_, err := e.DestroyKey(ctx, actor("佐藤"), mailer.Destroy{Incident: "pay"})
	wantErr(t, err, mailer.ErrConflict, "destroy.running")
	must(t, e.Pause(ctx, tester, id, "stop"))
	_, err = e.DestroyKey(ctx, actor(""), mailer.Destroy{Incident: "pay"})
	wantErr(t, err, mailer.ErrInvalid, "actor.missing")
	v := e.value("pay")
	if res := e.destroy("pay"); len(res.Keys) != 1 || res.Keys[0] != v.Key || !res.Searched || res.Again {
		t.Errorf("destroyed %+v", res)
	}
	if res := e.destroy("pay"); len(res.Keys) != 0 || !res.Again {
		t.Errorf("destroyed again %+v", res)
	}
	if left, err := e.keys().List(ctx); err != nil || len(left) > 0 {
		t.Errorf("keys left: %v %v", left, err)
	}
	for _, db := range []*store.DB{e.DB, other} {
		err := db.Recipients(ctx, id, func([]mailer.Recipient) error {
			t.Error("recipients can still be read")
			return nil
		})
		wantErr(t, err, mailer.ErrKeyDestroyed, "pay")
		m, err := db.Lookup(ctx, actor("窓口"), mailer.Query{Email: person(0).Email})
		if err != nil || len(m) != 0 {
			t.Errorf("found by address: %+v %v", m, err)
		}
		m, err = db.Lookup(ctx, actor("窓口"), mailer.Query{Ref: d[0].Recipient.Ref})
		if err != nil || len(m) != 1 || m[0].Name != "" || m[0].Notices[0].State != mailer.StateAccepted {
			t.Errorf("found by reference number: %+v %v", m, err)
		}
		n := 0
		must(t, db.EachDelivery(ctx, tester, mailer.DeliveryFilter{Campaign: id}, func(mailer.DeliveryView) error { n++; return nil }))
		if n != 3 {
			t.Errorf("%d deliveries left", n)
		}
	}
	for name, content := range s.Stored(t, e.path) {
		if strings.Contains(string(content), string(v.Wraps[0].Sealed[:16])) {
			t.Errorf("%s holds the wrapped key", name)
		}
	}
	_, err = e.Import(ctx, tester, mailer.Import{Incident: "pay", Merchant: "shop"}, source(people(1)))
	wantErr(t, err, mailer.ErrKeyDestroyed, "pay")
	acts := 0
	must(t, e.EachAct(ctx, func(a mailer.Act) error {
		if a.Action == mailer.ActDestroyKey {
			acts++
		}
		return nil
	}))
	if acts != 1 {
		t.Errorf("%d acts of destroying", acts)
	}
}

// failing is a keyring that fails where it is told to, as a power cut would.
type failing struct {
	keyring.Keyring
	left int // calls that write before it fails; below 0: it never does
}

var errCut = errors.New("power cut")

func (f *failing) write(do func() error) error {
	if f.left == 0 {
		return errCut
	}
	f.left--
	return do()
}

func (f *failing) Replace(ctx context.Context, id string, value []byte) error {
	return f.write(func() error { return f.Keyring.Replace(ctx, id, value) })
}

func (f *failing) Delete(ctx context.Context, id string) error {
	return f.write(func() error { return f.Keyring.Delete(ctx, id) })
}

// TestDestroyGoesOn: cut off once the ledger says that the key is destroyed, nobody
// reads any more, and the next call does the rest.
func (s suite) TestDestroyGoesOn(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	id := e.campaign(2)
	must(t, e.Pause(ctx, tester, id, "stop"))
	o := e.options
	o.Keys = &failing{Keyring: e.keys()}
	cut, err := s.Open(t, o)
	must(t, err)
	_, err = cut.DestroyKey(ctx, actor("佐藤"), mailer.Destroy{Incident: "pay"})
	wantErr(t, err, errCut, "destroy.undone")
	must(t, cut.Close())
	if ids, err := e.keys().List(ctx); err != nil || len(ids) != 1 {
		t.Fatalf("keys %v %v", ids, err)
	}
	wantErr(t, e.Recipients(ctx, id, func([]mailer.Recipient) error { return nil }), mailer.ErrKeyDestroyed, "pay")
	if res := e.destroy("pay"); len(res.Keys) != 1 || !res.Searched || res.Again {
		t.Errorf("the rest: %+v", res)
	}
	if ids, err := e.keys().List(ctx); err != nil || len(ids) > 0 {
		t.Errorf("keys %v %v", ids, err)
	}
	if res := e.destroy("pay"); !res.Again {
		t.Errorf("once more: %+v", res)
	}
}

// TestDestroyMissingKey: where the key is not found, nobody says that it is destroyed
// without being told to.
func (s suite) TestDestroyMissingKey(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	e.apply()
	file := e.keyFile("pay")
	must(t, os.Rename(file, file+".away"))
	_, err := e.DestroyKey(ctx, tester, mailer.Destroy{Incident: "pay"})
	wantErr(t, err, mailer.ErrKeyMissing, "destroy.key-missing")
	if _, err := e.CheckKeys(ctx); !errors.Is(err, mailer.ErrKeyMissing) {
		t.Errorf("the ledger says something else: %v", err)
	}
	res, err := e.DestroyKey(ctx, tester, mailer.Destroy{Incident: "pay", KeyGone: true})
	if err != nil || res.Searched || len(res.Keys) > 0 {
		t.Errorf("%+v %v", res, err)
	}
	if _, err := e.CheckKeys(ctx); err != nil {
		t.Error(err)
	}
}

// TestDestroyAnothers: a row that was made to lead to another incident's key, or a file
// that was exchanged, destroys nobody else's.
func (s suite) TestDestroyAnothers(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	e.damaged = true
	e.apply()
	_, err := e.Apply(ctx, tester, []mailer.Incident{incident("two")}, nil)
	must(t, err)
	before, err := e.keys().List(ctx)
	must(t, err)
	others := e.value("two").Key
	for _, q := range []string{`UPDATE incident SET key_id = 'x' || ? WHERE id = 'two'`, `UPDATE incident SET key_id = ? WHERE id = 'pay'`} {
		_, err = e.sql().Exec(q, others)
		must(t, err)
	}
	for _, marked := range []string{`NULL`, `1`} {
		_, err = e.sql().Exec(`UPDATE incident SET key_destroyed_at = ` + marked)
		must(t, err)
		_, err = e.DestroyKey(ctx, tester, mailer.Destroy{Incident: "pay", KeyGone: true})
		wantErr(t, err, mailer.ErrConflict, "incident.key-another")
	}
	if after, err := e.keys().List(ctx); err != nil || !slices.Equal(after, before) {
		t.Errorf("keys %v %v, before %v", after, err, before)
	}
}

// keeps is a keyring that does not delete.
type keeps struct{ keyring.Keyring }

func (keeps) Delete(context.Context, string) error { return nil }

// TestDestroyIsVerified: a keyring that says it deleted is not believed.
func (s suite) TestDestroyIsVerified(t *testing.T) {
	e := s.newEnv(t, store.Options{Durability: "normal"})
	e.options.Keys = keeps{e.keys()}
	e.DB = e.again()
	e.apply()
	_, err := e.DestroyKey(context.Background(), tester, mailer.Destroy{Incident: "pay"})
	if mailer.CodeOf(err) != "destroy.kept" {
		t.Errorf("error %v", err)
	}
}
