package report

import (
	"maps"
	"math"
	"slices"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/cors"
	"github.com/cognomega/edge/audit/routes"
	"github.com/cognomega/edge/audit/slo"
	"github.com/cognomega/edge/contract"
)

// mostTerritories is what of a route map is shown.
const mostTerritories = 48

// draw derives what the charts show from evidence that was verified; what was not has none to draw from.
func (r *Report) draw(c *contract.Contract) {
	r.Routes = r.routeMap(c)
	if r.CORS = r.matrix(c, "cors"); r.CORS == nil {
		r.CORS = r.matrix(c, "preflight")
	}
	for _, id := range slices.Sorted(maps.Keys(c.SLO)) {
		r.Objectives = append(r.Objectives, r.objective(c, id))
	}
}

// check is a check whose evidence was judged, or nil.
func (r *Report) check(name string) *Check {
	i := slices.IndexFunc(r.Checks, func(c Check) bool { return c.Name == name })
	if i < 0 || r.Checks[i].evidence == nil || r.Checks[i].State == Unjudged {
		return nil
	}
	return &r.Checks[i]
}

func (r *Report) routeMap(c *contract.Contract) *RouteMap {
	one := r.check("routes")
	if one == nil {
		return nil
	}
	e, err := routes.Recall(one.evidence)
	if err != nil {
		return nil
	}
	m := &RouteMap{Owner: c.Gateway(), Zone: e.Capture.Zone.Name, Proof: one.File, Territories: merged(routes.Map(e.Capture, routes.Expect{Owner: c.Gateway()}))}
	if len(m.Territories) > mostTerritories {
		// What is not the owner's is what people look for.
		slices.SortStableFunc(m.Territories, func(a, b routes.Territory) int { return rank(a) - rank(b) })
		m.Left = len(m.Territories) - mostTerritories
		m.Territories = m.Territories[:mostTerritories]
	}
	return m
}

func rank(t routes.Territory) int {
	switch {
	case t.Depth == 0:
		return 0
	case !t.Ours:
		return 1
	default:
		return 2
	}
}

func (r *Report) matrix(c *contract.Contract, name string) *Matrix {
	one := r.check(name)
	if one == nil {
		return nil
	}
	exchanges, err := cors.Recall(one.evidence)
	if err != nil || len(exchanges) == 0 {
		return nil
	}
	m := &Matrix{Grid: cors.GridOf(c, exchanges), Answers: len(exchanges), Proof: one.File}
	for _, row := range m.Cells {
		for _, cell := range row {
			m.Faulty += cell.Faulty
		}
	}
	if name == "cors" {
		m.Coverage = cors.Cover(exchanges)
	}
	return m
}

func (r *Report) objective(c *contract.Contract, id string) Objective {
	o := c.SLO[id]
	out := Objective{ID: id, Title: slo.Title(o), LimitMS: o.MaxMS, Quantile: o.Quantile, Histogram: []slo.Bucket{}, Verdict: audit.Inconclusive}
	one := r.check(slo.Prefix + id)
	if one == nil {
		return out
	}
	e, m, err := slo.Recall(c, id, one.evidence)
	if err != nil {
		return out
	}
	out.Measured, out.Proof, out.Verdict = &m, one.File, one.Verdict
	out.Histogram, out.Beyond = spread(e, float64(o.MaxMS), m)
	return out
}

// bars is how finely latencies are shown.
const bars = 48

// spread counts good answers in steps that are even on a logarithmic scale, from the quickest to somewhat beyond the limit or
// P99, whichever is farther.
func spread(e slo.Evidence, limitMS float64, m slo.Measured) (buckets []slo.Bucket, beyond int) {
	low, top := limitMS/2, limitMS*1.15
	for _, v := range []*float64{m.P99MS, m.UpperMS} {
		if v != nil {
			top = math.Max(top, *v*1.1)
		}
	}
	failed := map[int]bool{}
	for _, f := range e.Failures {
		failed[f.Request] = true
	}
	for i, us := range e.LatencyUS {
		if !failed[i] {
			low = math.Min(low, math.Max(float64(us)/1000, 0.01))
		}
	}
	low *= 0.9
	step := math.Log(top/low) / bars
	buckets = make([]slo.Bucket, bars)
	for i := range buckets {
		buckets[i].FromMS, buckets[i].ToMS = low*math.Exp(step*float64(i)), low*math.Exp(step*float64(i+1))
	}
	for i, us := range e.LatencyUS {
		at := max(int(math.Log(math.Max(float64(us)/1000, low)/low)/step), 0)
		switch {
		case failed[i]:
		case at >= len(buckets):
			beyond++
		default:
			buckets[at].Count++
		}
	}
	return buckets, beyond
}
