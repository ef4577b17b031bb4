package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/gate"
	"github.com/cognomega/edge/audit/promotion"
	"github.com/cognomega/edge/audit/routes"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/platform"
	"github.com/cognomega/edge/internal/release"
	"github.com/cognomega/edge/internal/term"
)

type promoteOptions struct {
	trustOptions
	dryRun, explain, rollback, allowDelete bool
	release                                string
}

// promoteResult is a promotion, or how far it would go.
type promoteResult struct {
	To       string             `json:"to"`
	Hostname string             `json:"hostname"`
	Rollback bool               `json:"rollback"`
	DryRun   bool               `json:"dry_run"`
	Verdict  audit.Verdict      `json:"verdict,omitempty"` // once it was carried out
	Summary  string             `json:"summary,omitempty"`
	Findings []audit.Finding    `json:"findings"`
	Gate     *gate.Decision     `json:"gate,omitempty"`
	Promoted *promotion.Earlier `json:"promoted,omitempty"` // what a rollback goes back to
	Release  *promotion.Release `json:"release,omitempty"`
	Run      *promotion.Run     `json:"run,omitempty"`
	Changes  map[string]int     `json:"changes,omitempty"`
	Routes   []routes.Change    `json:"routes_changes"`
	Proof    string             `json:"proof,omitempty"`
	Phase0   *provePhase0Result `json:"phase0,omitempty"`
	// Unfinished is what a run before this one left open.
	Unfinished *promotion.Unfinished `json:"unfinished,omitempty"`

	plan term.Rows
}

func newPromote(d *Deps) *cobra.Command {
	var o promoteOptions
	cmd := &cobra.Command{
		Use: "promote", Short: "Bring production to the bundles that were proven in staging", Args: cobra.NoArgs,
		Long: "Bring production to the bundles that were proven in staging, and to nothing else.\n\n" +
			"It refuses, before anything is asked of the account, unless the gate is open, this checkout makes the very bundles that the proofs are about, and this is a run of the deploy workflow " +
			"on main: GitHub's OpenID token says so, verified with GitHub's own keys. Environment variables are not believed.\n" +
			"Then it reads who owns the hostname, applies, reads it again, proves Phase 0, and keeps a signed proof of it all with the release beside it. " +
			"--rollback goes back to the release that was promoted before the one that serves.\n" +
			"What is begun is written down beside the releases before anything is applied. A run that was killed is gone on with by the same command, or taken back by --rollback; " +
			"until then `cogctl status`, gate, doctor and report say that it is unfinished.",
		Example: "  cogctl promote --proofs staging-proofs --key staging.pem\n  cogctl promote --dry-run --explain\n  cogctl promote --rollback",
		RunE: func(cmd *cobra.Command, _ []string) error {
			result, err := runPromote(cmd.Context(), d, o)
			if err != nil {
				return err
			}
			if err := d.Term.Print(term.Report{Schema: "cogctl/promote/v1", Data: result, Blocks: result.blocks(o.explain)}); err != nil {
				return err
			}
			return result.err()
		},
	}
	o.flags(cmd)
	f := cmd.Flags()
	f.BoolVar(&o.dryRun, "dry-run", false, "check everything, show the plan, and write nothing")
	f.BoolVar(&o.explain, "explain", false, "show the chain of evidence")
	f.BoolVar(&o.rollback, "rollback", false, "go back to what was promoted before")
	f.StringVar(&o.release, "release", "", "with --rollback: the release to go back to, by its digest or the beginning of it")
	f.BoolVar(&o.allowDelete, "allow-delete", false, "let KV namespaces, buckets, queues and Durable Object classes be deleted or replaced")
	return cmd
}

// promotee is one promotion while it goes on.
type promotee struct {
	d       *Deps
	o       promoteOptions
	c       *contract.Contract // of this checkout; the run is admitted by it
	l       platform.Layout
	rule    contract.Promotion
	release release.Release
	judged  *contract.Contract // of the release
	t       *audit.Target
	last    *promotion.Entry // the newest that was written down
	result  *promoteResult
}

func runPromote(ctx context.Context, d *Deps, o promoteOptions) (*promoteResult, error) {
	p, err := startPromotion(d, o)
	if err != nil {
		return nil, err
	}
	if err := p.lookBack(); err != nil {
		return nil, err
	}
	if !o.rollback {
		if p.result.Gate, err = runGate(ctx, d, o.trustOptions, p.rule.Gate); err != nil || !p.result.Gate.Open {
			return p.result, err
		}
	}
	if err := p.admit(ctx); err != nil {
		return nil, err
	}
	done, err := p.choose(ctx)
	defer done()
	if err != nil {
		return nil, err
	}
	return p.result, p.carryOut(ctx)
}

func startPromotion(d *Deps, o promoteOptions) (*promotee, error) {
	c, err := d.Contract()
	if err != nil {
		return nil, err
	}
	rule := c.Gates.Promotion
	switch {
	case d.envGiven && d.Env != rule.To:
		return nil, fault.New(fault.Invalid, "promotion goes to %s, not to %s", rule.To, d.Env).WithHint("cogctl up --env %s", d.Env)
	case o.release != "" && !o.rollback:
		return nil, fault.New(fault.Invalid, "--release says where to roll back to").WithHint("cogctl promote --rollback --release %s", o.release)
	}
	d.Env = rule.To
	l, err := d.layout()
	if err != nil {
		return nil, err
	}
	return &promotee{d: d, o: o, c: c, l: l, rule: rule, judged: c, result: &promoteResult{
		To: rule.To, Hostname: c.Envs[rule.To].Hostname, Rollback: o.rollback, DryRun: o.dryRun, Findings: []audit.Finding{}, Routes: []routes.Change{},
	}}, nil
}

// err is what decides the exit code: a shut gate refuses, and what was carried out is judged by its verdict.
func (r *promoteResult) err() error {
	switch {
	case r.Gate != nil && !r.Gate.Open:
		return fault.Refused
	case r.DryRun:
		return nil
	default:
		return r.Verdict.Err()
	}
}

func (r *promoteResult) blocks(explain bool) []term.Block {
	var blocks []term.Block
	if r.Gate != nil {
		blocks = append(blocks, gateBlocks(r.Gate, explain)...)
		if !r.Gate.Open {
			blocks = append(blocks, unfinishedBlocks(r.Unfinished)...)
		}
		if !r.Gate.Open {
			return append(blocks, term.Headline(term.Fail, "nothing was promoted to "+r.To))
		}
	}
	switch {
	case r.DryRun:
		blocks = append(blocks, term.Headline(term.Skipped, "nothing was written: "+r.To+" would change by "+changesText(r.Changes)), r.plan)
	default:
		blocks = append(blocks, headline(r.Verdict, r.Hostname+": "+r.Summary))
	}
	blocks = append(blocks, r.facts())
	if len(r.Routes) > 0 {
		rows := term.Rows{Columns: []string{"routing", "kind", "was", "is"}}
		for _, c := range r.Routes {
			rows.Rows = append(rows.Rows, term.Row(c.Op, c.Kind, c.Was, c.Is))
		}
		blocks = append(blocks, rows)
	}
	if r.Phase0 != nil {
		blocks = append(blocks, r.Phase0.blocks()...)
	}
	if len(r.Findings) > 0 {
		blocks = append(blocks, findingRows(r.Findings, "got", "want"))
	}
	if r.DryRun {
		blocks = append(blocks, unfinishedBlocks(r.Unfinished)...)
	}
	if r.Verdict != "" && r.Verdict != audit.Pass {
		blocks = append(blocks, term.Hint("to go back to what was promoted before: cogctl promote --rollback"))
	}
	return blocks
}

func (r *promoteResult) facts() term.Facts {
	facts := term.Facts{{Name: "release", Value: term.T(r.Release.ID)}}
	for _, worker := range sortedKeys(r.Release.Workers) {
		facts = append(facts, term.Fact{Name: "bundle of " + worker, Value: term.T(r.Release.Workers[worker][:release.DigestHead])})
	}
	facts = append(facts, term.Fact{Name: "released by", Value: term.T("run " + r.Run.RunID + " of " + r.Run.Workflow + ", started by " + r.Run.Actor)},
		term.Fact{Name: "commit", Value: term.T(r.Run.SHA)})
	if r.Promoted != nil {
		facts = append(facts, term.Fact{Name: "promoted first", Value: term.T(r.Promoted.At.Format(rfc3339) + ", " + r.Promoted.File)})
	}
	if r.Proof != "" {
		facts = append(facts, term.Fact{Name: "evidence", Value: term.DimText(r.Proof)})
	}
	return facts
}
