package cli

import (
	"github.com/spf13/cobra"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/cors"
	"github.com/cognomega/edge/internal/term"
)

func newPreflight(d *Deps) *cobra.Command {
	return &cobra.Command{
		Use: "preflight", Short: "Check CORS on every public path, from allowed and foreign origins", Args: cobra.NoArgs,
		Long: "Check CORS on every public path and alias: a preflight from every allowed origin must be 204 with exactly the contract's headers; " +
			"foreign, null and look-alike origins must learn nothing; and a plain read must carry one CORS layer.",
		Example: "  cogctl preflight\n  cogctl preflight --env production --output json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, err := d.Target(cmd.Context(), d.Env)
			if err != nil {
				return err
			}
			progress := d.Term.Progress("sending preflights to " + t.Hostname)
			result, err := cors.Check().Run(cmd.Context(), t)
			progress.Stop()
			if err != nil {
				return err
			}
			if err := d.Term.Print(checkReport("cogctl/preflight/v1", "CORS on "+t.Hostname, result)); err != nil {
				return err
			}
			return result.Verdict.Err()
		},
	}
}

// checkReport shows the result of one check: its verdict, what was done, then findings with hints.
func checkReport(schema, what string, r audit.Result) term.Report {
	report := term.Report{Schema: schema, Data: r, Blocks: []term.Block{headline(r.Verdict, what+": "+r.Summary)}}
	if len(r.Findings) > 0 {
		report.Blocks = append(report.Blocks, findingRows(r.Findings, "got", "want"))
		report.Blocks = append(report.Blocks, hintLines(r.Findings)...)
	}
	return report
}
