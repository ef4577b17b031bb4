package recount_test

import (
	"os"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/cognomega/edge/internal/ledger/ledgertest"
	"github.com/cognomega/edge/internal/ledger/recount"
)

var bed ledgertest.Bed

func TestMain(m *testing.M) { os.Exit(ledgertest.Run(m, &bed)) }

func count(t testing.TB, conn *pgx.Conn) *recount.Report {
	t.Helper()
	r, err := recount.Run(t.Context(), conn, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
