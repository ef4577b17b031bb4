package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/ledger/schema"
	"github.com/cognomega/edge/internal/platform"
	"github.com/cognomega/edge/internal/term"
)

type dbUpOptions struct {
	to     int64
	dryRun bool
}

type dbUpResult struct {
	Database string   `json:"database"`
	Embedded bool     `json:"embedded"`
	Started  bool     `json:"started"`
	Steps    []dbStep `json:"steps"`
	Version  int64    `json:"version"`
	Target   int64    `json:"target"`
	DryRun   bool     `json:"dry_run"`
}

func newDBUp(d *Deps) *cobra.Command {
	var o dbUpOptions
	cmd := &cobra.Command{
		Use: "up", Short: "Start the database on this machine, and bring its schema up to date", Args: cobra.NoArgs,
		Long: "Start the database on this machine, unless DATABASE_URL names another, and apply the migrations that it lacks. " +
			"Two at once do not harm: the second waits. A migration that was edited after it was applied is refused.",
		Example: "  cogctl db up\n  cogctl db up --dry-run\n  DATABASE_URL=postgres://... cogctl db up --env production",
		RunE: func(cmd *cobra.Command, _ []string) error {
			result, err := runDBUp(cmd.Context(), d, o)
			if err != nil {
				return err
			}
			return d.Term.Print(term.Report{Schema: "cogctl/db.up/v1", Data: result, Blocks: dbUpBlocks(result)})
		},
	}
	cmd.Flags().Int64Var(&o.to, "to", 0, "stop at this version (0: the newest)")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "say what would be done, and do nothing")
	return cmd
}

func runDBUp(ctx context.Context, d *Deps, o dbUpOptions) (*dbUpResult, error) {
	if o.to < 0 {
		return nil, fault.New(fault.Invalid, "--to %d: versions start at 1", o.to)
	}
	l, err := d.databaseLayout()
	if err != nil {
		return nil, err
	}
	if o.dryRun {
		return planDBUp(ctx, d, l, o)
	}
	progress := d.Term.Progress("db      starting and migrating")
	defer progress.Stop()
	db, started, err := platform.StartDatabase(ctx, l, d.Env, d.Getenv)
	if err != nil {
		return nil, err
	}
	d.databaseNotes(db)
	if _, err := db.Target.Probe(ctx); err != nil {
		return nil, err
	}
	m, err := schema.New(db.Target.Direct)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	done, err := m.Up(ctx, o.to)
	if err != nil {
		return nil, err
	}
	version, _, err := m.Version(ctx)
	return &dbUpResult{
		Database: db.Target.Shown, Embedded: db.Embedded != nil, Started: started, Steps: dbSteps(done), Version: version, Target: m.Target(),
	}, err
}

// planDBUp looks without starting anything: a server that does not run is said to be started, and everything to be looked at then.
func planDBUp(ctx context.Context, d *Deps, l platform.Layout, o dbUpOptions) (*dbUpResult, error) {
	result := &dbUpResult{DryRun: true, Steps: []dbStep{}}
	db, err := platform.OpenDatabase(ctx, l, d.Env, d.Getenv)
	if errors.Is(err, fault.NotFound) {
		result.Embedded, result.Started, result.Database = true, true, "this machine's"
		return result, nil
	}
	if err != nil {
		return nil, err
	}
	d.databaseNotes(db)
	result.Database, result.Embedded = db.Target.Shown, db.Embedded != nil
	m, err := schema.New(db.Target.Direct)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	states, err := m.Status(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range states {
		if !s.Applied && (o.to == 0 || s.Version <= o.to) {
			result.Steps = append(result.Steps, dbStep{Version: s.Version, Name: s.Name})
		}
	}
	result.Target = m.Target()
	result.Version, _, err = m.Version(ctx)
	return result, err
}

func dbUpBlocks(r *dbUpResult) []term.Block {
	if r.DryRun {
		blocks := []term.Block{}
		if r.Started {
			return append(blocks, term.Line{term.T("the database on this machine would be started, and its schema brought up to date")})
		}
		return append(blocks, term.Line{term.T("would be applied to " + r.Database)}, stepRows(r.Steps, "nothing: the schema is up to date"))
	}
	word := "already running"
	if r.Started {
		word = "started"
	}
	if !r.Embedded {
		word = "reached"
	}
	head := term.Headline(term.Pass, fmt.Sprintf("database %s, schema version %d of %d", word, r.Version, r.Target))
	return []term.Block{head, term.Facts{{Name: "database", Value: term.T(r.Database)}}, stepRows(r.Steps, "nothing to apply")}
}
