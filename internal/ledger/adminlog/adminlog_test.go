package adminlog_test

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cognomega/edge/internal/ledger/adminlog"
	"github.com/cognomega/edge/internal/ledger/ledgertest"
)

var bed ledgertest.Bed

func TestMain(m *testing.M) { os.Exit(ledgertest.Run(m, &bed)) }

func note(t *testing.T, conn *pgx.Conn, line string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), "SELECT auth.note($1::text::json)", line); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	conn := bed.Open(t)
	calls := []string{uuid.NewString(), uuid.NewString(), uuid.NewString()}
	for i, call := range calls {
		note(t, conn, fmt.Sprintf(`{"phase":"asked","call":%q,"request_id":"r%d","action":"POST /auth/token","actor":%q}`, call, i, []string{"ann", "bob", "bob"}[i]))
	}
	note(t, conn, fmt.Sprintf(`{"phase":"answered","call":%q,"request_id":"r1","action":"POST /auth/token","status":200,"detail":{"account":"ada@a.test"}}`, calls[1]))
	note(t, conn, fmt.Sprintf(`{"phase":"answered","call":%q,"request_id":"r2","action":"POST /auth/token","status":400,"error":"invalid_email"}`, calls[2]))
	for name, c := range map[string]struct {
		query adminlog.Query
		want  []string
	}{
		"all, newest first":   {adminlog.Query{Limit: 10}, []string{"r2 400 invalid_email", "r1 200 ", "r0 0 "}},
		"by one":              {adminlog.Query{Limit: 10, Actor: "ann"}, []string{"r0 0 "}},
		"about an account":    {adminlog.Query{Limit: 10, Account: "ada@a.test"}, []string{"r1 200 "}},
		"of another action":   {adminlog.Query{Limit: 10, Action: "POST /x"}, nil},
		"the newest":          {adminlog.Query{Limit: 1}, []string{"r2 400 invalid_email"}},
		"older than the last": {adminlog.Query{Limit: 10, Before: 2}, []string{"r0 0 "}},
		"since tomorrow":      {adminlog.Query{Limit: 10, Since: time.Now().Add(24 * time.Hour)}, nil},
	} {
		list, err := adminlog.Read(t.Context(), conn, c.query)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var got []string
		for _, e := range list {
			got = append(got, fmt.Sprintf("%s %d %s", e.RequestID, e.Status, e.Error))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestALineIsWhole sees that an outcome without a status, and a status without an outcome, are no lines.
func TestALineIsWhole(t *testing.T) {
	t.Parallel()
	conn := bed.Open(t)
	for _, line := range []string{
		`{"phase":"answered","call":"0b0e0f6e-8c9d-4d8e-9a55-0c4c4a0d6f11","request_id":"r","action":"a"}`,
		`{"phase":"asked","call":"0b0e0f6e-8c9d-4d8e-9a55-0c4c4a0d6f11","request_id":"r","action":"a","status":200}`,
		`{"phase":"said","call":"0b0e0f6e-8c9d-4d8e-9a55-0c4c4a0d6f11","request_id":"r","action":"a"}`,
		`{}`,
	} {
		if _, err := conn.Exec(t.Context(), "SELECT auth.note($1::text::json)", line); err == nil {
			t.Errorf("%s was kept", line)
		}
	}
}
