package slo

import (
	"fmt"
	"math"
	"net/http"
	"time"

	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
)

// Plan is what a run will send, settled before it begins.
type Plan struct {
	Rate     float64 `json:"rate_per_s"`
	Requests int     `json:"requests"` // at most; a run that can decide sooner ends sooner
	WarmUp   int     `json:"warm_up"`  // sent first and not judged: connections, isolates and caches
	Workers  int     `json:"workers"`  // requests in flight at once
	// Prepare is sent before all of them, to make up who asks.
	Prepare int `json:"prepare,omitempty"`
}

// What a plan may be.
const (
	mostRate    = 5_000
	mostWorkers = 4_096
)

// Check refuses a plan that cannot be run.
func (p Plan) Check() error {
	switch {
	case !(p.Rate > 0 && p.Rate <= mostRate):
		return fault.New(fault.Invalid, "a rate of %g requests/s cannot be kept, want more than 0 and at most %d", p.Rate, mostRate)
	case p.Requests < 1 || p.Requests > MostRequests:
		return fault.New(fault.Invalid, "a run of %d requests is not possible, want 1 to %d", p.Requests, MostRequests)
	case p.WarmUp < 1 || p.WarmUp > 1_000:
		return fault.New(fault.Invalid, "a warm-up of %d requests is not possible, want 1 to 1000: the first tells whether anything answers", p.WarmUp)
	case p.Workers < 1 || p.Workers > mostWorkers:
		return fault.New(fault.Invalid, "%d workers are not possible, want 1 to %d", p.Workers, mostWorkers)
	}
	return nil
}

// Total is every request of the plan.
func (p Plan) Total() int { return p.Prepare + p.WarmUp + p.Requests }

// Lasts is how long the plan takes at most, but for the last answers.
func (p Plan) Lasts() time.Duration {
	return time.Duration(float64(p.WarmUp+p.Requests) / p.Rate * float64(time.Second))
}

// WorkersFor is enough workers for a rate when every answer takes as long as is waited for it.
func WorkersFor(o contract.Objective, rate float64) int {
	return int(math.Min(math.Max(math.Ceil(rate*patience(o).Seconds()), 1), mostWorkers))
}

// patience is how long an answer is waited for; one that takes longer is an error.
func patience(o contract.Objective) time.Duration {
	return max(5*time.Second, 4*limit(o))
}

func limit(o contract.Objective) time.Duration { return time.Duration(o.MaxMS) * time.Millisecond }

// usdPerRequest is what Cloudflare asks for a Workers request beyond those of the plan ($0.30 a million); calls by service
// binding are free of it.
const usdPerRequest = 0.30 / 1e6

// CostUSD estimates what a run costs: the fees for its requests, and what the probed path buys elsewhere. CPU time comes on top.
func (p Plan) CostUSD(o contract.Objective) float64 {
	return float64(p.Total())*usdPerRequest + float64(p.WarmUp+p.Requests)*o.Probe.USDPer1000/1000
}

// Unprobeable says why an objective cannot be measured yet, or "".
func Unprobeable(c *contract.Contract, o contract.Objective) string {
	p, ok := c.HTTP.Paths[o.Probe.Path]
	if !ok {
		return "not declared yet: the contract has no path " + o.Probe.Path
	}
	if _, ok := c.Workers[p.Worker]; !ok {
		return fmt.Sprintf("not declared yet: the contract has no Worker %q for %s", p.Worker, o.Probe.Path)
	}
	if o.Probe.Method != http.MethodGet && o.Probe.Method != http.MethodHead && o.Probe.Body == "" {
		return "not measurable yet: " + o.Probe.Method + " needs a body, and the contract has none for the probe"
	}
	anybody := p.Auth == contract.AccessNone || p.Auth == contract.AccessOptional
	if !anybody && (p.Auth != contract.AccessToken || o.Probe.As == contract.AsNobody) {
		return fmt.Sprintf("not measurable yet: %s needs more than the probe shows (%s)", o.Probe.Path, p.Auth)
	}
	return ""
}

// RateOf is how often an objective is asked when nobody says.
func RateOf(o contract.Objective) float64 {
	if o.Probe.RatePerS > 0 {
		return float64(o.Probe.RatePerS)
	}
	return DefaultRate
}

// Title is what holds when an objective is kept.
func Title(o contract.Objective) string {
	title := fmt.Sprintf("%s of %s %s", quantileName(o.Quantile), o.Probe.Method, o.Probe.Path)
	if a := o.Probe.Answer; a.Header != "" {
		title += fmt.Sprintf(" (%s: %s)", a.Header, a.Value)
	}
	return title + fmt.Sprintf(" ≤ %d ms", o.MaxMS)
}

func quantileName(q float64) string { return fmt.Sprintf("P%.6g", q*100) }
