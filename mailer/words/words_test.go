package words

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"testing"
	"time"

	"oshirase/mailer"
)

func TestError(t *testing.T) {
	noDot := mailer.Invalid("address.no-dot")
	key := mailer.Invalid("config.small", "value", 0, "least", 1)
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"nothing", nil, ""},
		{"foreign", io.ErrUnexpectedEOF, "unexpected EOF"},
		{"plain", noDot, "domain has no dot"},
		{"argument", mailer.Invalid("address.long", "max", 254), "address longer than 254 characters"},
		{"quoted", mailer.Invalid("window.hours", "key", "window.hours", "hours", "9\n-17"), `window "9\n-17": use always or HH:MM-HH:MM`},
		{"quoted rune", mailer.Invalid("address.local-character", "character", ':'), "character ':' in the local part"},
		{"list", mailer.Invalid("templates.no-part", "merchant", "m", "part", "x", "parts", []string{"a", "b"}), `merchant m: there is no part "x"; the parts are a, b`},
		{"absent argument", mailer.Invalid("address.long"), "address longer than ? characters"},
		{"date", mailer.Invalid("facts.attack-order", "to", mailer.Date{Year: 2021, Month: time.May, Day: 1}, "from", mailer.Date{Year: 2022, Month: 1, Day: 2}), "attack_to 2021-05-01 is before attack_from 2022-01-02"},
		{"cause in its place", mailer.Invalid("list.workbook", "cause", io.ErrUnexpectedEOF), "not a workbook that can be read (unexpected EOF): save it as .xlsx or as CSV"},
		{"cause with a code", mailer.Invalid("list.email", "cause", noDot), "e-mail address: domain has no dot"},
		{"cause behind", mailer.Invalid("address.blank", "cause", noDot), "blank in address: domain has no dot"},
		{"wrapped", fmt.Errorf("list a.csv: %w", fmt.Errorf("sheet %q: %w", "1", noDot)), `list a.csv: sheet "1": domain has no dot`},
		{"wrapped foreign", fmt.Errorf("open list: %w", os.ErrNotExist), "open list: file does not exist"},
		{"joined", errors.Join(fmt.Errorf("a: %w", noDot), noDot, io.EOF, key), "a: domain has no dot\ndomain has no dot\nEOF\n0 is too small"},
		{"two in one", fmt.Errorf("%w, and %w", noDot, key), "domain has no dot, and 0 is too small"},
		{"row", &mailer.RowError{Row: 3, Column: "address.no-dot", Err: mailer.Invalid("list.email", "cause", noDot)}, "row 3, column address.no-dot: e-mail address: domain has no dot"},
		{"unknown code", mailer.Invalid("test.unknown", "a", 1), "test.unknown (a=1)"},
		{"kind", fmt.Errorf("incident: %w", mailer.ErrNotFound), "incident: not found"},
	} {
		if got := Error(c.err); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestHints(t *testing.T) {
	small := mailer.Invalid("config.small", "value", 0, "least", 1)
	for _, c := range []struct {
		name string
		err  error
		want []string
	}{
		{"nothing", nil, nil},
		{"foreign", io.EOF, nil},
		{"none for it", mailer.Invalid("address.no-dot"), nil},
		{"argument", fmt.Errorf("load: %w", small), []string{"write 1 or more"}},
		{"one or another", mailer.Invalid("config.word", "word", "x", "allowed", []string{"a", "b", "c"}), []string{"use a or b or c"}},
		{"none twice", errors.Join(small, io.EOF, small, mailer.Invalid("config.no-relay")), []string{"write 1 or more", "add a [[relay]] with name and address"}},
		{"the outer one stands", mailer.Invalid("config.facts", "cause", small), []string{"mend the file and apply again"}},
		{"the inner one where the outer has none", mailer.Invalid("list.email", "cause", small), []string{"write 1 or more"}},
	} {
		if got := Hints(c.err); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
