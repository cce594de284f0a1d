package main

import (
	"context"
	"fmt"
	"time"

	"oshirase/config"
	"oshirase/mailer"
	"oshirase/mailer/send"
	"oshirase/mailer/smtp"
	"oshirase/mailer/words"
	"oshirase/store"
	"oshirase/templates"
)

// The concrete parts fit the interfaces that the runner declares.
var (
	_ send.Ledger     = (*store.DB)(nil)
	_ send.Dialer     = (*smtp.Dialer)(nil)
	_ send.Pipeliner  = (*smtp.Conn)(nil)
	_ send.Rester     = (*smtp.Conn)(nil)
	_ send.Prober     = (*smtp.Conn)(nil)
	_ mailer.Composer = (*smtp.Composer)(nil)
)

// notices returns the built-in templates.
func (a *app) notices() (mailer.Templates, error) {
	set, err := templates.New()
	if err != nil {
		return nil, err
	}
	return set, nil
}

// composer returns what composes and signs a merchant's messages.
func (a *app) composer(m *mailer.Merchant) (mailer.Composer, error) {
	var opt smtp.ComposerOptions
	if d := m.DKIM; d.Selector != "" {
		cfg, err := a.config()
		if err != nil {
			return nil, err
		}
		key, err := smtp.LoadKey(cfg.Path(d.KeyFile))
		if err != nil {
			return nil, withHint(fmt.Errorf("merchant %s: dkim: %w", m.ID, err), "look at [dkim] in merchants/%s.toml", m.ID)
		}
		opt.DKIM = &smtp.DKIM{Domain: d.Domain, Selector: d.Selector, Key: key}
	}
	return smtp.NewComposer(opt)
}

// runner wires the ledger, the notices and the relays of the config.
func (a *app) runner(ctx context.Context) (*send.Runner, error) {
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
	pool, err := a.pool(cfg)
	if err != nil {
		return nil, err
	}
	pace, err := paceOf(cfg)
	if err != nil {
		return nil, err
	}
	s := cfg.Sending
	opt := send.Options{
		Pace: pace, Lease: s.Lease.Std(), Deadline: s.Deadline.Std(), MinConnections: s.MinConnections,
		Grace: s.Grace.Std(), StopGrace: s.StopGrace.Std(),
		Hurry: a.hurry, Resend: cfg.Ledger.Unknown == "resend", Now: a.now, Logger: a.logger(), Explain: words.Error,
	}
	for _, d := range s.Retry {
		opt.Retry = append(opt.Retry, d.Std())
	}
	return &send.Runner{Ledger: db, Notices: set, Relays: pool, Composer: a.composer, Options: opt}, nil
}

// paceOf is what of a config may change while it is in force.
func paceOf(cfg *config.Config) (send.Pace, error) {
	grouping, err := cfg.Grouping()
	if err != nil {
		return send.Pace{}, err
	}
	s := cfg.Sending
	return send.Pace{
		Batch: s.Batch, BatchPause: s.BatchPause.Std(), PerSecond: s.PerSecond, PerHour: s.PerHour, Groups: grouping.Groups(),
	}, nil
}

// dialer opens no connection yet.
func dialer(cfg *config.Config, r config.Relay) (*smtp.Dialer, error) {
	password, err := cfg.RelayPassword(r)
	if err != nil {
		return nil, err
	}
	return smtp.NewDialer(smtp.RelayOptions{
		Name: r.Name, Address: r.Address, TLS: r.TLS, CAFile: cfg.Path(r.CAFile), ServerName: r.ServerName, EHLO: r.EHLO,
		Username: r.Username, Password: password, MessagesPerConnection: r.MessagesPerConnection,
		DialTimeout: r.DialTimeout.Std(), CommandTimeout: r.CommandTimeout.Std(), DataTimeout: r.DataTimeout.Std(),
		Pipelining: r.Pipelining, Chunking: r.Chunking, Intents: r.Intents,
	})
}

// pool opens no connection yet. A relay of another kind is another Dialer.
func (a *app) pool(cfg *config.Config) (*send.Pool, error) {
	if len(cfg.Relays) == 0 {
		return nil, withHint(fmt.Errorf("no [[relay]] in %s", a.configPath()), "see `oshirase config example`")
	}
	var relays []send.Relay
	for _, r := range cfg.Relays {
		if r.Weight == 0 {
			continue // kept in the file, unused
		}
		d, err := dialer(cfg, r)
		if err != nil {
			return nil, err
		}
		relays = append(relays, send.Relay{Name: r.Name, Dialer: d, Connections: r.Connections, Weight: r.Weight, Idle: r.Idle.Std()})
	}
	if len(relays) == 0 {
		return nil, withHint(fmt.Errorf("every [[relay]] in %s has weight 0", a.configPath()), "give one of them a weight")
	}
	pool, err := send.NewPool(time.Now, relays...) // not a.now: back-offs are the machine's matter
	if err != nil {
		return nil, err
	}
	a.onClose(pool.Close)
	return pool, nil
}
