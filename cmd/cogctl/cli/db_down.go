package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/ledger/schema"
	"github.com/cognomega/edge/internal/platform"
	"github.com/cognomega/edge/internal/term"
)

type dbDownOptions struct {
	to                       int64
	allowDelete, yes, dryRun bool
}

type dbDownResult struct {
	Stopped bool     `json:"stopped"`
	Steps   []dbStep `json:"steps"`
	DryRun  bool     `json:"dry_run"`
}

func newDBDown(d *Deps) *cobra.Command {
	var o dbDownOptions
	cmd := &cobra.Command{
		Use: "down", Short: "Stop the database on this machine; its data stays", Args: cobra.NoArgs,
		Long: "Stop the database on this machine; its data stays. With --to the server runs on, and the migrations after that version are taken back instead: " +
			"what they held is deleted, so that needs --allow-delete, and the database's name typed or --yes.",
		Example: "  cogctl db down\n  cogctl db down --to 18 --dry-run\n  cogctl db down --to 18 --allow-delete",
		RunE: func(cmd *cobra.Command, _ []string) error {
			run := runDBStop
			if cmd.Flags().Changed("to") {
				run = runDBDownTo
			}
			result, err := run(cmd.Context(), d, o)
			if err != nil {
				return err
			}
			return d.Term.Print(term.Report{Schema: "cogctl/db.down/v1", Data: result, Blocks: dbDownBlocks(result)})
		},
	}
	cmd.Flags().Int64Var(&o.to, "to", 0, "take back the migrations after this version, and stop nothing")
	cmd.Flags().BoolVar(&o.allowDelete, "allow-delete", false, "with --to: let what the migrations held be deleted")
	cmd.Flags().BoolVar(&o.yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "say what would be done, and do nothing")
	return cmd
}

func runDBStop(ctx context.Context, d *Deps, o dbDownOptions) (*dbDownResult, error) {
	if d.Env != platform.Local || d.Getenv("DATABASE_URL") != "" {
		return nil, fault.New(fault.Refused, "that database is not on this machine: nothing here can stop it").WithHint("unset DATABASE_URL to stop this machine's")
	}
	l, err := d.layout()
	if err != nil {
		return nil, err
	}
	result := &dbDownResult{DryRun: o.dryRun, Steps: []dbStep{}}
	if o.dryRun {
		_, err := platform.OpenDatabase(ctx, l, d.Env, d.Getenv)
		result.Stopped = err == nil
		return result, nil
	}
	result.Stopped, err = platform.StopDatabase(ctx, l)
	return result, err
}

func runDBDownTo(ctx context.Context, d *Deps, o dbDownOptions) (*dbDownResult, error) {
	if o.to < 0 {
		return nil, fault.New(fault.Invalid, "--to %d: version 0 is before the first", o.to)
	}
	db, err := d.openDatabase(ctx)
	if err != nil {
		return nil, err
	}
	m, err := schema.New(db.Target.Direct)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	plan, err := planDBDown(ctx, m, o.to)
	if err != nil || o.dryRun || len(plan) == 0 {
		return &dbDownResult{Steps: plan, DryRun: o.dryRun}, err
	}
	if !o.allowDelete {
		return nil, fault.New(fault.Refused, "taking back %s deletes what they held", counted(len(plan), "migration")).
			WithHint("look at --dry-run, then add --allow-delete if that is what you mean")
	}
	if !o.yes {
		if err := d.Term.Confirm(fmt.Sprintf("This takes back %s of %s and deletes what they held.", counted(len(plan), "migration"), db.Target.Shown), db.Target.Direct.Database); err != nil {
			return nil, err
		}
	}
	done, err := m.Down(ctx, o.to)
	return &dbDownResult{Steps: dbSteps(done)}, err
}

func planDBDown(ctx context.Context, m *schema.Migrator, to int64) ([]dbStep, error) {
	states, err := m.Status(ctx)
	if err != nil {
		return nil, err
	}
	plan := []dbStep{}
	for i := len(states) - 1; i >= 0; i-- {
		if s := states[i]; s.Applied && s.Version > to {
			plan = append(plan, dbStep{Version: s.Version, Name: s.Name})
		}
	}
	return plan, nil
}

func dbDownBlocks(r *dbDownResult) []term.Block {
	if len(r.Steps) > 0 {
		word := "taken back"
		if r.DryRun {
			word = "would be taken back"
		}
		return []term.Block{term.Line{term.T(word)}, stepRows(r.Steps, "")}
	}
	word := "nothing to do"
	switch {
	case r.Stopped && r.DryRun:
		word = "the database would be stopped; its data would stay"
	case r.Stopped:
		word = "the database is stopped; its data stays"
	}
	return []term.Block{term.Line{term.T(word)}}
}
