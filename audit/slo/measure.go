package slo

import (
	"math"
	"slices"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/contract"
)

// Measured is what a run says of its objective, derived from the evidence alone. A quantile or a bound is null where errors
// or too few requests leave none.
type Measured struct {
	Verdict    audit.Verdict `json:"verdict"`
	Because    string        `json:"because,omitempty"` // of an inconclusive one
	Judged     int           `json:"requests_judged"`
	OverLimit  int           `json:"requests_over_limit"` // errors included
	Errors     int           `json:"errors"`
	P50MS      *float64      `json:"p50_ms"`
	QuantileMS *float64      `json:"quantile_ms"` // the objective's
	P99MS      *float64      `json:"p99_ms"`
	LowerMS    *float64      `json:"bound_lower_ms"` // each bound holds with the objective's confidence, at whatever look the run ended
	UpperMS    *float64      `json:"bound_upper_ms"`
	ErrorRate  float64       `json:"verdict_error_at_most"` // P(pass | missed), and P(fail | kept)
	Least      int           `json:"least_requests_to_pass"`
	Decide     int           `json:"requests_to_decide,omitempty"` // about; of one run, when this one did not
	LateSends  int           `json:"late_sends"`
	Elsewhere  int           `json:"answered_elsewhere,omitempty"` // by something else than what is measured
	WorstMS    float64       `json:"worst_late_ms"`
	Naive      audit.Verdict `json:"point_estimate_verdict"` // what comparing the quantile alone would have said
}

// measure replays a run against the design that its plan fixed.
func measure(o contract.Objective, e *Evidence) (Measured, error) {
	design := NewDesign(o.Quantile, o.Confidence, e.Plan.Requests)
	f, us, most, unsure := follow(design), e.charged(), limit(o).Microseconds(), e.unsure(o)
	for i, one := range us {
		if f.add(one > most, unsure[i]) && i+1 < len(us) {
			return Measured{}, audit.Misfit("the verdict stood after %d requests, and %d are kept", i+1, len(us))
		}
	}
	m := Measured{Verdict: f.verdict, Judged: f.n, OverLimit: f.over, Errors: len(e.Failures), ErrorRate: round(1-o.Confidence, 6), Least: design.Least(), Naive: audit.Inconclusive}
	sorted := slices.Sorted(slices.Values(us))
	m.P50MS, m.QuantileMS, m.P99MS = quantile(sorted, 0.5), quantile(sorted, o.Quantile), quantile(sorted, 0.99)
	if n := f.at.N; n > 0 {
		// That at most Pass of n are over the limit is the same as this order statistic being within it; and likewise below.
		high, low := slices.Sorted(slices.Values(e.unknown(o, failed)[:n])), slices.Sorted(slices.Values(e.unknown(o, 0)[:n]))
		m.UpperMS, m.LowerMS = at(high, n-f.at.Pass-1), at(low, n-f.at.Fail)
	}
	m.Naive, m.Elsewhere = naive(o, m), len(e.Elsewhere)
	for _, late := range e.LateUS {
		m.WorstMS = max(m.WorstMS, milliseconds(late))
		if tardy(o, late) {
			m.LateSends++
		}
	}
	if m.Verdict == audit.Inconclusive {
		m.Because = m.doubt(o, e, decidedButForLateness(design, us, most))
	}
	return m, nil
}

// naive is the verdict of comparing the quantile alone.
func naive(o contract.Objective, m Measured) audit.Verdict {
	switch {
	case m.Judged == 0:
		return audit.Inconclusive
	case m.QuantileMS != nil && *m.QuantileMS <= float64(o.MaxMS):
		return audit.Pass
	default:
		return audit.Fail
	}
}

// decidedButForLateness is true when the same latencies, all sent in time, would have been a verdict.
func decidedButForLateness(d Design, us []int64, most int64) bool {
	f := follow(d)
	for _, one := range us {
		f.add(one > most, false)
	}
	return f.verdict != audit.Inconclusive
}

// quantile is the smallest value that a share q of all are within.
func quantile(sorted []int64, q float64) *float64 {
	return at(sorted, int(math.Ceil(q*float64(len(sorted))-1e-9))-1)
}

func at(sorted []int64, i int) *float64 {
	if i < 0 || i >= len(sorted) || sorted[i] == failed {
		return nil
	}
	ms := milliseconds(sorted[i])
	return &ms
}

func milliseconds(us int64) float64 { return float64(us) / 1000 }

func round(x float64, digits int) float64 {
	shift := math.Pow10(digits)
	return math.Round(x*shift) / shift
}

// toDecide is about how many requests one run needs to decide on a service that stays as it was; 0 when no run can.
func toDecide(o contract.Objective, n, over int) int {
	if n == 0 {
		return NewDesign(o.Quantile, o.Confidence, 1).fewest()
	}
	allowed, seen := 1-o.Quantile, float64(over)/float64(n)
	z := math.Sqrt2 * math.Erfinv(2*o.Confidence-1)
	need := z * z * allowed * o.Quantile / ((seen - allowed) * (seen - allowed))
	for guess := math.Max(need, float64(n)+1); guess <= MostRequests; guess = math.Ceil(guess * 1.1) {
		looks := NewDesign(o.Quantile, o.Confidence, int(guess)).Looks
		last := looks[len(looks)-1]
		if expect := seen * guess; expect <= float64(last.Pass) || expect >= float64(last.Fail) {
			return last.N
		}
	}
	return 0
}
