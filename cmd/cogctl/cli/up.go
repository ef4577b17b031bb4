package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/cors"
	"github.com/cognomega/edge/audit/suite"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/platform"
	"github.com/cognomega/edge/internal/term"
)

type upOptions struct {
	dryRun, allowDelete, skipProof bool
}

type upResult struct {
	Env           string             `json:"env"`
	Changes       map[string]int     `json:"changes"`
	ApplyMS       int64              `json:"apply_ms"`
	Repaired      []platformDrift    `json:"repaired"`
	KeysPublished bool               `json:"keys_published"`
	Proof         *provePhase0Result `json:"proof,omitempty"`
	Phase1        *provePhase0Result `json:"phase1,omitempty"`
	url, ca       string
}

// platformDrift is something that was changed behind the stack's back.
type platformDrift struct {
	Kind    string `json:"kind"`
	ID      string `json:"id"`
	Message string `json:"message"`
}

func newUp(d *Deps) *cobra.Command {
	var o upOptions
	cmd := &cobra.Command{
		Use: "up", Short: "Bring an environment to what the contract declares, and prove it", Args: cobra.NoArgs,
		Long: "Bring an environment to what the contract declares, and prove it.\n" +
			"On this machine it starts the local cloud and the ledger's database first, unless DATABASE_URL names another. Policies are judged before anything is applied; whatever was changed behind the stack's back is repaired. It can be interrupted and run again.",
		Example: "  cogctl up\n  cogctl up --dry-run          # the same as cogctl preview --refresh",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.dryRun {
				if l, err := d.layout(); err == nil && d.neverUp(l) {
					return planFirstUp(d)
				}
				return previewCommand(cmd.Context(), d, previewOptions{refresh: true, allowDelete: o.allowDelete})
			}
			result, err := runUp(cmd.Context(), d, o)
			if err != nil {
				return err
			}
			return renderUp(d, result)
		},
	}
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "show the plan and write nothing")
	cmd.Flags().BoolVar(&o.allowDelete, "allow-delete", false, "let KV namespaces, buckets, queues and Durable Object classes be deleted or replaced")
	cmd.Flags().BoolVar(&o.skipProof, "skip-proof", false, "stop after the apply, without proving anything")
	return cmd
}

func runUp(ctx context.Context, d *Deps, o upOptions) (*upResult, error) {
	if err := d.reachedByUp(); err != nil {
		return nil, err
	}
	l, n, err := d.bring(ctx)
	if err != nil {
		return nil, err
	}
	if err := d.mend(ctx, n); err != nil {
		return nil, err
	}
	tracker, err := runStack(ctx, d, l, n, platform.StackRun{Verb: "up", Refresh: true, AllowDelete: o.allowDelete})
	if err != nil {
		return nil, err
	}
	result := &upResult{Env: n.Env, Changes: tracker.Summary.Changes, ApplyMS: tracker.Summary.DurationMS, Repaired: drifts(tracker), url: n.BaseURL.String()}
	fmt.Fprintf(d.Term.Err(), "apply   %s in %.1f s\n", changesText(result.Changes), float64(result.ApplyMS)/1000)
	for _, r := range result.Repaired {
		fmt.Fprintf(d.Term.Err(), "drift   repaired: %s %s: %s\n", r.Kind, r.ID, r.Message)
	}
	c, err := d.Contract()
	if err != nil {
		return nil, err
	}
	if result.KeysPublished, err = platform.PublishKeys(ctx, c, n, l); err != nil {
		return nil, fault.New(fault.KindOf(err), "publish the signing key's public half: %w", err)
	}
	if n.Local != nil {
		result.ca = n.Local.CAFile
	}
	if o.skipProof {
		return result, nil
	}
	if result.Proof, err = proveAfterUp(ctx, d, l); err != nil || result.Proof.Verdict != audit.Pass || n.Local == nil {
		return result, err
	}
	// With a small burst here: the size that the contract promises is for `cogctl prove phase1`.
	result.Phase1, err = runProve(ctx, d, phase1(suite.Burst), true)
	return result, err
}

// mend puts back what an interrupted `audit cors --break` left broken on this machine.
func (d *Deps) mend(ctx context.Context, n *platform.Connection) error {
	if n.Local == nil {
		return nil
	}
	c, err := d.Contract()
	if err != nil {
		return err
	}
	mended, err := mendStandIns(ctx, n.API, cors.Breakable(c))
	for _, name := range mended {
		fmt.Fprintf(d.Term.Err(), "mend    Worker %s put back: an interrupted audit cors --break had left a stand-in\n", name)
	}
	return err
}

// reachedByUp refuses the environment that is reached by promotion alone.
func (d *Deps) reachedByUp() error {
	c, err := d.Contract()
	if err != nil {
		return err
	}
	if p := c.Gates.Promotion; d.Env == p.To {
		return fault.New(fault.Refused, "%s is not deployed by `up`: it takes what was proven in %s", p.To, c.Gates.Gates[p.Gate].Env).WithHint("cogctl promote, in the deploy workflow")
	}
	return nil
}

// bring makes an environment reachable: on this machine it starts the local cloud.
func (d *Deps) bring(ctx context.Context) (l platform.Layout, n *platform.Connection, err error) {
	if l, err = d.layout(); err != nil {
		return l, nil, err
	}
	c, err := d.Contract()
	if err != nil {
		return l, nil, err
	}
	var ledger *platform.Ledger
	if d.Env == platform.Local {
		if ledger, err = d.startLocal(ctx, c, l); err != nil {
			return l, nil, err
		}
	}
	if n, err = platform.Connect(ctx, c, l, d.Env); err != nil {
		return l, nil, err
	}
	if n.Local != nil {
		fmt.Fprintf(d.Term.Err(), "local   account %s  api %s  edge %s\n", n.Local.AccountName, n.Local.APIHTTPS, n.BaseURL)
	}
	if ledger != nil {
		fmt.Fprintln(d.Term.Err(), ledgerLine(ledger))
	}
	return l, n, nil
}

// startLocal starts what the platform runs on here: the local cloud and the database, side by side.
func (d *Deps) startLocal(ctx context.Context, c *contract.Contract, l platform.Layout) (ledger *platform.Ledger, err error) {
	progress := d.Term.Progress("local   starting")
	defer progress.Stop()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		_, _, err := platform.StartLocal(ctx, l, maxLogBytes)
		return err
	})
	g.Go(func() (err error) {
		ledger, err = platform.BringLedger(ctx, c, l, d.Getenv)
		return err
	})
	return ledger, g.Wait()
}

// ledgerLine is the database in one line.
func ledgerLine(l *platform.Ledger) string {
	line := fmt.Sprintf("ledger  postgres %s at %s  schema %d of %d", l.Facts.Version, l.Shown, l.Version, l.Target)
	if l.Applied > 0 {
		line += fmt.Sprintf(" (%d applied)", l.Applied)
	}
	return line
}

// runStack runs a verb of the stack behind a moving line. A policy's refusal is shown rule by rule.
func runStack(ctx context.Context, d *Deps, l platform.Layout, n *platform.Connection, run platform.StackRun) (*stackTracker, error) {
	tracker := &stackTracker{progress: d.Term.Progress("stack   " + run.Verb)}
	err := platform.Stack(ctx, n, l, run, tracker.on)
	tracker.progress.Stop()
	if tracker.Policy != "" {
		fmt.Fprintf(d.Term.Err(), "policy  %s: %d violations\n", tracker.Policy, len(tracker.Violations))
	}
	for _, v := range tracker.Violations {
		fmt.Fprintf(d.Term.Err(), "policy  ✗ %s: %s\n", v.Title, v.Message)
	}
	for _, f := range tracker.Failures {
		if err != nil && f.Message != "" && f.Message != err.Error() {
			fmt.Fprintf(d.Term.Err(), "stack   ✗ %s %s\n", f.Name, f.Message)
		}
	}
	return tracker, err
}

func drifts(t *stackTracker) []platformDrift {
	found := make([]platformDrift, 0, len(t.Drift))
	for _, e := range t.Drift {
		found = append(found, platformDrift{Kind: e.Kind, ID: e.ID, Message: e.Message})
	}
	return found
}

func renderUp(d *Deps, r *upResult) error {
	blocks := []term.Block{}
	if r.Proof != nil {
		blocks = append(blocks, r.Proof.blocks()...)
	}
	if r.Phase1 != nil {
		blocks = append(blocks, r.Phase1.blocks()...)
	}
	if r.ca != "" {
		blocks = append(blocks, term.Facts{}, term.Line{term.T("Ready. Try:")},
			term.Line{term.T("  " + curlLine(r.url, r.ca))}, term.Line{term.T("  bin/cogctl audit routes          bin/cogctl status          make down")})
	}
	if err := d.Term.Print(term.Report{Schema: "cogctl/up/v1", Data: r, Blocks: blocks}); err != nil {
		return err
	}
	if r.Proof == nil {
		return nil
	}
	if r.Phase1 != nil && r.Proof.Verdict == audit.Pass {
		return r.Phase1.err()
	}
	return r.Proof.Verdict.Err()
}

// curlLine resolves nothing: curl knows .localhost names are this machine.
func curlLine(url, ca string) string {
	return fmt.Sprintf("curl --cacert %s %s/ready", relative(ca), url)
}

// maxLogBytes is when the local cloud's log is set aside at its next start.
const maxLogBytes = 10 << 20

// proofTimeout bounds a proof on this machine, so that `make up` ends whatever happens.
const proofTimeout = 60 * time.Second
