package ledger

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cognomega/edge/internal/ledger/pgurl"
)

// ReconcilePass is one comparison of the copies in KV with the ledger.
type ReconcilePass struct {
	ID        int64     `json:"id"`
	Started   time.Time `json:"started_at"`
	Ended     time.Time `json:"ended_at"`
	Accounts  int       `json:"accounts"`
	Entries   int       `json:"entries"`
	Uses      int       `json:"uses"`
	UsesShown int       `json:"uses_shown"`
	Feed      int       `json:"feed_entries"`
	Found     int       `json:"found"`
	Repaired  int       `json:"repaired"`
	Complete  bool      `json:"complete"`
}

// ReconcileFinding is a copy that was wrong: what it said, why, and what was put in its place.
type ReconcileFinding struct {
	PassID   int64           `json:"pass_id"`
	Key      string          `json:"key"`
	Kind     string          `json:"kind"`
	Why      string          `json:"why"`
	Before   *string         `json:"before"`
	After    json.RawMessage `json:"after"`
	Repaired bool            `json:"repaired"`
	Found    time.Time       `json:"found_at"`
}

// Reconciliations lists the last passes and the last findings, newest first.
func (l *Ledger) Reconciliations(ctx context.Context, limit int) ([]ReconcilePass, []ReconcileFinding, error) {
	passes, err := list[ReconcilePass](ctx, l, `SELECT id, started_at, ended_at, accounts, entries, uses, uses_shown, feed_entries, found, repaired, complete
		FROM ledger.reconcile_pass ORDER BY id DESC LIMIT $1`, limit)
	if err != nil {
		return nil, nil, err
	}
	findings, err := list[ReconcileFinding](ctx, l, `SELECT pass_id, key, kind, why, before, after, repaired, found_at
		FROM ledger.reconcile_finding ORDER BY id DESC LIMIT $1`, limit)
	return passes, findings, err
}

// ReconcileWalk is a walk over the feed that takes many passes.
type ReconcileWalk struct {
	Name    string     `json:"name"` // listed: through what KV lists; journal: through what it should
	Began   time.Time  `json:"began_at"`
	Entries int64      `json:"entries"`         // compared in this round
	Ended   *time.Time `json:"last_ended_at"`   // null: no round has come to its end yet
	TookMS  *int64     `json:"last_took_ms"`    // of that round
	Of      *int64     `json:"last_of_entries"` // of that round
}

// ReconcileWalks tells how far the walks over the feed are, and how long a whole round takes.
func (l *Ledger) ReconcileWalks(ctx context.Context) ([]ReconcileWalk, error) {
	return list[ReconcileWalk](ctx, l, "SELECT name, began_at, entries, ended_at, took_ms, of_entries FROM ledger.reconcile_walk ORDER BY name LIMIT $1", 2)
}

func list[T any](ctx context.Context, l *Ledger, sql string, limit int) ([]T, error) {
	const doing = "read the record of reconciliation"
	rows, err := l.db.Query(ctx, sql, limit)
	if err != nil {
		return nil, pgurl.Explain(doing, err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[T])
	if found == nil {
		found = []T{}
	}
	return found, pgurl.Explain(doing, err)
}
