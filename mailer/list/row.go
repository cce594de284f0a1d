package list

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"oshirase/mailer"
	"oshirase/mailer/japanese"
)

const maxValue = 1000 // characters of one value

// Why a row is refused, as far as nothing of it has to be told.
var (
	errHeaderAgain = mailer.Invalid("list.header-again")
	errNoHeader    = mailer.Invalid("list.no-column-header")
	errNobody      = mailer.Invalid("list.nobody")
	errCard        = mailer.Invalid("list.card")
	errFormula     = mailer.Invalid("list.formula")
	errNull        = mailer.Invalid("list.null")
	errHalfQuote   = mailer.Invalid("list.half-quote")
	errScientific  = mailer.Invalid("list.scientific")
	errEmailAsName = mailer.Invalid("list.email-as-name")
)

// errBlankRow marks a row of nothing but blanks.
var errBlankRow = &mailer.RowError{}

// row judges a record. The first fault that is found is reported.
func (r *Reader) row(rec record) (mailer.Row, *mailer.RowError) {
	c := r.columns
	fault := func(i int, err error) (mailer.Row, *mailer.RowError) {
		return mailer.Row{}, &mailer.RowError{Row: rec.number, Column: c.header(i), Err: err}
	}
	switch {
	case rec.bad != nil:
		return fault(rec.column, rec.bad)
	case len(rec.fields) != len(c.headers):
		return fault(-1, mailer.Invalid("list.ragged", "cells", len(rec.fields), "header", len(c.headers)))
	case c.repeats(rec.fields):
		return fault(-1, errHeaderAgain)
	}
	if i, err := r.decode(rec.fields); err != nil {
		return fault(i, err)
	}
	all := string(r.text) // one allocation for all values of the row
	empty := true
	for i, sp := range r.span {
		if sp[0] == sp[1] {
			continue
		}
		empty = false
		if err := checkValue(all[sp[0]:sp[1]], c.kinds[i].field); err != nil {
			return fault(i, err)
		}
	}
	if empty {
		return mailer.Row{}, errBlankRow
	}
	return r.assemble(rec.number, all)
}

// decode fills r.text with the values, trimmed, and r.span with where each stands.
// It returns the first column that cannot be read, and why.
func (r *Reader) decode(fields [][]byte) (int, error) {
	decode := r.decoder()
	r.text, r.span = r.text[:0], r.span[:0]
	for i, f := range fields {
		from := len(r.text)
		text, err := decode(r.text, f)
		if err == nil && r.columns.kinds[i].field != ignored {
			from2, to := trimSpan(text, from)
			err = checkText(text[from2:to])
			r.text = text
			r.span = append(r.span, [2]int{from2, to})
		} else if err == nil {
			if r.columns.headers[i] == "" && trimBlanks(string(text[from:])) != "" {
				err = errNoHeader
			}
			r.span = append(r.span, [2]int{from, from})
		}
		if err != nil {
			return i, err
		}
	}
	return 0, nil
}

// assemble puts the values of a row, which stand in all at r.span, in their places.
func (r *Reader) assemble(number int64, all string) (mailer.Row, *mailer.RowError) {
	c := r.columns
	row := mailer.Row{Number: number}
	var cell string
	for field := range c.joined {
		if len(c.joined[field]) == 0 {
			continue
		}
		at := c.joined[field][0]
		v := r.value(all, c.joined[field])
		var err error
		switch field {
		case fieldCustomerID:
			row.CustomerID = v
		case fieldName:
			row.Name = v
		case fieldNameKana:
			row.NameKana = v
		case fieldEmail:
			row.Email, err = readEmail(v)
		case fieldPostalCode:
			row.PostalCode, err = readPostalCode(v)
		case fieldAddress:
			row.Address = v
		case fieldPhone:
			row.Phone, err = readPhone(v)
		case fieldExposure:
			cell = v
		}
		if err != nil {
			return mailer.Row{}, &mailer.RowError{Row: number, Column: c.headers[at], Err: err}
		}
	}
	var err error
	row.Exposures, err = r.exposures.read(cell)
	if err != nil {
		header := ""
		if at := c.joined[fieldExposure]; len(at) > 0 {
			header = c.headers[at[0]]
		}
		return mailer.Row{}, &mailer.RowError{Row: number, Column: header, Err: err}
	}
	if row.CustomerID == "" && row.Email == "" && row.Address == "" {
		return mailer.Row{}, &mailer.RowError{Row: number, Err: errNobody}
	}
	if c.attrs > 0 {
		row.Attributes = make(map[string]string, c.attrs)
		for i, k := range c.kinds {
			if k.field == attribute {
				row.Attributes[c.headers[i]] = all[r.span[i][0]:r.span[i][1]]
			}
		}
	}
	return row, nil
}

// value is the value of a field that one or more columns make up.
func (r *Reader) value(all string, at []int) string {
	if len(at) == 1 {
		sp := r.span[at[0]]
		return all[sp[0]:sp[1]]
	}
	var b strings.Builder
	for _, i := range at {
		sp := r.span[i]
		if sp[0] == sp[1] {
			continue
		}
		if b.Len() > 0 {
			b.WriteString(r.columns.kinds[i].sep)
		}
		b.WriteString(all[sp[0]:sp[1]])
	}
	return b.String()
}

// checkText refuses characters that no value may hold.
func checkText(b []byte) error {
	for i := 0; i < len(b); {
		if c := b[i]; c < utf8.RuneSelf {
			switch {
			case c == '\n' || c == '\r':
				return errLineBreak
			case c < ' ' || c == 0x7F:
				return errControl
			}
			i++
			continue
		}
		r, n := utf8.DecodeRune(b[i:])
		i += n
		if r >= 0x2E80 && r < 0xE000 || r >= 0xFF01 && r < 0xFFF0 { // CJK, kana and full-width forms
			continue
		}
		if err := checkRune(r); err != nil {
			return err
		}
	}
	return nil
}

func checkRune(r rune) error {
	switch {
	case r == utf8.RuneError:
		return errReplaced
	case r == 0x85 || r == 0x2028 || r == 0x2029:
		return errLineBreak
	case unicode.Is(unicode.Co, r):
		return errGaiji
	case unicode.Is(unicode.Cc, r):
		return errControl
	case unicode.Is(unicode.Cf, r):
		return errInvisible
	case r&0xFFFE == 0xFFFE || r >= 0xFDD0 && r <= 0xFDEF:
		return errNoCharacter
	}
	return nil
}

// checkValue refuses values that are too long or hold what must not be in a list.
func checkValue(s string, field int) error {
	if len(s) > maxValue && utf8.RuneCountInString(s) > maxValue {
		return mailer.Invalid("list.long", "max", maxValue)
	}
	if japanese.HoldsCard(s) {
		return errCard
	}
	if field < 0 {
		return nil
	}
	switch s {
	case "#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NULL!", "#NUM!", "#SPILL!", "#CALC!":
		return errFormula
	case "NULL", `\N`, "(null)":
		return errNull
	}
	if strings.Count(s, `"`)%2 == 1 {
		return errHalfQuote
	}
	switch field {
	case fieldCustomerID, fieldPhone, fieldPostalCode:
		if scientific(s) {
			return errScientific
		}
	case fieldName, fieldNameKana:
		if strings.IndexByte(s, '@') >= 0 || strings.Contains(s, "＠") {
			return errEmailAsName
		}
	}
	return nil
}

// scientific reports whether s is like 1.23E+15.
func scientific(s string) bool {
	mantissa, exponent, ok := strings.Cut(s, "E+")
	return ok && mantissa != "" && exponent != "" && len(exponent) <= 3 &&
		strings.Trim(mantissa, "0123456789.") == "" && strings.Trim(exponent, "0123456789") == ""
}

// trimSpan finds the part of b[from:] that is left without blanks at its ends.
func trimSpan(b []byte, from int) (int, int) {
	to := len(b)
	for from < to {
		r, n := utf8.DecodeRune(b[from:to])
		if !japanese.IsBlank(r) {
			break
		}
		from += n
	}
	for from < to {
		r, n := utf8.DecodeLastRune(b[from:to])
		if !japanese.IsBlank(r) {
			break
		}
		to -= n
	}
	return from, to
}

func trimBlanks(s string) string { return strings.TrimFunc(s, japanese.IsBlank) }
