package check_test

import (
	"encoding/json"
	"testing"

	"oshirase/mailer"
	"oshirase/mailer/check"
	"oshirase/torture/mailertest"
)

// TestSame: facts that no notice of a campaign says may change under it; what could
// change a text, a header, a finding or who is selected may not.
func TestSame(t *testing.T) {
	t.Parallel()
	w := mailertest.New(t, 0)
	in, err := w.DB.Incident(t.Context(), "pay")
	mailertest.Must(t, err)
	m, err := w.DB.Merchant(t.Context(), "housing")
	mailertest.Must(t, err)
	m.Declared = map[string]int64{"A": 28, "B1": 1}
	press := len(in.Desks) - 1
	if in.Desks[press].Audience != mailer.AudiencePress {
		t.Fatal("the last desk of the sample is not the press desk")
	}
	for name, tt := range map[string]struct {
		of     func(*mailer.Snapshot) // both before and after
		change func(*mailer.Snapshot)
		same   bool
	}{
		"nothing":             {nil, func(s *mailer.Snapshot) {}, true},
		"press desk":          {nil, func(s *mailer.Snapshot) { s.Incident.Desks[press].Hours = "1:00-2:00" }, true},
		"press desk's phone":  {nil, func(s *mailer.Snapshot) { s.Incident.Desks[press].Phone = "03-0000-9999" }, true},
		"window and pace":     {nil, func(s *mailer.Snapshot) { s.Merchant.Window.Hours, s.Merchant.PerHour = "10:00-11:00", 5 }, true},
		"customers' desk":     {nil, func(s *mailer.Snapshot) { s.Incident.Desks[0].Hours = "1:00-2:00" }, false},
		"a cause":             {nil, func(s *mailer.Snapshot) { s.Incident.Causes[0].Text += "等" }, false},
		"sender":              {nil, func(s *mailer.Snapshot) { s.Merchant.FromName = "別の名前" }, false},
		"reply-to":            {nil, func(s *mailer.Snapshot) { s.Merchant.ReplyTo = "other@minato-jutaku.example" }, false},
		"bounces":             {nil, func(s *mailer.Snapshot) { s.Merchant.BounceDomain = "b.minato-jutaku.example" }, false},
		"signature":           {nil, func(s *mailer.Snapshot) { s.Merchant.DKIM.Selector = "s2" }, false},
		"charset":             {nil, func(s *mailer.Snapshot) { s.Merchant.Charset = mailer.CharsetISO2022JP }, false},
		"charset by its name": {nil, func(s *mailer.Snapshot) { s.Merchant.Charset = mailer.CharsetUTF8 }, true},
		"declared":            {nil, func(s *mailer.Snapshot) { s.Merchant.Declared = map[string]int64{"A": 28, "B1": 2} }, false},
		"declared of a group that some have as well": {only("A"), func(s *mailer.Snapshot) { s.Merchant.Declared = map[string]int64{"A": 28, "B1": 2} }, false},
		"a count":              {only("A"), func(s *mailer.Snapshot) { s.Incident.Exposures[0].Count++ }, false},
		"who also has another": {only("A"), func(s *mailer.Snapshot) { s.Incident.Exposures[1].Data = "別のデータベース" }, false},
		"of nobody selected": {
			func(s *mailer.Snapshot) { s.Certainty = mailer.CertaintyConfirmed },
			func(s *mailer.Snapshot) {
				s.Incident.Exposures = append(s.Incident.Exposures, s.Incident.Exposures[0])
				s.Incident.Exposures[6].ID = "Z"
			},
			true,
		},
		"certainty that selects": {
			func(s *mailer.Snapshot) { s.Certainty = mailer.CertaintyPossible },
			func(s *mailer.Snapshot) { s.Incident.Exposures[0].Certainty = mailer.CertaintyConfirmed }, false,
		},
		"a part of its own": {nil, func(s *mailer.Snapshot) { s.Merchant.Parts = map[string]string{"delay": "遅くなりました。"} }, false},
		"press desk beside a plain part": {
			func(s *mailer.Snapshot) {
				s.Merchant.Parts = map[string]string{"closing": "{{.Reader}}にお詫びします。"}
			},
			func(s *mailer.Snapshot) { s.Incident.Desks[press].Hours = "1:00-2:00" }, true,
		},
		"press desk beside a part that may read it": {
			func(s *mailer.Snapshot) {
				s.Merchant.Parts = map[string]string{"closing": `{{if eq (len .Attributes) 7}}{{(index .Incident.Desks 2).Hours}}{{end}}。`}
			},
			func(s *mailer.Snapshot) { s.Incident.Desks[press].Hours = "1:00-2:00" }, false,
		},
		"what one reader alone may read": {
			func(s *mailer.Snapshot) {
				s.Merchant.Parts = map[string]string{"closing": `{{if eq .Name "佐藤 春香"}}{{.Entrusts}}{{end}}。`}
			},
			func(s *mailer.Snapshot) { s.Merchant.Entrusts = "収納代行" }, false,
		},
		"what only the warned read": {
			nil, func(s *mailer.Snapshot) { s.Incident.Exposures[0].FirstTo = s.Incident.Exposures[0].From.AddDays(3) }, false,
		},
		"too many groups": {
			func(s *mailer.Snapshot) {
				for _, id := range []string{"T", "U", "V", "W", "X", "Y"} {
					e := s.Incident.Exposures[0]
					e.ID = id
					s.Incident.Exposures = append(s.Incident.Exposures, e)
				}
			},
			func(s *mailer.Snapshot) { s.Incident.Exposures[5].Data += "等" }, false,
		},
	} {
		then := mailer.Snapshot{Incident: in, Merchant: m, Stage: mailer.StageFormal, NoticeOn: mailer.DateOf(mailertest.Noon), Templates: w.Set.Digest()}
		if tt.of != nil {
			then = clone(t, &then)
			tt.of(&then)
		}
		now := clone(t, &then)
		tt.change(&now)
		if same, err := check.Same(w.Set, &then, &now); err != nil || same != tt.same {
			t.Errorf("%s: the same %t, %v", name, same, err)
		}
	}
}

func only(exposures ...string) func(*mailer.Snapshot) {
	return func(s *mailer.Snapshot) { s.Exposures = exposures }
}

func clone(t *testing.T, s *mailer.Snapshot) (c mailer.Snapshot) {
	t.Helper()
	b, err := json.Marshal(s)
	mailertest.Must(t, err)
	mailertest.Must(t, json.Unmarshal(b, &c))
	return c
}
