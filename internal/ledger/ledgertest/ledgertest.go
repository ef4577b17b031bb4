// Package ledgertest gives tests ledgers of their own on one real server, empty or with a life behind them.
package ledgertest

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cognomega/edge/internal/ledger"
	"github.com/cognomega/edge/internal/ledger/pgurl"
	"github.com/cognomega/edge/internal/ledger/schema"
	"github.com/cognomega/edge/internal/localpg/pgtest"
)

const template = "migrated"

// Bed is a test package's server.
type Bed struct{ pgtest.Bed }

// Run is the whole of a TestMain: it starts a server with a migrated template, runs the tests and stops it.
func Run(m *testing.M, bed *Bed) int {
	return pgtest.Run(m, &bed.Bed, func(b *pgtest.Bed) error {
		if err := b.EnsureDatabase(context.Background(), template); err != nil {
			return err
		}
		target, err := pgurl.Parse(b.URL(template), "")
		if err != nil {
			return err
		}
		s, err := schema.New(target.Direct)
		if err != nil {
			return err
		}
		defer s.Close()
		_, err = s.Up(context.Background(), 0)
		return err
	})
}

// Open gives a test a migrated database of its own, and a connection to it.
func (b *Bed) Open(t testing.TB) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), b.Database(t, template))
	must(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// Exec runs statements, as a writer that goes past the ledger's functions would.
func Exec(t testing.TB, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// Lived fills a ledger with one of everything: usage, grants, a refund, a charge, overage, holds of every fate and adjustments.
func Lived(t testing.TB, conn *pgx.Conn) {
	t.Helper()
	l, ctx := ledger.New(conn), t.Context()
	event := func(kind, account string, amount int64) ledger.Event {
		return ledger.Event{ID: uuid.New(), Kind: kind, Account: account, Amount: amount, AtMS: time.Now().UnixMilli()}
	}
	_, err := l.PostBatch(ctx, []ledger.Event{
		event(ledger.Grant, "ann@a.test", 5_000_000), event(ledger.Usage, "ann@a.test", 1_250_000), event(ledger.Refund, "ann@a.test", 250_000),
		event(ledger.Charge, "ann@a.test", 100_000), event(ledger.Usage, "bob@b.test", 2_000_000_000),
	}, true)
	must(t, err)
	holds := []uuid.UUID{uuid.New(), uuid.New(), uuid.New()}
	for i, id := range holds {
		_, err := l.Hold(ctx, id, "ann@a.test", int64(i+1)*100_000, time.Hour)
		must(t, err)
	}
	_, err = l.Capture(ctx, holds[0], 70_000, time.Now())
	must(t, err)
	_, err = l.Void(ctx, holds[1])
	must(t, err)
	set, taken := int64(9_000_000), int64(-500_000)
	for _, a := range []ledger.Adjustment{
		{ID: uuid.New(), Account: "cy@c.test", Set: &set, Actor: "t", Reason: "opening"}, {ID: uuid.New(), Account: "cy@c.test", Delta: &taken, Actor: "t", Reason: "error"},
		{ID: uuid.New(), Account: "cy@c.test", Set: new(int64(8_500_000)), Actor: "t", Reason: "as it is"},
	} {
		_, err := l.Adjust(ctx, a)
		must(t, err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
