package store_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"oshirase/mailer"
	"oshirase/store"
	"oshirase/store/keyring"
	"oshirase/store/seal"
)

var by = mailer.Actor{Name: "試験", Proof: mailer.ProofNone}

// working is a folder with a ledger of an incident with facts of many pages, and
// people.
type working struct {
	t        *testing.T
	dir      string
	options  store.Options
	campaign string
}

func newWorking(t *testing.T) *working {
	t.Helper()
	w := &working{t: t, dir: t.TempDir()}
	w.options = store.Options{
		Path: filepath.Join(w.dir, "ledger.db"), MasterKey: bytes.Repeat([]byte{7}, 32), Durability: "normal", Patience: 50 * time.Millisecond,
	}
	db := w.open()
	for i := range 4 { // each leaves pages of the one before
		_, err := db.Apply(t.Context(), by,
			[]mailer.Incident{{
				ID: "pay", Title: strings.Repeat("漏えい", 1500-i),
				Exposures: []mailer.Exposure{{ID: "A", Certainty: mailer.CertaintyPossible}},
			}},
			[]mailer.Merchant{{ID: "shop", Name: "株式会社みなと", From: "notice@shop.example"}})
		must(t, err)
	}
	n := 0
	_, err := db.Import(t.Context(), by, mailer.Import{Incident: "pay", Merchant: "shop"}, func() (mailer.Row, error) {
		if n == 50 {
			return mailer.Row{}, io.EOF
		}
		n++
		p := mailer.Person{CustomerID: fmt.Sprintf("C%06d", n), Name: "髙﨑 珠代", Email: fmt.Sprintf("p%d@mail.example", n)}
		return mailer.Row{Number: int64(n + 1), Person: p, Exposures: []string{"A"}}, nil
	})
	must(t, err)
	w.campaign, err = db.CreateCampaign(t.Context(), by, mailer.Campaign{Incident: "pay", Merchant: "shop", Stage: mailer.StageFormal})
	must(t, err)
	must(t, db.Close())
	return w
}

func (w *working) open() *store.DB {
	w.t.Helper()
	db, err := store.Open(w.t.Context(), w.options)
	must(w.t, err)
	w.t.Cleanup(func() { _ = db.Close() }) // closed by most tests themselves
	return db
}

// read reads persons in each way there is.
func (w *working) read(db *store.DB) (names int, err error) {
	m, lookErr := db.Lookup(w.t.Context(), by, mailer.Query{Email: "p7@mail.example"})
	for _, m := range m {
		if m.Name != "" {
			names++
		}
	}
	err = db.Recipients(w.t.Context(), w.campaign, func(page []mailer.Recipient) error {
		for _, r := range page {
			if r.Name != "" {
				names++
			}
		}
		return nil
	})
	return names, errors.Join(lookErr, err)
}

// files are all files of the folder.
func (w *working) files() map[string][]byte {
	w.t.Helper()
	all := map[string][]byte{}
	must(w.t, filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		all[path], err = os.ReadFile(path)
		return err
	}))
	return all
}

// key is the incident's key, clear and as it is kept.
func (w *working) key() (clear []byte, v *keyring.Value) {
	w.t.Helper()
	found, err := filepath.Glob(filepath.Join(w.dir, "keys", "*.key"))
	must(w.t, err)
	if len(found) != 1 {
		w.t.Fatalf("keys %v", found)
	}
	text, err := os.ReadFile(found[0])
	must(w.t, err)
	v, err = keyring.Parse(text)
	must(w.t, err)
	clear, err = seal.Open(w.options.MasterKey, v.Wraps[0].Sealed, store.WrapAAD(v))
	must(w.t, err)
	return clear, v
}

// holding names the files in which 16 bytes in a row of a secret stand, raw or in
// base64.
func holding(files map[string][]byte, secrets ...[]byte) (where []string) {
	for path, content := range files {
		for _, s := range secrets {
			for _, form := range [][]byte{s, []byte(base64.StdEncoding.EncodeToString(s))} {
				for i := 0; i+16 <= len(form); i++ {
					if bytes.Contains(content, form[i:i+16]) {
						where = append(where, path)
						i = len(form)
					}
				}
			}
		}
	}
	return where
}

// TestDestroyReachesEveryCopy: with the key gone, a copy of the database from before
// opens no more than the ledger does, and nothing of the key stands anywhere.
func TestDestroyReachesEveryCopy(t *testing.T) {
	w := newWorking(t)
	before, err := os.ReadFile(w.options.Path)
	must(t, err)
	clear, v := w.key()
	if where := holding(w.files(), clear, v.Wraps[0].Sealed); len(where) != 1 || filepath.Dir(where[0]) != filepath.Join(w.dir, "keys") {
		t.Fatalf("before, the key stands in %v", where)
	}
	db := w.open()
	if n, err := w.read(db); err != nil || n != 51 {
		t.Fatalf("read %d %v", n, err)
	}
	res, err := db.DestroyKey(t.Context(), by, mailer.Destroy{Incident: "pay"})
	must(t, err)
	if !res.Searched || len(res.Keys) != 1 {
		t.Errorf("%+v", res)
	}
	if where := holding(w.files(), clear, v.Wraps[0].Sealed); len(where) > 0 {
		t.Errorf("the key stands in %v", where)
	}
	must(t, db.Close())
	for _, log := range []string{"-wal", "-shm"} {
		_ = os.Remove(w.options.Path + log)
	}
	must(t, os.WriteFile(w.options.Path, before, 0o600))
	db = w.open()
	if n, err := w.read(db); n > 0 || !errors.Is(err, mailer.ErrKeyMissing) || mailer.CodeOf(err) != "incident.key-missing" {
		t.Errorf("the copy from before: read %d, %v", n, err)
	}
	// The copy is brought to say what happened.
	_, err = db.DestroyKey(t.Context(), by, mailer.Destroy{Incident: "pay"})
	if mailer.CodeOf(err) != "destroy.key-missing" {
		t.Errorf("error %v", err)
	}
	_, err = db.DestroyKey(t.Context(), by, mailer.Destroy{Incident: "pay", KeyGone: true})
	must(t, err)
	if _, err := w.read(db); !errors.Is(err, mailer.ErrKeyDestroyed) {
		t.Errorf("error %v", err)
	}
}

// TestDestroyWithReader: somebody who reads what was before keeps the log from being
// emptied. That is said, the key is gone nevertheless, and the next call does the rest.
func TestDestroyWithReader(t *testing.T) {
	w := newWorking(t)
	clear, v := w.key()
	db := w.open()
	must(t, db.RecordAct(t.Context(), by, mailer.ActPreview, "x", "")) // there is a log
	other := openSQL(t, w.options.Path)
	tx, err := other.Beginx()
	must(t, err)
	var n int
	must(t, tx.Get(&n, `SELECT count(*) FROM act`))
	_, err = db.DestroyKey(t.Context(), by, mailer.Destroy{Incident: "pay"})
	if mailer.CodeOf(err) != "destroy.log" || !errors.Is(err, mailer.ErrConflict) {
		t.Errorf("with a reader: %v", err)
	}
	if left, err := os.ReadDir(filepath.Join(w.dir, "keys")); err != nil || len(left) > 0 {
		t.Errorf("keys left %v %v", left, err)
	}
	if where := holding(w.files(), clear, v.Wraps[0].Sealed); len(where) > 0 {
		t.Errorf("the key stands in %v", where)
	}
	if size(t, w.options.Path+"-wal") == 0 {
		t.Error("the log is empty: the reader proves nothing")
	}
	must(t, tx.Rollback())
	if res, err := db.DestroyKey(t.Context(), by, mailer.Destroy{Incident: "pay"}); err != nil || !res.Again {
		t.Errorf("without the reader: %+v %v", res, err)
	}
	if n := size(t, w.options.Path+"-wal"); n > 0 {
		t.Errorf("the log has %d bytes", n)
	}
}

// TestDestroySearches: a key that somebody put into the database is found, in a page
// that is free again too.
func TestDestroySearches(t *testing.T) {
	for name, secret := range map[string]func(clear []byte, v *keyring.Value) []byte{
		"clear":             func(clear []byte, _ *keyring.Value) []byte { return clear },
		"a part":            func(clear []byte, _ *keyring.Value) []byte { return clear[9:25] },
		"wrapped":           func(_ []byte, v *keyring.Value) []byte { return v.Wraps[0].Sealed },
		"file of the key":   func(_ []byte, v *keyring.Value) []byte { return v.Text() },
		"as people copy it": func(clear []byte, _ *keyring.Value) []byte { return fmt.Appendf(nil, "%x", clear) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorking(t)
			db := w.open()
			clear, v := w.key()
			planted := openSQL(t, w.options.Path)
			planted.SetMaxOpenConns(1)
			for _, q := range []string{`PRAGMA secure_delete = off`, `CREATE TABLE planted (b BLOB)`} {
				_, err := planted.Exec(q)
				must(t, err)
			}
			// In many pages: some of them are taken again for the facts.
			_, err := planted.Exec(`WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 40) INSERT INTO planted SELECT ? FROM n`,
				append(bytes.Repeat([]byte{'x'}, 3000), secret(clear, v)...))
			must(t, err)
			_, err = planted.Exec(`DROP TABLE planted`)
			must(t, err)
			_, err = db.DestroyKey(t.Context(), by, mailer.Destroy{Incident: "pay"})
			if mailer.CodeOf(err) != "destroy.found" || !strings.Contains(err.Error(), w.options.Path) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// TestRekeyLeavesNothing: what the old master key opened stands nowhere any more.
func TestRekeyLeavesNothing(t *testing.T) {
	w := newWorking(t)
	_, v := w.key()
	var secret []byte
	must(t, openSQL(t, w.options.Path).Get(&secret, `SELECT wrapped FROM secret`))
	db := w.open()
	if where := holding(w.files(), secret, v.Wraps[0].Sealed); len(where) != 2 {
		t.Fatalf("before, they stand in %v", where)
	}
	_, err := db.Rekey(t.Context(), by, make([]byte, 32))
	must(t, err)
	if where := holding(w.files(), secret, v.Wraps[0].Sealed); len(where) > 0 {
		t.Errorf("they stand in %v", where)
	}
}

// TestSearchKeepsLocks: reading the files of the database does not make others take
// the ledger for unused, which would cost it its log.
func TestSearchKeepsLocks(t *testing.T) {
	w := newWorking(t)
	db, second := w.open(), w.open()
	_, err := db.DestroyKey(t.Context(), by, mailer.Destroy{Incident: "pay"})
	must(t, err)
	must(t, second.RecordAct(t.Context(), by, mailer.ActPreview, "x", ""))
	// A process that closes last takes the log away: it has to see that it does not.
	cmd := exec.Command(os.Args[0], "-test.run=^TestOpenAndClose$")
	cmd.Env = append(os.Environ(), "STORE_OPEN="+w.options.Path)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if _, err := os.Stat(w.options.Path + "-wal"); err != nil {
		t.Errorf("the log is gone under an open ledger: %v", err)
	}
	must(t, db.RecordAct(t.Context(), by, mailer.ActPreview, "y", ""))
	q := openSQL(t, w.options.Path)
	var n int
	must(t, q.Get(&n, `SELECT count(*) FROM act WHERE action = 'preview'`))
	if n != 2 {
		t.Errorf("%d acts, want 2", n)
	}
}

// TestOpenAndClose is the other process of TestSearchKeepsLocks.
func TestOpenAndClose(t *testing.T) {
	path := os.Getenv("STORE_OPEN")
	if path == "" {
		return // run as a test of its own it has nothing to show
	}
	db := openSQL(t, path)
	var n int
	must(t, db.Get(&n, `SELECT count(*) FROM act`))
	must(t, db.Close())
}
