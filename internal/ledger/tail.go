package ledger

import (
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/ledger/pgurl"
)

// tailOverlap is how long a transaction may take between its beginning, which is the time its rows carry, and its end, when they are seen.
const tailOverlap = 10 * time.Second

// tailPage bounds what one read brings.
const tailPage = 10_000

// Use is usage as the journal has it.
type Use struct {
	ID       uuid.UUID
	Account  string
	Kind     string
	Amount   int64
	Owed     bool
	Occurred time.Time
	Recorded time.Time
	Meta     json.RawMessage
}

// Tail gives usage as it is recorded, each once.
type Tail struct {
	conn    *pgx.Conn
	account *int64
	last    int
	from    time.Time // nothing recorded before is new any more
	seen    map[uuid.UUID]time.Time
}

// NewTail begins with the last uses there are, of one account unless it is empty.
func NewTail(ctx context.Context, conn *pgx.Conn, account string, last int) (*Tail, error) {
	t := &Tail{conn: conn, last: last, seen: map[uuid.UUID]time.Time{}}
	if err := conn.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&t.from); err != nil {
		return nil, pgurl.Explain("begin to follow usage", err)
	}
	if account == "" {
		return t, nil
	}
	err := conn.QueryRow(ctx, `SELECT (SELECT id FROM ledger.account WHERE ref = lower($1 COLLATE "C") AND kind = 'customer')`, account).Scan(&t.account)
	if err != nil {
		return nil, pgurl.Explain("begin to follow usage", err)
	}
	if t.account == nil {
		return nil, fault.New(fault.NotFound, "no account %q", account)
	}
	return t, nil
}

const tailColumns = `SELECT t.id, a.ref, t.kind, t.amount, t.owed_by IS NOT NULL, t.occurred_at, t.recorded_at, t.meta
	FROM ledger.transfer t JOIN ledger.account a ON a.id = coalesce(t.owed_by, t.debit_id)
	WHERE t.kind IN ('usage', 'capture') AND ($1::bigint IS NULL OR t.debit_id = $1 OR t.owed_by = $1)`

// Next is what was recorded since the last look, oldest first; the first time, the last there were.
func (t *Tail) Next(ctx context.Context) ([]Use, error) {
	if t.last >= 0 {
		uses, err := t.read(ctx, tailColumns+" AND t.recorded_at <= $2 ORDER BY t.recorded_at DESC, t.id DESC LIMIT $3", t.from, t.last)
		for i, j := 0, len(uses)-1; i < j; i, j = i+1, j-1 {
			uses[i], uses[j] = uses[j], uses[i]
		}
		t.last = -1
		if err != nil {
			return nil, err
		}
		return t.fresh(uses), t.skip(ctx)
	}
	uses, err := t.between(ctx, t.from.Add(-tailOverlap), farAway)
	return t.fresh(uses), err
}

var farAway = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// between reads what was recorded in a time, page by page.
func (t *Tail) between(ctx context.Context, after, until time.Time) (all []Use, err error) {
	last := uuid.Max
	for {
		uses, err := t.read(ctx, tailColumns+" AND t.recorded_at >= $2 AND (t.recorded_at, t.id) > ($2, $5) AND t.recorded_at <= $4 ORDER BY t.recorded_at, t.id LIMIT $3", after, tailPage, until, last)
		if all = append(all, uses...); err != nil || len(uses) < tailPage {
			return all, err
		}
		after, last = uses[len(uses)-1].Recorded, uses[len(uses)-1].ID
	}
}

// skip marks what the overlap of the first look would show again, and was not asked for.
func (t *Tail) skip(ctx context.Context) error {
	uses, err := t.between(ctx, t.from.Add(-tailOverlap), t.from)
	for _, u := range uses {
		t.seen[u.ID] = u.Recorded
	}
	return err
}

// fresh keeps what was not given before, and forgets what cannot come again.
func (t *Tail) fresh(uses []Use) []Use {
	var fresh []Use
	for _, u := range uses {
		if _, ok := t.seen[u.ID]; ok {
			continue
		}
		t.seen[u.ID] = u.Recorded
		fresh = append(fresh, u)
		if u.Recorded.After(t.from) {
			t.from = u.Recorded
		}
	}
	for id, at := range t.seen {
		if at.Before(t.from.Add(-2 * tailOverlap)) {
			delete(t.seen, id)
		}
	}
	return fresh
}

func (t *Tail) read(ctx context.Context, sql string, args ...any) ([]Use, error) {
	rows, err := t.conn.Query(ctx, sql, append([]any{t.account}, args...)...)
	if err != nil {
		return nil, pgurl.Explain("follow usage", err)
	}
	uses, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Use])
	return uses, pgurl.Explain("follow usage", err)
}
