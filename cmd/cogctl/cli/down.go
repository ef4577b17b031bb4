package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/platform"
	"github.com/cognomega/edge/internal/term"
)

type downOptions struct{ destroy, allowDelete, dryRun, cloudAlone bool }

type downResult struct {
	Env       string         `json:"env"`
	Stopped   bool           `json:"stopped"`
	Database  bool           `json:"database_stopped"`
	Destroyed map[string]int `json:"destroyed,omitempty"`
	DryRun    bool           `json:"dry_run"`
}

func newDown(d *Deps) *cobra.Command {
	var o downOptions
	cmd := &cobra.Command{
		Use: "down", Short: "Stop the platform on this machine; its data stays", Args: cobra.NoArgs,
		Long: "Stop the platform on this machine: no process and no port is left. The account's data stays in its folder, and `cogctl up` goes on from there.\n" +
			"With --destroy the stack's resources are deleted first.",
		Example: "  cogctl down\n  cogctl down --destroy --allow-delete",
		RunE: func(cmd *cobra.Command, _ []string) error {
			result, err := runDown(cmd.Context(), d, o)
			if err != nil {
				return err
			}
			return d.Term.Print(term.Report{Schema: "cogctl/down/v1", Data: result, Blocks: downBlocks(result)})
		},
	}
	cmd.Flags().BoolVar(&o.destroy, "destroy", false, "delete the stack's resources first")
	cmd.Flags().BoolVar(&o.allowDelete, "allow-delete", false, "with --destroy: also what holds data")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "say what would be stopped, and stop nothing")
	return cmd
}

func runDown(ctx context.Context, d *Deps, o downOptions) (*downResult, error) {
	if d.Env != platform.Local {
		return nil, fault.New(fault.Refused, "environment %s is not on this machine", d.Env).WithHint("cogctl down is for the local environment alone")
	}
	l, err := d.layout()
	if err != nil {
		return nil, err
	}
	result := &downResult{Env: d.Env, DryRun: o.dryRun}
	if o.dryRun {
		_, err := platform.RunningLocal(ctx, l)
		_, without := platform.OpenDatabase(ctx, l, d.Env, noDatabaseURL)
		result.Stopped, result.Database = err == nil, without == nil
		return result, nil
	}
	if o.destroy {
		if result.Destroyed, err = destroyStack(ctx, d, l, o); err != nil {
			return nil, err
		}
	}
	// The cloud first: its Workers use the database to their last message. A failure of one does not keep the other running.
	var cloud, database error
	result.Stopped, cloud = platform.StopLocal(ctx, l)
	if !o.cloudAlone {
		result.Database, database = platform.StopDatabase(ctx, l)
	}
	return result, errors.Join(cloud, database)
}

// noDatabaseURL looks past DATABASE_URL: what runs on this machine is stopped whatever else is used.
func noDatabaseURL(string) string { return "" }

func destroyStack(ctx context.Context, d *Deps, _ platform.Layout, o downOptions) (map[string]int, error) {
	l, n, err := d.bring(ctx)
	if err != nil {
		return nil, err
	}
	tracker, err := runStack(ctx, d, l, n, platform.StackRun{Verb: "destroy", AllowDelete: o.allowDelete})
	if err != nil {
		return nil, err
	}
	return tracker.Summary.Changes, nil
}

func stoppedWords(r *downResult) string {
	what, are := "the database", "is"
	switch {
	case r.Stopped && r.Database:
		what, are = "the local cloud and the database", "are"
	case r.Stopped:
		what = "the local cloud"
	case !r.Database:
		return "nothing was running"
	}
	if r.DryRun {
		return what + " would be stopped; all data would stay"
	}
	return what + " " + are + " stopped; all data stays"
}

func downBlocks(r *downResult) []term.Block {
	blocks := []term.Block{}
	if len(r.Destroyed) > 0 {
		blocks = append(blocks, term.Line{term.T("destroyed " + changesText(r.Destroyed))})
	}
	return append(blocks, term.Line{term.T(stoppedWords(r))})
}
