package list

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"oshirase/mailer"
)

// writeErrors reads a list and writes its refused rows to an errors file.
func writeErrors(t *testing.T, list, errorsFile string) (rows []mailer.Row, refused int64) {
	t.Helper()
	r, err := Open(list, anyExposure)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	w, err := NewErrorWriter(errorsFile, r, error.Error)
	if err != nil {
		t.Fatal(err)
	}
	for {
		row, err := r.Next()
		var rej *Rejected
		switch {
		case err == nil:
			rows = append(rows, row)
		case errors.As(err, &rej):
			if err := w.Write(err); err != nil {
				t.Fatal(err)
			}
		case errors.Is(err, io.EOF):
			if _, err := os.Stat(errorsFile); err == nil {
				t.Error("the errors file is there before it is closed")
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			return rows, w.Count()
		default:
			t.Fatal(err)
		}
	}
}

func TestErrorsFile(t *testing.T) {
	const eol = "\r\n"
	list := toCP932(t, "会員番号,氏名,メールアドレス,備考"+eol+
		"1,髙橋,ok@example.jp,"+eol+
		"2,\"﨑, \"\"花\"\"\",x@example,①"+eol+
		"3,佐藤,y@example.jp"+eol+
		"4,\"鈴木,z@example.jp,"+eol) +
		"5,\xF0\x40" + toCP932(t, ",v@example.jp,"+eol+
		"6,\"二"+eol+"行\",w@example.jp,"+eol)
	want := toCP932(t, "エラー行,エラー列,エラー理由,会員番号,氏名,メールアドレス,備考"+eol+
		"3,メールアドレス,list.email: address.no-dot,2,\"﨑, \"\"花\"\"\",x@example,①"+eol+
		"4,,\"list.ragged (cells=3, header=4)\",3,佐藤,y@example.jp"+eol+
		"5,氏名,list.behind-quote,4,\"\"\"鈴木\",z@example.jp,"+eol+
		"6,氏名,list.gaiji,5,") + "\xF0\x40" + toCP932(t, ",v@example.jp,"+eol+
		"7,氏名,list.line-break,6,\"二"+eol+"行\",w@example.jp,"+eol)
	path := writeList(t, "a.csv", list)
	out := filepath.Join(t.TempDir(), "errors.csv")
	rows, refused := writeErrors(t, path, out)
	if len(rows) != 1 || refused != 5 {
		t.Errorf("%d rows, %d refused", len(rows), refused)
	}
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("errors file (-want +got):\n%s", diff)
	}
	if st, err := os.Stat(out); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode of the errors file: %v, %v", st.Mode(), err)
	}

	// Imported again as it is, the same rows are refused for the same reasons, and
	// the columns of the errors file do not double.
	again := filepath.Join(t.TempDir(), "errors.csv")
	if rows, refused := writeErrors(t, out, again); len(rows) != 0 || refused != 5 {
		t.Errorf("errors file: %d rows, %d refused", len(rows), refused)
	}
	first, err := os.ReadFile(again)
	if err != nil {
		t.Fatal(err)
	}
	if head, _, _ := strings.Cut(string(first), eol); head != toCP932(t, "エラー行,エラー列,エラー理由,会員番号,氏名,メールアドレス,備考") {
		t.Errorf("header of the second errors file: %q", head)
	}

	// Mended, they are read.
	mended := strings.NewReplacer("x@example,", "x@example.jp,", "y@example.jp", "y@example.jp,", "\"\"\"", "", "鈴木\"", "鈴木",
		"二"+eol+"行", "二行").Replace(fromCP932(t, strings.ReplaceAll(string(got), "\xF0\x40", "\x8E\x52")))
	mended = strings.Replace(mended, "\"﨑, \"\"花", "\"﨑, \"\"花\"\"\"", 1)
	rows, left, _ := readAll(t, writeList(t, "mended.csv", toCP932(t, mended)), anyExposure)
	var names []string
	for _, r := range rows {
		names = append(names, r.Name)
		if len(r.Attributes) != 1 {
			t.Errorf("attributes %v", r.Attributes)
		}
	}
	if want := []string{"﨑, \"花\"", "佐藤", "鈴木", "山", "二行"}; !cmp.Equal(names, want) {
		t.Errorf("mended: %q, refused %q", names, left)
	}
}

func fromCP932(t *testing.T, s string) string {
	t.Helper()
	b, err := decodeCP932(nil, []byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestErrorsFileKeepsForm(t *testing.T) {
	for _, c := range []struct{ name, file, list, want string }{
		{"LF", "a.csv", "email\nx\n", "エラー行,エラー列,エラー理由,email\n2,email,list.email: address.no-at,x\n"},
		{"BOM", "a.csv", "\ufeffemail\r\nx\r\n", "\ufeffエラー行,エラー列,エラー理由,email\r\n2,email,list.email: address.no-at,x\r\n"},
		{"TSV", "a.tsv", "email\tname\nx\ta,b\n", "エラー行\tエラー列\tエラー理由\temail\tname\n2\temail\tlist.email: address.no-at\tx\ta,b\n"},
		{"none refused", "a.csv", "email\nx@example.jp\n", "エラー行,エラー列,エラー理由,email\n"},
	} {
		out := filepath.Join(t.TempDir(), "errors.csv")
		writeErrors(t, writeList(t, c.file, c.list), out)
		got, err := os.ReadFile(out)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %q, %v, want %q", c.name, got, err, c.want)
		}
	}
}

func TestErrorsFileAborted(t *testing.T) {
	r, err := Open(writeList(t, "a.csv", "email\nx\n"), anyExposure)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	dir := t.TempDir()
	w, err := NewErrorWriter(filepath.Join(dir, "errors.csv"), r, error.Error)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(io.ErrUnexpectedEOF); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Write of another error: %v", err)
	}
	if err := w.Abort(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Abort(), w.Close()); err != nil {
		t.Errorf("again: %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if _, err := NewErrorWriter(filepath.Join(dir, "none", "errors.csv"), r, error.Error); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing directory: %v", err)
	}
}

// TestErrorsFileHoldsNoFormulas: whoever opens it to mend it runs nothing, and what is
// imported again is what the list had.
func TestErrorsFileHoldsNoFormulas(t *testing.T) {
	text := "会員番号,メールアドレス,=cmd|x,備考\r\n" +
		"=HYPERLINK(1),bad,＝１,'=1\r\n" +
		"+8190,bad,' @x,-\r\n" +
		"'12,bad,''+1,a=b\r\n"
	for name, list := range map[string]string{"utf-8": text, "cp932": toCP932(t, text)} {
		path := writeList(t, "a.csv", list)
		out, again := filepath.Join(t.TempDir(), "errors.csv"), filepath.Join(t.TempDir(), "again.csv")
		writeErrors(t, path, out)
		r, err := Open(out, Options{})
		if err != nil {
			t.Fatal(err)
		}
		rec, err := r.src.next()
		for ; err == nil; rec, err = r.src.next() {
			for _, f := range rec.fields {
				if formula(f, r.decoder()) && f[0] != '\'' {
					t.Errorf("%s: %q may be a formula", name, f)
				}
			}
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		// Mended, it holds what the list held.
		b, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		mended := writeList(t, "mended.csv", strings.ReplaceAll(string(b), ",bad,", ",a@example.jp,"))
		rows, refused, _ := readAll(t, mended, anyExposure)
		var got []string
		for _, row := range rows {
			got = append(got, row.CustomerID+"|"+row.Attributes["=cmd|x"]+"|"+row.Attributes["備考"])
		}
		if want := []string{"=HYPERLINK(1)|＝１|'=1", "+8190|' @x|-", "'12|''+1|a=b"}; !cmp.Equal(want, got) || len(refused) > 0 {
			t.Errorf("%s: read back %q, refused %q", name, got, refused)
		}
		writeErrors(t, out, again)
		if c, err := os.ReadFile(again); err != nil || strings.Count(string(c), "''") != strings.Count(string(b), "''") {
			t.Errorf("%s: apostrophes grow: %q, %v", name, c, err)
		}
	}
}
