package japanese

import "testing"

func TestWidth(t *testing.T) {
	for s, want := range map[string]int{"": 0, "abc": 3, "あア亜": 6, "ｱｲ": 2, "𠮷野": 4, "葛\U000E0100城": 4, "か\u3099": 2, "①": 2} {
		if got := Width(s); got != want {
			t.Errorf("Width(%q) = %d, want %d", s, got, want)
		}
	}
}
