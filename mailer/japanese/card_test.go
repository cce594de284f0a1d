package japanese

import "testing"

// TestHoldsCard decides what is taken for a card number, in a list's cell as in a
// notice. A false alarm costs a row or a look, a miss tells a card number.
func TestHoldsCard(t *testing.T) {
	for _, c := range []struct {
		in   string
		want bool
		why  string
	}{
		{"4111111111111111", true, "in one piece"},
		{"番号は4111111111111111です", true, "letters end a number"},
		{"4111111111111111 12/25", true, "with its month"},
		{"3566002020360505", true, "JCB"},
		{"30569309025904", true, "Diners Club, 14 digits"},
		{"6200000000000000000", true, "UnionPay, 19 digits"},
		{"4222222222222", true, "Visa, 13 digits"},
		{"1234567812345670", true, "in one piece no issuer is asked for: house cards and gift cards have issuers of their own"},
		{"4111111111111112", false, "the check digit is wrong"},
		{"411111111111", false, "12 digits"},
		{"0000000000000000", false, "zeros alone are a placeholder"},
		{"20220228123456789012345", false, "23 digits"},

		{"4111 1111 1111 1111", true, "as on the card"},
		{"4111-1111-1111-1111", true, "as people type it"},
		{"４１１１－１１１１－１１１１－１１１１", true, "full-width"},
		{"４１１１　１１１１　１１１１　１１１１", true, "full-width, ideographic spaces"},
		{"3782-822463-10005", true, "American Express"},
		{"4111 1111 1111 1111 12/25 123", true, "with month and code"},
		{"12 4111 1111 1111 1111", true, "behind another number"},
		{"03-1234-5678 4111 1111 1111 1111", true, "behind a phone number"},

		{"4111 - 1111 - 1111 - 1111", true, "up to three separators: people put blanks around hyphens"},
		{"4111, 1111, 1111, 1111", true, "a comma and a blank, too"},
		{"4111/1111/1111/1111", true, "any separator that people use"},
		{"4111_1111_1111_1111", true, "any separator that people use"},
		{"4111．1111．1111．1111", true, "any separator, full-width"},
		{"4111–1111–1111–1111", true, "an en dash, as word processors make of a hyphen"},
		{"4111─1111─1111─1111", true, "a box-drawing line, as terminals have it"},
		{"4111\u00a01111\u00a01111\u00a01111", true, "no-break spaces, as web pages have them"},
		{"4111\t1111\t1111\t1111", true, "tabs, as spreadsheets give them"},
		{"41111111 11111111", true, "grouped as on no card, but an issued number that stands alone"},
		{"番号 41111111 11111111 まで", true, "letters around it leave it alone"},
		{"1234 5678 1234 5670", false, "grouped, no brand issues such a beginning: a number of members or contracts"},
		{"9999 9999 9999 9995", false, "grouped, no brand issues such a beginning"},
		{"4111-1111-1111-06", false, "grouped, no brand issues 14 digits that begin with 4"},
		{"20211014123456", false, "a time to the second: no brand issues 14 digits that begin with 19 or 20"},
		{"20211014123458", false, "a time, though its last digit is a right check digit"},
		{"20211014123456783", false, "a time to the millisecond"},
		{"4111 1111 1111 11111111 1111 1111 1111", false, "grouped as no card, amid more digits"},
		{"4111\n1111\n1111\n1111", false, "a line break ends a number: a column of numbers is no card"},

		{"090-1234-5678 03-1234-5678", false, "two phone numbers"},
		{"09012345678 0312345678", false, "two phone numbers in one piece each"},
		{"0120-000-620 03-0000-7346", false, "two phone numbers"},
		{"2021-10-14 12:34:56", false, "a time"},
		{"2021-10-14 2022-01-25", false, "two days"},
		{"2021/10/14から2022/01/25まで", false, "two days"},
		{"全体で最大460,395件（うち5,283件）", false, "counts"},
		{"東京都港区一丁目１－２－３　４０５号室", false, "a postal address"},
		{"", false, "nothing"},
	} {
		if got := HoldsCard(c.in); got != c.want {
			t.Errorf("%q: %v, want %v: %s", c.in, got, c.want, c.why)
		}
	}
}

// All timestamps of a day pass, whatever their last digit says.
func TestTimestampsAreNoCards(t *testing.T) {
	for _, day := range []string{"19991231", "20211014"} {
		for h := range 24 {
			for s := range 60 {
				v := day + two(h) + "00" + two(s)
				if HoldsCard(v) || HoldsCard(v+"123") {
					t.Fatalf("%s taken for a card number", v)
				}
			}
		}
	}
}

func two(n int) string { return string([]byte{byte('0' + n/10), byte('0' + n%10)}) }
