package list

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"oshirase/mailer"
	"oshirase/mailer/japanese"
)

// Why a value is refused, as far as nothing of it has to be told.
var (
	errManyAddresses = mailer.Invalid("list.many-addresses")
	errPostalCode    = mailer.Invalid("list.postal-code")
	errPhone         = mailer.Invalid("list.phone")
	errExposure      = mailer.Invalid("list.exposure")
	errNoExposure    = mailer.Invalid("list.no-exposure")
)

// readEmail checks an address; full-width ASCII is folded, everything else stays
// as it was written.
func readEmail(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	if !ascii(s) {
		s = strings.Map(narrow, s)
	}
	if _, err := mailer.ParseAddress(s); err != nil {
		if strings.Count(s, "@") > 1 && strings.ContainsAny(s, ",;、，；/|・ \t") {
			return "", errManyAddresses
		}
		return "", mailer.Invalid("list.email", "cause", err)
	}
	return s, nil
}

func ascii(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// narrow maps full-width ASCII to ASCII.
func narrow(r rune) rune {
	switch {
	case r >= '！' && r <= '～':
		return r - '！' + '!'
	case r == '　':
		return ' '
	}
	return r
}

// readPostalCode writes seven digits as 123-4567. Anything else is kept as it is
// (foreign codes; a leading zero that a spreadsheet dropped is not guessed),
// unless it cannot be a postal code at all.
func readPostalCode(s string) (string, error) {
	if s == "" || len(s) == 8 && s[3] == '-' && strings.Trim(s[:3]+s[4:], "0123456789") == "" {
		return s, nil
	}
	n := strings.TrimSpace(strings.TrimPrefix(norm.NFKC.String(s), "〒"))
	var digits []byte
	for _, r := range n {
		switch {
		case r >= '0' && r <= '9':
			digits = append(digits, byte(r))
		case r == ' ' || japanese.IsDash(r):
		case r == '@' || unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana):
			return "", errPostalCode
		default:
			if len(n) > 12 {
				return "", errPostalCode
			}
			return s, nil
		}
	}
	switch {
	case len(digits) == 7:
		return string(digits[:3]) + "-" + string(digits[3:]), nil
	case len(digits) > 10 || len(digits) == 0:
		return "", errPostalCode
	}
	return s, nil
}

// readPhone folds full-width digits and dashes, and keeps the rest.
func readPhone(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	s = japanese.FoldPhone(s)
	if strings.Contains(s, "@") {
		return "", errPhone
	}
	return s, nil
}

// exposureReader reads exposure cells. Lists have few different cells, so each is
// read once.
type exposureReader struct {
	known  []string
	byFold map[string]string // folded ID to ID; nil takes any
	def    []string
	cells  map[string][]string
}

const maxCells = 4096 // remembered; a list of many more is no list of exposures

func newExposureReader(known, def []string) (*exposureReader, error) {
	e := &exposureReader{known: known, cells: map[string][]string{}}
	if known != nil {
		e.byFold = make(map[string]string, len(known))
		for _, id := range known {
			e.byFold[fold(id)] = id
		}
	}
	for _, id := range def {
		if _, ok := e.id(id); !ok {
			return nil, mailer.Invalid("list.default-exposure", "exposure", id, "known", known)
		}
	}
	e.def = def
	return e, nil
}

// id finds the ID that a list means, in any case and width.
func (e *exposureReader) id(s string) (string, bool) {
	if e.byFold == nil {
		return s, s != ""
	}
	id, ok := e.byFold[fold(s)]
	return id, ok
}

// read returns the exposures of a cell and the default ones, in the order of the
// incident, none twice.
func (e *exposureReader) read(cell string) ([]string, error) {
	if ids, ok := e.cells[cell]; ok {
		return ids, nil
	}
	var found []string
	add := func(s string) bool {
		id, ok := e.id(s)
		if ok {
			found = append(found, id)
		}
		return ok
	}
	for _, id := range e.def {
		add(id)
	}
	words := []string{cell} // an ID may hold what separates others
	if _, ok := e.byFold[fold(cell)]; !ok {
		words = strings.FieldsFunc(norm.NFKC.String(cell), exposureSeparator)
	}
	for _, s := range words {
		if !add(s) {
			return nil, errExposure
		}
	}
	if len(found) == 0 {
		return nil, errNoExposure
	}
	ids := e.order(found)
	if len(e.cells) < maxCells {
		e.cells[strings.Clone(cell)] = ids
	}
	return ids, nil
}

func (e *exposureReader) order(found []string) []string {
	order := e.known
	if order == nil {
		order = found
	}
	ids := make([]string, 0, len(found))
	for _, id := range order {
		if slices.Contains(found, id) && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

func exposureSeparator(r rune) bool {
	return unicode.IsSpace(r) || strings.ContainsRune(",、､;/+・･|&", r)
}
