package mailer

import (
	"encoding/json"
	"slices"
	"testing"
)

func TestDiffFacts(t *testing.T) {
	before := Incident{
		ID: "pay", Title: "不正アクセス", Desks: []Desk{{Audience: AudiencePress, Hours: "9:00-17:00"}},
		Exposures: []Exposure{{ID: "A", Count: 28}, {ID: "B", Items: []Item{ItemName}}}, Prevention: []string{"一", "二"},
	}
	after := before
	after.Desks = []Desk{{Audience: AudiencePress, Hours: "9:00-18:00", FreeCall: true}}
	after.Exposures = []Exposure{{ID: "B", Items: []Item{ItemName, ItemEmail}}, {ID: "A", Count: 200_000}}
	after.Prevention = before.Prevention[:1]
	after.Passphrase = "合言葉"
	x, err := json.Marshal(&before)
	if err != nil {
		t.Fatal(err)
	}
	y, err := json.Marshal(&after)
	if err != nil {
		t.Fatal(err)
	}
	got, err := DiffFacts("incident", "pay", x, y)
	want := []FactChange{
		{"incident", "pay", "desks[0].free_call", "", "true"},
		{"incident", "pay", "desks[0].hours", "9:00-17:00", "9:00-18:00"},
		{"incident", "pay", "exposures[A].count", "28", "200000"},
		{"incident", "pay", "exposures[B].items[1]", "", "email"},
		{"incident", "pay", "passphrase", "", "合言葉"},
		{"incident", "pay", "prevention[1]", "二", ""},
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := DiffFacts("incident", "pay", x, x); err != nil || len(got) > 0 {
		t.Errorf("nothing differs: %+v, %v", got, err)
	}
	if _, err := DiffFacts("incident", "pay", x, []byte("{")); err == nil {
		t.Error("half a text is compared")
	}
}
