package mailer

import (
	"errors"
	"strings"
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
		want   string
	}{
		"id":             {func(in *Incident) { in.ID = "Pay 1" }, "id"},
		"title":          {func(in *Incident) { in.Title = " " }, "title"},
		"operator":       {func(in *Incident) { in.Operator.Name = "" }, "operator.name"},
		"no exposure":    {func(in *Incident) { in.Exposures = nil }, "exposures"},
		"exposure twice": {func(in *Incident) { in.Exposures = append(in.Exposures, in.Exposures[0]) }, "stands twice"},
		"no id":          {func(in *Incident) { in.Exposures[0].ID = "" }, "id is missing"},
		"unknown item":   {func(in *Incident) { in.Exposures[0].MaybeAlso = []Item{"shoe-size"} }, "shoe-size"},
		"certainty":      {func(in *Incident) { in.Exposures[0].Certainty = "sure" }, "certainty"},
		"half a period":  {func(in *Incident) { in.Exposures[0].To = Date{} }, "from and to"},
		"period":         {func(in *Incident) { in.Exposures[0].To = Date{2021, 1, 1} }, "before"},
		"count":          {func(in *Incident) { in.Exposures[0].Count = -1 }, "negative"},
		"attack":         {func(in *Incident) { in.AttackFrom, in.AttackTo = Date{2022, 1, 1}, Date{2021, 1, 1} }, "attack_to"},
		"desk audience":  {func(in *Incident) { in.Desks[0].Audience = "" }, "audience"},
		"desk days":      {func(in *Incident) { in.Desks[0].Days = "sundays" }, "days"},
		"correction":     {func(in *Incident) { in.Corrections = []Correction{{Kind: "oops"}} }, "kind"},
	} {
		t.Run(name, func(t *testing.T) {
			in := validIncident()
			tt.change(&in)
			err := in.Validate()
			if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want ErrInvalid with %q", err, tt.want)
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
