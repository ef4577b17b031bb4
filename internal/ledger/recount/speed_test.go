package recount_test

import (
	"fmt"
	"runtime"
	"strconv"
	"testing"

	"github.com/cognomega/edge/internal/ledger/ledgertest"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// journalOf plants a journal of n transfers over a thousand accounts, and balances that fit it.
func journalOf(tb testing.TB, n int) func() {
	tb.Helper()
	conn := bed.Open(tb)
	ledgertest.Exec(tb, conn, "INSERT INTO ledger.account (id, kind, ref) SELECT 1000 + n, 'customer', 'c' || n || '@load.test' FROM generate_series(0, 999) n")
	ledgertest.Exec(tb, conn, fmt.Sprintf(`INSERT INTO ledger.transfer (id, kind, debit_id, credit_id, amount, occurred_at)
		SELECT gen_random_uuid(), 'usage', 1000 + n %% 1000, 1, 1 + n %% 7, now() - n * interval '1 second' FROM generate_series(1, %d) n`, n))
	ledgertest.Exec(tb, conn, `INSERT INTO ledger.balance (account_id, debits, floor) SELECT debit_id, sum(amount), -1000000000 FROM ledger.transfer GROUP BY debit_id; ANALYZE ledger.transfer`)
	return func() {
		if r := count(tb, conn); !r.Sound() || r.Transfers != int64(n) {
			tb.Fatalf("%d transfers, %+v", r.Transfers, r.Findings)
		}
	}
}

// TestMemoryIsFlat reads a journal ten times as long with the same memory: what it allocates depends on the accounts alone.
func TestMemoryIsFlat(t *testing.T) {
	allocated := func(n int) uint64 {
		read := journalOf(t, n)
		read() // connections warm, plans made
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		read()
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	short, long := allocated(10_000), allocated(100_000)
	t.Logf("allocated %d bytes for 10,000 transfers, %d for 100,000", short, long)
	if long > short+short/2+256<<10 {
		t.Errorf("memory grows with the journal: %d bytes for 10,000 transfers, %d for 100,000", short, long)
	}
}

func BenchmarkRun(b *testing.B) {
	const n = 1_000_000
	read := journalOf(b, n)
	b.ReportAllocs()
	for b.Loop() {
		read()
	}
	b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "transfers/s")
}
