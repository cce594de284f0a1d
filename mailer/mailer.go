// Package mailer holds the words and rules of oshirase: incidents, merchants,
// recipients, campaigns, deliveries, and what may happen to them.
//
// It is the bottom of the house: standard library only, no I/O, no clock and no
// randomness of its own. Everything else (store, templates, list, smtp, the
// runner) speaks in the types of this package and never in each other's.
package mailer

import "time"

// JST is the zone of schedules and of people: windows, desks and dates in
// notices. Japan has had no daylight saving since 1951, so a fixed zone is
// exact and does not depend on a zone database on the machine.
var JST = time.FixedZone("JST", 9*60*60)
