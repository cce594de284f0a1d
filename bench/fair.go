package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// turns is how many campaigns are sent under one pace, which takes so long for all.
type turns struct {
	campaigns int
	whole     time.Duration
}

// inTurn is one campaign of them.
type inTurn struct {
	id     string
	people int
	began  float64 // share of the whole time that was over
	half   float64 // share of its people told at half of the time
}

// fairTurns shows whether campaigns under one pace are sent in turn: each of them
// begins early, and none is behind at half of the time.
func (b *bench) fairTurns(ctx context.Context) error {
	t := &table{title: fmt.Sprintf("fair turns: %d campaigns of 10 to 50 people, one pace for all, that takes %s; when each begins, as a share of the whole time",
		b.turns.campaigns, b.turns.whole)}
	t.add("program", "messages", "took s", "begin: the median", "the last", "within the first tenth", "told at half time, of each: least", "most")
	programs := []struct{ name, path string }{{"present", b.program}}
	if b.base != "" {
		programs = append(programs, struct{ name, path string }{"base", b.base})
	}
	for _, p := range programs {
		campaigns, took, err := b.inTurns(ctx, p.path)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		var messages, early int
		var began, half []float64
		for _, c := range campaigns {
			messages += c.people
			began, half = append(began, c.began), append(half, c.half)
			if c.began <= 0.1 {
				early++
			}
		}
		t.add(p.name, fmt.Sprint(messages), fmt.Sprintf("%.1f", took.Seconds()), percent(quantile(0.5, began)), percent(quantile(1, began)),
			fmt.Sprintf("%d of %d", early, len(campaigns)), percent(quantile(0, half)), percent(quantile(1, half)))
	}
	t.print()
	return nil
}

func percent(v float64) string { return fmt.Sprintf("%.1f %%", 100*v) }

// inTurns sends the campaigns, of a merchant each, in one run.
func (b *bench) inTurns(ctx context.Context, program string) (campaigns []inTurn, took time.Duration, err error) {
	r, err := b.receive(ctx)
	if err != nil {
		return nil, 0, err
	}
	running := true
	defer func() {
		if running {
			_, _, _ = r.close() // err says what went wrong
		}
	}()
	f, err := b.makeFolder(ctx, setup{relay: r.address, connections: 10, durability: "full", people: 1, program: program})
	if err != nil {
		return nil, 0, err
	}
	defer f.remove()
	all := 0
	for i := range b.turns.campaigns {
		c := inTurn{people: 10 + i*17%41}
		campaigns = append(campaigns, c)
		all += c.people
	}
	if err := f.merchants(ctx, campaigns, float64(all)/b.turns.whole.Seconds()); err != nil {
		return nil, 0, err
	}
	for i := range campaigns {
		if err := b.ready(ctx, f, i, &campaigns[i]); err != nil {
			return nil, 0, err
		}
	}
	var sum struct{ Accepted int }
	if _, err := f.measured(ctx, &sum, "run"); err != nil {
		return nil, 0, err
	}
	running = false
	got, _, err := r.close()
	if err != nil {
		return nil, 0, err
	}
	if sum.Accepted != all || got.Messages != int64(all) {
		return nil, 0, fmt.Errorf("%d people, %d accepted, %d received: that is no figure but a defect", all, sum.Accepted, got.Messages)
	}
	took, err = f.begun(ctx, campaigns)
	return campaigns, took, err
}

func merchantOf(i int) string { return fmt.Sprintf("m%03d", i) }

// merchants has as many merchants as campaigns, and one pace for all of them.
func (f *folder) merchants(ctx context.Context, campaigns []inTurn, perSecond float64) error {
	sample, err := os.ReadFile(filepath.Join(f.dir, "merchants", merchant+".toml"))
	if err != nil {
		return err
	}
	for i, c := range campaigns {
		path := filepath.Join(f.dir, "merchants", merchantOf(i)+".toml")
		err = errors.Join(err, os.WriteFile(path, sample, 0o600), change(path, []edit{
			{`(?m)^id = .*`, fmt.Sprintf("id = %q", merchantOf(i))},
			{`(?m)^declared = .*`, fmt.Sprintf("declared = { A = %d }", c.people)},
		}))
	}
	err = errors.Join(err, change(filepath.Join(f.dir, "oshirase.toml"), []edit{
		{`(?m)^\[sending\]$`, fmt.Sprintf("[sending]\nper_second = %d", max(1, int(perSecond)))},
		{`(?m)^people = .*`, "people = 1"},
	}))
	if err == nil {
		_, err = f.do(ctx, nil, "apply")
	}
	return err
}

// ready has a campaign started.
func (b *bench) ready(ctx context.Context, f *folder, i int, c *inTurn) error {
	list, err := b.list(c.people)
	if err != nil {
		return err
	}
	var imported struct{ Imported int }
	if _, err := f.do(ctx, &imported, "import", "--incident", incident, "--merchant", merchantOf(i), "--exposure", "A", list); err != nil {
		return err
	}
	if c.id, _, err = f.check(ctx, merchantOf(i), c.people); err != nil {
		return err
	}
	if err := f.approve(ctx, c.id, "suzuki", c.people); err != nil {
		return err
	}
	_, err = f.do(ctx, nil, "campaign", "start", c.id)
	return err
}

// begun says of each campaign when it began, and of all how long they took, by the
// times in the ledger.
func (f *folder) begun(ctx context.Context, campaigns []inTurn) (time.Duration, error) {
	type delivery struct {
		First time.Time `json:"first_at"`
		Last  time.Time `json:"last_at"`
	}
	told := make([][]delivery, len(campaigns))
	var first, last time.Time
	for i, c := range campaigns {
		var got struct{ Deliveries []delivery }
		if _, err := f.do(ctx, &got, "deliveries", "--campaign", c.id); err != nil {
			return 0, err
		}
		if len(got.Deliveries) != c.people {
			return 0, fmt.Errorf("campaign %s has %d of %d deliveries", c.id, len(got.Deliveries), c.people)
		}
		told[i] = got.Deliveries
		for _, d := range told[i] {
			if first.IsZero() || d.First.Before(first) {
				first = d.First
			}
			if d.Last.After(last) {
				last = d.Last
			}
		}
	}
	whole := last.Sub(first)
	for i := range campaigns {
		c := &campaigns[i]
		c.began = 1
		for _, d := range told[i] {
			c.began = min(c.began, d.First.Sub(first).Seconds()/whole.Seconds())
			if d.Last.Sub(first) <= whole/2 {
				c.half += 1 / float64(c.people)
			}
		}
	}
	return whole, nil
}
