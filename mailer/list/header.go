package list

import (
	"slices"
	"strings"

	"oshirase/mailer"
)

// Fields are the fields that a column can hold, as --column names them.
var Fields = []string{"customer_id", "name", "name_kana", "email", "postal_code", "address", "phone", "exposure"}

// Bounds of a header. Lists of people have tens of columns.
const (
	maxColumns = 256
	maxHeader  = 400 // octets of one
)

// Indices into Fields.
const (
	fieldCustomerID = iota
	fieldName
	fieldNameKana
	fieldEmail
	fieldPostalCode
	fieldAddress
	fieldPhone
	fieldExposure
	fieldCount

	attribute = -1 // any other column
	ignored   = -2 // a column of an errors file, or one without a header
)

// Headers of the columns that an errors file has besides those of the list.
const (
	headerErrorRow    = "エラー行"
	headerErrorColumn = "エラー列"
	headerErrorReason = "エラー理由"
)

// known lists the headers that are understood, in folded form (see foldHeader).
var known = [fieldCount][]string{
	fieldCustomerID: {
		"customerid", "customerno", "customernumber", "customercode", "memberid", "memberno", "membernumber", "userid",
		"会員番号", "会員id", "会員no", "会員コード", "顧客番号", "顧客id", "顧客no", "顧客コード",
		"お客様番号", "お客さま番号", "お客様id", "お客さまid", "利用者番号", "寄付者番号", "受講者番号", "加盟店コード", "加盟店番号",
	},
	fieldName: {
		"name", "fullname", "customername", "氏名", "ご氏名", "お名前", "名前", "姓名", "漢字氏名", "氏名漢字", "お名前漢字",
		"顧客名", "会員名", "お客様名", "お客さま名", "加盟店名",
	},
	fieldNameKana: {
		"namekana", "kana", "fullnamekana", "フリガナ", "ふりがな", "ヨミガナ", "よみがな", "カナ", "かな",
		"氏名カナ", "氏名かな", "カナ氏名", "かな氏名", "氏名フリガナ", "氏名ふりがな", "お名前カナ", "お名前フリガナ", "お名前ふりがな",
		"カナ名", "姓名カナ", "カナ姓名", "顧客名カナ", "会員名カナ",
	},
	fieldEmail: {
		"email", "mail", "emailaddress", "mailaddress", "メールアドレス", "メール", "eメール", "電子メール",
		"電子メールアドレス", "eメールアドレス", "emailアドレス", "mailアドレス", "連絡先メールアドレス",
	},
	fieldPostalCode: {"postalcode", "postcode", "zipcode", "zip", "郵便番号", "〒"},
	fieldAddress:    {"address", "postaladdress", "住所", "ご住所", "現住所", "所在地", "送付先住所"},
	fieldPhone: {
		"phone", "phonenumber", "tel", "telephone", "telno", "電話番号", "お電話番号", "電話", "連絡先電話番号",
	},
	fieldExposure: {"exposure", "exposures", "漏えい区分", "漏洩区分", "漏えい区分id", "漏洩区分id", "対象区分", "区分"},
}

// parts lists headers of columns that make up a field together, in order. They
// count only where no column holds the whole field; behind each stands what
// separates its value from the ones before.
var parts = map[int][]part{
	fieldName: {
		{[]string{"姓", "氏", "苗字", "名字", "lastname", "familyname"}, ""},
		{[]string{"名", "firstname", "givenname"}, " "},
	},
	fieldNameKana: {
		{[]string{"セイ", "せい", "姓カナ", "カナ姓", "姓フリガナ", "フリガナ姓", "姓ふりがな", "lastnamekana", "familynamekana"}, ""},
		{[]string{"メイ", "めい", "名カナ", "カナ名前", "名フリガナ", "フリガナ名", "名ふりがな", "firstnamekana", "givennamekana"}, " "},
	},
	fieldAddress: {
		{[]string{"都道府県", "都道府県名"}, ""},
		{[]string{"市区町村", "市区郡", "市区町村名"}, ""},
		{[]string{"町名番地", "町名", "町域"}, ""},
		{[]string{"番地", "丁目番地"}, ""},
		{[]string{"住所1", "address1", "addressline1"}, ""},
		{[]string{"住所2", "address2", "addressline2"}, "　"},
		{[]string{"住所3", "address3", "addressline3"}, "　"},
		{[]string{"建物名", "建物", "マンション名", "ビル名", "建物名部屋番号"}, "　"},
	},
}

type part struct {
	headers   []string
	separator string
}

// column says what one column of the list holds.
type column struct {
	field int // index into Fields, or attribute, or ignored
	order int // place among the parts of its field
	sep   string
}

// columns is what the header says.
type columns struct {
	headers []string // as the list has them, blanks trimmed
	raw     [][]byte // the same in the list's encoding
	kinds   []column
	joined  [fieldCount][]int // columns that make up each field, in order
	attrs   int               // number of attribute columns
}

// foldHeader brings a header to the form in which it is compared: NFKC, lower
// case, without blanks, hyphens, brackets and the marks of required columns.
func foldHeader(s string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("-_‐‑–—()[]【】「」*※・:", r) {
			return -1
		}
		return r
	}, fold(s))
}

// readColumns makes sense of the header.
func readColumns(rec record, decode decodeFunc, overrides map[string]string) (*columns, error) {
	n := len(rec.fields)
	if n > maxColumns {
		return nil, mailer.Invalid("list.columns", "row", rec.number, "most", maxColumns)
	}
	c := &columns{headers: make([]string, n), raw: make([][]byte, n), kinds: make([]column, n)}
	for i, f := range rec.fields {
		text, err := decode(nil, f)
		if err == nil {
			err = checkText(text)
		}
		if err == nil && len(text) > maxHeader {
			err = mailer.Invalid("list.long-header", "most", maxHeader)
		}
		if err != nil {
			return nil, mailer.Invalid("list.header", "column", i+1, "cause", err)
		}
		c.headers[i] = trimBlanks(string(text))
		c.raw[i] = slices.Clone(f)
		c.kinds[i].field = attribute
		switch c.headers[i] {
		case "", headerErrorRow, headerErrorColumn, headerErrorReason:
			c.kinds[i].field = ignored
		}
	}
	overridden, err := c.override(overrides)
	if err != nil {
		return nil, err
	}
	if err := c.recognise(overridden); err != nil {
		return nil, err
	}
	return c, c.check()
}

// errorsHeader reports whether a header is that of an errors file.
func errorsHeader(fields [][]byte, decode decodeFunc) bool {
	if len(fields) < 3 {
		return false
	}
	for i, want := range []string{headerErrorRow, headerErrorColumn, headerErrorReason} {
		if text, err := decode(nil, fields[i]); err != nil || trimBlanks(string(text)) != want {
			return false
		}
	}
	return true
}

// override places the columns that the operator named.
func (c *columns) override(overrides map[string]string) (done [fieldCount]bool, err error) {
	names := make([]string, 0, len(overrides))
	for name := range overrides {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		field := slices.Index(Fields, name)
		if field < 0 {
			return done, mailer.Invalid("list.field", "field", name, "fields", Fields)
		}
		want := overrides[name]
		at := c.find(want)
		switch {
		case at < 0:
			return done, mailer.Invalid("list.column", "field", name, "header", want, "headers", c.headers)
		case c.kinds[at].field >= 0:
			return done, mailer.Invalid("list.column-taken", "field", name, "header", want, "other", Fields[c.kinds[at].field])
		}
		c.kinds[at] = column{field: field}
		c.joined[field] = []int{at}
		done[field] = true
	}
	return done, nil
}

// find looks for a header as written, else for the only one that folds alike.
func (c *columns) find(header string) int {
	if at := slices.Index(c.headers, trimBlanks(header)); at >= 0 && trimBlanks(header) != "" {
		return at
	}
	at := -1
	for i, h := range c.headers {
		if h != "" && foldHeader(h) == foldHeader(header) {
			if at >= 0 {
				return -1
			}
			at = i
		}
	}
	return at
}

// recognise places the columns whose headers are understood.
func (c *columns) recognise(overridden [fieldCount]bool) error {
	for i, h := range c.headers {
		if c.kinds[i].field != attribute {
			continue
		}
		folded := foldHeader(h)
		for field := range known {
			if overridden[field] || !slices.Contains(known[field], folded) {
				continue
			}
			if other := c.joined[field]; len(other) > 0 {
				return mailer.Invalid("list.two-columns", "first", c.headers[other[0]], "second", h, "field", Fields[field])
			}
			c.kinds[i].field = field
			c.joined[field] = []int{i}
		}
	}
	for field, ps := range parts {
		if len(c.joined[field]) > 0 {
			continue
		}
		if err := c.join(field, ps); err != nil {
			return err
		}
	}
	return nil
}

// join collects the columns that make up a field together.
func (c *columns) join(field int, ps []part) error {
	for order, p := range ps {
		first := -1
		for i, h := range c.headers {
			if c.kinds[i].field != attribute || !slices.Contains(p.headers, foldHeader(h)) {
				continue
			}
			if first >= 0 {
				return mailer.Invalid("list.two-parts", "first", c.headers[first], "second", h, "field", Fields[field])
			}
			first = i
			c.kinds[i] = column{field: field, order: order, sep: p.separator}
			c.joined[field] = append(c.joined[field], i)
		}
	}
	return nil
}

// check refuses headers that no list of people can be read by.
func (c *columns) check() error {
	if len(c.joined[fieldCustomerID])+len(c.joined[fieldEmail])+len(c.joined[fieldAddress]) == 0 {
		if slices.ContainsFunc(c.headers, func(h string) bool { return strings.Contains(h, "@") }) {
			return mailer.Invalid("list.data-as-header", "understood", understood())
		}
		return mailer.Invalid("list.no-person-column", "understood", understood())
	}
	seen := map[string]bool{}
	for i, h := range c.headers {
		if c.kinds[i].field == ignored {
			continue
		}
		if seen[h] {
			return mailer.Invalid("list.header-twice", "header", h)
		}
		seen[h] = true
		if c.kinds[i].field == attribute {
			c.attrs++
		}
	}
	return nil
}

// understood names a Japanese header per field, for messages.
func understood() []string {
	examples := [fieldCount]string{"会員番号", "氏名", "フリガナ", "メールアドレス", "郵便番号", "住所", "電話番号", "漏えい区分"}
	out := make([]string, len(examples))
	for i, e := range examples {
		out[i] = Fields[i] + " (" + e + ")"
	}
	return out
}

// header is the name of a column in reports; a column beyond the header has none.
func (c *columns) header(i int) string {
	if i < 0 || i >= len(c.headers) {
		return ""
	}
	return c.headers[i]
}

// of finds the first column that makes up a field; -1 where there is none.
func (c *columns) of(field string) int {
	at := slices.Index(Fields, field)
	if at < 0 || len(c.joined[at]) == 0 {
		return -1
	}
	return c.joined[at][0]
}

// repeats reports whether a record is the header again, as in files that were
// put one behind the other.
func (c *columns) repeats(fields [][]byte) bool {
	if len(fields) != len(c.raw) {
		return false
	}
	for i := range fields {
		if string(fields[i]) != string(c.raw[i]) {
			return false
		}
	}
	return true
}
