package mailer

import (
	"errors"
	"strings"
	"testing"
)

func TestParseAddress(t *testing.T) {
	long := strings.Repeat("a", 64)
	for _, c := range []struct{ in, local, domain, mailbox string }{
		{"taro@example.jp", "taro", "example.jp", "taro@example.jp"},
		{"Taro.Yamada+shop@Example.JP", "Taro.Yamada+shop", "example.jp", "Taro.Yamada+shop@example.jp"},
		{"a..b@docomo.example.jp", "a..b", "docomo.example.jp", `"a..b"@docomo.example.jp`},
		{".a@docomo.example.jp", ".a", "docomo.example.jp", `".a"@docomo.example.jp`},
		{"a.@ezweb.example.jp", "a.", "ezweb.example.jp", `"a."@ezweb.example.jp`},
		{`"a..b"@docomo.example.jp`, "a..b", "docomo.example.jp", `"a..b"@docomo.example.jp`},
		{`"taro"@example.jp`, "taro", "example.jp", "taro@example.jp"},
		{`"a\"b\\c"@example.jp`, `a"b\c`, "example.jp", `"a\"b\\c"@example.jp`},
		{`"a@b"@example.jp`, "a@b", "example.jp", `"a@b"@example.jp`},
		{"!#$%&'*+-/=?^_`{|}~@example.jp", "!#$%&'*+-/=?^_`{|}~", "example.jp", "!#$%&'*+-/=?^_`{|}~@example.jp"},
		{long + "@example.jp", long, "example.jp", long + "@example.jp"},
		{"a@" + strings.Repeat("b", 63) + ".example", "a", strings.Repeat("b", 63) + ".example", "a@" + strings.Repeat("b", 63) + ".example"},
		{"a@xn--eckwd4c7c.example", "a", "xn--eckwd4c7c.example", "a@xn--eckwd4c7c.example"},
		{"a@1.2.3.example", "a", "1.2.3.example", "a@1.2.3.example"},
		{"a@" + strings.Repeat("b.", 122) + "example", "a", strings.Repeat("b.", 122) + "example", "a@" + strings.Repeat("b.", 122) + "example"},
	} {
		a, err := ParseAddress(c.in)
		if err != nil {
			t.Errorf("ParseAddress(%q): %v", c.in, err)
			continue
		}
		if a.Local != c.local || a.Domain != c.domain {
			t.Errorf("ParseAddress(%q) = %q at %q, want %q at %q", c.in, a.Local, a.Domain, c.local, c.domain)
		}
		if got := a.Mailbox(); got != c.mailbox {
			t.Errorf("Mailbox of %q = %q, want %q", c.in, got, c.mailbox)
		}
	}
}

func TestParseAddressRefuses(t *testing.T) {
	for _, c := range []struct {
		in   string
		code Code
	}{
		{"", "address.empty"},
		{"taro", "address.no-at"},
		{"@example.jp", "address.no-local"},
		{`""@example.jp`, "address.no-local"},
		{"taro@", "address.no-domain"},
		{"taro@@example.jp", "address.many"},
		{"taro@example.jp,hana@example.jp", "address.many"},
		{`"taro"@example.jp,hana@example.jp`, "address.many"},
		{"taro@example.jp hana@example.jp", "address.blank"},
		{" taro@example.jp", "address.blank"},
		{`"ta ro"@example.jp`, "address.blank"},
		{"Taro <taro@example.jp>", "address.blank"},
		{"山田<taro@example.jp>", "address.local-ascii"},
		{"Taro<taro@example.jp>", "address.display-name"},
		{"<taro@example.jp>", "address.display-name"},
		{"taro@example.jp\r\nBcc: x@example.jp", "address.control"},
		{"taro\x00@example.jp", "address.control"},
		{"taro\x7f@example.jp", "address.control"},
		{"\"ta\rro\"@example.jp", "address.control"},
		{"太郎@example.jp", "address.local-ascii"},
		{"ｔａｒｏ＠example.jp", "address.local-ascii"},
		{"taro\xff@example.jp", "address.local-ascii"},
		{"taro@例え.example", "address.domain-ascii"},
		{"ta:ro@example.jp", "address.local-character"},
		{"ta(x)ro@example.jp", "address.local-character"},
		{`ta"ro@example.jp`, "address.local-character"},
		{`ta\ro@example.jp`, "address.local-character"},
		{`"taro@example.jp`, "address.open-quote"},
		{`"taro\`, "address.open-quote"},
		{`"taro"`, "address.behind-quote"},
		{`"taro"x@example.jp`, "address.behind-quote"},
		{"taro@[192.0.2.1]", "address.literal"},
		{"taro@[IPv6:2001:db8::1]", "address.literal"},
		{"taro@192.0.2.1", "address.literal"},
		{"taro@localhost", "address.no-dot"},
		{"taro@example.jp.", "address.empty-label"},
		{"taro@.example.jp", "address.empty-label"},
		{"taro@example..jp", "address.empty-label"},
		{"taro@-a.example", "address.hyphen"},
		{"taro@a-.example", "address.hyphen"},
		{"taro@a_b.example", "address.domain-character"},
		{"taro@example.jp;", "address.domain-character"},
		{strings.Repeat("a", 65) + "@example.jp", "address.local-long"},
		{strings.Repeat("a", 62) + ".@example.jp", "address.local-long"},
		{"a@" + strings.Repeat("b", 64) + ".example", "address.label-long"},
		{"a@" + strings.Repeat("bb.", 84) + "example", "address.domain-long"},
		{strings.Repeat("a", 20) + "@" + strings.Repeat("bb.", 78) + "example", "address.long"},
	} {
		_, err := ParseAddress(c.in)
		if !errors.Is(err, ErrInvalid) || CodeOf(err) != c.code {
			t.Errorf("ParseAddress(%q): %v, want %s", c.in, err, c.code)
		}
		if err != nil && len(c.in) > 5 && strings.Contains(err.Error(), c.in) {
			t.Errorf("ParseAddress(%q): the error shows the address: %v", c.in, err)
		}
	}
}

func TestAddressKey(t *testing.T) {
	for _, pair := range [][2]string{
		{"Taro@Example.JP", "taro@example.jp"},
		{`"A..b"@docomo.example.jp`, "a..B@DOCOMO.example.jp"},
		{`"taro"@example.jp`, "TARO@example.jp"},
	} {
		a, err1 := ParseAddress(pair[0])
		b, err2 := ParseAddress(pair[1])
		if err1 != nil || err2 != nil || a.Key() != b.Key() {
			t.Errorf("keys of %q and %q: %q (%v), %q (%v)", pair[0], pair[1], a.Key(), err1, b.Key(), err2)
		}
	}
}

func TestMask(t *testing.T) {
	for a, want := range map[Address]string{
		{"taro", "example.jp"}: "t***@example.jp",
		{"a", "example.jp"}:    "a***@example.jp",
		{}:                     "***@",
	} {
		if got := a.Mask(); got != want {
			t.Errorf("Mask of %v = %q, want %q", a, got, want)
		}
	}
}

func TestMaskText(t *testing.T) {
	taro := Address{"Taro", "example.jp"}
	dots := Address{"a..b", "docomo.example.jp"}
	short := Address{"ab", "example.jp"}
	odd := Address{`a"b`, "example.jp"}
	for _, c := range []struct {
		a        Address
		in, want string
	}{
		{taro, "", ""},
		{taro, "2.0.0 Ok: queued as 4F2C", "2.0.0 Ok: queued as 4F2C"},
		{taro, "<TARO@example.JP>: User unknown", "<***>: User unknown"},
		{taro, "taro@example.jp and taro@EXAMPLE.jp.", "*** and ***."},
		{taro, `<"taro"@example.jp> unknown`, "<***> unknown"},
		{taro, "<taro@mail.internal.example>: expanded from", "<***@mail.internal.example>: expanded from"},
		{taro, "xtaro@other.example stays", "xtaro@other.example stays"},
		{taro, "xtaro@example.jp is masked all the same", "x*** is masked all the same"},
		{taro, "taro%example.jp@relay.example", "***@relay.example"},
		{taro, "bounce-taro=example.jp@relay.example", "bounce-***@relay.example"},
		{taro, "no such user <taro>", "no such user <***>"},
		{taro, "no such user 'taro' [taro] (taro)", "no such user '***' [***] (***)"},
		{taro, `no such user "taro"`, "no such user ***"},
		{taro, "taro alone is a word of many", "taro alone is a word of many"},
		{taro, "<tarot>", "<tarot>"},
		{taro, "İ<taro@example.jp>", "İ<***>"},
		{dots, `<"A..B"@docomo.example.jp> <a..b@docomo.example.jp>`, "<***> <***>"},
		{short, "<ab> stays, <ab@example.jp> not", "<ab> stays, <***> not"},
		{short, "ab@other.example", "***@other.example"},
		{odd, `<"a\"b"@example.jp> and a"b@example.jp`, "<***> and ***"},
		{Address{}, "nothing @ all", "nothing @ all"},
	} {
		if got := MaskText(c.in, c.a); got != c.want {
			t.Errorf("MaskText(%q, %v) = %q, want %q", c.in, c.a, got, c.want)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{
		"taro@example.jp", "a..b@docomo.example.jp", `"a\"b"@example.jp`, ".a@example.jp",
		"taro@example.jp\r\nX: y", "a@b@example.jp", "ｔ@example.jp", `"\`, `"a"@example.jp`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAddress(s)
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Fatalf("error %v is not ErrInvalid", err)
			}
			return
		}
		wire := a.Mailbox()
		for i := 0; i < len(wire); i++ {
			if wire[i] <= ' ' || wire[i] >= 0x7F {
				t.Fatalf("ParseAddress(%q) lets %q through", s, wire)
			}
		}
		b, err := ParseAddress(wire)
		if err != nil || b.Key() != a.Key() || b.Mailbox() != wire {
			t.Fatalf("ParseAddress(%q): mailbox %q comes back as %v, %v", s, wire, b, err)
		}
		if a.Mask() == "" || strings.Contains(a.Local, "*") {
			return
		}
		reply := "550 5.1.1 <" + s + ">: " + strings.ToUpper(wire) + " unknown, " + wire
		if got := MaskText(reply, a); strings.Contains(strings.ToLower(got), strings.ToLower(wire)) {
			t.Fatalf("MaskText(%q) = %q", reply, got)
		}
	})
}
