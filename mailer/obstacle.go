package mailer

import "time"

// ObstacleKind is what an obstacle is about.
type ObstacleKind string

// The kinds of obstacles.
const (
	GroupObstacle ObstacleKind = "group" // a domain group
	RelayObstacle ObstacleKind = "relay"
)

// ObstacleReason is why a domain group or a relay is not sent to now.
type ObstacleReason string

// The reasons. All but Down are of domain groups.
const (
	Resting       ObstacleReason = "rest"        // its provider asks for patience
	AtRate        ObstacleReason = "rate"        // as many a second as the config allows
	AtConnections ObstacleReason = "connections" // as many on the wire as the config allows
	Down          ObstacleReason = "down"        // takes no connections
)

// Obstacle is what keeps a worker from sending to a domain group, or through a
// relay, for now. It is for people to see: nothing is decided by it.
type Obstacle struct {
	Kind  ObstacleKind
	Name  string // of the group or relay
	Why   ObstacleReason
	Limit int // messages a second (AtRate) or at once (AtConnections); else 0
	// Reply is what the provider or relay said last, or the error; masked.
	Reply string
	Since time.Time
	// Until is when it is tried again; zero: as soon as there is room, or now.
	Until time.Time
	// Held has the campaigns that the worker sends, by ID, each with the number of
	// its deliveries to the group that the worker has claimed and not begun. Of a
	// relay it is empty.
	Held map[string]int
}
