package smtp

import (
	"time"

	"oshirase/mailer"
)

// Aside lists the relays that are set aside, in the order of the config. Until is
// zero where one is being tried again, or is as soon as a connection is wanted.
func (p *Pool) Aside() []mailer.Wait {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	var list []mailer.Wait
	for _, r := range p.relays {
		if r.retryAt.IsZero() {
			continue
		}
		o := mailer.Wait{Scope: mailer.WaitRelay, Name: r.Name, Reason: mailer.WaitDown, Since: r.since, Until: r.retryAt}
		if !now.Before(r.retryAt) {
			o.Until = time.Time{}
		}
		if r.err != nil {
			o.Reply = printable(r.err.Error())
		}
		list = append(list, o)
	}
	return list
}
