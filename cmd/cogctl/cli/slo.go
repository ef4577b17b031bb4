package cli

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/audit/slo"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/term"
)

// productionEnv is the environment that people use.
const productionEnv = "production"

func newSLO(d *Deps) *cobra.Command {
	return newGroup("slo", "Prove the latency objectives of the contract", "  cogctl slo prove\n  cogctl slo report", newSLOProve(d), newSLOReport(d))
}

// completeObjective offers the objectives of the contract that were not named yet.
func (d *Deps) completeObjective(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	c, err := d.Contract()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	left := slices.DeleteFunc(sortedKeys(c.SLO), func(id string) bool { return slices.Contains(args, id) })
	return left, cobra.ShellCompDirectiveNoFileComp
}

// loadPlan is what `slo prove` will send, known before it sends anything.
type loadPlan struct {
	Env        string          `json:"env"`
	Hostname   string          `json:"hostname"`
	Requests   int             `json:"requests_at_most"`
	CostUSD    float64         `json:"estimated_cost_usd"`
	Objectives []objectivePlan `json:"objectives"`
}

type objectivePlan struct {
	Objective string    `json:"objective"`
	Title     string    `json:"title"`
	Plan      *slo.Plan `json:"plan"` // null for one that cannot be measured yet
	LastsS    float64   `json:"lasts_at_most_s"`
	Least     int       `json:"least_requests_to_pass"`
	Skipped   string    `json:"skipped,omitempty"`

	declared contract.Objective
}

// planLoad settles what to send: rate times duration for each objective, within the budget for all of them.
func planLoad(d *Deps, o sloOptions, ids []string) (*loadPlan, error) {
	c, err := d.Contract()
	if err != nil {
		return nil, err
	}
	env, ok := c.Envs[d.Env]
	if !ok {
		return nil, d.unknownEnv(c)
	}
	if ids, err = objectives(c, ids); err != nil {
		return nil, err
	}
	p := &loadPlan{Env: d.Env, Hostname: env.Hostname}
	probed := 0
	for _, id := range ids {
		one := objectivePlan{Objective: id, Title: slo.Title(c.SLO[id]), declared: c.SLO[id], Skipped: slo.Unprobeable(c, c.SLO[id])}
		if one.Skipped == "" {
			probed++
		}
		p.Objectives = append(p.Objectives, one)
	}
	for i := range p.Objectives {
		if p.Objectives[i].Skipped != "" {
			continue
		}
		if err := p.Objectives[i].settle(o, o.maxRequests/probed); err != nil {
			return nil, err
		}
		p.Requests += p.Objectives[i].Plan.Total()
		p.CostUSD += p.Objectives[i].Plan.CostUSD(p.Objectives[i].declared)
	}
	if p.Env == localEnv {
		p.CostUSD = 0
	}
	return p, nil
}

// objectives are those that were named, each once, or all.
func objectives(c *contract.Contract, named []string) ([]string, error) {
	if len(named) == 0 {
		named = sortedKeys(c.SLO)
	}
	var ids []string
	for _, id := range named {
		if command, ok := provenElsewhere(c)[id]; ok {
			return nil, fault.New(fault.Unsupported, "objective %q is not about the latency of a request", id).WithHint("prove it with %s", command)
		}
		if _, ok := c.SLO[id]; !ok {
			return nil, fault.New(fault.NotFound, "objective %q is not declared yet", id).WithHint("declared are: %s (contract/slo.json)", strings.Join(sortedKeys(c.SLO), ", "))
		}
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil, fault.New(fault.NotFound, "the contract declares no objective").WithHint("contract/slo.json is where they belong")
	}
	return ids, nil
}

// provenElsewhere are the objectives that no load on a path can prove, each with the command that does.
func provenElsewhere(c *contract.Contract) map[string]string {
	all := map[string]string{}
	for id := range c.Flow {
		all[id] = "cogctl prove phase1"
	}
	for id := range c.Uptime {
		all[id] = "cogctl slo prove " + id + " --from analytics"
	}
	return all
}

// settle fits the plan of one objective into its share of the budget.
func (p *objectivePlan) settle(o sloOptions, budget int) error {
	rate := o.rate
	if !o.rateGiven {
		rate = slo.RateOf(p.declared)
	}
	if !(rate > 0) || o.duration <= 0 || rate*o.duration.Seconds() < 1 {
		return fault.New(fault.Invalid, "--rate %g for --duration %s sends nothing", rate, o.duration)
	}
	n := affordable(p.declared, o.warmUp, budget, int(math.Min(math.Round(rate*o.duration.Seconds()), math.MaxInt32)))
	if n < 1 {
		return fault.New(fault.Invalid, "--max-requests %d leaves nothing to judge for %s after %d requests of warm-up and %d that prepare", o.maxRequests, p.Objective, o.warmUp, slo.Preparing(p.declared, o.warmUp, 0))
	}
	plan := slo.Plan{Rate: rate, Requests: n, WarmUp: o.warmUp, Workers: o.workers, Prepare: slo.Preparing(p.declared, o.warmUp, n)}
	if plan.Workers == 0 {
		plan.Workers = slo.WorkersFor(p.declared, rate)
	}
	if err := plan.Check(); err != nil {
		return err
	}
	p.Plan, p.LastsS = &plan, math.Round(plan.Lasts().Seconds()*1000)/1000
	p.Least = slo.NewDesign(p.declared.Quantile, p.declared.Confidence, n).Least()
	return nil
}

// affordable is how many requests of those wanted fit into a budget, with those that they take beforehand.
func affordable(o contract.Objective, warmUp, budget, wanted int) int {
	each := slo.Preparing(o, warmUp, 1) - slo.Preparing(o, warmUp, 0)
	return min(wanted, (budget-warmUp-slo.Preparing(o, warmUp, 0))/(1+each))
}

// sentence says what will be sent and what it costs.
func (p *loadPlan) sentence() string {
	cost := "costs nothing"
	if p.CostUSD > 0 {
		cost = fmt.Sprintf("about $%.4f for Workers requests and what they buy elsewhere, CPU time not counted", p.CostUSD)
	}
	return fmt.Sprintf("at most %s to %s, %s", counted(p.Requests, "request"), p.Hostname, cost)
}

func (p *loadPlan) report() term.Report {
	rows := term.Rows{Columns: []string{"objective", "requests", "warm-up", "prepare", "rate", "lasts at most", "passes from", "holds when"}}
	for _, o := range p.Objectives {
		if o.Plan == nil {
			rows.Rows = append(rows.Rows, []term.Text{term.T(o.Objective), term.DimText("none"), term.T(""), term.T(""), term.T(""), term.T(""), term.T(""), term.DimText(o.Skipped)})
			continue
		}
		least := "never: too few requests"
		if o.Least > 0 {
			least = counted(o.Least, "request")
		}
		lasts := time.Duration(o.LastsS * float64(time.Second)).Round(100 * time.Millisecond)
		rows.Rows = append(rows.Rows, term.Row(o.Objective, fmt.Sprint(o.Plan.Requests), fmt.Sprint(o.Plan.WarmUp), fmt.Sprint(o.Plan.Prepare), fmt.Sprintf("%g/s", o.Plan.Rate), lasts.String(), least, o.Title))
	}
	return term.Report{Schema: "cogctl/slo.plan/v1", Data: p, Blocks: []term.Block{term.Line{term.T("would send " + p.sentence() + "; nothing was sent")}, rows}}
}
