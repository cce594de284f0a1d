package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// turns is how many campaigns are sent under one pace, and for how long: a tenth of
// what all would take.
type turns struct {
	campaigns int
	tenth     time.Duration
}

// inTurn is one campaign of them.
type inTurn struct {
	id     string
	people int
	began  time.Duration // behind the first of all; negative: not yet
	told   int
}

// fairTurns shows whether campaigns under one pace are sent in turn: each of them
// begins within the first tenth of the time, and then a tenth of each is told.
func (b *bench) fairTurns(ctx context.Context) error {
	t := &table{title: fmt.Sprintf("fair turns: %d campaigns, the oldest of 3020 people, each younger one smaller; one pace, at which all would take %s, of which the first tenth is run",
		b.turns.campaigns, 10*b.turns.tenth)}
	t.add("program", "people", "told", "begun", "begin, share of the whole: the median", "the last", "told of each: least", "the median", "most")
	programs := []struct{ name, path string }{{"present", b.program}}
	if b.base != "" {
		programs = append(programs, struct{ name, path string }{"base", b.base})
	}
	for _, p := range programs {
		campaigns, err := b.inTurns(ctx, p.path)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		var people, told int
		var began, shares []float64
		for _, c := range campaigns {
			people, told = people+c.people, told+c.told
			shares = append(shares, float64(c.told)/float64(c.people))
			if c.began >= 0 {
				began = append(began, c.began.Seconds()/(10*b.turns.tenth).Seconds())
			}
		}
		t.add(p.name, fmt.Sprint(people), fmt.Sprint(told), fmt.Sprintf("%d of %d", len(began), len(campaigns)), percent(quantile(0.5, began)), percent(quantile(1, began)),
			percent(quantile(0, shares)), percent(quantile(0.5, shares)), percent(quantile(1, shares)))
	}
	t.print()
	return nil
}

func percent(v float64) string { return fmt.Sprintf("%.1f %%", 100*v) }

// inTurns sends the campaigns, of a merchant each, in one run.
func (b *bench) inTurns(ctx context.Context, program string) (campaigns []inTurn, err error) {
	r, err := b.receive(ctx)
	if err != nil {
		return nil, err
	}
	running := true
	defer func() {
		if running {
			_, _, _ = r.close() // err says what went wrong
		}
	}()
	f, err := b.makeFolder(ctx, setup{relay: r.address, connections: 10, durability: "full", people: 1, program: program})
	if err != nil {
		return nil, err
	}
	defer f.remove()
	all := 0
	for i := range b.turns.campaigns {
		c := inTurn{people: 20 + 3000/(i+1)}
		campaigns = append(campaigns, c)
		all += c.people
	}
	if err := f.merchants(ctx, campaigns, float64(all)/(10*b.turns.tenth).Seconds()); err != nil {
		return nil, err
	}
	for i := range campaigns {
		if err := b.ready(ctx, f, i, &campaigns[i]); err != nil {
			return nil, err
		}
	}
	if err := f.runFor(ctx, b.turns.tenth); err != nil {
		return nil, err
	}
	running = false
	got, _, err := r.close()
	if err != nil {
		return nil, err
	}
	told, err := f.begun(ctx, campaigns)
	if err == nil && (got.Messages != told || told == 0) {
		err = fmt.Errorf("%d accepted, %d received: that is no figure but a defect", told, got.Messages)
	}
	return campaigns, err
}

// runFor has run send for a time, and stops it as an operator would.
func (f *folder) runFor(ctx context.Context, d time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	cmd := exec.CommandContext(ctx, f.program, "--quiet", "run")
	cmd.Dir = f.dir
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	_, _, err := watched(cmd)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	if err == nil {
		err = errors.New("the run was over before its tenth: the pace does not hold")
	}
	return err
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

// begun says of each campaign when it began and how many were told, by the ledger,
// and how many were told in all.
func (f *folder) begun(ctx context.Context, campaigns []inTurn) (told int64, err error) {
	began := make([]time.Time, len(campaigns))
	var first time.Time
	for i := range campaigns {
		c := &campaigns[i]
		var got struct {
			Deliveries []struct {
				State   string
				FirstAt time.Time `json:"first_at"`
			}
		}
		if _, err := f.do(ctx, &got, "deliveries", "--campaign", c.id); err != nil {
			return 0, err
		}
		if len(got.Deliveries) != c.people {
			return 0, fmt.Errorf("campaign %s has %d of %d deliveries", c.id, len(got.Deliveries), c.people)
		}
		for _, d := range got.Deliveries {
			if d.State == "accepted" {
				c.told++
			}
			if began[i].IsZero() || !d.FirstAt.IsZero() && d.FirstAt.Before(began[i]) {
				began[i] = d.FirstAt
			}
		}
		if first.IsZero() || !began[i].IsZero() && began[i].Before(first) {
			first = began[i]
		}
		told += int64(c.told)
	}
	for i := range campaigns {
		if campaigns[i].began = -1; !began[i].IsZero() {
			campaigns[i].began = began[i].Sub(first)
		}
	}
	return told, nil
}
