package mailer_test

import (
	"testing"

	"oshirase/mailer"
)

// TestCovers: what several notices told together is told; something new is a
// reason to tell again.
func TestCovers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		told [][]string
		now  []string
		want bool
	}{
		{nil, []string{"A"}, false},
		{[][]string{{"A"}}, []string{"A"}, true},
		{[][]string{{"A"}}, []string{"A", "B"}, false},
		{[][]string{{"A"}, {"B"}}, []string{"A", "B"}, true},
		{[][]string{{"A", "B"}}, []string{"B"}, true},
	} {
		var told []string
		for _, l := range tt.told {
			told = append(told, l...)
		}
		if got := mailer.Covers(told, tt.now); got != tt.want {
			t.Errorf("told %v, a notice of %v: %v", tt.told, tt.now, got)
		}
	}
}
