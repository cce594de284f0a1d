package list

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding/japanese"

	"oshirase/mailer"
)

// toCP932 encodes text that CP932 can hold.
func toCP932(t testing.TB, s string) string {
	t.Helper()
	b, err := japanese.ShiftJIS.NewEncoder().String(s)
	if err != nil {
		t.Fatalf("%q in CP932: %v", s, err)
	}
	return b
}

func writeList(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

var anyExposure = Options{Exposures: []string{"A", "B1", "B2", "C"}, Default: []string{"A"}}

// readAll reads a list to its end; refused rows are given as "row|column|reason", the
// reason as code and arguments.
func readAll(t testing.TB, path string, opt Options) (rows []mailer.Row, refused []string, info mailer.ListInfo) {
	t.Helper()
	r, err := Open(path, opt)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for {
		row, err := r.Next()
		var rowErr *mailer.RowError
		switch {
		case err == nil:
			rows = append(rows, row)
		case errors.As(err, &rowErr):
			refused = append(refused, fmt.Sprintf("%d|%s|%s", rowErr.Row, rowErr.Column, rowErr.Err))
		case errors.Is(err, io.EOF):
			if n := int64(len(rows) + len(refused)); r.Info().Rows != n {
				t.Errorf("Info().Rows = %d, %d rows were given", r.Info().Rows, n)
			}
			return rows, refused, r.Info()
		default:
			t.Fatal(err)
		}
	}
}

func TestReadsEncodings(t *testing.T) {
	const text = "会員番号,氏名,フリガナ,メールアドレス,郵便番号,住所,電話番号,漏えい区分,備考\r\n" +
		"10001,髙橋 﨑子,タカハシ サキコ,taro@example.jp,1500001,東京都渋谷区①－２,０３－1234－5678,B1 A,㈱みなと\r\n" +
		"　10002　,\"鈴木, 一郎\",ｽｽﾞｷ,ｈａｎａ＠ｅｘａｍｐｌｅ．ｊｐ,150-0002,,,b1,\r\n"
	want := []mailer.Row{
		{Number: 2, Person: mailer.Person{
			CustomerID: "10001", Name: "髙橋 﨑子", NameKana: "タカハシ サキコ", Email: "taro@example.jp", PostalCode: "150-0001",
			Address: "東京都渋谷区①－２", Phone: "03-1234-5678", Attributes: map[string]string{"備考": "㈱みなと"},
		}, Exposures: []string{"A", "B1"}},
		{Number: 3, Person: mailer.Person{
			CustomerID: "10002", Name: "鈴木, 一郎", NameKana: "ｽｽﾞｷ", Email: "hana@example.jp", PostalCode: "150-0002",
			Attributes: map[string]string{"備考": ""},
		}, Exposures: []string{"A", "B1"}},
	}
	lf := strings.ReplaceAll(text, "\r\n", "\n")
	for _, c := range []struct{ name, file, content, option, encoding string }{
		{"cp932", "a.csv", toCP932(t, text), "", CP932},
		{"cp932 said", "a.csv", toCP932(t, text), CP932, CP932},
		{"utf-8", "a.csv", text, Auto, UTF8},
		{"utf-8 said", "a.csv", text, UTF8, UTF8},
		{"utf-8 with BOM", "a.csv", "\ufeff" + text, "", UTF8},
		{"utf-8 with BOM, said", "a.csv", "\ufeff" + text, UTF8, UTF8},
		{"LF", "a.csv", lf, "", UTF8},
		{"no line end behind the last row", "a.csv", strings.TrimSuffix(text, "\r\n"), "", UTF8},
		{"Ctrl-Z", "a.csv", toCP932(t, text) + "\x1A", "", CP932},
		{"blank lines before", "a.csv", "\ufeff" + text + "\r\n,,,,,,,,\r\n　,,　,,,,,,\r\n", "", UTF8},
	} {
		t.Run(c.name, func(t *testing.T) {
			opt := anyExposure
			opt.Encoding = c.option
			path := writeList(t, c.file, c.content)
			rows, refused, info := readAll(t, path, opt)
			if diff := cmp.Diff(want, rows); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
			if len(refused) > 0 {
				t.Errorf("refused: %v", refused)
			}
			sum := sha256.Sum256([]byte(c.content))
			wantInfo := mailer.ListInfo{Name: c.file, SHA256: hex.EncodeToString(sum[:]), Encoding: c.encoding, Rows: 2}
			if info != wantInfo {
				t.Errorf("info %+v, want %+v", info, wantInfo)
			}
		})
	}
}

func TestReadsTSV(t *testing.T) {
	const text = "customer_id\tname\temail\n1\tA, B\ta@example.jp\n2\t\"C\tD\"\tb@example.jp\n"
	for _, name := range []string{"a.tsv", "a.txt", "a.csv"} {
		rows, refused, _ := readAll(t, writeList(t, name, text), anyExposure)
		if len(rows) != 1 || rows[0].Name != "A, B" {
			t.Errorf("%s: rows %v", name, rows)
		}
		if want := []string{"3|name|list.control"}; !cmp.Equal(refused, want) {
			t.Errorf("%s: refused %v, want %v", name, refused, want)
		}
	}
}

func TestRareNamesSurvive(t *testing.T) {
	names := []string{"髙﨑", "𠮷田", "葛\U000E0100城", "㈱①", "邉邊", "纊褜鍈"}
	for _, enc := range []string{UTF8, CP932} {
		content := "customer_id,name\n"
		var want []string
		for i, n := range names {
			if enc == CP932 {
				b, err := japanese.ShiftJIS.NewEncoder().String(n)
				if err != nil {
					continue
				}
				n = b
			}
			content += fmt.Sprintf("%d,%s\n", i, n)
			want = append(want, names[i])
		}
		rows, refused, _ := readAll(t, writeList(t, "a.csv", content), anyExposure)
		var got []string
		for _, r := range rows {
			got = append(got, r.Name)
		}
		if !cmp.Equal(got, want) || len(refused) > 0 || len(want) < 4 {
			t.Errorf("%s: names %q, want %q; refused %v", enc, got, want, refused)
		}
	}
}

func TestRefusedRows(t *testing.T) {
	head := "customer_id,name,email,postal_code,address,phone,exposure,memo\n"
	for _, c := range []struct{ row, want string }{
		{"1,a,a@example.jp,,,,A", "2||list.ragged (cells=7, header=8)"},
		{"1,a,a@example.jp,,,,A,,", "2||list.ragged (cells=9, header=8)"},
		{strings.TrimSuffix(head, "\n"), "2||list.header-again"},
		{"1,\"a\nb\",a@example.jp,,,,A,", "2|name|list.line-break"},
		{"1,\"a\r\nb\",a@example.jp,,,,A,", "2|name|list.line-break"},
		{"1,a\rb,a@example.jp,,,,A,", "2|name|list.line-break"},
		{"1,a\u2028b,a@example.jp,,,,A,", "2|name|list.line-break"},
		{"1,a\x07b,a@example.jp,,,,A,", "2|name|list.control"},
		{"1,a\x1bb,a@example.jp,,,,A,", "2|name|list.control"},
		{"1,a\u009bb,a@example.jp,,,,A,", "2|name|list.control"},
		{"1,a\u200bb,a@example.jp,,,,A,", "2|name|list.invisible"},
		{"1,a\u202eb,a@example.jp,,,,A,", "2|name|list.invisible"},
		{"1,a\ufffdb,a@example.jp,,,,A,", "2|name|list.replaced"},
		{"1,a\ue000b,a@example.jp,,,,A,", "2|name|list.gaiji"},
		{"1,a\U000F0000b,a@example.jp,,,,A,", "2|name|list.gaiji"},
		{"1,a\uffffb,a@example.jp,,,,A,", "2|name|list.no-character"},
		{"1,a,\"a@example.jp,b@example.jp\",,,,A,", "2|email|list.many-addresses"},
		{"1,a,a@example.jp;b@example.jp,,,,A,", "2|email|list.many-addresses"},
		{"1,a,a@example.jp b@example.jp,,,,A,", "2|email|list.many-addresses"},
		{"1,a,a@example.jp　b@example.jp,,,,A,", "2|email|list.many-addresses"},
		{"1,a,a@example.jp、b@example.jp,,,,A,", "2|email|list.many-addresses"},
		{"1,a,a@example.jp/b@example.jp,,,,A,", "2|email|list.many-addresses"},
		{"1,a,太郎@example.jp,,,,A,", "2|email|list.email: address.local-ascii"},
		{"1,a,a@example,,,,A,", "2|email|list.email: address.no-dot"},
		{"1,a,なし,,,,A,", "2|email|list.email: address.local-ascii"},
		{"1,a,a@example.jp,,,,Z9,", "2|exposure|list.exposure"},
		{"1,a,a@example.jp,,,,A Z9,", "2|exposure|list.exposure"},
		{"1,a,a@example.jp,,,,,", "2|exposure|list.no-exposure"},
		{",a,,,,03-1234-5678,A,", "2||list.nobody"},
		{"1," + strings.Repeat("あ", 1001) + ",a@example.jp,,,,A,", "2|name|list.long (max=1000)"},
		{"4111111111111111,a,a@example.jp,,,,A,", "2|customer_id|list.card"},
		{"1,a,a@example.jp,,,,A,カード 4111-1111-1111-1111", "2|memo|list.card"},
		{"1,#N/A,a@example.jp,,,,A,", "2|name|list.formula"},
		{"1,NULL,a@example.jp,,,,A,", "2|name|list.null"},
		{"1.23457E+15,a,a@example.jp,,,,A,", "2|customer_id|list.scientific"},
		{"1,b@example.jp,a@example.jp,,,,A,", "2|name|list.email-as-name"},
		{"1,a,a@example.jp,東京都,,,A,", "2|postal_code|list.postal-code"},
		{"1,a,a@example.jp,,,b@example.jp,A,", "2|phone|list.phone"},
		{"1,\"a\"b,a@example.jp,,,,A,", "2|name|list.behind-quote"},
		{"1,a\"b,a@example.jp,,,,A,", "2|name|list.inside-quote"},
		{"1,\"a,a@example.jp,,,,A,", "2|name|list.behind-quote"}, // closed by a quote of the row behind it
		{"\xff\xfe,a,a@example.jp,,,,A,", "2|customer_id|list.not-utf8"},
	} {
		good := "9,\"良\",good@example.jp,,,,A,\n"
		opt := Options{Encoding: UTF8, Exposures: []string{"A", "B"}}
		rows, refused, _ := readAll(t, writeList(t, "a.csv", head+c.row+"\n"+good), opt)
		if len(refused) != 1 || refused[0] != c.want {
			t.Errorf("%q:\nrefused %q\nwant    %q", c.row, refused, c.want)
		}
		if len(rows) != 1 || rows[0].Name != "良" {
			t.Errorf("%q: the good row behind it was not read: %v", c.row, rows)
		}
	}
}

func TestRefusedInCP932(t *testing.T) {
	head := toCP932(t, "会員番号,氏名,メールアドレス\r\n")
	for _, c := range []struct {
		name   string
		reason error
	}{
		{"\xF0\x40", errGaiji},
		{"\xF9\xFC", errGaiji},
		{"\x85\x40", errGaiji},
		{"\x80", errGaiji},
		{"\xA0", errGaiji},
		{"\xFD", errGaiji},
		{"\xFF", errGaiji},
		{"\x8E\x52\x8E", errNotCP932}, // 山, and half a character
		{"\x81\x20", errNotCP932},
		{"\x81\x7F", errNotCP932},
		{"\x8E\x52\x07", errControl},
	} {
		content := head + "1," + c.name + ",a@example.jp\r\n2," + toCP932(t, "表示ソ能") + ",b@example.jp\r\n"
		rows, refused, info := readAll(t, writeList(t, "a.csv", content), anyExposure)
		if want := []string{"2|氏名|" + c.reason.Error()}; !cmp.Equal(refused, want) || info.Encoding != CP932 {
			t.Errorf("% x: refused %q, want %q (%s)", c.name, refused, want, info.Encoding)
		}
		if len(rows) != 1 || rows[0].Name != "表示ソ能" || rows[0].Number != 3 {
			t.Errorf("% x: rows %v", c.name, rows)
		}
	}
}

func TestAccepted(t *testing.T) {
	head := "customer_id,name,email,postal_code,address,phone,exposure,memo\n"
	for _, c := range []struct {
		row  string
		want mailer.Row
	}{
		{"1,,a..b@docomo.example.jp,,,,B,", mailer.Row{Person: mailer.Person{CustomerID: "1", Email: "a..b@docomo.example.jp"}, Exposures: []string{"B"}}},
		{`1,,"""a..b""@docomo.example.jp",,,,B,`, mailer.Row{Person: mailer.Person{CustomerID: "1", Email: `"a..b"@docomo.example.jp`}, Exposures: []string{"B"}}},
		{"1,,Taro@Example.JP,,,,B、A・B,", mailer.Row{Person: mailer.Person{CustomerID: "1", Email: "Taro@Example.JP"}, Exposures: []string{"A", "B"}}},
		{"1,,,600000,,,Ａ＋ｂ,", mailer.Row{Person: mailer.Person{CustomerID: "1", PostalCode: "600000"}, Exposures: []string{"A", "B"}}},
		{",山田,,〒１５０－０００１,東京都,,A/B;A,", mailer.Row{Person: mailer.Person{Name: "山田", PostalCode: "150-0001", Address: "東京都"}, Exposures: []string{"A", "B"}}},
		{"1,,,SW1A 1AA,London,+44 20 0000 0000,A,", mailer.Row{Person: mailer.Person{CustomerID: "1", PostalCode: "SW1A 1AA", Address: "London", Phone: "+44 20 0000 0000"}, Exposures: []string{"A"}}},
		{"20211014123456,,,,,,A,", mailer.Row{Person: mailer.Person{CustomerID: "20211014123456"}, Exposures: []string{"A"}}},
	} {
		rows, refused, _ := readAll(t, writeList(t, "a.csv", head+c.row+"\n"), Options{Exposures: []string{"A", "B"}})
		c.want.Number, c.want.Attributes = 2, map[string]string{"memo": ""}
		if len(rows) != 1 || !cmp.Equal(rows[0], c.want) {
			t.Errorf("%q: %+v, refused %q, want %+v", c.row, rows, refused, c.want)
		}
	}
}

func TestExposures(t *testing.T) {
	e, err := newExposureReader([]string{"A", "B/C", "B", "カード"}, []string{"カード"})
	if err != nil {
		t.Fatal(err)
	}
	for cell, want := range map[string][]string{
		"": {"カード"}, "b": {"B", "カード"}, "B/C": {"B/C", "カード"}, "Ｂ、ａ": {"A", "B", "カード"}, "ｶｰﾄﾞ A;A": {"A", "カード"},
	} {
		for range 2 { // the second time from memory
			if got, reason := e.read(cell); !cmp.Equal(got, want) || reason != nil {
				t.Errorf("%q: %v, %v, want %v", cell, got, reason, want)
			}
		}
	}
	if got, reason := e.read("A Z"); got != nil || !errors.Is(reason, errExposure) {
		t.Errorf("A Z: %v, %v", got, reason)
	}
	free, err := newExposureReader(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, reason := free.read("x, y x"); !cmp.Equal(got, []string{"x", "y"}) || reason != nil {
		t.Errorf("without an incident: %v, %v", got, reason)
	}
	if _, reason := free.read(""); !errors.Is(reason, errNoExposure) {
		t.Errorf("without an incident and a default: %v", reason)
	}
}

func TestOpenRefuses(t *testing.T) {
	const good = "email\na@example.jp\n"
	utf16 := "\xFF\xFEe\x00m\x00"
	for _, c := range []struct {
		name, file, content string
		opt                 Options
		want                mailer.Code
	}{
		{"empty", "a.csv", "", Options{}, "list.empty"},
		{"blank", "a.csv", "\r\n\r\n,,\r\n", Options{}, "list.blank"},
		{"no header", "a.csv", "1,山田,a@example.jp\n2,佐藤,b@example.jp\n", Options{}, "list.data-as-header"},
		{"unknown header", "a.csv", "foo,bar\n1,2\n", Options{}, "list.no-person-column"},
		{"nobody to tell", "a.csv", "name,phone\na,1\n", Options{}, "list.no-person-column"},
		{"two columns", "a.csv", "email,メールアドレス\n", Options{}, "list.two-columns"},
		{"header twice", "a.csv", "email,x,x\n", Options{}, "list.header-twice"},
		{"unknown field", "a.csv", good, Options{Columns: map[string]string{"mail": "email"}}, "list.field"},
		{"absent header", "a.csv", good, Options{Columns: map[string]string{"name": "foo"}}, "list.column"},
		{"column twice", "a.csv", good, Options{Columns: map[string]string{"email": "email", "name": "email"}}, "list.column-taken"},
		{"utf-16", "a.csv", utf16, Options{}, "list.utf16"},
		{"utf-16 without mark", "a.csv", "e\x00m\x00", Options{}, "list.binary"},
		{"binary", "a.csv", good + "\x00", Options{}, "list.binary"},
		{"old Excel", "a.xls", "\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", Options{}, "list.old-excel"},
		{"pdf", "a.csv", "%PDF-1.7", Options{}, "list.pdf"},
		{"broken xlsx", "a.xlsx", "PK\x03\x04rubbish", Options{}, "list.workbook"},
		{"CR alone", "a.csv", "email,name\ra@example.jp,b\r", Options{}, "list.cr"},
		{"huge line", "a.csv", "email\n" + strings.Repeat("a", 3<<20), Options{}, "list.huge-row"},
		{"JIS", "a.csv", "email,\x1b$B;aL>\x1b(B\n", Options{Encoding: Auto}, "list.jis"},
		{"JIS rows", "a.csv", "email,name\na@example.jp,\x1b$B;3ED\x1b(B\n", Options{}, "list.jis"},
		{"EUC-JP", "a.csv", "email,name\na@example.jp,\xbb\xb3\xc5\xc4\n", Options{}, "list.euc"},
		{"neither", "a.csv", "email,name\na@example.jp,\x81\x20\n", Options{}, "list.no-text"},
		{"encoding", "a.csv", good, Options{Encoding: "sjis"}, "list.encoding"},
		{"BOM and cp932", "a.csv", "\ufeff" + good, Options{Encoding: CP932}, "list.bom"},
		{"header in other encoding", "a.csv", toCP932(t, "会員番号,メールアドレス\n1,a@example.jp\n"), Options{Encoding: UTF8}, "list.header"},
		{"unknown default", "a.csv", good, Options{Exposures: []string{"A"}, Default: []string{"Q"}}, "list.default-exposure"},
		{"threshold", "a.csv", good, Options{ShiftThreshold: 1.5}, "list.threshold"},
		{"malformed header", "a.csv", "\"email\"x\n", Options{}, "list.header-row"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := Open(writeList(t, c.file, c.content), c.opt)
			if err == nil {
				r.Close()
				t.Fatalf("opened; want %s", c.want)
			}
			if !errors.Is(err, mailer.ErrInvalid) || mailer.CodeOf(err) != c.want {
				t.Errorf("error %v, want ErrInvalid with %s", err, c.want)
			}
		})
	}
	if _, err := Open(t.TempDir(), Options{}); !errors.Is(err, mailer.ErrInvalid) {
		t.Errorf("directory: %v", err)
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none.csv"), Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

func TestHeaderOnly(t *testing.T) {
	r, err := Open(writeList(t, "a.csv", "email\n\n"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for range 2 {
		if _, err := r.Next(); !errors.Is(err, mailer.ErrInvalid) || mailer.CodeOf(err) != "list.no-rows" {
			t.Errorf("Next: %v", err)
		}
	}
}

func TestHugeRowIsFinal(t *testing.T) {
	r, err := Open(writeList(t, "a.csv", "email\na@example.jp\n"+strings.Repeat("x", maxRecord+1)+"\nb@example.jp\n"), anyExposure)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := r.Next(); !errors.Is(err, mailer.ErrInvalid) || !errors.Is(err, errHugeRow) {
			t.Errorf("Next: %v", err)
		}
	}
}

func TestMostlyUTF8StaysUTF8(t *testing.T) {
	content := "会員番号,氏名\n1,山田\n2,\xff佐\n3,鈴木\n"
	rows, refused, info := readAll(t, writeList(t, "a.csv", content), anyExposure)
	if info.Encoding != UTF8 || len(rows) != 2 || len(refused) != 1 || !strings.HasPrefix(refused[0], "3|氏名|") {
		t.Errorf("encoding %s, rows %v, refused %v", info.Encoding, rows, refused)
	}
}

func TestHeaders(t *testing.T) {
	for _, c := range []struct {
		header  string
		columns map[string]string
		want    map[string]string
	}{
		{"顧客番号,お名前,ふりがな,Ｅ－ｍａｉｌ,〒,ご住所,ＴＥＬ,区分", nil, map[string]string{
			"顧客番号": "customer_id", "お名前": "name", "ふりがな": "name_kana", "Ｅ－ｍａｉｌ": "email", "〒": "postal_code",
			"ご住所": "address", "ＴＥＬ": "phone", "区分": "exposure",
		}},
		{"Customer ID,NAME,Name (Kana),E-Mail,Postal-Code,Address,Phone,Exposure", nil, map[string]string{
			"Customer ID": "customer_id", "NAME": "name", "Name (Kana)": "name_kana", "E-Mail": "email", "Postal-Code": "postal_code",
			"Address": "address", "Phone": "phone", "Exposure": "exposure",
		}},
		{"お客様番号,名前,ｶﾅ,Eメール,備考", nil, map[string]string{"お客様番号": "customer_id", "名前": "name", "ｶﾅ": "name_kana", "Eメール": "email"}},
		{"ID,連絡先,氏名", map[string]string{"email": "連絡先", "customer_id": "ｉｄ"}, map[string]string{"ID": "customer_id", "連絡先": "email", "氏名": "name"}},
		{"メール,メールアドレス,氏名", map[string]string{"email": "メール"}, map[string]string{"メール": "email", "氏名": "name"}},
		{"顧客ID,姓,名,セイ,メイ,住所1,住所2", nil, map[string]string{
			"顧客ID": "customer_id", "姓": "name", "名": "name", "セイ": "name_kana", "メイ": "name_kana", "住所1": "address", "住所2": "address",
		}},
		{"顧客ID,氏名,姓,名", nil, map[string]string{"顧客ID": "customer_id", "氏名": "name"}},
		{"エラー行,エラー列,エラー理由,顧客ID", nil, map[string]string{"顧客ID": "customer_id"}},
	} {
		r, err := Open(writeList(t, "a.csv", c.header+"\n"), Options{Columns: c.columns})
		if err != nil {
			t.Errorf("%s: %v", c.header, err)
			continue
		}
		if diff := cmp.Diff(c.want, r.Mapping()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.header, diff)
		}
		r.Close()
	}
}

func TestJoinedColumns(t *testing.T) {
	content := "顧客ID,名,姓,メイ,セイ,都道府県,市区町村,番地,建物名\n1,太郎,山田,タロウ,ヤマダ,東京都,千代田区,1-2-3,みなとビル\n2,,佐藤,,,東京都,,,\n"
	rows, refused, _ := readAll(t, writeList(t, "a.csv", content), anyExposure)
	if len(rows) != 2 || len(refused) > 0 {
		t.Fatalf("rows %v, refused %v", rows, refused)
	}
	want := mailer.Person{CustomerID: "1", Name: "山田 太郎", NameKana: "ヤマダ タロウ", Address: "東京都千代田区1-2-3　みなとビル"}
	if diff := cmp.Diff(want, rows[0].Person); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if rows[1].Name != "佐藤" || rows[1].Address != "東京都" {
		t.Errorf("%+v", rows[1])
	}
}

func TestProgress(t *testing.T) {
	var b strings.Builder
	b.WriteString("customer_id,memo\n")
	for i := range 20000 {
		fmt.Fprintf(&b, "%d,%s\n", i, strings.Repeat("x", 50))
	}
	r, err := Open(writeList(t, "a.csv", b.String()), anyExposure)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	read, total := r.Progress()
	if total != int64(b.Len()) || read > firstBuffer {
		t.Errorf("progress at the start: %d of %d", read, total)
	}
	for err == nil {
		_, err = r.Next()
	}
	if read, total := r.Progress(); read != total {
		t.Errorf("progress at the end: %d of %d", read, total)
	}
}
