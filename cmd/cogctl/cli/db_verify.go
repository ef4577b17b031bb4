package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/internal/fault"
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

func newDBVerify(d *Deps) *cobra.Command {
	return &cobra.Command{
		Use: "verify", Short: "Check the schema: its migrations as they were applied, and its indexes whole", Args: cobra.NoArgs,
		Long:    "Check the schema: its migrations as they were applied, and its indexes whole. What the tables hold is checked by `cogctl ledger verify`.",
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
	err = verifySchema(ctx, db.Target, result)
	result.Sound = len(result.Findings) == 0
	return result, err
}

func (r *dbVerifyResult) add(check, message, hint string) {
	r.Findings = append(r.Findings, dbFinding{check, message, hint})
}

// verifySchema compares what was applied with what this program has, and looks for indexes that were left half-built.
func verifySchema(ctx context.Context, target *pgurl.Target, r *dbVerifyResult) error {
	m, err := schema.New(target.Direct)
	if err != nil {
		return err
	}
	defer m.Close()
	_, states, err := m.Version(ctx)
	if err != nil {
		return err
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
	return err
}

func dbVerifyBlocks(r *dbVerifyResult) []term.Block {
	if r.Sound {
		return []term.Block{term.Headline(term.Pass, r.Database+": schema as applied, indexes whole")}
	}
	rows := term.Rows{Columns: []string{"check", "finding", "what to do"}}
	for _, f := range r.Findings {
		rows.Rows = append(rows.Rows, term.Row(f.Check, f.Message, f.Hint))
	}
	return []term.Block{term.Headline(term.Fail, r.Database+": "+counted(len(r.Findings), "finding")), rows}
}
