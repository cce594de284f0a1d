package list

import "testing"

func TestCardLike(t *testing.T) {
	for _, c := range []struct {
		in   string
		want bool
	}{
		{"4111111111111111", true},
		{"card 4111111111111111.", true},
		{"4111 1111 1111 1111", true},
		{"4111-1111-1111-1111", true},
		{"4111－1111－1111－1111", true},
		{"４１１１　１１１１　１１１１　１１１１", true},
		{"4111 - 1111 - 1111 - 1111", true},
		{"4111.1111.1111.1111", true},
		{"41111111 11111111", true},
		{"4111 1111 1111 1111 12/25 123", true},
		{"4111111111111111 12/25", true},
		{"03-1234-5678 4111 1111 1111 1111", true},
		{"3782 822463 10005", true},   // American Express
		{"3566002020360505", true},    // JCB
		{"30569309025904", true},      // Diners Club
		{"6200000000000000000", true}, // UnionPay, 19 digits
		{"4222222222222", true},       // 13 digits
		{"1234567812345670", true},
		{"会員4111111111111111様", true},

		{"4111111111111112", false}, // check digit
		{"411111111111", false},     // too short
		{"0000000000000000", false},
		{"123456789012", false},
		{"090-1234-5678", false},
		{"090-1234-5678 03-1234-5678", false},
		{"09012345678 0312345678", false},
		{"2021-10-14 12:34:56", false},
		{"20211014123456", false},
		{"東京都港区一丁目１－２－３　４０５号室", false},
		{"4111 1111 1111 11111111 1111 1111 1111", false}, // no grouping of cards
		{"", false},
	} {
		if got := cardLike(c.in); got != c.want {
			t.Errorf("cardLike(%q) = %v, want %v", c.in, got, c.want)
		}
	}
}

// All timestamps of a day pass, whatever their last digit says.
func TestTimestampsAreNoCards(t *testing.T) {
	for _, day := range []string{"19991231", "20211014"} {
		for h := range 24 {
			for s := range 60 {
				v := day + two(h) + "00" + two(s)
				if cardLike(v) || cardLike(v+"123") {
					t.Fatalf("%s taken for a card number", v)
				}
			}
		}
	}
}

func two(n int) string { return string([]byte{byte('0' + n/10), byte('0' + n%10)}) }
