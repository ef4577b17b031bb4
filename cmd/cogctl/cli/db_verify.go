package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/ledger"
	"github.com/cognomega/edge/internal/ledger/pgurl"
	"github.com/cognomega/edge/internal/ledger/schema"
	"github.com/cognomega/edge/internal/term"
)

type dbVerifyResult struct {
	Database string      `json:"database"`
	Sound    bool        `json:"sound"`
	Findings []dbFinding `json:"findings"`
}

type dbFinding struct {
	Check   string `json:"check"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// mostDrift is how many differences are listed: one account more or less changes nothing about what to do.
const mostDrift = 100

func newDBVerify(d *Deps) *cobra.Command {
	return &cobra.Command{
		Use: "verify", Short: "Check the schema's history, its indexes, and that every balance equals its journal", Args: cobra.NoArgs,
		Example: "  cogctl db verify\n  cogctl db verify --env production -o json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			result, err := runDBVerify(cmd.Context(), d)
			if err != nil {
				return err
			}
			if err := d.Term.Print(term.Report{Schema: "cogctl/db.verify/v1", Data: result, Blocks: dbVerifyBlocks(result)}); err != nil {
				return err
			}
			if !result.Sound {
				return fault.Finding
			}
			return nil
		},
	}
}

func runDBVerify(ctx context.Context, d *Deps) (*dbVerifyResult, error) {
	db, err := d.openDatabase(ctx)
	if err != nil {
		return nil, err
	}
	facts, err := db.Target.Probe(ctx)
	if err != nil {
		return nil, err
	}
	result := &dbVerifyResult{Database: db.Target.Shown, Findings: []dbFinding{}}
	if facts.ReadOnly {
		result.add("server", "it is read-only", "point DATABASE_URL at the primary")
	}
	current, err := verifySchema(ctx, db.Target, result)
	if err == nil && current {
		err = verifyBalances(ctx, db.Target, result)
	}
	result.Sound = len(result.Findings) == 0
	return result, err
}

func (r *dbVerifyResult) add(check, message, hint string) {
	r.Findings = append(r.Findings, dbFinding{check, message, hint})
}

// verifySchema tells whether the schema is the one this program knows, so that its views can be asked.
func verifySchema(ctx context.Context, target *pgurl.Target, r *dbVerifyResult) (current bool, err error) {
	m, err := schema.New(target.Direct)
	if err != nil {
		return false, err
	}
	defer m.Close()
	version, states, err := m.Version(ctx)
	if err != nil {
		return false, err
	}
	for _, s := range states {
		switch {
		case s.Trouble != "":
			r.add("migrations", fmt.Sprintf("%d %s: %s", s.Version, s.Name, s.Trouble), "restore the file as it was applied, or use the program that applied it")
		case !s.Applied:
			r.add("migrations", s.Name+" is not applied", "cogctl db up")
		}
	}
	broken, err := m.InvalidIndexes(ctx)
	for _, name := range broken {
		r.add("indexes", name+" is half-built", "cogctl db up builds it again")
	}
	return version >= m.Target(), err
}

func verifyBalances(ctx context.Context, target *pgurl.Target, r *dbVerifyResult) error {
	conn, err := pgurl.Connect(ctx, target.Direct)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	found, err := ledger.New(conn).Drift(ctx, mostDrift)
	for _, f := range found {
		r.add("balances", f.String(), "the journal is right: correct the balance to it, and keep this report")
	}
	return err
}

func dbVerifyBlocks(r *dbVerifyResult) []term.Block {
	if r.Sound {
		return []term.Block{term.Headline(term.Pass, r.Database+": schema as applied, indexes whole, every balance equals its journal")}
	}
	rows := term.Rows{Columns: []string{"check", "finding", "what to do"}}
	for _, f := range r.Findings {
		rows.Rows = append(rows.Rows, term.Row(f.Check, f.Message, f.Hint))
	}
	return []term.Block{term.Headline(term.Fail, r.Database+": "+counted(len(r.Findings), "finding")), rows}
}
