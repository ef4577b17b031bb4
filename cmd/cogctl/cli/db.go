package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/internal/ledger/schema"
	"github.com/cognomega/edge/internal/platform"
	"github.com/cognomega/edge/internal/term"
)

func newDB(d *Deps) *cobra.Command {
	return newGroup("db", "The database: this machine's, or the one of DATABASE_URL", "  cogctl db up\n  psql \"$(cogctl db psql-url)\"",
		newDBUp(d), newDBDown(d), newDBStatus(d), newDBVerify(d), newDBPsqlURL(d))
}

// openDatabase finds the database of --env, and says on stderr what was decided about how to reach it.
func (d *Deps) openDatabase(ctx context.Context) (*platform.Database, error) {
	l, err := d.databaseLayout()
	if err != nil {
		return nil, err
	}
	db, err := platform.OpenDatabase(ctx, l, d.Env, d.Getenv)
	if err != nil {
		return nil, err
	}
	d.databaseNotes(db)
	return db, nil
}

// databaseLayout needs no checkout when DATABASE_URL says where the database is.
func (d *Deps) databaseLayout() (platform.Layout, error) {
	if d.Getenv("DATABASE_URL") != "" || d.Env != platform.Local {
		return platform.Layout{}, nil
	}
	return d.layout()
}

func (d *Deps) databaseNotes(db *platform.Database) {
	for _, note := range db.Target.Notes {
		fmt.Fprintf(d.Term.Err(), "db      %s\n", note)
	}
}

// step is one migration that was run, or would be.
type dbStep struct {
	Version int64  `json:"version"`
	Name    string `json:"name"`
	TookMS  int64  `json:"took_ms"`
}

func dbSteps(steps []schema.Step) []dbStep {
	shown := make([]dbStep, 0, len(steps))
	for _, s := range steps {
		shown = append(shown, dbStep{s.Version, s.Name, s.Took.Milliseconds()})
	}
	return shown
}

func stepRows(steps []dbStep, empty string) term.Rows {
	rows := term.Rows{Columns: []string{"version", "migration", "ms"}, Empty: empty}
	for _, s := range steps {
		rows.Rows = append(rows.Rows, term.Row(fmt.Sprint(s.Version), s.Name, fmt.Sprint(s.TookMS)))
	}
	return rows
}

func newDBPsqlURL(d *Deps) *cobra.Command {
	return &cobra.Command{
		Use: "psql-url", Short: "Print the database's connection string, with its password", Args: cobra.NoArgs,
		Example: "  psql \"$(cogctl db psql-url)\"",
		RunE: func(cmd *cobra.Command, _ []string) error {
			db, err := d.openDatabase(cmd.Context())
			if err != nil {
				return err
			}
			return d.Term.Print(term.Report{
				Schema: "cogctl/db.psql-url/v1", Data: map[string]string{"url": db.Address()}, Blocks: []term.Block{term.Line{term.T(db.Address())}},
			})
		},
	}
}
