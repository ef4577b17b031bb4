package ledger

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/ledger/pgurl"
)

// Since is a customer, and the time after which its changes are looked for.
type Since struct {
	Account string    `json:"account"`
	After   time.Time `json:"after"`
}

// ChangedBefore answers those of the customers whose journal has a change after their time and before until. Holds are not in the journal.
func (l *Ledger) ChangedBefore(ctx context.Context, customers []Since, until time.Time) ([]string, error) {
	const doing = "look for changes of accounts"
	asked, err := json.Marshal(customers)
	if err != nil {
		return nil, fault.New(fault.Internal, "%s: %w", doing, err)
	}
	rows, err := l.db.Query(ctx, `
		SELECT c.account FROM json_to_recordset($1::text::json) AS c(account text, after timestamptz)
		JOIN ledger.account a ON a.kind = 'customer' AND a.ref = c.account
		WHERE EXISTS (SELECT FROM ledger.transfer t WHERE t.debit_id = a.id AND t.recorded_at > c.after AND t.recorded_at < $2)
		   OR EXISTS (SELECT FROM ledger.transfer t WHERE t.credit_id = a.id AND t.credit_id >= 1000 AND t.recorded_at > c.after AND t.recorded_at < $2)
		   OR EXISTS (SELECT FROM ledger.transfer t WHERE t.owed_by = a.id AND t.recorded_at > c.after AND t.recorded_at < $2)`,
		string(asked), until)
	if err != nil {
		return nil, pgurl.Explain(doing, err)
	}
	changed, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return changed, pgurl.Explain(doing, err)
}
