package slo

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/cfapi"
)

// LivePrefix begins the name of every check of live traffic.
const LivePrefix = "live-"

// LiveEvidence is what the analytics said of the Worker that every request goes through.
type LiveEvidence struct {
	Objective string         `json:"objective"`
	Worker    string         `json:"worker"`
	From      time.Time      `json:"from"`
	To        time.Time      `json:"to"`
	Minutes   []cfapi.Minute `json:"minutes"`
}

// Seen is what the analytics allow to be said: of how many requests how many missed what is promised, between two bounds.
type Seen struct {
	Requests int64         `json:"requests"`
	Least    int64         `json:"missed_at_least"`
	Most     int64         `json:"missed_at_most"`
	Allowed  float64       `json:"share_allowed"`
	Verdict  audit.Verdict `json:"verdict"`
	Because  string        `json:"because,omitempty"` // of an inconclusive one
}

// LiveChecks is every objective of a contract that live traffic says something about, over a window that ends now.
func LiveChecks(c *contract.Contract, window time.Duration) []audit.Check {
	var checks []audit.Check
	for _, id := range slices.Sorted(maps.Keys(c.SLO)) {
		checks = append(checks, liveCheck(id, "live traffic: "+Title(c.SLO[id]), window))
	}
	for _, id := range slices.Sorted(maps.Keys(c.Uptime)) {
		u := c.Uptime[id]
		checks = append(checks, liveCheck(id, fmt.Sprintf("live traffic: %.6g %% of what %s is asked ends without an error", u.Share*100, u.Worker), window))
	}
	return checks
}

func liveCheck(id, title string, window time.Duration) audit.Check {
	return audit.Check{
		Name: LivePrefix + id, Title: title, Form: 1,
		Run: func(ctx context.Context, t *audit.Target) (audit.Result, error) { return runLive(ctx, t, id, window) },
		Judge: audit.Rejudge(func(t *audit.Target, e LiveEvidence) (audit.Result, error) {
			return judgeLive(t, id, e)
		}),
	}
}

// workerOf is whose analytics tell of an objective: all requests go through the gateway.
func workerOf(c *contract.Contract, id string) string {
	if u, ok := c.Uptime[id]; ok {
		return u.Worker
	}
	return c.Gateway()
}

func runLive(ctx context.Context, t *audit.Target, id string, window time.Duration) (audit.Result, error) {
	// The current minute is left out: it is not over.
	to := t.Now().UTC().Truncate(time.Minute)
	e := LiveEvidence{Objective: id, Worker: workerOf(t.Contract, id), From: to.Add(-window).Truncate(time.Minute), To: to}
	var err error
	if e.Minutes, err = t.API.Invocations(ctx, e.Worker, e.From, e.To); err != nil {
		return audit.Result{}, err
	}
	return judgeLive(t, id, e)
}

func judgeLive(t *audit.Target, id string, e LiveEvidence) (audit.Result, error) {
	if err := e.check(t, id); err != nil {
		return audit.Result{}, err
	}
	s := See(t.Contract, e)
	r := audit.Result{Verdict: s.Verdict, Summary: s.summary(e), Findings: []audit.Finding{}, Evidence: e}
	if s.Verdict == audit.Fail {
		r.Findings = append(r.Findings, audit.Finding{
			Severity: audit.Error, Code: "live_missed", URL: t.PublicURL("/"), Resource: audit.Resource{Kind: "worker", ID: e.Worker, Name: e.Worker},
			Message: fmt.Sprintf("at least %d of %d requests missed it between %s and %s; %.4g %% may", s.Least, s.Requests, e.From.Format(time.RFC3339), e.To.Format(time.RFC3339), s.Allowed*100),
			Hint:    "read what its Worker wrote: " + e.Worker,
		})
	}
	return r, nil
}

func (e *LiveEvidence) check(t *audit.Target, id string) error {
	switch {
	case e.Objective != id || e.Worker != workerOf(t.Contract, id):
		return audit.Misfit("it is of objective %.60q and Worker %.60q", e.Objective, e.Worker)
	case !e.From.Before(e.To) || e.Minutes == nil:
		return audit.Misfit("it is of no time")
	}
	last := e.From.Add(-time.Minute)
	for _, m := range e.Minutes {
		ordered := m.P50US >= 0 && m.P50US <= m.P90US && m.P90US <= m.P99US
		if m.At.Before(e.From) || !m.At.Before(e.To) || !m.At.After(last) || m.Requests < 0 || m.Errors < 0 || m.Errors > m.Requests || !ordered {
			return audit.Misfit("minute %s cannot have been so", m.At.Format(time.RFC3339))
		}
		last = m.At
	}
	return t.Recent(e.To)
}

// See bounds what was missed and judges it.
func See(c *contract.Contract, e LiveEvidence) Seen {
	if u, ok := c.Uptime[e.Objective]; ok {
		s := Seen{Allowed: 1 - u.Share}
		for _, m := range e.Minutes {
			s.Requests, s.Least, s.Most = s.Requests+m.Requests, s.Least+m.Errors, s.Most+m.Errors
		}
		s.judge(u.Confidence)
		return s
	}
	o := c.SLO[e.Objective]
	s := Seen{Allowed: 1 - o.Quantile}
	for _, m := range e.Minutes {
		least, most := over(m, float64(limit(o).Microseconds()))
		s.Requests, s.Least, s.Most = s.Requests+m.Requests, s.Least+least, s.Most+most
	}
	s.judge(o.Confidence)
	s.restrain(c, o)
	return s
}

// restrain takes back what the analytics cannot tell of one path. They tell no paths apart, and they begin when the Worker
// does: what is slow there is slow for the caller too, but what is quick there may not be.
func (s *Seen) restrain(c *contract.Contract, o contract.Objective) {
	if paths := len(c.HTTP.Paths); paths > 1 && s.Requests > 0 {
		s.Verdict, s.Because = audit.Inconclusive, fmt.Sprintf("the analytics do not tell the %d paths of %s apart; only a load on %s does: cogctl slo prove", paths, c.Gateway(), o.Probe.Path)
		return
	}
	if s.Verdict == audit.Pass {
		s.Verdict, s.Because = audit.Inconclusive, "the time between the caller and the Worker is not in the analytics"
	}
}

// blur is how far a quantile of Cloudflare's may be from the truth: they come from a sketch.
const blur = 0.05

// over bounds how many requests of a minute took longer than a limit, from its three quantiles: between two of them nothing is
// known. A request that ended in an error missed the limit whatever it took.
func over(m cfapi.Minute, limitUS float64) (least, most int64) {
	most = m.Requests
	for _, q := range []struct{ share, us float64 }{{0.5, m.P50US}, {0.9, m.P90US}, {0.99, m.P99US}} {
		within := int64(math.Ceil(q.share*float64(m.Requests) - 1e-9)) // at least so many took no longer
		switch {
		case q.us*(1+blur) <= limitUS:
			most = min(most, m.Requests-within)
		case q.us*(1-blur) > limitUS:
			least = max(least, m.Requests-max(within-1, 0))
		}
	}
	return max(least, m.Errors), min(most+m.Errors, m.Requests)
}

// mostSampled is how many requests are taken to have been looked at: Cloudflare samples busy Workers, and does not say how much.
const mostSampled = 10_000

// judge compares the bounds with what is allowed, by Chernoff's bound on the binomial distribution: it holds for any number.
func (s *Seen) judge(confidence float64) {
	s.Verdict = audit.Inconclusive
	n := math.Min(float64(s.Requests), mostSampled)
	switch alpha := 1 - confidence; {
	case s.Requests == 0:
		s.Because = "no request was seen, and no data proves nothing"
	case float64(s.Most) < s.Allowed*float64(s.Requests) && chance(n, float64(s.Most)/float64(s.Requests), s.Allowed) <= alpha:
		s.Verdict = audit.Pass
	case float64(s.Least) > s.Allowed*float64(s.Requests) && chance(n, float64(s.Least)/float64(s.Requests), s.Allowed) <= alpha:
		s.Verdict = audit.Fail
	default:
		s.Because = "what is allowed lies between the bounds, or too near to them"
		if need := math.Ceil(math.Log(alpha)/math.Log(1-s.Allowed) - 1e-9); float64(s.Requests) < need {
			s.Because = fmt.Sprintf("%.0f requests are the fewest that can prove it", need)
		}
	}
}

// chance is at most how likely a share as far from the allowed one is, of n requests, when the allowed one is the true one.
func chance(n, seen, allowed float64) float64 {
	term := func(x, y float64) float64 {
		if x <= 0 {
			return 0
		}
		return x * math.Log(x/y)
	}
	return math.Exp(-n * (term(seen, allowed) + term(1-seen, 1-allowed)))
}

func (s Seen) summary(e LiveEvidence) string {
	missed := fmt.Sprint(s.Least)
	if s.Least != s.Most {
		missed = fmt.Sprintf("between %d and %d", s.Least, s.Most)
	}
	text := fmt.Sprintf("%d requests of %s in %s, %s of them missed it, %.4g %% may", s.Requests, e.Worker, e.To.Sub(e.From), missed, s.Allowed*100)
	if s.Because != "" {
		text += ": " + s.Because
	}
	return text
}
