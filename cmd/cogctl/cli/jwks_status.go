package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/rotation"
	"github.com/cognomega/edge/internal/term"
)

// keyStatusResult is the timeline as data: reports are drawn from it.
type keyStatusResult struct {
	Env string `json:"env"`
	*rotation.Status
	Waits waitsData `json:"waits"`
}

func newJWKSStatus(d *Deps) *cobra.Command {
	var explain bool
	cmd := &cobra.Command{
		Use: "status", Short: "Show which key signs, and how far a rotation is", Args: cobra.NoArgs,
		Long:    "Show which key signs, how far a rotation is, and when each of its steps was or will be. Exit codes: 0; 1 when a step is due and nobody takes it.",
		Example: "  cogctl jwks status --env production\n  cogctl jwks status -o json | jq .timeline",
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, status, err := runJWKSStatus(cmd.Context(), d)
			if err != nil {
				return err
			}
			if err := d.Term.Print(statusReport(d.Env, r, status, explain)); err != nil {
				return err
			}
			if status.Overdue {
				return fault.Finding
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&explain, "explain", false, "also show the arithmetic of every wait")
	return cmd
}

func runJWKSStatus(ctx context.Context, d *Deps) (*rotation.Rotator, *rotation.Status, error) {
	r, _, err := d.rotator(ctx, waitOptions{})
	if err != nil {
		return nil, nil, err
	}
	status, err := r.Status(ctx)
	return r, status, err
}

func statusReport(env string, r *rotation.Rotator, s *rotation.Status, explain bool) term.Report {
	report := term.Report{
		Schema: "cogctl/jwks.status/v1", Data: keyStatusResult{env, s, waitsOf(r.Waits())},
		Blocks: []term.Block{phaseLine(s), heldRows(s), timelineRows(s)},
	}
	if explain {
		report.Blocks = append(report.Blocks, explainRows(r.Waits()))
	}
	if s.Overdue || s.Ticket > s.Version {
		report.Blocks = append(report.Blocks, term.Hint("cogctl jwks resume --env "+env))
	}
	return report
}
