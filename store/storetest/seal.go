package storetest

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"golang.org/x/text/encoding/japanese"

	"oshirase/mailer"
	"oshirase/store"
)

// TestNothingPersonalOnDisk: no plain name, address, number or customer id reaches
// the database, its logs or the program's, in UTF-8 or in the encoding of Excel.
func (s suite) TestNothingPersonalOnDisk(t *testing.T) {
	ctx := context.Background()
	var log bytes.Buffer
	e := s.newEnv(t, store.Options{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	db, err := s.Open(t, e.options)
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
	must(t, e.Pause(ctx, tester, id, "to check"))
	e.run(id)
	l := claim(t, db, id, 10)
	must(t, db.Record(ctx, intent(&l.Deliveries[3]))[0])
	must(t, db.Record(ctx, outcome(&l.Deliveries[3], mailer.StateUnknown, mailer.AtDot))[0])
	for _, q := range []mailer.Query{{Email: p.Email}, {CustomerID: p.CustomerID}, {Ref: l.Deliveries[3].Recipient.Ref}, {Email: "nobody.here@mail.example"}} {
		_, err := db.Lookup(ctx, actor("窓口"), q)
		must(t, err)
	}
	must(t, db.Pause(ctx, tester, id, "stop"))
	stored := s.Stored(t, e.path)
	stored["log of the program"] = log.Bytes()
	must(t, db.Close())
	plain := false
	for name, content := range s.Stored(t, e.path) {
		stored[name+", closed"] = content
		plain = plain || bytes.Contains(content, []byte("株式会社みなと"))
	}
	if !plain {
		t.Error("the ledger does not hold what may be plain: the search proves nothing")
	}
	for name, content := range stored {
		for _, n := range []string{
			p.CustomerID, "髙﨑", "珠代", "タカサキ", "tamayo", "takasaki", p.PostalCode, "那覇", "久茂地", p.Phone, "特別会員", "nobody.here",
		} {
			if bytes.Contains(content, []byte(n)) {
				t.Errorf("%s holds %q", name, n)
			}
			if cp, err := japanese.ShiftJIS.NewEncoder().String(n); err == nil && bytes.Contains(content, []byte(cp)) {
				t.Errorf("%s holds %q in CP932", name, n)
			}
		}
	}
}

// TestHistoryIsAppendOnly: nobody who has but the database changes what happened.
func (s suite) TestHistoryIsAppendOnly(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	id := e.campaign(1)
	d := claim(t, e.DB, id, 1).Deliveries
	must(t, e.Record(ctx, outcome(&d[0], mailer.StateRejected, mailer.AtRcpt))[0])
	db := e.sql()
	for _, q := range []string{
		`UPDATE event SET code = 250`, `DELETE FROM event`, `UPDATE act SET who = ''`, `DELETE FROM act`, `UPDATE entry SET at = 0`, `DELETE FROM entry`,
	} {
		if _, err := db.Exec(q); err == nil || !strings.Contains(err.Error(), "only ever appended") {
			t.Errorf("%s: %v", q, err)
		}
	}
}
