package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// ledger asks the database in SQL of its own: neither the platform's functions nor its views take part, but for the last question.
type ledger struct {
	conn *pgx.Conn
	v    *verdict
}

func (l ledger) load(ctx context.Context, manifest string) error {
	if _, err := l.conn.Exec(ctx, "CREATE TEMP TABLE sent (id uuid PRIMARY KEY, kind text NOT NULL, account text NOT NULL, amount bigint NOT NULL)"); err != nil {
		return err
	}
	f, err := os.Open(manifest)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	_, err = l.conn.CopyFrom(ctx, pgx.Identifier{"sent"}, []string{"id", "kind", "account", "amount"}, pgx.CopyFromFunc(func() ([]any, error) {
		if !lines.Scan() {
			return nil, lines.Err()
		}
		return row(lines.Text())
	}))
	if err != nil {
		return err
	}
	_, err = l.conn.Exec(ctx, "ANALYZE sent")
	return err
}

func row(line string) ([]any, error) {
	part := strings.Split(line, "\t")
	if len(part) != 4 {
		return nil, fmt.Errorf("the manifest has a line of %d parts", len(part))
	}
	amount, err := strconv.ParseInt(part[3], 10, 64)
	return []any{part[0], part[1], part[2], amount}, err
}

// awaitAll waits until the ledger has as many of the ids as were sent, and no new one comes any more.
func (l ledger) awaitAll(ctx context.Context, wait time.Duration) error {
	const missing = "SELECT count(*) FROM sent s WHERE NOT EXISTS (SELECT FROM ledger.transfer t WHERE t.id = s.id)"
	for deadline := time.Now().Add(wait); ; {
		var n int64
		if err := l.conn.QueryRow(ctx, missing).Scan(&n); err != nil {
			return err
		}
		if n == 0 || time.Now().After(deadline) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// questions are what must be 0, in the words of what it would mean otherwise.
var questions = []struct{ wrong, sql string }{
	{"events that were sent are not in the ledger", "SELECT count(*) FROM sent s WHERE NOT EXISTS (SELECT FROM ledger.transfer t WHERE t.id = s.id)"},
	{"events of these accounts are in the ledger and were not sent", `SELECT count(*) FROM ledger.transfer t JOIN ledger.account a ON a.id IN (t.debit_id, t.credit_id, t.owed_by)
		WHERE a.ref IN (SELECT account FROM sent) AND NOT EXISTS (SELECT FROM sent s WHERE s.id = t.id)`},
	{"events are in the ledger with another kind, amount or account", `SELECT count(*) FROM sent s JOIN ledger.transfer t ON t.id = s.id LEFT JOIN ledger.account a ON a.ref = s.account
		WHERE t.kind <> s.kind OR t.amount <> s.amount OR a.id IS NULL
		   OR a.id <> CASE WHEN s.kind = 'grant' THEN t.credit_id ELSE coalesce(t.owed_by, t.debit_id) END`},
	{"balances differ from the sum of their journal", `WITH journal AS (
			SELECT a.id, sum(CASE WHEN t.credit_id = a.id THEN t.amount ELSE 0 END) AS credits, sum(CASE WHEN t.debit_id = a.id THEN t.amount ELSE 0 END) AS debits,
			       sum(CASE WHEN t.owed_by = a.id THEN t.amount ELSE 0 END) AS overage
			FROM ledger.account a JOIN ledger.transfer t ON a.id IN (t.credit_id, t.debit_id, t.owed_by) WHERE a.kind = 'customer' GROUP BY a.id)
		SELECT count(*) FROM ledger.balance b LEFT JOIN journal j ON j.id = b.account_id
		WHERE (b.credits, b.debits, b.overage) IS DISTINCT FROM (coalesce(j.credits, 0), coalesce(j.debits, 0), coalesce(j.overage, 0))`},
	{"balances are below their floor", "SELECT count(*) FROM ledger.balance WHERE credits - debits - held < floor"},
	{"events were put aside for a person", "SELECT count(*) FROM ledger.review r WHERE r.event ->> 'account' IN (SELECT account FROM sent)"},
	{"rows are in the drift view", "SELECT count(*) FROM ledger.drift"},
}

func (l ledger) judge(ctx context.Context) error {
	for _, q := range questions {
		var n int64
		if err := l.conn.QueryRow(ctx, q.sql).Scan(&n); err != nil {
			return fmt.Errorf("%s: %w", q.wrong, err)
		}
		if n != 0 {
			l.v.wrongf("%d %s", n, q.wrong)
		}
	}
	err := l.conn.QueryRow(ctx, `SELECT (SELECT count(*) FROM sent), (SELECT sum(amount)::bigint FROM sent), coalesce(sum(t.amount), 0)::bigint,
		coalesce(sum(t.amount) FILTER (WHERE t.owed_by IS NOT NULL), 0)::bigint, (SELECT count(DISTINCT account) FROM sent)
		FROM ledger.transfer t JOIN sent s ON s.id = t.id`).Scan(&l.v.Events, &l.v.SumMicro, &l.v.LedgerMicro, &l.v.Owed, &l.v.Accounts)
	if l.v.SumMicro != l.v.LedgerMicro {
		l.v.wrongf("the ledger has %d micro-credits of %d", l.v.LedgerMicro, l.v.SumMicro)
	}
	return err
}

// lastWrite is when the last event came into the ledger.
func (l *ledger) lastWrite(ctx context.Context) error {
	return l.conn.QueryRow(ctx, "SELECT coalesce(max(t.recorded_at), 'epoch') FROM ledger.transfer t JOIN sent s ON s.id = t.id").Scan(&l.v.LastWrite)
}
