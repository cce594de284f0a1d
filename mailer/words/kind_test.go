package words

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"oshirase/mailer"
)

// TestHintByKind: what has no code is advised on by what it is.
func TestHintByKind(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("open: %w", mailer.ErrWrongKey), "restore the key"},
		{fmt.Errorf("read: %w", mailer.ErrKeyDestroyed), "counts and references remain"},
		{&mailer.RelayDown{Err: errors.New("refused")}, "nothing is lost"},
	} {
		if got := HintByKind(c.err); !strings.Contains(got, c.want) {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
	if got := HintByKind(errors.New("x")); got != "" {
		t.Errorf("advice on anything: %q", got)
	}
}
