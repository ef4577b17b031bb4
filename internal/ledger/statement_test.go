package ledger_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/ledger"
)

// dial opens one more connection to a test's database.
func dial(t testing.TB, cfg *pgx.ConnConfig) *pgx.Conn {
	t.Helper()
	conn, err := pgx.ConnectConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	return conn
}

func statement(t testing.TB, conn *pgx.Conn, q ledger.StatementQuery) *ledger.Statement {
	t.Helper()
	s, err := ledger.ReadStatement(t.Context(), conn, q)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestAStatementTellsTheWholeStory reads pages of every size: together they are every entry once, the running balance ends at 0,
// and each balance is the sum of what came before.
func TestAStatementTellsTheWholeStory(t *testing.T) {
	t.Parallel()
	l, pool := open(t, 1)
	conn := dial(t, pool.Config().ConnConfig)
	at := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	var events []ledger.Event
	for i := range 60 {
		e := event(ledger.Usage, "ann@a.test", int64(100+i))
		if i%7 == 0 {
			e = event(ledger.Grant, "ann@a.test", 10_000)
		}
		e.AtMS = at + int64(i/3)*1000 // three share each moment: the id decides
		events = append(events, e)
	}
	events[40].Amount = 1_001_000_000 // beyond the floor: owed
	post(t, l, events...)
	post(t, l, event(ledger.Usage, "someone@else.test", 5))
	whole := statement(t, conn, ledger.StatementQuery{Account: "Ann@a.test", Limit: 1000})
	if len(whole.Entries) != 60 || whole.Opening != 0 || whole.Next != "" {
		t.Fatalf("%d entries, opening at %d, next %q", len(whole.Entries), whole.Opening, whole.Next)
	}
	if whole.Entries[0].After != whole.Balance.Balance {
		t.Errorf("the newest ends at %d, the balance is %d", whole.Entries[0].After, whole.Balance.Balance)
	}
	owed := int64(0)
	for _, e := range whole.Entries {
		owed += e.Owed
	}
	if owed < 1_001_000_000 || whole.Balance.Overage != owed {
		t.Errorf("owed %d of %d", owed, whole.Balance.Overage)
	}
	for _, size := range []int{1, 7, 59, 60} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			q, at := ledger.StatementQuery{Account: "ann@a.test", Limit: size}, 0
			for {
				page := statement(t, conn, q)
				for _, e := range page.Entries {
					if w := whole.Entries[at]; e.ID != w.ID || e.After != w.After {
						t.Fatalf("entry %d is %s at %d, want %s at %d", at, e.ID, e.After, w.ID, w.After)
					}
					at++
				}
				if q.Cursor = page.Next; q.Cursor == "" {
					break
				}
			}
			if at != 60 {
				t.Errorf("%d entries", at)
			}
		})
	}
}

func TestAStatementOfAPeriod(t *testing.T) {
	t.Parallel()
	l, pool := open(t, 1)
	conn := dial(t, pool.Config().ConnConfig)
	day := func(n int) time.Time { return time.Date(2026, 11, n, 12, 0, 0, 0, time.UTC) }
	for n, amount := range []int64{1_000_000, 100, 200, 400, 800} {
		e := event(ledger.Usage, "ann@a.test", amount)
		if n == 0 {
			e.Kind = ledger.Grant
		}
		e.AtMS = day(n + 1).UnixMilli()
		post(t, l, e)
	}
	s := statement(t, conn, ledger.StatementQuery{Account: "ann@a.test", Since: day(2), Until: day(4), Limit: 10})
	if len(s.Entries) != 2 || s.Entries[0].After != 999_700 || s.Opening != 1_000_000 {
		t.Errorf("%d entries, from %d to %+v", len(s.Entries), s.Opening, s.Entries)
	}
	paged := statement(t, conn, ledger.StatementQuery{Account: "ann@a.test", Since: day(2), Until: day(4), Limit: 1})
	rest := statement(t, conn, ledger.StatementQuery{Account: "ann@a.test", Since: day(2), Limit: 1, Cursor: paged.Next})
	if len(rest.Entries) != 1 || rest.Entries[0].ID != s.Entries[1].ID || rest.Next != "" || rest.Opening != 1_000_000 {
		t.Errorf("the second page %+v", rest)
	}
	if empty := statement(t, conn, ledger.StatementQuery{Account: "ann@a.test", Until: day(1), Limit: 10}); len(empty.Entries) != 0 || empty.Opening != 0 {
		t.Errorf("before everything: %+v", empty)
	}
}

func TestStatementRefuses(t *testing.T) {
	t.Parallel()
	l, pool := open(t, 1)
	conn := dial(t, pool.Config().ConnConfig)
	post(t, l, event(ledger.Usage, "ann@a.test", 1), event(ledger.Usage, "ann@a.test", 1), event(ledger.Usage, "bob@b.test", 1))
	ann := statement(t, conn, ledger.StatementQuery{Account: "ann@a.test", Limit: 1}).Next
	tests := map[string]struct {
		q    ledger.StatementQuery
		kind fault.Kind
	}{
		"an account that is not there": {ledger.StatementQuery{Account: "x@x.test", Limit: 1}, fault.NotFound},
		"a system account":             {ledger.StatementQuery{Account: "system:revenue", Limit: 1}, fault.NotFound},
		"no entries":                   {ledger.StatementQuery{Account: "ann@a.test"}, fault.Invalid},
		"too many":                     {ledger.StatementQuery{Account: "ann@a.test", Limit: 1001}, fault.Invalid},
		"another account's cursor":     {ledger.StatementQuery{Account: "bob@b.test", Limit: 1, Cursor: ann}, fault.Invalid},
		"a cursor that was cut":        {ledger.StatementQuery{Account: "ann@a.test", Limit: 1, Cursor: ann[:20]}, fault.Invalid},
		"no cursor at all":             {ledger.StatementQuery{Account: "ann@a.test", Limit: 1, Cursor: "'; --"}, fault.Invalid},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := ledger.ReadStatement(t.Context(), conn, test.q); !errors.Is(err, test.kind) {
				t.Errorf("got %v, want %s", err, test.kind)
			}
		})
	}
}

// BenchmarkStatement reads pages of one account of a journal of a million rows: a quiet account, and one that has a quarter of all.
func BenchmarkStatement(b *testing.B) {
	_, pool := open(b, 1)
	for _, sql := range []string{
		"INSERT INTO ledger.account (id, kind, ref) SELECT 1000 + n, 'customer', 'c' || n || '@load.test' FROM generate_series(0, 999) n",
		`INSERT INTO ledger.transfer (id, kind, debit_id, credit_id, amount, occurred_at)
		 SELECT gen_random_uuid(), 'usage', CASE WHEN n % 4 = 0 THEN 1000 ELSE 1000 + n % 1000 END, 1, 1 + n % 7, now() - n * interval '1 second' FROM generate_series(1, 1000000) n`,
		"INSERT INTO ledger.balance (account_id, debits, floor) SELECT debit_id, sum(amount), -1000000000 FROM ledger.transfer GROUP BY debit_id",
		"ANALYZE ledger.transfer",
	} {
		if _, err := pool.Exec(b.Context(), sql); err != nil {
			b.Fatal(err)
		}
	}
	conn := dial(b, pool.Config().ConnConfig)
	for name, q := range map[string]ledger.StatementQuery{
		"quiet": {Account: "c1@load.test", Limit: 25}, "busy": {Account: "c0@load.test", Limit: 25},
		"busy from the middle": {Account: "c0@load.test", Limit: 25, Cursor: fmt.Sprintf("1000.%d.%s.0", time.Now().Add(-500_000*time.Second).UnixMicro(), uuid.Max)},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if s := statement(b, conn, q); len(s.Entries) != 25 {
					b.Fatalf("%d entries", len(s.Entries))
				}
			}
		})
	}
}
