package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/internal/term"
)

// symptom is one thing that the platform needs of this machine, and what to do when it lacks it.
type symptom struct {
	Name    string        `json:"name"`
	Verdict audit.Verdict `json:"verdict"`
	Detail  string        `json:"detail"`
	Fix     string        `json:"fix,omitempty"`
}

type doctorResult struct {
	Verdict  audit.Verdict `json:"verdict"`
	Symptoms []symptom     `json:"checks"`
}

func newDoctor(d *Deps) *cobra.Command {
	return &cobra.Command{
		Use: "doctor", Short: "Find what is missing on this machine, with a fix for each", Args: cobra.NoArgs,
		Long:    "Find what is missing on this machine, with a fix for each: tools, packages, workerd, PostgreSQL, the engine, ports, disk, the local account with its certificate, the ledger's database, and a promotion that was left unfinished. Nothing is changed.",
		Example: "  cogctl doctor\n  cogctl doctor --output json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			result := runDoctor(cmd.Context(), d)
			if err := d.Term.Print(doctorReport(result)); err != nil {
				return err
			}
			return result.Verdict.Err()
		},
	}
}

func runDoctor(ctx context.Context, d *Deps) doctorResult {
	x := examiner{ctx: ctx, d: d}
	x.layout, x.layoutErr = d.layout()
	var r doctorResult
	var verdicts []audit.Verdict
	for _, look := range []func() symptom{
		x.checkout, x.goTool, x.node, x.packages, x.workerd, x.postgres, x.pulumi, x.programs, x.ports, x.disk, x.localCloud, x.authority, x.database, x.promotion,
	} {
		s := look()
		r.Symptoms = append(r.Symptoms, s)
		verdicts = append(verdicts, s.Verdict)
	}
	r.Verdict = audit.Worst(verdicts...)
	return r
}

func doctorReport(r doctorResult) term.Report {
	rows := term.Rows{Columns: []string{"check", "verdict", "detail", "fix"}}
	for _, s := range r.Symptoms {
		rows.Rows = append(rows.Rows, []term.Text{term.T(s.Name), term.Mark(term.Verdict(s.Verdict)), term.T(s.Detail), term.T(s.Fix)})
	}
	return term.Report{Schema: "cogctl/doctor/v1", Data: r, Blocks: []term.Block{rows}}
}
