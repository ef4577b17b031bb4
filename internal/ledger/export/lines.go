package export

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
)

// Account is a line of a whole ledger: who can owe and be owed.
type Account struct {
	Line       string    `json:"line"`
	ID         int64     `json:"id"`
	Kind       string    `json:"kind"`
	Ref        string    `json:"ref"`
	Created    time.Time `json:"created_at"`
	AdmitFloor *int64    `json:"admit_floor_micro,omitempty"`
	Floor      *int64    `json:"floor_micro,omitempty"`
}

// Transfer is a line of the journal.
type Transfer struct {
	Line     string          `json:"line"`
	ID       uuid.UUID       `json:"id"`
	Kind     string          `json:"kind"`
	Debit    string          `json:"debit"`
	Credit   string          `json:"credit"`
	Amount   int64           `json:"amount_micro"`
	OwedBy   string          `json:"owed_by,omitempty"`
	Ref      *uuid.UUID      `json:"ref,omitempty"`
	Occurred time.Time       `json:"occurred_at"`
	Recorded time.Time       `json:"recorded_at"`
	Meta     json.RawMessage `json:"meta,omitempty"`
}

// Hold is a line of a whole ledger: what was set aside, and what became of it.
type Hold struct {
	Line     string     `json:"line"`
	ID       uuid.UUID  `json:"id"`
	Account  string     `json:"account"`
	Amount   int64      `json:"amount_micro"`
	State    string     `json:"state"`
	Captured int64      `json:"captured_micro"`
	Expires  time.Time  `json:"expires_at"`
	Resolved *time.Time `json:"resolved_at,omitempty"`
}

// Adjustment is a line of a whole ledger: the audit trail.
type Adjustment struct {
	Line     string    `json:"line"`
	ID       uuid.UUID `json:"id"`
	Account  string    `json:"account"`
	SetTo    *int64    `json:"set_to_micro,omitempty"`
	Delta    *int64    `json:"delta_micro,omitempty"`
	Applied  int64     `json:"applied_micro"`
	After    int64     `json:"balance_after_micro"`
	Actor    string    `json:"actor"`
	Reason   string    `json:"reason"`
	Recorded time.Time `json:"recorded_at"`
}

// csvTrailer marks the last line of a CSV: readers that know comments skip it.
const csvTrailer = "# trailer "

// trailer is the last line.
func (s Summary) trailer() ([]byte, error) {
	line, err := json.Marshal(struct {
		Line string `json:"line"`
		Summary
	}{"trailer", s})
	if s.Format == CSV {
		line = append([]byte(csvTrailer), line...)
	}
	return append(line, '\n'), err
}
