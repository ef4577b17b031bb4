package store

import "time"

// The limits of Queues; those of a batch bind the callers that take batches from outside.
const (
	MaxMessageBytes   = 128_000
	MaxBatchMessages  = 100
	MaxBatchBytes     = 256_000
	MaxDelay          = 24 * time.Hour
	MaxVisibility     = 12 * time.Hour
	MaxRetention      = 14 * 24 * time.Hour
	DefaultRetention  = 4 * 24 * time.Hour
	DefaultVisibility = 30 * time.Second
)

// Message is what a producer sends.
type Message struct {
	ID          string // 32 hex digits; given by Send when empty
	Body        []byte
	ContentType string        // json, text, bytes or v8
	Delay       time.Duration // 0 to 24 h
}

// Queued is a message as the queue holds it.
type Queued struct {
	ID          string
	Body        []byte
	ContentType string
	Sent        time.Time
	VisibleAt   time.Time // when it was or will be deliverable; while leased, when the lease ends
	Attempts    int       // deliveries so far, this one included
	InFlight    bool

	sequence uint64
}

// Leased is a message that nobody else gets until its lease ends, or it is acknowledged or retried.
type Leased struct {
	Queued
	LeaseID string // names this delivery, for pull consumers
}

// Retrial returns a leased message to its queue.
type Retrial struct {
	ID    string
	Delay time.Duration
}

// Settlement says what becomes of the messages of a delivered batch, in one transaction.
type Settlement struct {
	Ack             []string // message ids
	Retry           []Retrial
	DeadLetter      []string // moved to DeadLetterQueue; deleted when that is empty
	DeadLetterQueue string   // queue id
}

// Depth is the exact state of a backlog at one moment. Count = Ready + Delayed + InFlight.
type Depth struct {
	Count    int64     // every message held
	Bytes    int64     // their bodies
	Ready    int64     // deliverable now
	Delayed  int64     // deliverable later, by a send's or a retry's delay
	InFlight int64     // leased
	Oldest   time.Time // when the oldest message held was sent; zero when the queue is empty
}
