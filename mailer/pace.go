package mailer

import "time"

// Limit is a pace that all workers share: N messages in each Per, smoothly, and
// at most Burst at once.
type Limit struct {
	Key   string // merchant:ID:hour, total:second, group:NAME, …
	N     int
	Per   time.Duration
	Burst int
}

// ValidPerHour reports whether n can be meant as a pace: 0 is no limit.
func ValidPerHour(n int) bool { return n >= 0 && n <= MaxPerHour }

// Grant is what limits allow now.
type Grant struct {
	N int // messages; they are taken out of every limit
	// Wait is, where N is 0, how long until one would be granted.
	Wait time.Duration
	// Bound is the key of the limit that allows least, the last of several; empty: all
	// that was asked for was granted.
	Bound string
}

// Recovered counts what was taken back from dead workers.
type Recovered struct {
	Requeued int64
	Unknown  int64
}
