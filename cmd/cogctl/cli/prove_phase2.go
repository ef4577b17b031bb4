package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/faults"
	"github.com/cognomega/edge/audit/suite"
	"github.com/cognomega/edge/internal/term"
)

// provePhase2Result is what holds when providers fail, fault by fault.
type provePhase2Result struct {
	Phase     string           `json:"phase"`
	Env       string           `json:"env"`
	Hostname  string           `json:"hostname"`
	Verdict   audit.Verdict    `json:"verdict"`
	Checks    []provedCheck    `json:"checks"`
	Matrix    []faults.Cell    `json:"matrix"`
	Latencies []faults.Latency `json:"latencies"`
}

func newProvePhase2(d *Deps) *cobra.Command {
	var (
		dryRun bool
		some   []string
	)
	cmd := &cobra.Command{
		Use: "phase2", Short: "Prove that a model provider's fault is nobody's outage", Args: cobra.NoArgs,
		Long: "Prove that a model provider's fault is nobody's outage. Every fault befalls every provider, two providers at a time, each with a fault of its own, while a third lives: every question is answered, " +
			"as a stream and whole, with every word once; each answer is charged once, also one that is asked for again; a model whose breaker is open gets no request, counted at its double; and the answers come within " +
			"the objectives of who gives them. It takes about a minute, nearly all of it waiting for providers that do not answer. It writes: made-up accounts are charged, breakers are reset, and faults that were set are cleared. " +
			"Only on this machine: real providers do not fail on demand.",
		Example: "  cogctl prove phase2\n  cogctl prove phase2 --fault cut --fault 429 --output json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dryRun {
				d.Term.Note(term.T("would have the providers' doubles fail in turn, and ask with made-up accounts: " + strings.Join(faults.Names(), ", ")))
				return nil
			}
			result, err := proveFaults(cmd.Context(), d, some)
			if err != nil {
				return err
			}
			if err := d.Term.Print(term.Report{Schema: "cogctl/prove.phase2/v1", Data: result, Blocks: result.blocks()}); err != nil {
				return err
			}
			return result.proved().err()
		},
	}
	cmd.Flags().StringArrayVar(&some, "fault", nil, "try this fault alone, and leave the verdict open (repeatable): "+strings.Join(faults.Names(), ", "))
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say what would be done, and do nothing")
	must(cmd.RegisterFlagCompletionFunc("fault", fixed(faults.Names()...)))
	return cmd
}

func proveFaults(ctx context.Context, d *Deps, some []string) (*provePhase2Result, error) {
	t, err := d.Target(ctx, d.Env)
	if err != nil {
		return nil, err
	}
	p, err := runProve(ctx, d, phase{"Phase 2", suite.Phase2(some)}, true)
	if err != nil {
		return nil, err
	}
	r := &provePhase2Result{Phase: p.Phase, Env: p.Env, Hostname: p.Hostname, Verdict: p.Verdict, Checks: p.Checks, Matrix: []faults.Cell{}, Latencies: []faults.Latency{}}
	for _, c := range p.Checks {
		if e, ok := c.evidence.(faults.Evidence); ok {
			r.Matrix, r.Latencies = faults.Cells(t, e), faults.Latencies(t, e)
		}
	}
	return r, nil
}

func (r *provePhase2Result) proved() *provePhase0Result {
	return &provePhase0Result{Phase: r.Phase, Env: r.Env, Hostname: r.Hostname, Verdict: r.Verdict, Checks: r.Checks}
}

// blocks shows the matrix between the verdict and what was found.
func (r *provePhase2Result) blocks() []term.Block {
	blocks := r.proved().blocks()
	if len(r.Matrix) == 0 {
		return blocks
	}
	more := []term.Block{
		term.Line{term.DimText("of each fault: questions answered, of those asked with that provider first; requests it got until its breaker opened → after")},
		matrixRows(r.Matrix),
	}
	if len(r.Latencies) > 0 {
		more = append(more, latencyRows(r.Latencies))
	}
	return append(blocks[:2:2], append(more, blocks[2:]...)...)
}

func matrixRows(cells []faults.Cell) term.Rows {
	rows := term.Rows{Columns: []string{"fault"}}
	column := map[string]int{}
	for _, c := range cells {
		if _, ok := column[c.Provider]; !ok {
			column[c.Provider] = len(rows.Columns)
			rows.Columns = append(rows.Columns, c.Provider)
		}
	}
	last := ""
	for _, c := range cells {
		if c.Fault != last {
			last = c.Fault
			rows.Rows = append(rows.Rows, make([]term.Text, len(rows.Columns)))
			rows.Rows[len(rows.Rows)-1][0] = term.T(c.Fault)
		}
		rows.Rows[len(rows.Rows)-1][column[c.Provider]] = cellText(c)
	}
	return rows
}

// cellText is short where all is well, and says what is not.
func cellText(c faults.Cell) term.Text {
	text := fmt.Sprintf("%d/%d  %d → %d", c.Answered, c.Asked, c.Tried, c.Spared)
	if !c.Open {
		text += ", not open"
	}
	if !c.Charged {
		text += ", not charged once"
	}
	mark := term.Sign(term.Verdict(c.Verdict))
	mark.Text += " " + text
	return mark
}

func latencyRows(all []faults.Latency) term.Rows {
	rows := term.Rows{Columns: []string{"while others are left alone", "answers", "P90", "objective"}}
	for _, l := range all {
		rows.Rows = append(rows.Rows, []term.Text{
			term.T(l.Provider), term.T(fmt.Sprint(l.Answers)), term.T(fmt.Sprintf("%.1f ms", l.P90MS)), term.T(fmt.Sprintf("%d ms (%s)", l.MaxMS, l.Objective)),
		})
	}
	return rows
}
