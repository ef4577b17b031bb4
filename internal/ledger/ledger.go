// Package ledger posts usage to the journal and its balances: each event once for ever, and every micro-credit accounted for.
package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/ledger/pgurl"
)

// Kinds of events that post_batch takes.
const (
	Usage  = "usage"  // a customer used something: never refused
	Grant  = "grant"  // a customer is given credits
	Refund = "refund" // a customer gets back what it paid
	Charge = "charge" // a customer pays by an operator's decision: refused below the floor
)

// Outcomes of posting, holding and adjusting.
const (
	Posted         = "posted"
	Overage        = "overage" // posted, beyond the floor: owed
	Duplicate      = "duplicate"
	Conflict       = "conflict" // a known id with other content; the first stands, this one is kept for review
	Insufficient   = "insufficient"
	UnknownAccount = "unknown_account"
	Unchanged      = "unchanged"
	Held           = "held"
	Captured       = "captured"
	Voided         = "voided"
	Expired        = "expired"
	UnknownHold    = "unknown_hold"
	Unreadable     = "unreadable" // PostgreSQL could not read it at all; the caller still has it
)

// Event is one movement of credits. Amounts are whole micro-credits.
type Event struct {
	ID      uuid.UUID       `json:"id"`
	Kind    string          `json:"kind"`
	Account string          `json:"account"`
	Amount  int64           `json:"amount"`
	AtMS    int64           `json:"at_ms"`
	Ref     *uuid.UUID      `json:"ref,omitempty"`
	Meta    json.RawMessage `json:"meta,omitempty"`
}

// Balance is what an account has. Version rises with every change.
type Balance struct {
	Account     string `json:"account"`
	Balance     int64  `json:"balance"`
	Held        int64  `json:"held"`
	Available   int64  `json:"available"`
	Overage     int64  `json:"overage"`
	Version     int64  `json:"version"`
	UpdatedAtMS int64  `json:"updated_at_ms"`
}

// Result says of each event, in order, what became of it, and what the accounts that were named have now.
type Result struct {
	Outcomes []string  `json:"outcomes"`
	Balances []Balance `json:"balances"`
}

// Answer is what became of a hold or an adjustment.
type Answer struct {
	Outcome string   `json:"outcome"`
	Applied int64    `json:"applied"`
	Balance *Balance `json:"balance"`
}

// querier is a connection, a pool or a transaction.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// Ledger calls the ledger's functions in a database.
type Ledger struct{ db querier }

// New makes a ledger over a connection, a pool or a transaction.
func New(db querier) *Ledger { return &Ledger{db} }

// PostBatch posts events in one statement: all that can be posted are, and the others are named.
func (l *Ledger) PostBatch(ctx context.Context, events []Event, openAccounts bool) (Result, error) {
	raw := make([]json.RawMessage, len(events))
	for i, e := range events {
		var err error
		if raw[i], err = json.Marshal(e); err != nil {
			return Result{}, fault.New(fault.Invalid, "encode event %s: %w", e.ID, err)
		}
	}
	return l.PostRaw(ctx, raw, openAccounts)
}

// PostRaw posts events as they came. Should PostgreSQL refuse the statement for its data, the batch is halved until the event that
// is to blame stands alone: its neighbours are posted.
func (l *Ledger) PostRaw(ctx context.Context, events []json.RawMessage, openAccounts bool) (r Result, err error) {
	if len(events) == 0 {
		return r, nil
	}
	raw, err := join(events)
	if err != nil {
		return r, err
	}
	err = l.call(ctx, "post a batch", &r, "SELECT ledger.post_batch($1, $2)", raw, openAccounts)
	if err == nil || !badData(err) {
		return r, err
	}
	if len(events) == 1 {
		return Result{Outcomes: []string{Unreadable}}, nil
	}
	for _, half := range [][]json.RawMessage{events[:len(events)/2], events[len(events)/2:]} {
		part, err := l.PostRaw(ctx, half, openAccounts)
		if err != nil {
			return r, err
		}
		r.Outcomes, r.Balances = append(r.Outcomes, part.Outcomes...), append(r.Balances, part.Balances...)
	}
	return r, nil
}

// join makes one JSON array. What is no JSON goes in as a string of its bytes: the ledger keeps it for review with the rest.
func join(events []json.RawMessage) (string, error) {
	whole := make([]any, len(events))
	for i, e := range events {
		if whole[i] = e; !json.Valid(e) {
			whole[i] = string(e)
		}
	}
	raw, err := json.Marshal(whole)
	if err != nil {
		return "", fault.New(fault.Invalid, "encode the batch: %w", err)
	}
	return string(raw), nil
}

// badData tells whether a statement failed by what it was given, so that a part of it may succeed.
func badData(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code[:2] == "22" || pg.Code[:2] == "23" || pg.Code[:2] == "54")
}

// Hold sets an amount aside for a while, when it is there.
func (l *Ledger) Hold(ctx context.Context, id uuid.UUID, account string, amount int64, ttl time.Duration) (a Answer, err error) {
	return a, l.call(ctx, "hold credits", &a, "SELECT ledger.hold($1, $2, $3, $4)", id, account, amount, ttl)
}

// Capture posts what was used of a hold, and frees the rest.
func (l *Ledger) Capture(ctx context.Context, id uuid.UUID, amount int64, at time.Time) (a Answer, err error) {
	return a, l.call(ctx, "capture a hold", &a, "SELECT ledger.capture($1, $2, $3)", id, amount, at)
}

// Void frees a hold.
func (l *Ledger) Void(ctx context.Context, id uuid.UUID) (a Answer, err error) {
	return a, l.call(ctx, "void a hold", &a, "SELECT ledger.void($1)", id)
}

// Expire frees up to limit holds whose time is over, and says how many.
func (l *Ledger) Expire(ctx context.Context, limit int) (n int64, err error) {
	return n, l.call(ctx, "expire holds", &n, "SELECT ledger.expire($1)", limit)
}

// Adjustment is an operator's change: exactly one of Set and Delta.
type Adjustment struct {
	ID            uuid.UUID
	Account       string
	Set, Delta    *int64
	Actor, Reason string
}

// Adjust applies an operator's change once for its id.
func (l *Ledger) Adjust(ctx context.Context, c Adjustment) (a Answer, err error) {
	return a, l.call(ctx, "adjust credits", &a, "SELECT ledger.adjust($1, $2, $3, $4, $5, $6)", c.ID, c.Account, c.Set, c.Delta, c.Actor, c.Reason)
}

// Balance is what an account has; fault.NotFound when there is none.
func (l *Ledger) Balance(ctx context.Context, account string) (b Balance, err error) {
	var all []Balance
	err = l.call(ctx, "read a balance", &all, "SELECT ledger.balances_json(ARRAY(SELECT id FROM ledger.account WHERE ref = lower($1 COLLATE \"C\")))", account)
	if err != nil {
		return b, err
	}
	if len(all) == 0 {
		return b, fault.New(fault.NotFound, "no account %q", account)
	}
	return all[0], nil
}

// EachBalance reads what every customer has, in the order in which their accounts were opened.
func (l *Ledger) EachBalance(ctx context.Context, fn func(Balance)) error {
	const doing = "read the balances"
	rows, err := l.db.Query(ctx, `SELECT account, balance, held, available, overage, version, (extract(epoch FROM updated_at) * 1000)::bigint
		FROM ledger.account_balance ORDER BY account_id`)
	if err != nil {
		return pgurl.Explain(doing, err)
	}
	defer rows.Close()
	for rows.Next() {
		var b Balance
		if err := rows.Scan(&b.Account, &b.Balance, &b.Held, &b.Available, &b.Overage, &b.Version, &b.UpdatedAtMS); err != nil {
			return pgurl.Explain(doing, err)
		}
		fn(b)
	}
	return pgurl.Explain(doing, rows.Err())
}

// Difference is one way in which balances, holds and the journal disagree.
type Difference struct {
	AccountID   int64   `json:"account_id"`
	Account     *string `json:"account"`
	What        string  `json:"what"`
	BalanceSays *string `json:"balance_says"`
	JournalSays *string `json:"journal_says"`
}

// Drift lists up to limit differences; there must be none.
func (l *Ledger) Drift(ctx context.Context, limit int) ([]Difference, error) {
	rows, err := l.db.Query(ctx, "SELECT account_id, account, what, balance_says::text, journal_says::text FROM ledger.drift ORDER BY account_id, what LIMIT $1", limit)
	if err != nil {
		return nil, pgurl.Explain("compare balances with the journal", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Difference])
	return found, pgurl.Explain("compare balances with the journal", err)
}

func (l *Ledger) call(ctx context.Context, doing string, into any, sql string, args ...any) error {
	return pgurl.Explain(doing, l.db.QueryRow(ctx, sql, args...).Scan(into))
}

// String says it as a sentence.
func (d Difference) String() string {
	who := "account " + strconv.FormatInt(d.AccountID, 10)
	if d.Account != nil {
		who = *d.Account
	}
	if d.BalanceSays == nil || d.JournalSays == nil {
		return who + ": " + d.What
	}
	return who + ": " + d.What + " is " + *d.BalanceSays + ", and the journal says " + *d.JournalSays
}
