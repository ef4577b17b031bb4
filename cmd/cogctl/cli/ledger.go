package cli

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/spf13/cobra"

	"github.com/cognomega/edge/internal/ledger/pgurl"
)

func newLedger(d *Deps) *cobra.Command {
	return newGroup("ledger", "The journal of credits: add it up again, compare its copies, take it out",
		"  cogctl ledger verify\n  cogctl ledger drift --env production\n  cogctl ledger export --to ledger.jsonl",
		newLedgerVerify(d), newLedgerDrift(d), newLedgerExport(d))
}

// ledgerSession opens one connection to the environment's database, past any pooler, and says what it is called.
func (d *Deps) ledgerSession(ctx context.Context) (conn *pgx.Conn, shown string, err error) {
	db, err := d.openDatabase(ctx)
	if err != nil {
		return nil, "", err
	}
	if conn, err = pgurl.Connect(ctx, db.Target.Direct); err != nil {
		return nil, "", err
	}
	// Times are shown in UTC, wherever this runs.
	conn.TypeMap().RegisterType(&pgtype.Type{Name: "timestamptz", OID: pgtype.TimestamptzOID, Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC}})
	return conn, db.Target.Shown, nil
}
