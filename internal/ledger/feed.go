package ledger

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cognomega/edge/internal/ledger/pgurl"
)

// FeedUse is a use that the feed in KV shows.
type FeedUse struct {
	ID       string
	Account  string
	AtMS     int64
	Recorded time.Time
}

// EachFeedUse reads uses that happened at a time or later, in the order of their keys in the feed.
func (l *Ledger) EachFeedUse(ctx context.Context, since time.Time) (*FeedUses, error) {
	rows, err := l.db.Query(ctx, `SELECT t.id::text, a.ref, (extract(epoch FROM t.occurred_at) * 1000)::bigint AS at_ms, t.recorded_at
		FROM ledger.transfer t JOIN ledger.account a ON a.id = coalesce(t.owed_by, t.debit_id)
		WHERE t.kind = 'usage' AND t.occurred_at >= $1 ORDER BY (a.ref || ':') COLLATE "C", at_ms DESC, t.id`, since)
	return &FeedUses{rows}, pgurl.Explain(readingUses, err)
}

const readingUses = "read the uses of the feed"

// FeedUses are read one after the other; nothing else can be asked of the connection until they are closed.
type FeedUses struct{ rows pgx.Rows }

// Next is the next use; false after the last.
func (f *FeedUses) Next() (u FeedUse, more bool, err error) {
	if !f.rows.Next() {
		return u, false, pgurl.Explain(readingUses, f.rows.Err())
	}
	err = f.rows.Scan(&u.ID, &u.Account, &u.AtMS, &u.Recorded)
	return u, err == nil, pgurl.Explain(readingUses, err)
}

// Close lets the connection go.
func (f *FeedUses) Close() { f.rows.Close() }

// HasUses tells which of these ids are uses of the journal.
func (l *Ledger) HasUses(ctx context.Context, ids []string) (map[string]bool, error) {
	rows, err := l.db.Query(ctx, "SELECT id::text FROM ledger.transfer WHERE kind = 'usage' AND id = ANY ($1::uuid[])", ids)
	if err != nil {
		return nil, pgurl.Explain(readingUses, err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	has := make(map[string]bool, len(found))
	for _, id := range found {
		has[id] = true
	}
	return has, pgurl.Explain(readingUses, err)
}
