package smtp

import (
	"bufio"
	"strings"
	"testing"

	"oshirase/mailer"
)

// TestAdvice: what each end of an attempt asks for.
func TestAdvice(t *testing.T) {
	type advice = mailer.Advice
	const deferred, rejected = mailer.StateDeferred, mailer.StateRejected
	for name, tc := range map[string]struct {
		state mailer.State
		point mailer.Point
		reply reply
		want  advice
	}{
		"accepted":                   {mailer.StateAccepted, mailer.AtDot, reply{code: 250}, advice{}},
		"greylisted":                 {deferred, mailer.AtRcpt, reply{code: 450, enhanced: "4.2.0"}, advice{}},
		"too much":                   {deferred, mailer.AtRcpt, reply{code: 450, enhanced: "4.7.1"}, advice{RelaySlower: true, GroupSlower: true}},
		"closing":                    {deferred, mailer.AtDot, reply{code: 421, enhanced: "4.3.2"}, advice{RelaySlower: true, GroupSlower: true, Gone: true, Impersonal: true}},
		"no such user":               {rejected, mailer.AtRcpt, reply{code: 550, enhanced: "5.1.1"}, advice{}},
		"spam":                       {rejected, mailer.AtDot, reply{code: 554, enhanced: "5.7.1"}, advice{}},
		"sender refused":             {deferred, mailer.AtMail, reply{code: 550, enhanced: "5.7.1"}, advice{RefusesUs: true}},
		"sender put off":             {deferred, mailer.AtMail, reply{code: 451, enhanced: "4.3.0"}, advice{Impersonal: true}},
		"authentication wanted":      {rejected, mailer.AtRcpt, reply{code: 530, enhanced: "5.7.0"}, advice{RefusesUs: true}},
		"SPF":                        {rejected, mailer.AtDot, reply{code: 550, enhanced: "5.7.23"}, advice{RefusesUs: true}},
		"cut before the dot":         {deferred, mailer.AtBody, reply{}, advice{NotLeft: true, Gone: true, RelaySlower: true}},
		"cut before it was begun":    {deferred, mailer.AtConnect, reply{}, advice{NotLeft: true, Gone: true}},
		"cut behind the dot":         {mailer.StateUnknown, mailer.AtDot, reply{}, advice{Gone: true, RelaySlower: true}},
		"refused by ourselves, size": {rejected, mailer.AtMail, reply{}, advice{Ours: true}},
	} {
		if got := advise(tc.state, tc.point, tc.reply); got != tc.want {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
	}
}

// TestRawReply: what came is kept where it was cut to be read, and bounded.
func TestRawReply(t *testing.T) {
	line := "550-5.7.1 " + strings.Repeat("x", 900) + "\r\n"
	r, err := readReply(bufio.NewReader(strings.NewReader(strings.Repeat(line, 3) + "550 5.7.1 end\r\n")))
	if err != nil || len(r.text) != maxReplyText || len(r.raw) != 3*901+len("end") || !strings.HasPrefix(r.raw, r.text) || !strings.HasSuffix(r.raw, "x end") {
		t.Errorf("%d and %d octets, %v", len(r.text), len(r.raw), err)
	}
	r, err = readReply(bufio.NewReader(strings.NewReader(strings.Repeat(line, 100) + "550 5.7.1 end\r\n")))
	if err != nil || len(r.raw) != maxReplyRaw {
		t.Errorf("%d octets of a long reply, %v", len(r.raw), err)
	}
}
