package storetest

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"oshirase/mailer"
	"oshirase/store"
)

// TestRekey: everything opens with the new master key and nothing with the old one,
// names stay, and whoever has keys in memory goes on.
func (s suite) TestRekey(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	id := e.campaign(4)
	_, err := e.Apply(ctx, tester, []mailer.Incident{incident("gone")}, nil)
	must(t, err)
	e.destroy("gone")
	worker, idle := e.again(), e.again()
	d := claim(t, worker, id, 1).Deliveries
	old := e.value("pay")
	res, err := e.Rekey(ctx, actor("佐藤"), masterKey(2))
	must(t, err)
	if now := e.value("pay"); !res.Changed || res.Keys != 1 || now.Key != old.Key || len(now.Wraps) != 1 || now.Wraps[0].Master != res.To ||
		res.From != old.Wraps[0].Master || res.To == res.From {
		t.Errorf("%+v, key %+v", res, now)
	}
	_, err = s.Open(t, e.options)
	wantErr(t, err, mailer.ErrWrongKey, "ledger.wrong-key")
	// Who sends goes on; who did not have the key in memory has to start anew, and makes
	// no key that would be left behind.
	if more := claim(t, worker, id, 1).Deliveries; len(more) != 1 || more[0].Recipient.Name == "" {
		t.Errorf("the worker claimed %+v", more)
	}
	_, err = idle.Claim(ctx, id, t0, t0.Add(1e9), 1, nil)
	wantErr(t, err, mailer.ErrWrongKey, "incident.wrong-key")
	_, err = idle.Apply(ctx, tester, []mailer.Incident{incident("two")}, nil)
	wantErr(t, err, mailer.ErrWrongKey, "ledger.wrong-key")

	e.options.MasterKey = masterKey(2)
	db := e.again()
	if more := claim(t, db, id, 1).Deliveries; len(more) != 1 || more[0].Recipient.Name == "" {
		t.Errorf("claimed %+v", more)
	}
	if got, err := db.FindToken(ctx, d[0].Token); err != nil || got.ID != d[0].ID {
		t.Errorf("the name of a delivery: %+v %v", got, err)
	}
	if orphans, err := db.CheckKeys(ctx); err != nil || len(orphans) != 1 { // that of incident two
		t.Errorf("keys %v %v", orphans, err)
	}
	if res, err := db.Rekey(ctx, actor("佐藤"), masterKey(2)); err != nil || res.Changed {
		t.Errorf("again: %+v %v", res, err)
	}
	var acts []string
	must(t, e.EachAct(ctx, func(a mailer.Act) error {
		if a.Action == mailer.ActRekey {
			acts = append(acts, a.By+": "+a.Detail)
		}
		return nil
	}))
	if len(acts) != 2 || !strings.Contains(acts[0], "佐藤: from "+res.From+" to "+res.To) || !strings.Contains(acts[1], res.From) {
		t.Errorf("acts %q", acts)
	}
	_, err = db.Rekey(ctx, actor(""), masterKey(3))
	wantErr(t, err, mailer.ErrInvalid, "actor.missing")
	_, err = db.Rekey(ctx, tester, []byte("short"))
	wantErr(t, err, mailer.ErrInvalid, "ledger.master-key")
}

// TestRekeyCutOff: cut off at each of its steps, one of the two master keys opens
// everything that it opened, and with each that opens the ledger it is taken up again.
func (s suite) TestRekeyCutOff(t *testing.T) {
	ctx := context.Background()
	for _, next := range []byte{1, 2} { // the master key in the config afterwards
		for step := 0; ; step++ {
			e := s.open(t)
			e.damaged = true // another master key may open it at the end
			id := e.campaign(2)
			_, err := e.Apply(ctx, tester, []mailer.Incident{incident("two"), incident("three")}, nil)
			must(t, err)
			o := e.options
			o.Keys = &failing{Keyring: e.keys(), left: step}
			cut, err := s.Open(t, o)
			must(t, err)
			_, err = cut.Rekey(ctx, tester, masterKey(2))
			must(t, cut.Close())
			if err == nil {
				if step != 6 { // three keys, each wrapped and unwrapped
					t.Errorf("done after %d writes", step)
				}
				break
			}
			wantErr(t, err, errCut, "rekey.not-kept")
			if opensAll(t, e, masterKey(1)) == opensAll(t, e, masterKey(2)) && step != 3 {
				t.Errorf("step %d: one master key has to open all, and one only", step)
			}
			e.options.MasterKey = masterKey(next)
			db, err := s.Open(t, e.options)
			if next == 2 && step < 3 {
				wantErr(t, err, mailer.ErrWrongKey, "ledger.wrong-key") // not before all keys have it
				continue
			}
			must(t, err)
			if step >= 3 {
				_, err = db.Apply(ctx, tester, []mailer.Incident{incident("four")}, nil)
				wantErr(t, err, mailer.ErrConflict, "rekey.underway")
			}
			if res, err := db.Rekey(ctx, tester, masterKey(2)); err != nil || !res.Changed {
				t.Errorf("step %d, taken up with %d: %+v %v", step, next, res, err)
			}
			must(t, db.Close())
			if opensAll(t, e, masterKey(1)) || !opensAll(t, e, masterKey(2)) {
				t.Errorf("step %d, taken up with %d: not done", step, next)
			}
			e.options.MasterKey = masterKey(2)
			if got := claim(t, e.again(), id, 2).Deliveries; len(got) != 2 {
				t.Errorf("claimed %d", len(got))
			}
		}
	}
}

// opensAll reports whether a master key opens the ledger and the key of every incident.
func opensAll(t *testing.T, e *env, master []byte) bool {
	t.Helper()
	o := e.options
	o.MasterKey = master
	r, err := e.s.OpenReader(t, o)
	if errors.Is(err, mailer.ErrWrongKey) {
		return false
	}
	must(t, err)
	defer func() { must(t, r.Close()) }()
	_, err = r.CheckKeys(context.Background())
	if err != nil && !errors.Is(err, mailer.ErrWrongKey) {
		t.Errorf("neither opens nor is wrapped by another: %v", err)
	}
	return err == nil
}

// TestRekeyMissingKey: nothing is changed where a key of an incident is not there.
func (s suite) TestRekeyMissingKey(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	e.apply()
	_, err := e.Apply(ctx, tester, []mailer.Incident{incident("two")}, nil)
	must(t, err)
	must(t, os.Remove(e.keyFile("two")))
	before := string(e.value("pay").Text())
	_, err = e.Rekey(ctx, tester, masterKey(2))
	wantErr(t, err, mailer.ErrKeyMissing, "incident.key-missing")
	if after := string(e.value("pay").Text()); after != before {
		t.Errorf("changed from %s to %s", before, after)
	}
}

// TestSharedFolder: ledgers that share a folder of keys leave those of the others.
func (s suite) TestSharedFolder(t *testing.T) {
	ctx := context.Background()
	one, two := s.open(t), s.newEnv(t, store.Options{Durability: "normal"})
	two.options.Keys, two.options.MasterKey = one.keys(), masterKey(9)
	two.DB = two.again()
	one.apply()
	two.apply()
	_, err := one.Rekey(ctx, tester, masterKey(2))
	must(t, err)
	one.options.MasterKey = masterKey(2)
	one.destroy("pay")
	if left, err := one.keys().List(ctx); err != nil || len(left) != 1 {
		t.Errorf("keys %v %v", left, err)
	}
	if orphans, err := two.CheckKeys(ctx); err != nil || len(orphans) > 0 {
		t.Errorf("the other ledger: %v %v", orphans, err)
	}
}
