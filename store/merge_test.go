package store

import (
	"strings"
	"testing"

	"oshirase/mailer"
)

func TestDifferentPeople(t *testing.T) {
	for _, tt := range []struct {
		a, b string // name/e-mail
		want bool
	}{
		{"山田/a@x.example", "鈴木/b@x.example", true},
		{"山田/a@x.example", "鈴木/a@x.example", false},
		{"山田/a@x.example", "山田/b@x.example", false},
		{"山田/", "鈴木/", true},
		{"山田/a@x.example", "鈴木/", false},
		{"/a@x.example", "鈴木/b@x.example", false},
		{"ﾔﾏﾀﾞ ﾊﾅｺ/a@x.example", "ヤマダハナコ/b@x.example", false},
	} {
		p := func(s string) *mailer.Person {
			name, email, _ := strings.Cut(s, "/")
			return &mailer.Person{Name: name, Email: email}
		}
		if got := differentPeople(p(tt.a), p(tt.b)); got != tt.want {
			t.Errorf("%s and %s: %v", tt.a, tt.b, got)
		}
	}
}
