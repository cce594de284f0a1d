package japanese

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/text/encoding/japanese"
)

// ErrNotInJIS: a character that ISO-2022-JP (RFC 1468: ASCII and JIS X 0208) does
// not have.
var ErrNotInJIS = errors.New("character is not in ISO-2022-JP")

// jisCodes maps characters of JIS X 0208 to their codes, 0 where there is none.
// Rows 13 and 89 up (NEC and IBM extensions) are left out: RFC 1468 does not
// have them, and readers show different characters for them. Drawn from x/text,
// whose EUC-JP holds JIS X 0208 with each code's bytes moved up by 0x80.
var jisCodes = sync.OnceValue(func() *[1 << 16]uint16 {
	var codes [1 << 16]uint16
	decoder := japanese.EUCJP.NewDecoder()
	for row := 1; row <= 84; row++ {
		if row >= 9 && row <= 15 {
			continue
		}
		for cell := 1; cell <= 94; cell++ {
			b, err := decoder.Bytes([]byte{byte(row + 0xa0), byte(cell + 0xa0)})
			if err != nil {
				continue
			}
			r, n := utf8.DecodeRune(b)
			if r == utf8.RuneError || n != len(b) || r >= 1<<16 {
				continue
			}
			if codes[r] == 0 {
				codes[r] = uint16(row+0x20)<<8 | uint16(cell+0x20)
			}
		}
	}
	// Characters that Unicode tables map differently: the same JIS character.
	for r, same := range map[rune]rune{
		'〜': '～', '−': '－', '—': '―', '‖': '∥', '¢': '￠', '£': '￡', '¬': '￢', '¥': '￥', '‾': '￣',
		'～': '〜', '－': '−', '―': '—', '∥': '‖', '￠': '¢', '￡': '£', '￢': '¬', '￥': '¥', '￣': '‾',
	} {
		if codes[r] == 0 {
			codes[r] = codes[same]
		}
	}
	return &codes
})

// halfKana are the full-width forms of U+FF61 to U+FF9F, in order.
var halfKana = []rune("。「」、・ヲァィゥェォャュョッーアイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワン゛゜")

// voiced returns the kana with a voiced (゛) or semi-voiced (゜) mark.
func voiced(r rune, semi bool) (rune, bool) {
	k := r
	if r >= 'ぁ' && r <= 'ゖ' {
		k += 'ァ' - 'ぁ'
	}
	switch {
	case k >= 'ハ' && k <= 'ホ' && (k-'ハ')%3 == 0:
		if semi {
			return r + 2, true
		}
		return r + 1, true
	case semi:
		return 0, false
	case k == 'ウ' && r == k:
		return 'ヴ', true
	case k >= 'カ' && k <= 'ヂ' && (k-'カ')%2 == 0, k == 'ツ', k == 'テ', k == 'ト':
		return r + 1, true
	}
	return 0, false
}

// NormalizeJIS folds half-width kana to full width and joins separate voiced
// marks, as text must be for AppendJIS. ok is false where a character is left that
// RFC 1468 does not have, or a control character beside tab and line feed.
func NormalizeJIS(s string) (string, bool) {
	codes := jisCodes()
	s = foldKana(s)
	for _, r := range s {
		if r < utf8.RuneSelf {
			if r < 0x20 && r != '\n' && r != '\t' || r == 0x7f {
				return "", false // ESC, SO and SI would change the reader's state
			}
			continue
		}
		if r >= 1<<16 || codes[r] == 0 {
			return "", false
		}
	}
	return s, true
}

// OutsideJIS returns the characters, each once, for which NormalizeJIS refuses a
// text. Control characters are not among them: nobody can read which they are.
func OutsideJIS(s string) []rune {
	codes := jisCodes()
	var lost []rune
	for _, r := range foldKana(s) {
		if r >= utf8.RuneSelf && (r >= 1<<16 || codes[r] == 0) && !slices.Contains(lost, r) {
			lost = append(lost, r)
		}
	}
	return lost
}

// foldKana writes half-width kana in full width (JIS X 0201 to JIS X 0208) and
// joins a kana with the voiced mark behind it, where there is such a kana.
func foldKana(s string) string {
	if strings.IndexFunc(s, kanaToFold) < 0 {
		return s
	}
	var out strings.Builder
	var last rune // not yet written; 0 is none
	for _, r := range s {
		semi := r == 0x309a || r == 0xff9f
		if (semi || r == 0x3099 || r == 0xff9e) && last != 0 {
			if v, ok := voiced(last, semi); ok {
				out.WriteRune(v)
				last = 0
				continue
			}
		}
		if r >= 0xff61 && r <= 0xff9f {
			r = halfKana[r-0xff61]
		}
		if last != 0 {
			out.WriteRune(last)
		}
		last = r
	}
	if last != 0 {
		out.WriteRune(last)
	}
	return out.String()
}

func kanaToFold(r rune) bool { return r >= 0xff61 && r <= 0xff9f || r == 0x3099 || r == 0x309a }

const (
	toASCII = "\x1b(B"
	toJIS   = "\x1b$B"
)

// AppendJIS appends s in ISO-2022-JP, beginning and ending in ASCII, up to
// limit octets (0: all of it), and returns how much of s it took. Lines end in
// ASCII too. s is normalised; ErrNotInJIS where it is not.
func AppendJIS(dst []byte, s string, limit int) (out []byte, taken int, err error) {
	codes := jisCodes()
	start, wide := len(dst), false
	for i, r := range s {
		need, code := 1, uint16(0)
		if r < 0x80 {
			if wide {
				need += len(toASCII)
			}
		} else {
			if r < 1<<16 {
				code = codes[r]
			}
			if code == 0 {
				return dst, i, ErrNotInJIS
			}
			need = 2 + len(toASCII) // the way back has to fit
			if !wide {
				need += len(toJIS)
			}
		}
		if limit > 0 && len(dst)-start+need > limit {
			break
		}
		switch {
		case code == 0 && wide:
			dst, wide = append(dst, toASCII...), false
		case code != 0 && !wide:
			dst, wide = append(dst, toJIS...), true
		}
		if code == 0 {
			dst = append(dst, byte(r))
		} else {
			dst = append(dst, byte(code>>8), byte(code))
		}
		taken = i + utf8.RuneLen(r)
	}
	if wide {
		dst = append(dst, toASCII...)
	}
	return dst, taken, nil
}
