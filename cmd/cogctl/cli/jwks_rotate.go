package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/internal/rotation"
	"github.com/cognomega/edge/internal/term"
)

type rotateOptions struct {
	waitOptions
	plan, dryRun, explain bool
}

// rotateResult is where a rotation stands when the command ends.
type rotateResult struct {
	Env    string   `json:"env"`
	Done   bool     `json:"done"`
	Joined bool     `json:"joined"` // somebody else had begun it
	Steps  []string `json:"steps"`  // taken by this command
	DueAt  string   `json:"due_at,omitempty"`
	*rotation.Status
	Waits waitsData `json:"waits"`
}

func newJWKSRotate(d *Deps) *cobra.Command {
	var o rotateOptions
	cmd := &cobra.Command{
		Use: "rotate", Short: "Replace the key that signs tokens, without refusing a valid one", Args: cobra.NoArgs,
		Long: "Replace the key that signs tokens. The next public key is published before it signs, and the one before it leaves when nothing it signed is valid any more; " +
			"how long that takes is derived from contract/auth.json (--explain). The private key exists in this process and in the Worker's secret slots, and nowhere else.\n\n" +
			"It takes more than an hour and need not be watched: it can be interrupted and gone on with from any machine (cogctl jwks resume). Two operators at once end in one rotation.\n\n" +
			"The token needs Workers KV Storage: Edit and Workers Scripts: Edit. Where guests have to pass Turnstile, set COGCTL_ADMIN_KEY: a rotation looks at which key signs.",
		Example: "  cogctl jwks rotate --env production --plan\n  cogctl jwks rotate --env production\n  cogctl jwks rotate --no-wait && sleep 600 && cogctl jwks resume --no-wait",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.plan || o.dryRun {
				return planRotation(cmd.Context(), d, o)
			}
			return runRotation(cmd.Context(), d, o, (*rotation.Rotator).Rotate)
		},
	}
	cmd.Flags().BoolVar(&o.plan, "plan", false, "show when what would happen, and write nothing")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "the same as --plan")
	cmd.Flags().BoolVar(&o.explain, "explain", false, "also show the arithmetic of every wait")
	o.waitOptions.flags(cmd)
	return cmd
}

func (o *waitOptions) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.noWait, "no-wait", false, "do what is due now, and end; cogctl jwks resume goes on")
	cmd.Flags().DurationVar(&o.signAfter, "sign-after", 0, "let the next key sign later than it could")
	cmd.Flags().DurationVar(&o.leaveAfter, "leave-after", 0, "let the old key leave later than it could")
}

func newJWKSResume(d *Deps) *cobra.Command {
	var o rotateOptions
	cmd := &cobra.Command{
		Use: "resume", Short: "Go on with the rotation or revocation that is under way", Args: cobra.NoArgs,
		Long: "Go on with the rotation or revocation that is under way, whoever began it and wherever. What a program was doing as it died is done again: that takes up to " +
			"three minutes longer, until it is certain that it is dead and that KV shows what it wrote.",
		Example: "  cogctl jwks resume --env production\n  cogctl jwks resume --no-wait      # from a timer",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.dryRun {
				r, status, err := runJWKSStatus(cmd.Context(), d)
				if err != nil {
					return err
				}
				return d.Term.Print(statusReport(d.Env, r, status, false))
			}
			return runRotation(cmd.Context(), d, o, (*rotation.Rotator).Resume)
		},
	}
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "show how far it is, and write nothing")
	o.waitOptions.flags(cmd)
	return cmd
}

func planRotation(ctx context.Context, d *Deps, o rotateOptions) error {
	r, _, err := d.rotator(ctx, o.waitOptions)
	if err != nil {
		return err
	}
	status, err := r.Plan(ctx)
	if err != nil {
		return err
	}
	report := term.Report{
		Schema: "cogctl/jwks.plan/v1", Data: keyStatusResult{d.Env, status, waitsOf(r.Waits())},
		Blocks: []term.Block{phaseLine(status), timelineRows(status)},
	}
	if o.explain {
		report.Blocks = append(report.Blocks, explainRows(r.Waits()))
	}
	report.Blocks = append(report.Blocks, term.Line{term.T("No token that is accepted now is refused before it expires.")},
		term.Line{term.DimText("Nothing was written. Run it without --plan to begin; it can be interrupted, and resumed from any machine.")})
	return d.Term.Print(report)
}

func runRotation(ctx context.Context, d *Deps, o rotateOptions, run func(*rotation.Rotator, context.Context, bool) (rotation.Outcome, error)) error {
	r, log, err := d.rotator(ctx, o.waitOptions)
	if err != nil {
		return err
	}
	out, err := run(r, ctx, o.noWait)
	log.stop()
	if err != nil {
		return err
	}
	status, err := r.Status(ctx)
	if err != nil {
		return err
	}
	return d.Term.Print(rotateReport(d.Env, r, out, status, o.explain))
}

func rotateReport(env string, r *rotation.Rotator, out rotation.Outcome, s *rotation.Status, explain bool) term.Report {
	result := rotateResult{Env: env, Done: out.Done, Joined: out.Joined, Steps: out.Steps, Status: s, Waits: waitsOf(r.Waits())}
	if result.Steps == nil {
		result.Steps = []string{}
	}
	if !out.WaitFor.IsZero() {
		result.DueAt = out.WaitFor.UTC().Format(time.RFC3339)
	}
	report := term.Report{Schema: "cogctl/jwks.rotate/v1", Data: result, Blocks: []term.Block{phaseLine(s), heldRows(s), timelineRows(s)}}
	if explain {
		report.Blocks = append(report.Blocks, explainRows(r.Waits()))
	}
	if out.Joined {
		report.Blocks = append(report.Blocks, term.Line{term.DimText("A rotation was under way already; this command went on with it and began no other.")})
	}
	if !out.Done {
		report.Blocks = append(report.Blocks, term.Hint(fmt.Sprintf("in %s: cogctl jwks resume --env %s", rough(out.WaitFor.Sub(s.At)), env)))
	}
	return report
}
