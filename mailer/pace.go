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

// Recovered counts what was taken back from dead workers.
type Recovered struct {
	Requeued int64
	Unknown  int64
}
