package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/ledger/pgurl"
)

// MaxStatementEntries bounds a page.
const MaxStatementEntries = 1000

// Entry is a line of an account's statement.
type Entry struct {
	ID       uuid.UUID       `json:"id"`
	Kind     string          `json:"kind"`
	At       time.Time       `json:"occurred_at"`
	Recorded time.Time       `json:"recorded_at"`
	Change   int64           `json:"change_micro"`        // what it did to the balance
	Owed     int64           `json:"owed_micro"`          // what was used beyond the floor, which the balance did not pay
	After    int64           `json:"balance_after_micro"` // the balance once this and all before it had happened
	Ref      *uuid.UUID      `json:"ref"`
	Meta     json.RawMessage `json:"meta"`
}

// StatementQuery says which entries of an account, newest first.
type StatementQuery struct {
	Account      string
	Since, Until time.Time // Since <= occurred_at < Until; zero is without a bound
	Limit        int
	Cursor       string // of the page before
}

// Statement is a page of what happened to an account, newest first.
type Statement struct {
	Balance Balance `json:"account"`
	Entries []Entry `json:"entries"`
	Opening int64   `json:"opening_micro"` // the balance before the oldest entry of this page
	Next    string  `json:"next_cursor"`   // empty: this is the last page
}

// statementSides reads the three ways in which a transfer concerns an account, each through its own index. An entry's place is
// (occurred_at, id), which no later entry changes.
const statementSides = `
	(SELECT id, kind, occurred_at, recorded_at, -amount AS change, 0::bigint AS owed, ref, meta FROM ledger.transfer
	 WHERE debit_id = $1 AND (occurred_at, id) < ($2, $3) AND occurred_at >= $4 ORDER BY occurred_at DESC, id DESC LIMIT $5)
	UNION ALL
	(SELECT id, kind, occurred_at, recorded_at, amount, 0, ref, meta FROM ledger.transfer
	 WHERE credit_id = $1 AND credit_id >= 1000 AND (occurred_at, id) < ($2, $3) AND occurred_at >= $4 ORDER BY occurred_at DESC, id DESC LIMIT $5)
	UNION ALL
	(SELECT id, kind, occurred_at, recorded_at, 0, amount, ref, meta FROM ledger.transfer
	 WHERE owed_by = $1 AND owed_by IS NOT NULL AND (occurred_at, id) < ($2, $3) AND occurred_at >= $4 ORDER BY occurred_at DESC, id DESC LIMIT $5)`

// ReadStatement reads a page in one moment of the ledger. The running balance goes back from the balance of now, so that a
// statement read to its first entry must end at 0.
func ReadStatement(ctx context.Context, conn *pgx.Conn, q StatementQuery) (*Statement, error) {
	const doing = "read the statement"
	if q.Limit < 1 || q.Limit > MaxStatementEntries {
		return nil, fault.New(fault.Invalid, "a page has 1 to %d entries, not %d", MaxStatementEntries, q.Limit)
	}
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, pgurl.Explain(doing, err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	s := &Statement{Entries: []Entry{}}
	if s.Balance, err = New(tx).Balance(ctx, q.Account); err != nil {
		return nil, err
	}
	var id int64
	if err := tx.QueryRow(ctx, "SELECT id FROM ledger.account WHERE ref = $1", s.Balance.Account).Scan(&id); err != nil {
		return nil, pgurl.Explain(doing, err)
	}
	from, err := startOf(ctx, tx, id, s.Balance.Balance, q)
	if err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, "SELECT * FROM ("+statementSides+") x ORDER BY occurred_at DESC, id DESC LIMIT $5", id, from.at, from.id, q.Since, q.Limit+1)
	if err != nil {
		return nil, pgurl.Explain(doing, err)
	}
	defer rows.Close()
	for rows.Next() {
		e := Entry{}
		if err := rows.Scan(&e.ID, &e.Kind, &e.At, &e.Recorded, &e.Change, &e.Owed, &e.Ref, &e.Meta); err != nil {
			return nil, pgurl.Explain(doing, err)
		}
		e.At, e.Recorded = e.At.UTC(), e.Recorded.UTC()
		s.Entries = append(s.Entries, e)
	}
	s.settle(id, from, q.Limit)
	return s, pgurl.Explain(doing, rows.Err())
}

// settle gives every entry its running balance, and the page its end.
func (s *Statement) settle(account int64, from place, limit int) {
	more := len(s.Entries) > limit
	if more {
		s.Entries = s.Entries[:limit]
	}
	s.Opening = from.balance
	for i := range s.Entries {
		s.Entries[i].After = s.Opening
		s.Opening -= s.Entries[i].Change
	}
	if more {
		last := s.Entries[limit-1]
		s.Next = place{account, last.At, last.ID, s.Opening}.String()
	}
}

// place is where a page begins: below it, and with this balance.
type place struct {
	account int64
	at      time.Time
	id      uuid.UUID
	balance int64
}

func (p place) String() string {
	return fmt.Sprintf("%d.%d.%s.%d", p.account, p.at.UnixMicro(), p.id, p.balance)
}

// startOf is where the query's page begins. With Until, the balance is taken back over everything newer.
func startOf(ctx context.Context, tx pgx.Tx, account, balance int64, q StatementQuery) (place, error) {
	if q.Cursor != "" {
		return parsePlace(q.Cursor, account)
	}
	from := place{account, time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), uuid.Max, balance}
	if q.Until.IsZero() {
		return from, nil
	}
	from.at, from.id = q.Until, uuid.Nil // below the least id of that moment
	var newer int64
	err := tx.QueryRow(ctx, `SELECT coalesce(sum(change), 0)::bigint FROM (
		SELECT -amount AS change FROM ledger.transfer WHERE debit_id = $1 AND occurred_at >= $2
		UNION ALL SELECT amount FROM ledger.transfer WHERE credit_id = $1 AND credit_id >= 1000 AND occurred_at >= $2) x`, account, q.Until).Scan(&newer)
	from.balance -= newer
	return from, pgurl.Explain("read the statement", err)
}

func parsePlace(cursor string, account int64) (p place, err error) {
	wrong := fault.New(fault.Invalid, "the cursor is not one of this account's statement").WithHint("take next_cursor of the page before, or begin without --cursor")
	parts := strings.Split(cursor, ".")
	if len(parts) != 4 || len(cursor) > 120 {
		return p, wrong
	}
	var n [3]int64
	for i, text := range []string{parts[0], parts[1], parts[3]} {
		if n[i], err = strconv.ParseInt(text, 10, 64); err != nil {
			return p, wrong
		}
	}
	id, err := uuid.Parse(parts[2])
	if err != nil || n[0] != account || n[1] < -1<<50 || n[1] > 1<<58 {
		return p, wrong
	}
	return place{account, time.UnixMicro(n[1]).UTC(), id, n[2]}, nil
}
