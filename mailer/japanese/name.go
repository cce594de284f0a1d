package japanese

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Unreadable returns the first character of a name that its reader would not see, or
// would see in another place: control and format characters (zero width, joiners,
// soft hyphen, bidirectional, tags), variation selectors, fillers, line ends, private and
// unassigned ones. False: there is none.
func Unreadable(name string) (rune, bool) {
	for _, r := range name { // what is no UTF-8 comes as the replacement character
		if unreadable(r) {
			return r, true
		}
	}
	return 0, false
}

func unreadable(r rune) bool {
	switch r {
	case 0x034F, // combining grapheme joiner
		0x115F, 0x1160, 0x3164, 0xFFA0, // fillers of Hangul
		0x17B4, 0x17B5, // inherent vowels of Khmer
		0x2800,         // a Braille pattern without dots
		0xFFFC, 0xFFFD: // object and replacement
		return true
	}
	if unicode.Is(unicode.Variation_Selector, r) {
		return true
	}
	return !unicode.IsGraphic(r) // Cc, Cf, Zl, Zp, Cs, Co, Cn
}

// FoldName is what two names have in common that people read as one. Width, case, blanks
// and marks of punctuation do not count, nor whether kana is hiragana or katakana, old
// or new forms of one kanji, and characters that look alike (Latin, Greek and Cyrillic
// letters, ー and 一, O and 〇, カ and 力). It is made to be compared, not read, and it
// rather takes two people for one than one for two. Empty: nothing in it can be read.
func FoldName(name string) string {
	var b strings.Builder
	for _, r := range norm.NFKC.String(likeUpper.Replace(name)) {
		if r = foldRune(r); r != 0 {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// foldRune is the one character of those that look alike; 0: it does not count.
func foldRune(r rune) rune {
	r = unicode.ToLower(r)
	if r >= 'ぁ' && r <= 'ゖ' {
		r += 'ァ' - 'ぁ'
	}
	if IsDash(r) {
		return '-'
	}
	if to, ok := alike[r]; ok {
		return to
	}
	switch {
	case unicode.IsSpace(r), unreadable(r), unicode.Is(unicode.M, r), unicode.IsPunct(r), unicode.IsSymbol(r):
		return 0
	}
	return r
}

// likeUpper are capitals that look like another letter than their small form does.
var likeUpper = strings.NewReplacer("Ν", "N", "Η", "H", "Μ", "M", "Υ", "Y", "|", "l")

// alike maps characters, as foldRune has them, to the one that stands for them.
var alike = likeness(
	// Latin, Cyrillic and Greek; i, l and 1, since capitals fold too.
	"aаα", "bвβЬь", "cсϲ", "dԁ", "eеёεєҽ", "gɡ", "hһнη", "li1ιіӏıǀ", "jј", "kкκ", "mм", "nνп", "oо0〇οσөՕօ○◯零", "pрρ", "qԛ",
	"sѕ", "tтτ", "uμυս", "wԝω", "xхχ", "yуγ", "zζ",
	// One stroke and few.
	"-一丨", "ニ二", "ミ三", "ロ口囗", "カ力", "ハ八", "エ工", "タ夕", "ト卜", "オ才", "チ千", "ヌ又", "メ〆乂", "ノ丿", "ヒ匕",
	"アァ", "イィ", "ウゥ", "エェ", "オォ", "カヵ", "ケヶ", "ツッ", "ヤャ", "ユュ", "ヨョ", "ワヮ",
	// Kanji of names in several forms.
	"高髙", "崎﨑嵜", "辺邉邊", "斎斉齋齊", "沢澤", "浜濱濵", "徳德", "吉𠮷", "桑桒", "柳栁", "冨富", "島嶋嶌", "広廣", "国國", "真眞",
	"桜櫻", "槙槇", "曽曾", "瀬瀨", "清淸", "青靑", "黒黑", "黄黃", "恵惠", "栄榮", "円圓", "関關", "応應", "学學", "条條", "豊豐", "竜龍",
	"蔵藏", "聡聰", "実實", "万萬", "与與", "寿壽", "鉄鐵", "塩鹽", "宮宫", "館舘", "橋槗", "藤籐", "祐佑", "博愽", "検檢",
	"内內", "戸戶", "教敎", "緑綠", "薫薰", "堯尭", "亜亞", "芸藝", "礼禮", "静靜", "巌巖", "弥彌", "遥遙", "滝瀧", "峰峯", "日曰",
)

// likeness has each group's first character stand for the others.
func likeness(groups ...string) map[rune]rune {
	m := map[rune]rune{}
	for _, g := range groups {
		var first rune
		for i, r := range g {
			if i == 0 {
				first = r
			} else {
				m[r] = first
			}
		}
	}
	return m
}
