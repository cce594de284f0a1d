package mailer

import "testing"

func TestGroupingFind(t *testing.T) {
	g, err := NewGrouping(JapaneseProviders)
	if err != nil {
		t.Fatal(err)
	}
	for domain, want := range map[string]string{
		"docomo.ne.jp":      "docomo",
		"d.vodafone.ne.jp":  "softbank",
		"i.softbank.jp":     "softbank",
		"abc.ezweb.ne.jp":   "au",
		"gmail.com":         "gmail",
		"notgmail.com":      OtherDomains,
		"example.jp":        OtherDomains,
		"xdocomo.ne.jp":     OtherDomains,
		"mail.yahoo.co.jp":  "yahoo-japan",
		"hotmail.co.jp":     "outlook",
		"":                  OtherDomains,
		"docomo.ne.jp.evil": OtherDomains,
	} {
		if got := g.Find(domain); got != want {
			t.Errorf("%s: %s, want %s", domain, got, want)
		}
	}
}

func TestGroupingRefusesWhatIsAmbiguous(t *testing.T) {
	for name, groups := range map[string][]DomainGroup{
		"name twice":          {{Name: "a"}, {Name: "a"}},
		"no name":             {{Domains: []string{"x.example"}}},
		"domain twice":        {{Name: "a", Domains: []string{"x.example"}}, {Name: "b", Domains: []string{"X.example"}}},
		"domains of the rest": {{Name: OtherDomains, Domains: []string{"x.example"}}},
	} {
		if _, err := NewGrouping(groups); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
