package slo

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/contract"
)

// Check is one objective of the contract.
func Check(id string, o contract.Objective, opts Options) audit.Check {
	return audit.Check{
		Name: Prefix + id, Title: Title(o), Form: 1, Run: prober{id: id, objective: o, options: opts}.run,
		Judge: audit.Rejudge(func(t *audit.Target, e Evidence) (audit.Result, error) { return judge(t, id, e) }),
	}
}

// Prefix begins the name of every check of an objective.
const Prefix = "slo-"

// Checks is every objective of a contract, by name; run without options they send DefaultPlan.
func Checks(c *contract.Contract) []audit.Check {
	var checks []audit.Check
	for _, id := range slices.Sorted(maps.Keys(c.SLO)) {
		checks = append(checks, Check(id, c.SLO[id], Options{Plan: DefaultPlan(c.SLO[id])}))
	}
	return checks
}

// Measure derives what a run says from its evidence alone.
func Measure(t *audit.Target, id string, e Evidence) (Measured, error) {
	o, ok := t.Contract.SLO[id]
	if !ok {
		return Measured{}, audit.Misfit("the contract has no objective %q", id)
	}
	if err := e.check(t, id, o); err != nil {
		return Measured{}, err
	}
	return measure(o, &e)
}

func judge(t *audit.Target, id string, e Evidence) (audit.Result, error) {
	m, err := Measure(t, id, e)
	if err != nil {
		return audit.Result{}, err
	}
	o := t.Contract.SLO[id]
	r := audit.Result{Verdict: m.Verdict, Summary: m.summary(o), Findings: []audit.Finding{}, Evidence: e}
	if m.Verdict == audit.Fail {
		r.Findings = append(r.Findings, audit.Finding{
			Severity: audit.Error, Code: "slo_missed", URL: e.URL, Resource: audit.Resource{Kind: "response", Name: o.Probe.Path},
			Message: fmt.Sprintf("%d of %d requests were over the limit, %d of them errors%s; the objective allows %.4g %%", m.OverLimit, m.Judged, m.Errors, e.tally(), (1-o.Quantile)*100),
			Got:     orNone(m.QuantileMS), Want: fmt.Sprintf("≤ %d ms", o.MaxMS),
			Hint: "read what its Worker wrote: " + t.Contract.HTTP.Paths[o.Probe.Path].Worker,
		})
	}
	return r, nil
}

// doubt says why a run decided nothing, and what would.
func (m *Measured) doubt(o contract.Objective, e *Evidence, behind bool) (because string) {
	switch {
	case m.Judged == 0:
		return "no request was judged, and no data proves nothing"
	case m.LateSends > 0 && (behind || m.LateSends*100 > m.Judged):
		because = fmt.Sprintf("the load generator fell behind: %d of %d requests were sent more than %d ms late, the worst %.0f ms, and what is late proves nothing",
			m.LateSends, m.Judged, tolerance(o).Milliseconds(), m.WorstMS)
		if e.Starved > 0 {
			because += fmt.Sprintf("; %d found all %d workers busy", e.Starved, e.Plan.Workers)
		}
		return because
	case len(e.Elsewhere) > 0 && (behind || len(e.Elsewhere)*100 > m.Judged):
		return fmt.Sprintf("%d of %d answers did not have %s: %s, but %s, and what else answers proves nothing", len(e.Elsewhere), m.Judged, o.Probe.Answer.Header, o.Probe.Answer.Value, words(tallied(e.Elsewhere)))
	case m.Judged < e.Plan.Requests:
		because = fmt.Sprintf("the run ended after %d of %d requests", m.Judged, e.Plan.Requests)
	case m.Least == 0:
		because = fmt.Sprintf("%d requests are too few for any verdict", m.Judged)
	default:
		because = "the limit lies between the bounds"
	}
	if m.Decide = toDecide(o, m.Judged, m.OverLimit); m.Decide == 0 {
		return because + fmt.Sprintf("; no run of up to %d would decide: the service sits at its objective", MostRequests)
	}
	return because + fmt.Sprintf("; a run of about %d requests would decide, %d more than this one, if the service stays as it is", m.Decide, max(m.Decide-m.Judged, 0))
}

func (m Measured) summary(o contract.Objective) string {
	s := fmt.Sprintf("%s %s, %.4g %% bounds [%s, %s], limit %d ms, %d requests, %d errors", quantileName(o.Quantile), orNone(m.QuantileMS), o.Confidence*100,
		orNone(m.LowerMS), orNone(m.UpperMS), o.MaxMS, m.Judged, m.Errors)
	if m.Because != "" {
		s += ": " + m.Because
	}
	return s
}

func orNone(ms *float64) string {
	if ms == nil {
		return "none"
	}
	return fmt.Sprintf("%.1f ms", *ms)
}

// tally counts the errors by what they were.
func (e *Evidence) tally() string {
	if len(e.Failures) == 0 {
		return ""
	}
	return " (" + words(tallied(e.Failures)) + ")"
}

func tallied(failures []Failure) map[string]int {
	counts := map[string]int{}
	for _, f := range failures {
		counts[f.What]++
	}
	return counts
}

func words(counts map[string]int) string {
	var parts []string
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d × %s", counts[what], what))
	}
	return strings.Join(parts, ", ")
}

func count(counts map[string]int) (n int) {
	for _, one := range counts {
		n += one
	}
	return n
}
