package mailer

import (
	"net/netip"
	"strings"
	"time"
)

// What holds where nothing else is said: the config and the parts that it steers
// take it from here, so that both say the same.
const (
	DefaultBatch     = 500              // deliveries that a lease holds
	DefaultLease     = time.Minute      // renewed at a third of it
	DefaultDeadline  = 48 * time.Hour   // from the first attempt until a delivery expires
	DefaultGrace     = time.Hour        // how late a campaign may start by itself
	DefaultStopGrace = 10 * time.Second // what a stop leaves to what is on the wire

	DefaultCountTolerance = 0.01 // share of a declared count that may be missed

	DefaultConnections    = 10               // to one relay, open at once
	DefaultIdle           = 30 * time.Second // after which an unused connection is closed
	DefaultDialTimeout    = 30 * time.Second // TCP, TLS, EHLO and AUTH together
	DefaultCommandTimeout = 5 * time.Minute  // RFC 5321 section 4.5.3.2
	DefaultDataTimeout    = 10 * time.Minute // RFC 5321 section 4.5.3.2.6
	DefaultIntents        = 1
	DefaultWeight         = 1

	// MaxPerSecond and MaxPerHour are the highest paces that can be meant: beyond
	// them somebody has slipped on the keys. 0 is no limit.
	MaxPerSecond = 100_000
	MaxPerHour   = 3600 * MaxPerSecond

	// MaxIntents bounds what one cut can leave unknown on one connection.
	MaxIntents = 16
)

// DefaultRetry are the waits before each further attempt; the last repeats.
func DefaultRetry() []time.Duration {
	return []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour}
}

// Loopback reports whether a host is this machine, by its name or address alone.
func Loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
