package list

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"oshirase/mailer"
)

// What Fingerprint says of a file is what a Reader says at its end.
func TestFingerprint(t *testing.T) {
	for name, content := range map[string]string{
		"plain.csv":  "email\na@example.jp\n",
		"marked.csv": "\ufeff\r\nemail\r\na@example.jp\r\n\r\n",
		"old.csv":    "email\na@example.jp\n\x1A",
		"long.csv":   "email,memo\na@example.jp," + strings.Repeat("y", maxValue) + "\n" + strings.Repeat("b@example.jp,\n", 50_000),
	} {
		path := writeList(t, name, content)
		_, _, info := readAll(t, path, anyExposure)
		sum, size, err := Fingerprint(path)
		if err != nil || sum != info.SHA256 || size != int64(len(content)) {
			t.Errorf("%s: %s, %d bytes, %v, want %s, %d bytes", name, sum, size, err, info.SHA256, len(content))
		}
	}
	if _, _, err := Fingerprint(filepath.Join(t.TempDir(), "none.csv")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

// Whatever changes the rows changes How; what does not, does not.
func TestHow(t *testing.T) {
	seen := map[string]string{}
	for name, o := range map[string]Options{
		"zero":           {},
		"encoding":       {Encoding: CP932},
		"threshold":      {ShiftThreshold: -1},
		"column":         {Columns: map[string]string{"email": "連絡先"}},
		"other column":   {Columns: map[string]string{"email": "連絡"}},
		"two columns":    {Columns: map[string]string{"email": "連絡先", "name": "名"}},
		"no exposures":   {Exposures: []string{}},
		"exposures":      {Exposures: []string{"A", "B"}},
		"their order":    {Exposures: []string{"B", "A"}},
		"one, not two":   {Exposures: []string{"A B"}},
		"default":        {Exposures: []string{"A", "B"}, Default: []string{"A"}},
		"another":        {Exposures: []string{"A", "B"}, Default: []string{"B"}},
		"default of any": {Default: []string{"A", "B"}},
	} {
		how := o.How()
		if other, twice := seen[how]; twice {
			t.Errorf("%s and %s are the same", name, other)
		}
		seen[how] = name
	}
	same := Options{Encoding: Auto, KeepRaw: true, Columns: map[string]string{}}
	if seen[same.How()] != "zero" {
		t.Error("what says nothing of the rows changes How")
	}
}

// A row that is refused after other rows were read comes back as the file had it.
func TestRefuseLater(t *testing.T) {
	list := toCP932(t, "会員番号,氏名,メールアドレス,区分\r\n"+
		"1,\"髙橋, 一\",a@example.jp,A\r\n"+
		"2,鈴木,ｂ＠example.jp,\r\n"+
		"3,佐藤,c@example.jp,A\r\n")
	for _, keep := range []bool{true, false} {
		opt := anyExposure
		opt.KeepRaw = keep
		r, err := Open(writeList(t, "a.csv", list), opt)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		var rows []mailer.Row
		for {
			row, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if (row.Raw != nil) != keep {
				t.Errorf("keep %v: row %d has the cells %q", keep, row.Number, row.Raw)
			}
			rows = append(rows, row)
		}
		if !keep {
			continue
		}
		out := filepath.Join(t.TempDir(), "errors.csv")
		w, err := NewErrorWriter(out, r, error.Error)
		if err != nil {
			t.Fatal(err)
		}
		reason := mailer.Conflict("test.reason")
		for _, rej := range []*Rejected{r.Refuse(rows[1], "email", reason), r.Refuse(rows[0], "phone", reason), r.Refuse(rows[2], "", reason)} {
			if !errors.Is(rej, mailer.ErrConflict) {
				t.Errorf("%v does not say why", rej)
			}
			if err := w.Write(rej); err != nil {
				t.Fatal(err)
			}
		}
		if e := r.Refuse(rows[0], "phone", reason).Err; e.Row != 2 || e.Column != "phone" {
			t.Errorf("a field without a column: %+v", e)
		}
		if e := r.Refuse(rows[0], "email", reason).Err; e.Column != "メールアドレス" {
			t.Errorf("a field with a column: %+v", e)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(out)
		want := "エラー行,エラー列,エラー理由,会員番号,氏名,メールアドレス,区分\r\n" +
			"3,メールアドレス,test.reason,2,鈴木,ｂ＠example.jp,\r\n" +
			"2,,test.reason,1,\"髙橋, 一\",a@example.jp,A\r\n" +
			"4,,test.reason,3,佐藤,c@example.jp,A\r\n"
		if err != nil || fromCP932(t, string(got)) != want {
			t.Errorf("errors file %q, %v", fromCP932(t, string(got)), err)
		}
	}
}
