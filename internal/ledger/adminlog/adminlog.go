// Package adminlog reads what was done with the admin key, which Workers write to the ledger's database.
package adminlog

import (
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/ledger/pgurl"
)

// MaxEntries bounds a reading.
const MaxEntries = 1000

// Entry is one call with the admin key.
type Entry struct {
	ID        int64           `json:"id"` // of its first line; newer is greater
	Call      uuid.UUID       `json:"call"`
	At        time.Time       `json:"at"`
	RequestID string          `json:"request_id"`
	Action    string          `json:"action"`
	Actor     string          `json:"actor"` // who the caller said they are; empty when they did not
	ActingFor string          `json:"acting_for"`
	Address   string          `json:"address"`
	Detail    json.RawMessage `json:"detail"`
	Status    int             `json:"status"` // 0: it never said what came of it
	Error     string          `json:"error"`
}

// Query says which entries, newest first.
type Query struct {
	Actor, Action, Account string // exactly; empty for any
	Since                  time.Time
	Before                 int64 // entries with smaller ids alone; 0 for the newest
	Limit                  int
}

const entries = `
	SELECT a.id, a.call, a.at, a.request_id, a.action, coalesce(a.actor, ''), coalesce(a.acting_for, ''), coalesce(a.address, ''),
		coalesce(z.detail, a.detail), coalesce(z.status, 0), coalesce(z.error, '')
	FROM auth.admin_log a LEFT JOIN LATERAL (
		SELECT status, error, detail FROM auth.admin_log z
		WHERE z.call = a.call AND z.phase = 'answered' AND z.id > a.id ORDER BY z.id LIMIT 1) z ON true
	WHERE a.phase = 'asked' AND ($1 = '' OR a.actor = $1) AND ($2 = '' OR a.action = $2)
		AND ($3 = '' OR a.acting_for = $3 OR coalesce(z.detail, a.detail) ->> 'account' = $3) AND a.at >= $4 AND ($5 = 0 OR a.id < $5)
	ORDER BY a.id DESC LIMIT $6`

// Read gives entries, newest first.
func Read(ctx context.Context, conn *pgx.Conn, q Query) ([]Entry, error) {
	if q.Limit < 1 || q.Limit > MaxEntries {
		return nil, fault.New(fault.Invalid, "%d entries, want 1 to %d", q.Limit, MaxEntries)
	}
	rows, err := conn.Query(ctx, entries, q.Actor, q.Action, q.Account, q.Since, q.Before, q.Limit)
	if err != nil {
		return nil, pgurl.Explain("read the admin log", err)
	}
	defer rows.Close()
	list := []Entry{}
	for rows.Next() {
		var e Entry
		if err := rows.Scan(&e.ID, &e.Call, &e.At, &e.RequestID, &e.Action, &e.Actor, &e.ActingFor, &e.Address, &e.Detail, &e.Status, &e.Error); err != nil {
			return nil, pgurl.Explain("read the admin log", err)
		}
		list = append(list, e)
	}
	if err := rows.Err(); err != nil {
		return nil, pgurl.Explain("read the admin log", err)
	}
	return list, nil
}
