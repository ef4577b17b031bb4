package slo

import (
	"math"

	"github.com/cognomega/edge/audit"
)

// Look is a moment at which a run may end: after its first N requests, at most Pass of them over the limit prove the
// objective, and at least Fail of them refute it. Pass is -1 and Fail is N+1 where that cannot be yet.
type Look struct{ N, Pass, Fail int }

// Design is when a run may end and what it then says, fixed before its first request. It is a group-sequential test: by the
// look after n of N requests it has spent alpha*(n/N)^2 of its error (a power-family alpha-spending), and the limits are exact,
// by following the binomial distribution of a service that sits at the objective through every look. So whenever a run ends,
// P(pass | the objective is missed) and P(fail | it is kept) are each at most Alpha.
type Design struct {
	Over  float64 // share of requests that may be over the limit
	Alpha float64
	Looks []Look
}

// MostRequests is the largest run; its latencies are all kept.
const MostRequests = 100_000

// lookRatio spaces the looks: later ones tell less that is new.
const lookRatio = 1.2

// NewDesign plans a run of at most n requests for a quantile at a confidence.
func NewDesign(quantile, confidence float64, n int) Design {
	d := Design{Over: 1 - quantile, Alpha: 1 - confidence}
	ns := d.schedule(n)
	pass, within := lowLimits(d.Over, d.Alpha, ns), lowLimits(quantile, d.Alpha, ns)
	for i, n := range ns {
		d.Looks = append(d.Looks, Look{N: n, Pass: pass[i], Fail: n - within[i]})
	}
	return d
}

// schedule lists when to look, ending with n; before the first of them nothing can be decided by any outcome.
func (d Design) schedule(n int) []int {
	var ns []int
	for at := float64(d.fewest()); at < float64(n); at = math.Max(at+1, at*lookRatio) {
		ns = append(ns, int(at))
	}
	return append(ns, n)
}

// fewest is how many requests, all within the limit, prove the objective when nothing was spent on looking before.
func (d Design) fewest() int { return int(math.Ceil(math.Log(d.Alpha)/math.Log(1-d.Over) - 1e-9)) }

// Least is the fewest requests after which this design can pass; 0 when it never can.
func (d Design) Least() int {
	for _, l := range d.Looks {
		if l.Pass >= 0 {
			return l.N
		}
	}
	return 0
}

// negligible is probability that is given away for speed; it is counted as spent.
const negligible = 1e-20

// lowLimits finds, for each look, the largest count that may still decide: the chance that a sum of n trials with
// probability p is ever at or under its look's limit stays within what is spent by then.
func lowLimits(p, alpha float64, ns []int) []int {
	var (
		dist  = []float64{1} // of the count, among runs that have not ended; dist[i] is of low+i
		low   int
		spent float64
		n     int
		out   = make([]int, len(ns))
		total = float64(ns[len(ns)-1])
	)
	for i, at := range ns {
		for ; n < at; n++ {
			dist = step(dist, p)
			for len(dist) > 1 && dist[0] < negligible {
				spent, dist, low = spent+dist[0], dist[1:], low+1
			}
		}
		share := float64(at) / total
		for len(dist) > 1 && spent+dist[0] <= alpha*share*share {
			spent, dist, low = spent+dist[0], dist[1:], low+1
		}
		out[i] = low - 1
	}
	return out
}

// step adds one trial to a distribution, dropping the far upper tail: it can only make a limit smaller.
func step(dist []float64, p float64) []float64 {
	dist = append(dist, 0)
	for i := len(dist) - 1; i > 0; i-- {
		dist[i] = dist[i]*(1-p) + dist[i-1]*p
	}
	dist[0] *= 1 - p
	if last := len(dist) - 1; last > 0 && dist[last] < negligible {
		dist = dist[:last]
	}
	return dist
}

// follower applies a design to requests in the order they were meant to be sent. Of a request that was sent late nobody knows
// how the service would have answered in time, so it counts against either verdict.
type follower struct {
	design  Design
	n, over int
	late    struct{ over, within int }
	look    int // the next one
	at      Look
	verdict audit.Verdict
}

func follow(d Design) *follower { return &follower{design: d, verdict: audit.Inconclusive} }

// add takes the next request and is true once the verdict stands; what follows then changes nothing.
func (f *follower) add(over, late bool) bool {
	if f.verdict != audit.Inconclusive || f.look == len(f.design.Looks) {
		return f.verdict != audit.Inconclusive
	}
	f.count(over, late)
	l := f.design.Looks[f.look]
	if f.n < l.N {
		return false
	}
	f.look, f.at = f.look+1, l
	switch {
	case f.over+f.late.within <= l.Pass:
		f.verdict = audit.Pass
	case f.over-f.late.over >= l.Fail:
		f.verdict = audit.Fail
	}
	return f.verdict != audit.Inconclusive
}

func (f *follower) count(over, late bool) {
	f.n++
	switch {
	case over && late:
		f.over, f.late.over = f.over+1, f.late.over+1
	case over:
		f.over++
	case late:
		f.late.within++
	}
}
