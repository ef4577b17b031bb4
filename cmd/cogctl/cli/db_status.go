package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/internal/ledger/pgurl"
	"github.com/cognomega/edge/internal/ledger/schema"
	"github.com/cognomega/edge/internal/term"
)

type dbStatusResult struct {
	Database   string         `json:"database"`
	Embedded   bool           `json:"embedded"`
	PID        int            `json:"pid,omitempty"`
	Pooled     bool           `json:"pooled"`
	Server     pgurl.Facts    `json:"server"`
	Version    int64          `json:"version"`
	Target     int64          `json:"target"`
	Migrations []schema.State `json:"migrations"`
}

func newDBStatus(d *Deps) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show the database, and how every migration stands", Args: cobra.NoArgs,
		Example: "  cogctl db status\n  cogctl db status -o json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			result, err := runDBStatus(cmd.Context(), d)
			if err != nil {
				return err
			}
			return d.Term.Print(term.Report{Schema: "cogctl/db.status/v1", Data: result, Blocks: dbStatusBlocks(result)})
		},
	}
}

func runDBStatus(ctx context.Context, d *Deps) (*dbStatusResult, error) {
	db, err := d.openDatabase(ctx)
	if err != nil {
		return nil, err
	}
	result := &dbStatusResult{Database: db.Target.Shown, Embedded: db.Embedded != nil, Pooled: db.Target.Pooled}
	if db.Embedded != nil {
		result.PID = db.Embedded.PID
	}
	if result.Server, err = db.Target.Probe(ctx); err != nil {
		return nil, err
	}
	m, err := schema.New(db.Target.Direct)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	result.Target = m.Target()
	result.Version, result.Migrations, err = m.Version(ctx)
	return result, err
}

func dbStatusBlocks(r *dbStatusResult) []term.Block {
	verdict := term.Pass
	if r.Version != r.Target {
		verdict = term.Warning
	}
	server := "PostgreSQL " + r.Server.Version
	if r.PID != 0 {
		server += fmt.Sprintf(", pid %d", r.PID)
	}
	vector := r.Server.Vector
	if vector == "" {
		vector = "not offered by this server"
	}
	facts := term.Facts{{Name: "database", Value: term.T(r.Database)}, {Name: "server", Value: term.T(server)}, {Name: "pgvector", Value: term.T(vector)}}
	rows := term.Rows{Columns: []string{"version", "migration", "applied"}}
	for _, s := range r.Migrations {
		applied := term.DimText("pending")
		if s.Applied {
			applied = term.T(s.At.UTC().Format(time.RFC3339))
		}
		if s.Trouble != "" {
			applied = term.T(s.Trouble)
		}
		rows.Rows = append(rows.Rows, []term.Text{term.T(fmt.Sprint(s.Version)), term.T(s.Name), applied})
	}
	return []term.Block{term.Headline(verdict, fmt.Sprintf("schema version %d of %d", r.Version, r.Target)), facts, rows}
}
