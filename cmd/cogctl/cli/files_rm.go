package cli

import (
	"context"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/internal/term"
)

type filesRemoveOptions struct {
	keyFile     string
	yes, dryRun bool
}

type filesRemoveResult struct {
	Account string `json:"account"`
	Key     string `json:"key"`
	Size    int64  `json:"size"`
	DryRun  bool   `json:"dry_run"`
}

func newFilesRemove(d *Deps) *cobra.Command {
	var o filesRemoveOptions
	cmd := filesCommand[*filesRemoveResult]{
		Command: cobra.Command{
			Use: "rm ACCOUNT KEY", Short: "Delete a file, which cannot be had back",
			Example: "  cogctl files rm ada@example.com uploads/2026/11/25/… --dry-run\n  cogctl files rm ada@example.com uploads/2026/11/25/… --yes",
		},
		schema: "cogctl/files.rm/v1",
		run: func(ctx context.Context, account, key string) (*filesRemoveResult, error) {
			return runFilesRemove(ctx, d, account, key, o)
		},
		blocks: func(r *filesRemoveResult) []term.Block {
			return doneOrPlanned(r.DryRun, "deleted "+r.Key, "would delete "+r.Key+"; nothing was done", r.Size)
		},
	}.make(d, &o.keyFile)
	cmd.Flags().BoolVar(&o.yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "look at the file, and delete nothing")
	return cmd
}

func runFilesRemove(ctx context.Context, d *Deps, account, key string, o filesRemoveOptions) (*filesRemoveResult, error) {
	a, err := d.filesOf(ctx, account, o.keyFile)
	if err != nil {
		return nil, err
	}
	facts, err := a.look(ctx, key)
	if err != nil {
		return nil, err
	}
	r := &filesRemoveResult{Account: account, Key: key, Size: facts.size, DryRun: o.dryRun}
	if o.dryRun {
		return r, nil
	}
	if !o.yes {
		if err := d.Term.Confirm("This deletes "+key+" of "+account+".", account); err != nil {
			return nil, err
		}
	}
	var done struct {
		OK bool `json:"ok"`
	}
	return r, a.call(ctx, "delete "+key, http.MethodDelete, filePath(key), nil, &done)
}
