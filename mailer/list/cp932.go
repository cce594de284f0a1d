package list

import (
	"sync"
	"unicode/utf8"

	"golang.org/x/text/encoding/japanese"

	"oshirase/mailer"
)

// cp932Table maps the two bytes of a character, lead byte from 0x81 and trail byte
// from 0x40, to its rune; 0 where CP932 defines none. All of them are in the BMP.
// It is drawn from x/text once: decoding value by value there costs an interface
// call and a reset each, and turns gaiji into U+FFFD without an error.
var cp932Table = sync.OnceValue(func() *[(0xFD - 0x81) * (0xFD - 0x40)]uint16 {
	var table [(0xFD - 0x81) * (0xFD - 0x40)]uint16
	dec := japanese.ShiftJIS.NewDecoder()
	for lead := 0x81; lead < 0xFD; lead++ {
		if lead >= 0xA0 && lead < 0xE0 {
			continue
		}
		for trail := 0x40; trail < 0xFD; trail++ {
			b, err := dec.Bytes([]byte{byte(lead), byte(trail)})
			if err != nil {
				continue
			}
			if r, n := utf8.DecodeRune(b); n == len(b) && r != utf8.RuneError {
				table[(lead-0x81)*(0xFD-0x40)+trail-0x40] = uint16(r)
			}
		}
	}
	return &table
})

func leadCP932(c byte) bool { return c >= 0x81 && c < 0xA0 || c >= 0xE0 && c < 0xFD }

func trailCP932(c byte) bool { return c >= 0x40 && c < 0xFD && c != 0x7F }

// wellFormedCP932 reports whether the bytes are characters, gaiji included.
func wellFormedCP932(b []byte) bool {
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c < 0x80, c >= 0xA1 && c < 0xE0:
		case leadCP932(c) && i+1 < len(b) && trailCP932(b[i+1]):
			i++
		default:
			return false
		}
	}
	return true
}

// Why text is refused.
var (
	errGaiji       = mailer.Invalid("list.gaiji")
	errReplaced    = mailer.Invalid("list.replaced")
	errNotCP932    = mailer.Invalid("list.not-cp932")
	errNotUTF8     = mailer.Invalid("list.not-utf8")
	errControl     = mailer.Invalid("list.control")
	errLineBreak   = mailer.Invalid("list.line-break")
	errInvisible   = mailer.Invalid("list.invisible")
	errNoCharacter = mailer.Invalid("list.no-character")
)

// decodeFunc appends the text of src in UTF-8 to dst, or says why it cannot.
type decodeFunc func(dst, src []byte) (text []byte, err error)

func decodeCP932(dst, src []byte) ([]byte, error) {
	table := cp932Table()
	for i := 0; i < len(src); {
		c := src[i]
		switch {
		case c < 0x80:
			dst = append(dst, c)
			i++
			continue
		case c >= 0xA1 && c < 0xE0: // half-width kana
			dst = utf8.AppendRune(dst, rune(c)-0xA1+0xFF61)
			i++
			continue
		case c == 0x80 || c == 0xA0 || c >= 0xFD:
			return dst, errGaiji
		}
		if i+1 == len(src) || !trailCP932(src[i+1]) {
			return dst, errNotCP932
		}
		r := rune(table[int(c-0x81)*(0xFD-0x40)+int(src[i+1]-0x40)])
		if r == 0 {
			return dst, errGaiji
		}
		dst = utf8.AppendRune(dst, r)
		i += 2
	}
	return dst, nil
}

func decodeUTF8(dst, src []byte) ([]byte, error) {
	if !utf8.Valid(src) {
		return dst, errNotUTF8
	}
	return append(dst, src...), nil
}
