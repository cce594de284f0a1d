package list

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"oshirase/mailer"
	"oshirase/mailer/japanese"
)

// Whatever a file holds, each of its rows is given or refused, and nothing that
// is given holds what must not be in a notice.
func FuzzReader(f *testing.F) {
	head := "会員番号,氏名,メールアドレス,区分,備考\n"
	f.Add([]byte(head + "1,山田,a@example.jp,A,x\n"))
	f.Add([]byte(head + "1,\"山\n田\",a@example.jp,A,x\n\n,,,,\n2,\"\"\"\",b@example.jp\n"))
	f.Add([]byte(toCP932(f, head+"1,髙﨑,a..b@docomo.example.jp,A+B,4111111111111111\r\n") + "2,\xF0\x40,c@example.jp,A,\r\n"))
	f.Add([]byte("email\tname\na@example.jp\t\xff\n"))
	f.Add([]byte("\ufeffemail\n\"a@example.jp\n"))
	path := filepath.Join(f.TempDir(), "fuzz.csv")
	f.Fuzz(func(t *testing.T, content []byte) {
		if strings.HasPrefix(string(content), "PK\x03\x04") {
			return // XLSX is read by a library
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := Open(path, Options{Exposures: []string{"A", "B"}, Default: []string{"B"}})
		if err != nil {
			return
		}
		defer r.Close()
		var given, refused, last int64
		for {
			row, err := r.Next()
			var rowErr *mailer.RowError
			switch {
			case err == nil:
				given++
				if row.Number <= last {
					t.Fatalf("row %d behind row %d", row.Number, last)
				}
				last = row.Number
				checkRow(t, row)
			case errors.As(err, &rowErr):
				refused++
				if rowErr.Row <= last || mailer.CodeOf(rowErr) == "" {
					t.Fatalf("refusal %+v behind row %d", rowErr, last)
				}
				last = rowErr.Row
			default:
				if n := r.Info().Rows; n != given+refused {
					t.Fatalf("%d rows: %d given, %d refused", n, given, refused)
				}
				if !errors.Is(err, io.EOF) && !errors.Is(err, mailer.ErrInvalid) {
					t.Fatalf("ended by %v", err)
				}
				return
			}
		}
	})
}

func checkRow(t *testing.T, row mailer.Row) {
	t.Helper()
	values := []string{row.CustomerID, row.Name, row.NameKana, row.Email, row.PostalCode, row.Address, row.Phone}
	for k, v := range row.Attributes {
		values = append(values, k, v)
	}
	for _, v := range values {
		if !utf8.ValidString(v) || strings.ContainsAny(v, "\r\n\x00\ufffd") || japanese.HoldsCard(v) {
			t.Fatalf("row %d holds %q", row.Number, v)
		}
	}
	if len(row.Exposures) == 0 {
		t.Fatalf("row %d has no exposure", row.Number)
	}
	if row.Email != "" {
		if _, err := mailer.ParseAddress(row.Email); err != nil {
			t.Fatalf("row %d: %v", row.Number, err)
		}
	}
}
