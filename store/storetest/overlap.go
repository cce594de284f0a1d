package storetest

import (
	"context"
	"slices"
	"testing"

	"oshirase/mailer"
)

func (s suite) TestOverlaps(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	e.apply()
	rows := people(5)
	for i := range rows[:2] {
		rows[i].Exposures = []string{"A", "B1"}
	}
	e.load("shop", "one", rows)
	a := e.create(mailer.Campaign{Exposures: []string{"A"}})
	e.check(a, nil)
	for _, tt := range []struct {
		name string
		c    mailer.Campaign
		want []int64
	}{
		{"another group with two of them", mailer.Campaign{Exposures: []string{"B1"}}, []int64{2}},
		{"all of them", mailer.Campaign{}, []int64{5}},
		{"another stage", mailer.Campaign{Stage: mailer.StageFollowUp}, nil},
	} {
		id := e.create(tt.c)
		e.check(id, nil)
		ids, n, err := e.Overlaps(ctx, id)
		must(t, err)
		if !slices.Equal(n, tt.want) || len(n) > 0 && ids[0] != a {
			t.Errorf("%s: %v in %v, want %v in %s", tt.name, n, ids, tt.want, a)
		}
		must(t, e.Cancel(ctx, actor("test"), id))
	}
	must(t, e.Cancel(ctx, actor("test"), a))
	all := e.create(mailer.Campaign{})
	e.check(all, nil)
	if ids, _, err := e.Overlaps(ctx, all); err != nil || len(ids) != 0 {
		t.Errorf("with a cancelled one: %v %v", ids, err)
	}
}
