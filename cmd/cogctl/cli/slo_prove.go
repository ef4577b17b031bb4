package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/evidence"
	"github.com/cognomega/edge/audit/slo"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/term"
)

type sloOptions struct {
	rate                 float64
	rateGiven            bool
	duration             time.Duration
	maxRequests          int
	warmUp, workers      int
	dryRun, yes, keepNot bool
	liveOptions
}

// provedObjective is what one run said.
type provedObjective struct {
	Objective string          `json:"objective"`
	Title     string          `json:"title"`
	Verdict   audit.Verdict   `json:"verdict"`
	Summary   string          `json:"summary"`
	LimitMS   int             `json:"limit_ms"`
	Quantile  float64         `json:"quantile"`
	Plan      *slo.Plan       `json:"plan"`
	Sent      int             `json:"requests_sent"` // without the warm-up
	LastedMS  int64           `json:"lasted_ms"`
	Measured  *slo.Measured   `json:"measured"`
	Histogram []slo.Bucket    `json:"histogram"`
	Proof     string          `json:"proof,omitempty"`
	Findings  []audit.Finding `json:"findings"`

	confidence float64
	err        error // when nothing could be measured
}

type sloResult struct {
	Env        string            `json:"env"`
	Hostname   string            `json:"hostname"`
	Verdict    audit.Verdict     `json:"verdict"`
	Requests   int               `json:"requests_at_most"`
	CostUSD    float64           `json:"estimated_cost_usd"`
	Objectives []provedObjective `json:"objectives"`
}

func newSLOProve(d *Deps) *cobra.Command {
	var o sloOptions
	cmd := &cobra.Command{
		Use: "prove [objective...]", Short: "Load an environment and judge its latency objectives", Args: cobra.ArbitraryArgs,
		Long: "Load an environment at a constant rate and judge the objectives of contract/slo.json: those named, or all. A request's time counts from when it was meant to be sent, " +
			"so a stall is charged to every request it delayed; an error counts as over the limit.\n\n" +
			"The verdict is pass, fail or inconclusive, from exact binomial bounds on the quantile. Each error has at most the probability that the contract's confidence leaves (0.05 at 95 %), whenever the run ends: " +
			"it ends as soon as the verdict stands, at looks whose share of that error was fixed beforehand. This takes requests as independent of each other. " +
			"Inconclusive (exit 4) says how many requests would decide. A request that this machine sent late counts against either verdict, so a generator that falls behind ends inconclusive. No data never passes.\n\n" +
			"Balances are asked for by made-up accounts: one with credits, whose balance is in KV, and one for each request that nobody saw before, which the ledger has to be asked about. An answer says which it was, and " +
			"one that came another way counts against either verdict. It takes the admin key (COGCTL_ADMIN_KEY).\n\n" +
			"Production is loaded only with --yes.\n\n" +
			"With --from analytics nothing is sent: live traffic of the last --since is judged, as Cloudflare counts it. Its quantiles are made beforehand, minute by minute and over all paths of a Worker, " +
			"so of latency it says how many requests may have missed the limit, and concludes only what follows from that; the share of requests that end well it can prove.",
		Example: "  cogctl slo prove\n  cogctl slo prove ai-binding --env staging --rate 50 --duration 1m\n  cogctl slo prove --dry-run               # what it would send, and the cost\n  cogctl slo prove --from analytics --since 6h",
		RunE: func(cmd *cobra.Command, args []string) error {
			if live, err := o.live(fromLoad); err != nil || live {
				if err != nil {
					return err
				}
				return judgeLive(cmd.Context(), d, o.liveOptions, args, !o.keepNot && !o.dryRun)
			}
			o.rateGiven = cmd.Flags().Changed("rate")
			plan, err := planLoad(d, o, args)
			if err != nil {
				return err
			}
			if o.dryRun {
				return d.Term.Print(plan.report())
			}
			if plan.Env == productionEnv && !o.yes && plan.Requests > 0 {
				return fault.New(fault.Refused, "this would send %s, which is what people use", plan.sentence()).WithHint("--env staging, or --yes if production is what you mean")
			}
			result, err := runSLO(cmd.Context(), d, plan, !o.keepNot)
			if err != nil {
				return err
			}
			if err := d.Term.Print(term.Report{Schema: "cogctl/slo.prove/v1", Data: result, Blocks: result.blocks()}); err != nil {
				return err
			}
			return result.err()
		},
		ValidArgsFunction: d.completeObjective,
	}
	o.flags(cmd)
	return cmd
}

func (o *sloOptions) flags(cmd *cobra.Command) {
	o.liveOptions.flags(cmd, fromLoad)
	f := cmd.Flags()
	f.Float64Var(&o.rate, "rate", slo.DefaultRate, "requests per second, whatever the answers do; fewer of objectives that say so, unless it is given")
	f.DurationVar(&o.duration, "duration", slo.DefaultDuration, "how long each objective is loaded at most")
	f.IntVar(&o.maxRequests, "max-requests", 10_000, "send no more than this in all, warm-up and preparation included; runs are cut to fit")
	f.IntVar(&o.warmUp, "warm-up", slo.DefaultWarmUp, "requests of each objective that are sent first and not judged")
	f.IntVar(&o.workers, "workers", 0, "requests in flight at once (0: enough for the slowest answer that is waited for)")
	f.BoolVar(&o.dryRun, "dry-run", false, "say what would be sent and what it costs, and send nothing")
	f.BoolVar(&o.yes, "yes", false, "load production")
	f.BoolVar(&o.keepNot, "no-proof", false, "measure, and keep no evidence")
}

func runSLO(ctx context.Context, d *Deps, plan *loadPlan, keep bool) (*sloResult, error) {
	t, err := d.Target(ctx, d.Env)
	if err != nil {
		return nil, err
	}
	d.Term.Note(term.DimText("sending " + plan.sentence()))
	result := &sloResult{Env: t.Env, Hostname: t.Hostname, Requests: plan.Requests, CostUSD: plan.CostUSD}
	progress := d.Term.Progress("loading " + t.Hostname)
	defer progress.Stop()
	var verdicts []audit.Verdict
	for _, p := range plan.Objectives {
		one, err := proveObjective(ctx, d, t, p, keep, func(done, total int) { progress.Set("loading for "+p.Objective, done, total) })
		if err != nil {
			return nil, err
		}
		result.Objectives, verdicts = append(result.Objectives, one), append(verdicts, one.Verdict)
	}
	result.Verdict = audit.Worst(verdicts...)
	return result, nil
}

// proveObjective measures one objective and keeps its proof. It is an error when the run was stopped or its proof cannot be
// kept; what could not be measured is inconclusive.
func proveObjective(ctx context.Context, d *Deps, t *audit.Target, p objectivePlan, keep bool, progress func(done, total int)) (provedObjective, error) {
	one := provedObjective{
		Objective: p.Objective, Title: p.Title, Verdict: audit.Inconclusive, Summary: p.Skipped, LimitMS: p.declared.MaxMS, Quantile: p.declared.Quantile, Plan: p.Plan,
		Histogram: []slo.Bucket{}, Findings: []audit.Finding{}, confidence: p.declared.Confidence,
	}
	if p.Plan == nil {
		return one, nil
	}
	origin, err := d.origin(ctx, t, keep)
	if err != nil {
		return one, err
	}
	check := slo.Check(p.Objective, p.declared, slo.Options{Plan: *p.Plan, Progress: progress})
	r, err := check.Run(ctx, t)
	if err != nil {
		if ctx.Err() != nil {
			return one, err
		}
		one.Summary, one.err = err.Error(), err
		return one, nil
	}
	if err := one.take(t, r); err != nil {
		return one, err
	}
	if keep {
		one.Proof, err = keepRun(ctx, d, t, check, origin, r)
	}
	return one, err
}

// take says in the command's words what a run found.
func (o *provedObjective) take(t *audit.Target, r audit.Result) error {
	e, ok := r.Evidence.(slo.Evidence)
	if !ok {
		return fault.New(fault.Internal, "the evidence of %s is of another kind: %T", o.Objective, r.Evidence)
	}
	m, err := slo.Measure(t, o.Objective, e)
	if err != nil {
		return err
	}
	o.Verdict, o.Summary, o.Findings, o.Measured = r.Verdict, r.Summary, r.Findings, &m
	o.Sent, o.LastedMS, o.Histogram = e.Sent, e.Ended.Sub(e.Started).Milliseconds(), slo.Histogram(e, histogramBuckets)
	return nil
}

// keepRun signs and writes the proof of one run, unless something was deployed meanwhile.
func keepRun(ctx context.Context, d *Deps, t *audit.Target, c audit.Check, o evidence.Origin, r audit.Result) (string, error) {
	after, err := evidence.Deployed(ctx, t)
	if err != nil {
		return "", err
	}
	if err := evidence.Unmoved(o.Subjects, after); err != nil {
		return "", err
	}
	o.At = d.now()
	path, err := evidence.Keep(ctx, d.proofs(), c, t, o, r)
	return relative(path), err
}

// err is a failure first, then what kept a run from measuring, then the open verdict.
func (r *sloResult) err() error {
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
