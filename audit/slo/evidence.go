package slo

import (
	"math"
	"slices"
	"time"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/contract"
)

// Evidence is a run as it was: every latency, in the order in which the requests were meant to be sent.
type Evidence struct {
	Objective string    `json:"objective"`
	Method    string    `json:"method"`
	URL       string    `json:"url"`
	Started   time.Time `json:"started"`
	Ended     time.Time `json:"ended"`
	Plan      Plan      `json:"plan"`
	Sent      int       `json:"sent"`       // with those that were under way when the verdict stood
	Starved   int       `json:"starved"`    // found every worker busy
	WarmUpUS  []int64   `json:"warm_up_us"` // kept apart, not judged
	LatencyUS []int64   `json:"latency_us"` // from the intended send to the end of the answer
	LateUS    []int64   `json:"late_us"`    // from the intended send to the send
	Failures  []Failure `json:"failures"`
	Elsewhere []Failure `json:"elsewhere,omitempty"` // good answers of something else than what is measured
}

// Failure is a request that got no good answer: a status, "timeout" or "no answer".
type Failure struct {
	Request int    `json:"request"`
	What    string `json:"what"`
}

func (e *Evidence) take(s sent) {
	e.Sent, e.Starved = s.count, s.starved
	e.LatencyUS, e.LateUS, e.Failures = make([]int64, len(s.samples)), make([]int64, len(s.samples)), []Failure{}
	for i, one := range s.samples {
		e.LatencyUS[i], e.LateUS[i] = one.latency.Microseconds(), one.late.Microseconds()
		if one.failure != "" {
			e.Failures = append(e.Failures, Failure{Request: i, What: one.failure})
		}
		if one.elsewhere != "" {
			e.Elsewhere = append(e.Elsewhere, Failure{Request: i, What: one.elsewhere})
		}
	}
}

// check sees that a run can have been so.
func (e *Evidence) check(t *audit.Target, id string, o contract.Objective) error {
	n := len(e.LatencyUS)
	lasted := e.Ended.Sub(e.Started).Seconds()
	switch {
	case e.Objective != id:
		return audit.Misfit("it is of objective %.60q, not of %s", e.Objective, id)
	case e.Method != o.Probe.Method || e.URL != t.PublicURL(o.Probe.Path):
		return audit.Misfit("it is of %s %.80q, not of %s %s", e.Method, e.URL, o.Probe.Method, t.PublicURL(o.Probe.Path))
	case e.Plan.Check() != nil:
		return audit.Misfit("%v", e.Plan.Check())
	case len(e.LateUS) != n || n > e.Plan.Requests || e.Sent < n || e.Sent > e.Plan.Requests || e.Starved < 0 || e.Starved > e.Sent+1:
		return audit.Misfit("%d latencies and %d sends do not belong to a run of %d of %d requests", n, len(e.LateUS), e.Sent, e.Plan.Requests)
	case n > 0 && lasted < float64(n-1)/e.Plan.Rate-0.01:
		return audit.Misfit("%d requests at %g/s do not fit into %.3f s", n, e.Plan.Rate, lasted)
	}
	for i, us := range e.LatencyUS {
		if late := e.LateUS[i]; late < 0 || us < late || us > math.MaxInt64/2 {
			return audit.Misfit("request %d was sent %d µs late and answered after %d µs", i, late, us)
		}
	}
	for _, list := range [][]Failure{e.Failures, e.Elsewhere} {
		for i, f := range list {
			if f.Request < 0 || f.Request >= n || f.What == "" || i > 0 && f.Request <= list[i-1].Request {
				return audit.Misfit("failure %d is of request %d", i, f.Request)
			}
		}
	}
	if len(e.Elsewhere) > 0 && o.Probe.Answer.Header == "" {
		return audit.Misfit("an answer is of something else than what is measured, and anything is measured")
	}
	return t.Recent(e.Ended)
}

// failed is the latency of a request without a good answer: over every limit.
const failed = math.MaxInt64

// charged lists what each request counts for.
func (e *Evidence) charged() []int64 {
	us := slices.Clone(e.LatencyUS)
	for _, f := range e.Failures {
		us[f.Request] = failed
	}
	return us
}

// tardy is a send that was late by more than a tenth of the limit: the generator's doing rather than the service's.
func tardy(o contract.Objective, lateUS int64) bool { return lateUS > tolerance(o).Microseconds() }

func tolerance(o contract.Objective) time.Duration { return max(10*time.Millisecond, limit(o)/10) }

// unknown lists what each request counts for when every one of which nobody knows does for the same.
func (e *Evidence) unknown(o contract.Objective, as int64) []int64 {
	us := e.charged()
	for i, unsure := range e.unsure(o) {
		if unsure {
			us[i] = as
		}
	}
	return us
}

// unsure marks the requests of which nobody knows how what is measured would have answered in time: those sent late, and those
// that something else answered.
func (e *Evidence) unsure(o contract.Objective) []bool {
	marks := make([]bool, len(e.LateUS))
	for i, late := range e.LateUS {
		marks[i] = tardy(o, late)
	}
	for _, one := range e.Elsewhere {
		marks[one.Request] = true
	}
	return marks
}
