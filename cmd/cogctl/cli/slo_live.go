package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/slo"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/term"
)

// Where what is judged comes from.
const (
	fromLoad      = "load"
	fromProofs    = "proofs"
	fromAnalytics = "analytics"
)

// liveOptions is which live traffic is looked at.
type liveOptions struct {
	from  string
	since time.Duration
}

func (o *liveOptions) flags(cmd *cobra.Command, otherwise string) {
	cmd.Flags().StringVar(&o.from, "from", otherwise, "what to judge: "+otherwise+", or analytics, which is live traffic as Cloudflare counts it")
	cmd.Flags().DurationVar(&o.since, "since", time.Hour, "with --from analytics: how far back to look, in whole minutes")
	must(cmd.RegisterFlagCompletionFunc("from", fixed(otherwise, fromAnalytics)))
}

// live is true when live traffic was asked for.
func (o *liveOptions) live(otherwise string) (bool, error) {
	switch {
	case o.from == otherwise:
		return false, nil
	case o.from != fromAnalytics:
		return false, fault.New(fault.Invalid, "--from %q is not known", o.from).WithHint("--from %s or --from analytics", otherwise)
	case o.since.Truncate(time.Minute) != o.since || o.since < time.Minute || o.since > 24*time.Hour:
		return false, fault.New(fault.Invalid, "--since %s is not possible, want whole minutes from 1m to 24h", o.since)
	default:
		return true, nil
	}
}

// liveObjective is what live traffic says of one objective.
type liveObjective struct {
	Objective string          `json:"objective"`
	Title     string          `json:"title"`
	Verdict   audit.Verdict   `json:"verdict"`
	Summary   string          `json:"summary"`
	Worker    string          `json:"worker"`
	Seen      *slo.Seen       `json:"seen"` // null where nothing could be read
	Proof     string          `json:"proof,omitempty"`
	Findings  []audit.Finding `json:"findings"`

	err error
}

type liveResult struct {
	Env        string          `json:"env"`
	Hostname   string          `json:"hostname"`
	Verdict    audit.Verdict   `json:"verdict"`
	SinceS     float64         `json:"since_s"`
	Objectives []liveObjective `json:"objectives"`
}

// judgeLive reads the analytics and judges the objectives that were named, or all: no load is sent, and it costs nothing.
func judgeLive(ctx context.Context, d *Deps, o liveOptions, named []string, keep bool) error {
	result, err := runLive(ctx, d, o, named, keep)
	if err != nil {
		return err
	}
	if err := d.Term.Print(term.Report{Schema: "cogctl/slo.live/v1", Data: result, Blocks: result.blocks()}); err != nil {
		return err
	}
	return result.err()
}

func runLive(ctx context.Context, d *Deps, o liveOptions, named []string, keep bool) (*liveResult, error) {
	t, err := d.Target(ctx, d.Env)
	if err != nil {
		return nil, err
	}
	checks, err := liveChecks(t.Contract, o.since, named)
	if err != nil {
		return nil, err
	}
	r := &liveResult{Env: t.Env, Hostname: t.Hostname, SinceS: o.since.Seconds()}
	var verdicts []audit.Verdict
	for _, c := range checks {
		one, err := liveOne(ctx, d, t, c, keep)
		if err != nil {
			return nil, err
		}
		r.Objectives, verdicts = append(r.Objectives, one), append(verdicts, one.Verdict)
	}
	r.Verdict = audit.Worst(verdicts...)
	return r, nil
}

func liveChecks(c *contract.Contract, since time.Duration, named []string) ([]audit.Check, error) {
	all := slo.LiveChecks(c, since)
	known := slices.Concat(sortedKeys(c.SLO), sortedKeys(c.Uptime))
	for _, id := range named {
		if !slices.Contains(known, id) {
			return nil, fault.New(fault.NotFound, "objective %q is not one that live traffic says something about", id).WithHint("declared are: %s (contract/slo.json)", strings.Join(known, ", "))
		}
	}
	if len(named) > 0 {
		all = slices.DeleteFunc(all, func(c audit.Check) bool { return !slices.Contains(named, strings.TrimPrefix(c.Name, slo.LivePrefix)) })
	}
	if len(all) == 0 {
		return nil, fault.New(fault.NotFound, "the contract declares no objective").WithHint("contract/slo.json is where they belong")
	}
	return all, nil
}

// liveOne judges one objective. What could not be read is inconclusive; it is an error only when a proof cannot be kept.
func liveOne(ctx context.Context, d *Deps, t *audit.Target, c audit.Check, keep bool) (liveObjective, error) {
	one := liveObjective{Objective: strings.TrimPrefix(c.Name, slo.LivePrefix), Title: c.Title, Verdict: audit.Inconclusive, Findings: []audit.Finding{}}
	origin, err := d.origin(ctx, t, keep)
	if err != nil {
		return one, err
	}
	r, err := c.Run(ctx, t)
	if err != nil {
		one.Summary, one.err = err.Error(), err
		return one, ctx.Err()
	}
	e, _ := r.Evidence.(slo.LiveEvidence)
	seen := slo.See(t.Contract, e)
	one.Verdict, one.Summary, one.Worker, one.Findings, one.Seen = r.Verdict, r.Summary, e.Worker, r.Findings, &seen
	if keep {
		one.Proof, err = keepRun(ctx, d, t, c, origin, r)
	}
	return one, err
}

func (r *liveResult) err() error {
	if r.Verdict == audit.Fail {
		return fault.Finding
	}
	for _, o := range r.Objectives {
		if o.err != nil {
			return o.err
		}
	}
	return r.Verdict.Err()
}

func (r *liveResult) blocks() []term.Block {
	rows := term.Rows{Columns: []string{"objective", "verdict", "seen"}}
	var (
		findings []audit.Finding
		kept     term.Facts
	)
	for _, o := range r.Objectives {
		rows.Rows = append(rows.Rows, []term.Text{term.T(o.Title), term.Mark(term.Verdict(o.Verdict)), term.T(o.Summary)})
		findings = append(findings, o.Findings...)
		if o.Proof != "" {
			kept = append(kept, term.Fact{Name: "evidence", Value: term.DimText(o.Proof)})
		}
	}
	blocks := []term.Block{headline(r.Verdict, "live traffic of "+r.Hostname+" ("+r.Env+"), as Cloudflare counts it"), rows, kept}
	if len(findings) > 0 {
		blocks = append(blocks, findingRows(findings, "got", "want"))
	}
	return append(blocks, hintLines(findings)...)
}
