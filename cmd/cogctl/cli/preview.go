package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/platform"
	"github.com/cognomega/edge/internal/term"
)

type previewOptions struct{ refresh, allowDelete, failOnChange bool }

type previewResult struct {
	Env     string          `json:"env"`
	Changes map[string]int  `json:"changes"`
	Plan    []plannedChange `json:"plan"`
	Drift   []platformDrift `json:"drift"`
	First   []string        `json:"first_up,omitempty"` // what the first up would do, where there is nothing yet to plan against
	rows    term.Rows
}

type plannedChange struct {
	Op   string   `json:"op"`
	Type string   `json:"type"`
	Name string   `json:"name"`
	URN  string   `json:"urn"`
	Diff []string `json:"diff"`
}

func newPreview(d *Deps) *cobra.Command {
	var o previewOptions
	cmd := &cobra.Command{
		Use: "preview", Short: "Show what `up` would change, and write nothing", Args: cobra.NoArgs,
		Long:    "Show what `up` would change, and write nothing. With --refresh the live account is read first, so that whatever was changed behind the stack's back shows as well.",
		Example: "  cogctl preview --refresh\n  cogctl preview --refresh --exit-code     # 1 when something would change",
		RunE:    func(cmd *cobra.Command, _ []string) error { return previewCommand(cmd.Context(), d, o) },
	}
	cmd.Flags().BoolVar(&o.refresh, "refresh", false, "read the live account first")
	cmd.Flags().BoolVar(&o.allowDelete, "allow-delete", false, "judge the plan as `up --allow-delete` would")
	cmd.Flags().BoolVar(&o.failOnChange, "exit-code", false, "exit 1 when something would change")
	return cmd
}

func previewCommand(ctx context.Context, d *Deps, o previewOptions) error {
	result, changed, err := runPreview(ctx, d, o)
	if err != nil {
		return err
	}
	blocks := []term.Block{term.Line{term.T(fmt.Sprintf("%s: %s", result.Env, changesText(result.Changes)))}, result.rows}
	if err := d.Term.Print(term.Report{Schema: "cogctl/preview/v1", Data: result, Blocks: blocks}); err != nil {
		return err
	}
	if o.failOnChange && changed > 0 {
		return fault.Drift
	}
	return nil
}

func runPreview(ctx context.Context, d *Deps, o previewOptions) (*previewResult, int, error) {
	l, err := d.layout()
	if err != nil {
		return nil, 0, err
	}
	c, err := d.Contract()
	if err != nil {
		return nil, 0, err
	}
	n, err := platform.Connect(ctx, c, l, d.Env)
	if err != nil {
		return nil, 0, err
	}
	tracker, err := runStack(ctx, d, l, n, platform.StackRun{Verb: "preview", Refresh: o.refresh, AllowDelete: o.allowDelete})
	if err != nil {
		return nil, 0, err
	}
	result := &previewResult{Env: n.Env, Changes: tracker.Summary.Changes, Plan: []plannedChange{}, Drift: drifts(tracker), rows: planRows(tracker.Plan, tracker.Drift)}
	for _, e := range tracker.Plan {
		result.Plan = append(result.Plan, plannedChange{Op: e.Op, Type: e.ResourceType, Name: e.Name, URN: e.URN, Diff: e.Diff})
	}
	return result, tracker.changed() + len(tracker.Drift), nil
}
