package list

import (
	"encoding/csv"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// scan reads all records; a malformed one is given as its reason alone.
func scan(t testing.TB, r io.Reader, delim byte) (records [][]string) {
	t.Helper()
	s := newScanner(r, delim)
	for n := int64(1); ; n++ {
		rec, err := s.next()
		if errors.Is(err, io.EOF) {
			return records
		}
		if err != nil {
			t.Fatal(err)
		}
		if rec.number != n {
			t.Fatalf("record %d has the number %d", n, rec.number)
		}
		var fields []string
		for _, f := range rec.fields {
			fields = append(fields, string(f))
		}
		if rec.bad != nil {
			fields = []string{"bad: " + rec.bad.Error()}
		}
		records = append(records, fields)
	}
}

func TestScanner(t *testing.T) {
	bad := func(reason error) []string { return []string{"bad: " + reason.Error()} }
	for _, c := range []struct {
		in   string
		want [][]string
	}{
		{"", nil},
		{"a", [][]string{{"a"}}},
		{"a,b\nc,d\n", [][]string{{"a", "b"}, {"c", "d"}}},
		{"a,b\r\nc,d\r\n", [][]string{{"a", "b"}, {"c", "d"}}},
		{"a,\n,b", [][]string{{"a", ""}, {"", "b"}}},
		{"\n\na\n", [][]string{{""}, {""}, {"a"}}},
		{`"a","b"`, [][]string{{"a", "b"}}},
		{`"a,b",c` + "\r\n", [][]string{{"a,b", "c"}}},
		{`"a""b","""",""`, [][]string{{`a"b`, `"`, ""}}},
		{"\"a\nb\",c\nd,e", [][]string{{"a\nb", "c"}, {"d", "e"}}},
		{"\"a\r\nb\"\r\nd", [][]string{{"a\r\nb"}, {"d"}}},
		{`"a"` + "\r", [][]string{{"a"}}},
		{"a\rb,c\n", [][]string{{"a\rb", "c"}}},
		{"\"a\"b,c\nd,e\n", [][]string{bad(badBehind), {"d", "e"}}},
		{"a\"b,c\nd,e\n", [][]string{bad(badInside), {"d", "e"}}},
		{"\"a,c\nd,e\nf,g\n", [][]string{bad(badOpen), {"d", "e"}, {"f", "g"}}},
		{"\"a,c\nd,e\n\"f\",g\n", [][]string{bad(badBehind), {"d", "e"}, {"f", "g"}}},
		{`a,"` + "\n" + `b,"`, [][]string{{"a", "\nb,"}}},
		{`"`, [][]string{bad(badOpen)}},
		{"\"a\"\rb\n", [][]string{bad(badBehind)}},
		{"a,b\n\x1A", [][]string{{"a", "b"}}},
		{"\"" + strings.Repeat("x\n", maxBreaks+1) + "\"", append([][]string{bad(badOpen)},
			append(slicesRepeat([]string{"x"}, maxBreaks), bad(badOpen))...)},
	} {
		for name, r := range map[string]io.Reader{
			"whole":  strings.NewReader(c.in),
			"single": iotest.OneByteReader(strings.NewReader(c.in)),
			"eof":    iotest.DataErrReader(strings.NewReader(c.in)),
		} {
			if diff := cmp.Diff(c.want, scan(t, r, ',')); diff != "" {
				t.Errorf("%s: %q (-want +got):\n%s", name, c.in, diff)
			}
		}
	}
}

func slicesRepeat(rec []string, n int) (out [][]string) {
	for range n {
		out = append(out, rec)
	}
	return out
}

func TestScannerLongRows(t *testing.T) {
	long := strings.Repeat("あ", 100_000) // longer than the buffer
	want := [][]string{{"a", long}, {long, `"`}, {"b"}}
	got := scan(t, strings.NewReader("a,"+long+"\n\""+long+"\",\"\"\"\"\nb\n"), ',')
	if !cmp.Equal(got, want) {
		t.Errorf("%d records", len(got))
	}
	s := newScanner(iotest.TimeoutReader(strings.NewReader(strings.Repeat("a,b\n", firstBuffer))), ',')
	var err error
	for err == nil {
		_, err = s.next()
	}
	if !errors.Is(err, iotest.ErrTimeout) {
		t.Errorf("read error: %v", err)
	}
}

func TestSniffDelimiter(t *testing.T) {
	for _, c := range []struct {
		ext, header string
		want        byte
	}{
		{".csv", "a,b", ','},
		{".csv", "a\tb", '\t'},
		{".csv", "a", ','},
		{".csv", "a,b\tc\td", ','},
		{".tsv", "a\tb", '\t'},
		{".tsv", "a", '\t'},
		{".tsv", "a,b", ','},
		{".tsv", "a,b,c\td", '\t'},
		{".txt", "a,b", ','},
		{".txt", "a\tb,c\td", '\t'},
		{"", "", ','},
	} {
		if got := sniffDelimiter(c.ext, c.header); got != c.want {
			t.Errorf("%s %q: %q", c.ext, c.header, got)
		}
	}
}

// What encoding/csv reads without complaint, the scanner reads alike.
func FuzzScanner(f *testing.F) {
	for _, s := range []string{
		"a,b\nc,d\n", "\"a\"\"b\",c\r\n", "\"a\nb\",c", "\"a", "a\"b", "\"a\"b\nc", ",\n\n,", "\r\n", "\"\"", "\x1A", "a\r\rb\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 4096 { // byte by byte, a record is parsed again for each
			return
		}
		got := scan(t, strings.NewReader(s), ',')
		if small := scan(t, iotest.OneByteReader(strings.NewReader(s)), ','); !cmp.Equal(got, small) {
			t.Fatalf("%q: %q byte by byte, %q at once", s, small, got)
		}
		for _, rec := range got {
			if len(rec) == 0 {
				t.Fatalf("%q: a record without fields", s)
			}
			if strings.HasPrefix(rec[0], "bad: ") {
				return
			}
		}
		if strings.ContainsAny(s, "\r\x1A") { // encoding/csv drops CR in values, and knows no Ctrl-Z
			return
		}
		r := csv.NewReader(strings.NewReader(s))
		r.FieldsPerRecord = -1
		want, err := r.ReadAll()
		if err != nil {
			t.Fatalf("%q: read as %q, encoding/csv says %v", s, got, err)
		}
		var full [][]string
		for i, rec := range got {
			// encoding/csv passes over empty lines, but for quoted empty values.
			if len(rec) == 1 && rec[0] == "" && (len(full) >= len(want) || !cmp.Equal(rec, want[len(full)])) {
				continue
			}
			full = append(full, got[i])
		}
		if !cmp.Equal(full, want) {
			t.Fatalf("%q: %q, encoding/csv reads %q", s, full, want)
		}
	})
}
