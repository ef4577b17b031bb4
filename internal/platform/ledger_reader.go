package platform

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/internal/ledger/pgurl"
)

// LedgerReader lets checks read an environment's ledger. It connects for each question: a check asks few, and the server may be
// away for some of them.
type LedgerReader struct {
	Layout Layout
	Env    string
	Getenv func(string) string
}

func (r LedgerReader) connect(ctx context.Context) (*pgx.Conn, error) {
	db, err := OpenDatabase(ctx, r.Layout, r.Env, r.Getenv)
	if err != nil {
		return nil, err
	}
	return pgurl.Connect(ctx, db.Target.Direct)
}

// Balance is what an account has in micro-credits; 0 for one that the ledger does not know.
func (r LedgerReader) Balance(ctx context.Context, account string) (micro int64, err error) {
	conn, err := r.connect(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	err = conn.QueryRow(ctx, "SELECT balance FROM ledger.account_balance WHERE account = $1", account).Scan(&micro)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	return micro, pgurl.Explain("read a balance", err)
}

// Posted lists an account's uses, each as often as the journal has it.
func (r LedgerReader) Posted(ctx context.Context, account string) ([]audit.Posting, error) {
	conn, err := r.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	rows, err := conn.Query(ctx, `SELECT t.id::text, t.amount FROM ledger.account a JOIN ledger.transfer t ON t.debit_id = a.id OR t.owed_by = a.id
		WHERE a.ref = $1 AND t.kind = 'usage'`, account)
	if err != nil {
		return nil, pgurl.Explain("read an account's uses", err)
	}
	posted, err := pgx.CollectRows(rows, pgx.RowToStructByPos[audit.Posting])
	return posted, pgurl.Explain("read an account's uses", err)
}

// Outage stops this machine's database until the function that it returns is called.
func (r LedgerReader) Outage(ctx context.Context) (end func(context.Context) error, err error) {
	if _, err := StopDatabase(ctx, r.Layout); err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		_, _, err := StartDatabase(ctx, r.Layout, r.Env, r.Getenv)
		return err
	}, nil
}
