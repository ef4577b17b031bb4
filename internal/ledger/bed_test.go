package ledger_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/cognomega/edge/internal/ledger"
	"github.com/cognomega/edge/internal/ledger/pgurl"
	"github.com/cognomega/edge/internal/ledger/schema"
	"github.com/cognomega/edge/internal/localpg/pgtest"
)

const template = "migrated"

var bed pgtest.Bed

func TestMain(m *testing.M) {
	os.Exit(pgtest.Run(m, &bed, func(b *pgtest.Bed) error {
		if err := b.EnsureDatabase(context.Background(), template); err != nil {
			return err
		}
		return migrate(b.URL(template))
	}))
}

func migrate(url string) error {
	target, err := pgurl.Parse(url, "")
	if err != nil {
		return err
	}
	m, err := schema.New(target.Direct)
	if err != nil {
		return err
	}
	defer m.Close()
	_, err = m.Up(context.Background(), 0)
	return err
}

// open gives a test a migrated database of its own, and a pool of n connections to it.
func open(t testing.TB, n int32) (*ledger.Ledger, *pgxpool.Pool) {
	t.Helper()
	pool := connect(t, bed.Database(t, template), n)
	return ledger.New(pool), pool
}

func connect(t testing.TB, url string, n int32) *pgxpool.Pool {
	t.Helper()
	target, err := pgurl.Parse(url, "")
	if err != nil {
		t.Fatal(err)
	}
	target.Pool.MaxConns = n
	pool, err := pgxpool.NewWithConfig(context.Background(), target.Pool)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func scan[T any](t testing.TB, pool *pgxpool.Pool, sql string, args ...any) (v T) {
	t.Helper()
	if err := pool.QueryRow(t.Context(), sql, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

func event(kind, account string, amount int64) ledger.Event {
	id, _ := uuid.NewV7()
	return ledger.Event{ID: id, Kind: kind, Account: account, Amount: amount, AtMS: time.Now().UnixMilli()}
}

func post(t testing.TB, l *ledger.Ledger, events ...ledger.Event) ledger.Result {
	t.Helper()
	r, err := l.PostBatch(t.Context(), events, true)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Outcomes) != len(events) {
		t.Fatalf("%d outcomes for %d events", len(r.Outcomes), len(events))
	}
	return r
}

func noDrift(t testing.TB, l *ledger.Ledger) {
	t.Helper()
	found, err := l.Drift(context.Background(), 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range found {
		t.Errorf("drift: %+v", d)
	}
}
