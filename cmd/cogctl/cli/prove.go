package cli

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/money"
	"github.com/cognomega/edge/audit/suite"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/platform"
	"github.com/cognomega/edge/internal/term"
)

func newProve(d *Deps) *cobra.Command {
	return newGroup("prove", "Prove what a phase promises, and keep the evidence", "  cogctl prove phase0", newProvePhase0(d), newProvePhase1(d), newProvePhase2(d))
}

// provedCheck is one line of a proof; Proof is the file that holds its evidence.
type provedCheck struct {
	Name     string          `json:"name"`
	Title    string          `json:"title"`
	Verdict  audit.Verdict   `json:"verdict"`
	Summary  string          `json:"summary"`
	Proof    string          `json:"proof,omitempty"`
	Findings []audit.Finding `json:"findings"`

	err      error // when the check could not look
	evidence any
}

// provePhase0Result is what holds, and what does not.
type provePhase0Result struct {
	Phase    string        `json:"phase"`
	Env      string        `json:"env"`
	Hostname string        `json:"hostname"`
	Verdict  audit.Verdict `json:"verdict"`
	Checks   []provedCheck `json:"checks"`
}

func newProvePhase0(d *Deps) *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use: "phase0", Short: "Prove that the platform stands", Args: cobra.NoArgs,
		Long: "Prove that the platform stands: preflight 204 with allow and expose headers on every public path, the model provider is bound, " +
			"the JWKS verifies a fresh guest token, and exactly one Worker owns the hostname. The raw answers are kept under proofs/, signed and without tokens or secrets: `cogctl verify` judges them again.",
		Example: "  cogctl prove phase0\n  cogctl prove phase0 --env production --output json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			result, err := runProve(cmd.Context(), d, phase0(), !dryRun)
			if err != nil {
				return err
			}
			if err := d.Term.Print(term.Report{Schema: "cogctl/prove.phase0/v1", Data: result, Blocks: result.blocks()}); err != nil {
				return err
			}
			return result.err()
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "look, and keep no evidence")
	return cmd
}

// phase is a set of checks, and what people call it.
type phase struct {
	name   string
	checks []audit.Check
}

func phase0() phase { return phase{"Phase 0", suite.Phase0()} }

func phase1(burst int) phase { return phase{"Phase 1", suite.Phase1(burst)} }

func newProvePhase1(d *Deps) *cobra.Command {
	var (
		dryRun, skipOutage bool
		burst              int
	)
	cmd := &cobra.Command{
		Use: "phase1", Short: "Prove that money flows, and that what is read is the ledger's", Args: cobra.NoArgs,
		Long: "Prove that money flows: after a write the ledger, KV and GET /api/credits agree, what is read comes from KV, and a burst of usage is in the ledger, each event once and for its price, " +
			"within the time that the contract gives. On this machine it then stops the database for half a minute: usage is taken as quickly, and none of it is lost. It writes: a made-up account is given credits, and its usage stays in the journal for ever. " +
			"Elsewhere than on this machine it needs DATABASE_URL and COGCTL_ADMIN_KEY.",
		Example: "  cogctl prove phase1\n  cogctl prove phase1 --burst 1000 --output json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := d.Contract()
			if err != nil {
				return err
			}
			if !cmd.Flags().Changed("burst") {
				burst = fullBurst(c)
			}
			if burst < 1 || burst > maxBurst {
				return fault.New(fault.Invalid, "--burst %d: want 1 to %d", burst, maxBurst)
			}
			if dryRun {
				d.Term.Note(term.T(fmt.Sprintf("would make up an account on %s, give it credits, and send %d events of usage", c.Envs[d.Env].Hostname, burst)))
				return nil
			}
			result, err := proveMoney(cmd.Context(), d, burst, !skipOutage)
			if err != nil {
				return err
			}
			if err := d.Term.Print(term.Report{Schema: "cogctl/prove.phase1/v1", Data: result, Blocks: result.blocks()}); err != nil {
				return err
			}
			return result.err()
		},
	}
	cmd.Flags().BoolVar(&skipOutage, "skip-outage", false, "on this machine: do not stop the database for half a minute")
	cmd.Flags().IntVar(&burst, "burst", 0, "events of usage (default: what the contract promises)")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say what would be sent, and send nothing")
	return cmd
}

// proveMoney proves Phase 1 and then, where the database is this machine's own, that usage is taken while it is stopped. That comes
// last and alone: it would be seen by the others.
func proveMoney(ctx context.Context, d *Deps, burst int, stop bool) (*provePhase0Result, error) {
	result, err := runProve(ctx, d, phase1(burst), true)
	if err != nil || !stop || d.Env != localEnv || d.Getenv("DATABASE_URL") != "" {
		return result, err
	}
	last, err := runProve(ctx, d, phase{"Phase 1", []audit.Check{money.OffPath()}}, true)
	if err != nil {
		return nil, err
	}
	result.Checks = append(result.Checks, last.Checks...)
	result.Verdict = audit.Worst(result.Verdict, last.Verdict)
	return result, nil
}

// maxBurst keeps a slip of the keyboard from becoming an account's largest bill.
const maxBurst = 1_000_000

// fullBurst is the burst that the contract promises to drain.
func fullBurst(c *contract.Contract) int {
	for _, f := range c.Flow {
		if f.Kind == contract.FlowDrain {
			return f.Messages
		}
	}
	return suite.Burst
}

func runProve(ctx context.Context, d *Deps, p phase, keep bool) (*provePhase0Result, error) {
	checks := p.checks
	t, err := d.Target(ctx, d.Env)
	if err != nil {
		return nil, err
	}
	progress := d.Term.Progress("proving " + p.name + " on " + t.Hostname)
	defer progress.Stop()
	result := &provePhase0Result{Phase: p.name, Env: t.Env, Hostname: t.Hostname, Checks: make([]provedCheck, len(checks))}
	origin, err := d.origin(ctx, t, keep)
	if err != nil {
		return nil, err
	}
	var (
		wg      sync.WaitGroup
		results = make([]audit.Result, len(checks))
	)
	for i, c := range checks {
		wg.Go(func() { results[i], result.Checks[i] = look(ctx, t, c) })
	}
	wg.Wait()
	if keep {
		if err := result.keep(ctx, d, t, checks, results, origin); err != nil {
			return nil, err
		}
	}
	verdicts := make([]audit.Verdict, len(checks))
	for i := range checks {
		verdicts[i] = result.Checks[i].Verdict
	}
	result.Verdict = audit.Worst(verdicts...)
	return result, nil
}

// look runs a check. One that could not look says why: no data is never a verdict.
func look(ctx context.Context, t *audit.Target, c audit.Check) (audit.Result, provedCheck) {
	r, err := c.Run(ctx, t)
	if err != nil {
		return r, provedCheck{Name: c.Name, Title: c.Title, Verdict: audit.Inconclusive, Summary: err.Error(), Findings: []audit.Finding{}, err: err}
	}
	return r, provedCheck{Name: c.Name, Title: c.Title, Verdict: r.Verdict, Summary: r.Summary, Findings: r.Findings, evidence: r.Evidence}
}

// err is what decides the exit code: a failure first, then what kept a check from looking, then the open verdict.
func (r *provePhase0Result) err() error {
	if r.Verdict == audit.Fail {
		return fault.Finding
	}
	for _, c := range r.Checks {
		if c.err != nil {
			return c.err
		}
	}
	return r.Verdict.Err()
}

func (r *provePhase0Result) blocks() []term.Block {
	rows := term.Rows{Columns: []string{"check", "verdict", "found"}}
	var (
		findings []audit.Finding
		kept     term.Facts
	)
	for _, c := range r.Checks {
		rows.Rows = append(rows.Rows, []term.Text{term.T(c.Title), term.Mark(term.Verdict(c.Verdict)), term.T(c.Summary)})
		findings = append(findings, c.Findings...)
		if c.Proof != "" {
			kept = append(kept, term.Fact{Name: "evidence", Value: term.DimText(c.Proof)})
		}
	}
	blocks := []term.Block{headline(r.Verdict, r.Phase+" on "+r.Hostname+" ("+r.Env+")"), rows}
	if len(kept) > 0 {
		blocks = append(blocks, kept)
	}
	if len(findings) > 0 {
		blocks = append(blocks, findingRows(findings, "got", "want"))
		blocks = append(blocks, hintLines(findings)...)
	}
	return blocks
}

// settleTime is how long an apply may take to be seen everywhere on this machine; elsewhere KV takes its own time, and people
// prove again.
const settleTime = 15 * time.Second

// proveAfterUp proves, and repeats what failed for as long as a deploy may need to be seen: the last look counts, and is the
// one that is kept.
func proveAfterUp(ctx context.Context, d *Deps, _ platform.Layout) (*provePhase0Result, error) {
	ctx, cancel := context.WithTimeout(ctx, proofTimeout)
	defer cancel()
	deadline := d.Now().Add(settleTime)
	for {
		result, err := runProve(ctx, d, phase0(), false)
		if err != nil {
			return nil, err
		}
		if result.Verdict == audit.Pass || d.Now().After(deadline) {
			return runProve(ctx, d, phase0(), true)
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fault.New(fault.Unavailable, "prove Phase 0: %w", ctx.Err()), result.err())
		case <-time.After(500 * time.Millisecond):
		}
	}
}
