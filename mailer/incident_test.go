package mailer

import (
	"errors"
	"testing"
)

func validIncident() Incident {
	return Incident{
		ID: "pay", Title: "不正アクセスによる個人情報漏えい", Operator: Organisation{Name: "株式会社ひかり決済"},
		Desks: []Desk{{Audience: "customers", Phone: "0120-000-620", Days: "every-day"}},
		Exposures: []Exposure{{
			ID: "A", From: Date{2021, 10, 14}, To: Date{2022, 1, 25},
			Items: []Item{ItemCardNumber}, Certainty: CertaintyPossible, Count: 460395,
		}},
	}
}

func TestIncidentValidate(t *testing.T) {
	in := validIncident()
	if err := in.Validate(); err != nil {
		t.Fatalf("a valid incident: %v", err)
	}
	for name, tt := range map[string]struct {
		change func(*Incident)
		code   Code
		key    string
	}{
		"id":             {func(in *Incident) { in.ID = "Pay 1" }, "facts.id", "id"},
		"title":          {func(in *Incident) { in.Title = " " }, "facts.missing", "title"},
		"operator":       {func(in *Incident) { in.Operator.Name = "" }, "facts.missing", "operator.name"},
		"title of lines": {func(in *Incident) { in.Title = "漏えい\nBcc: x" }, "text.line-break", "title"},
		"hidden outline": {func(in *Incident) { in.Outline = "一\n二\u202e" }, "text.hidden", "outline"},
		"hidden cause":   {func(in *Incident) { in.Causes = []Cause{{Text: "a"}, {Measure: "\x9b31m"}} }, "text.utf8", "causes[1].measure"},
		"hidden item":    {func(in *Incident) { in.Exposures[0].Data = "台\ufeff帳" }, "text.hidden", "exposures[0].data"},
		"hidden desk":    {func(in *Incident) { in.Desks[0].Hours = "9:00\u2066" }, "text.hidden", "desks[0].hours"},
		"desk's address": {func(in *Incident) { in.Desks[0].Email = "desk@localhost" }, "desk.email", "desks[0].email"},
		"no exposure":    {func(in *Incident) { in.Exposures = nil }, "facts.no-exposure", "exposures"},
		"exposure twice": {func(in *Incident) { in.Exposures = append(in.Exposures, in.Exposures[0]) }, "exposure.twice", "exposures"},
		"no id":          {func(in *Incident) { in.Exposures[0].ID = "" }, "exposure.id", "exposures[0]"},
		"unknown item":   {func(in *Incident) { in.Exposures[0].MaybeAlso = []Item{"shoe-size"} }, "exposure.item", "exposures[0]"},
		"certainty":      {func(in *Incident) { in.Exposures[0].Certainty = "sure" }, "exposure.certainty", "exposures[0]"},
		"half a period":  {func(in *Incident) { in.Exposures[0].To = Date{} }, "exposure.period", "exposures[0]"},
		"period":         {func(in *Incident) { in.Exposures[0].To = Date{2021, 1, 1} }, "exposure.order", "exposures[0]"},
		"count":          {func(in *Incident) { in.Exposures[0].Count = -1 }, "exposure.count", "exposures[0]"},
		"attack":         {func(in *Incident) { in.AttackFrom, in.AttackTo = Date{2022, 1, 1}, Date{2021, 1, 1} }, "facts.attack-order", "attack_to"},
		"desk audience":  {func(in *Incident) { in.Desks[0].Audience = "" }, "desk.audience", "desks[0].audience"},
		"desk days":      {func(in *Incident) { in.Desks[0].Days = "sundays" }, "desk.days", "desks[0].days"},
		"correction":     {func(in *Incident) { in.Corrections = []Correction{{Kind: "oops"}} }, "facts.correction-kind", "corrections[0].kind"},
	} {
		t.Run(name, func(t *testing.T) {
			in := validIncident()
			tt.change(&in)
			err := in.Validate()
			if e, ok := errors.AsType[*Error](err); !ok || !errors.Is(err, ErrInvalid) || e.Code != tt.code || e.Arg("key") != tt.key {
				t.Errorf("got %v, want %s at %s", err, tt.code, tt.key)
			}
		})
	}
}

func TestExposureMerchants(t *testing.T) {
	for name, tt := range map[string]struct {
		items []Item
		want  bool
	}{
		"merchant data": {[]Item{ItemMerchantName, ItemMerchantCode}, true},
		"mixed":         {[]Item{ItemMerchantName, ItemEmail}, false},
		"people":        {[]Item{ItemEmail}, false},
		"nothing":       {nil, false},
	} {
		e := Exposure{Items: tt.items}
		if e.Merchants() != tt.want {
			t.Errorf("%s: %v", name, !tt.want)
		}
	}
}
