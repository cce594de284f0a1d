package main

import (
	"context"

	"oshirase/mailer/campaign"
	"oshirase/mailer/words"
)

// preparation wires what makes, changes and checks campaigns.
func (a *app) preparation(ctx context.Context) (*campaign.Preparation, error) {
	cfg, err := a.config()
	if err != nil {
		return nil, err
	}
	db, err := a.store(ctx)
	if err != nil {
		return nil, err
	}
	set, err := a.notices()
	if err != nil {
		return nil, err
	}
	grouping, err := cfg.Grouping()
	if err != nil {
		return nil, err
	}
	return &campaign.Preparation{
		Ledger: db, Templates: set, Grouping: grouping, Now: a.now, Words: words.Error,
		Policy: cfg.Approval.Policy(), CountTolerance: cfg.Approval.CountTolerance,
	}, nil
}

// previewer wires what shows single notices; it sends none.
func (a *app) previewer(ctx context.Context) (*campaign.Previewer, error) {
	db, err := a.reader(ctx)
	if err != nil {
		return nil, err
	}
	set, err := a.notices()
	if err != nil {
		return nil, err
	}
	return &campaign.Previewer{Ledger: db, Templates: set, Composer: a.composer, Now: a.now, Random: a.random}, nil
}

// steering wires what moves campaigns.
func (a *app) steering(ctx context.Context) (*campaign.Steering, error) {
	cfg, err := a.config()
	if err != nil {
		return nil, err
	}
	db, err := a.store(ctx)
	if err != nil {
		return nil, err
	}
	return &campaign.Steering{Ledger: db, Policy: cfg.Approval.Policy()}, nil
}

// approvals wires what is read and signed.
func (a *app) approvals(ctx context.Context) (*campaign.Approvals, error) {
	cfg, err := a.config()
	if err != nil {
		return nil, err
	}
	db, err := a.store(ctx)
	if err != nil {
		return nil, err
	}
	set, err := a.notices()
	if err != nil {
		return nil, err
	}
	return &campaign.Approvals{Ledger: db, Templates: set, Policy: cfg.Approval.Policy(), Now: a.now, Words: words.Error}, nil
}

// persons wires who may act, and what it takes to approve.
func (a *app) persons(ctx context.Context) (*campaign.Persons, error) {
	cfg, err := a.config()
	if err != nil {
		return nil, err
	}
	db, err := a.store(ctx)
	if err != nil {
		return nil, err
	}
	return &campaign.Persons{Ledger: db, Policy: cfg.Approval.Policy()}, nil
}

// register wires what reads the ledger.
func (a *app) register(ctx context.Context) (*campaign.Register, error) {
	db, err := a.reader(ctx)
	if err != nil {
		return nil, err
	}
	return &campaign.Register{Ledger: db, Now: a.now}, nil
}

// facts wires what takes facts over and ends incidents.
func (a *app) facts(ctx context.Context) (*campaign.Facts, error) {
	db, err := a.store(ctx)
	if err != nil {
		return nil, err
	}
	set, err := a.notices()
	if err != nil {
		return nil, err
	}
	return &campaign.Facts{Ledger: db, Templates: set}, nil
}

// auditing wires what looks whether the ledger is as it was written.
func (a *app) auditing(ctx context.Context) (*campaign.Auditing, error) {
	db, err := a.reader(ctx)
	if err != nil {
		return nil, err
	}
	return &campaign.Auditing{Ledger: db}, nil
}
