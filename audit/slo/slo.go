// Package slo proves the latency objectives of the contract by open-loop load, with exact bounds and three verdicts.
package slo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
)

// Options is how an objective is probed. Progress, when given, is told how many requests were judged and how many may be.
type Options struct {
	Plan     Plan
	Progress func(done, total int)
}

// What a run is unless people say otherwise.
const (
	DefaultRate     = 30.0
	DefaultDuration = 30 * time.Second
	DefaultWarmUp   = 10
)

// DefaultPlan is the usual run for an objective.
func DefaultPlan(o contract.Objective) Plan {
	rate := RateOf(o)
	n := int(rate * DefaultDuration.Seconds())
	return Plan{Rate: rate, Requests: n, WarmUp: DefaultWarmUp, Workers: WorkersFor(o, rate), Prepare: Preparing(o, DefaultWarmUp, n)}
}

// prober measures one objective.
type prober struct {
	id        string
	objective contract.Objective
	options   Options
}

// run sends the plan. It is an error when nothing answers during the warm-up, and when ctx ends: neither is data.
func (p prober) run(ctx context.Context, t *audit.Target) (audit.Result, error) {
	o, plan := p.objective, p.options.Plan
	if why := Unprobeable(t.Contract, o); why != "" {
		return audit.Result{}, fault.New(fault.Inconclusive, "objective %s: %s", p.id, why)
	}
	if err := plan.Check(); err != nil {
		return audit.Result{}, err
	}
	client, idle := pooled(t.HTTP, plan.Workers)
	defer idle()
	who, err := p.arrive(ctx, t)
	if err != nil {
		return audit.Result{}, err
	}
	send := func(ctx context.Context, i int) outcome { return probe(ctx, client, t.URL(o.Probe.Path), o, who.of(i)) }
	p.settle(ctx, send)
	e := Evidence{Objective: p.id, Method: o.Probe.Method, URL: t.PublicURL(o.Probe.Path), Plan: plan, WarmUpUS: []int64{}}
	if err := p.warm(ctx, send, &e); err != nil {
		return audit.Result{}, err
	}
	f := follow(NewDesign(o.Quantile, o.Confidence, plan.Requests))
	started, began := t.Now().UTC(), time.Now()
	loaded := func(ctx context.Context, i int) outcome { return send(ctx, plan.WarmUp+i) }
	out := generator{rate: plan.Rate, workers: plan.Workers, send: loaded, next: func(s sample) bool {
		if p.options.Progress != nil {
			p.options.Progress(f.n+1, plan.Requests)
		}
		return f.add(s.failure != "" || s.latency.Microseconds() > limit(o).Microseconds(), tardy(o, s.late.Microseconds()) || s.elsewhere != "")
	}}.run(ctx, plan.Requests)
	if err := ctx.Err(); err != nil {
		return audit.Result{}, fault.New(fault.Unavailable, "measure %s: stopped after %d of %d requests, nothing is concluded: %w", p.id, len(out.samples), plan.Requests, err)
	}
	e.take(out)
	// The end is counted from the start, so that a clock that is set meanwhile does not stretch the run.
	e.Started = started.Truncate(time.Millisecond)
	e.Ended = e.Started.Add(time.Since(began).Round(time.Millisecond) + time.Millisecond)
	return judge(t, p.id, e)
}

// warm sends the warm-up at the rate of the run.
func (p prober) warm(ctx context.Context, send func(context.Context, int) outcome, e *Evidence) error {
	out := generator{rate: p.options.Plan.Rate, workers: p.options.Plan.Workers, send: send, next: func(sample) bool { return false }}.run(ctx, p.options.Plan.WarmUp)
	if err := ctx.Err(); err != nil {
		return fault.New(fault.Unavailable, "warm up %s: %w", p.id, err)
	}
	answered, elsewhere := 0, map[string]int{}
	for _, s := range out.samples {
		e.WarmUpUS = append(e.WarmUpUS, s.latency.Microseconds())
		if s.failure != noAnswer && s.failure != timedOut {
			answered++
		}
		if s.elsewhere != "" {
			elsewhere[s.elsewhere]++
		}
	}
	if answered == 0 {
		return audit.Unreachable(e.Method, e.URL, fmt.Errorf("none of %d requests was answered", len(out.samples)))
	}
	if others := count(elsewhere); others == len(out.samples) {
		return fault.New(fault.Inconclusive, "%s: none of %d answers had %s: %s, but %s, so nothing was measured", p.id, others, p.objective.Probe.Answer.Header, p.objective.Probe.Answer.Value, words(elsewhere)).
			WithHint("`cogctl contract explain %s` says what the objective is about; what answers here is something else", p.id)
	}
	return nil
}

// What went wrong where there is no status.
const (
	noAnswer = "no answer"
	timedOut = "timeout"
)

// outcome is what came of a request: what went wrong, or what answered in place of what is measured.
type outcome struct{ failure, elsewhere string }

// probe sends one request and reads its whole answer.
func probe(ctx context.Context, client *http.Client, url string, o contract.Objective, token string) outcome {
	ctx, cancel := context.WithTimeout(ctx, patience(o))
	defer cancel()
	req, err := request(ctx, url, o.Probe, token)
	if err != nil {
		return outcome{failure: noAnswer}
	}
	res, err := client.Do(req)
	if err == nil {
		defer res.Body.Close()
		_, err = io.Copy(io.Discard, res.Body)
	}
	switch {
	case err != nil && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)):
		return outcome{failure: timedOut}
	case err != nil:
		return outcome{failure: noAnswer}
	case res.StatusCode < http.StatusOK || res.StatusCode >= http.StatusMultipleChoices:
		return outcome{failure: fmt.Sprint(res.StatusCode)}
	}
	return outcome{elsewhere: elsewhere(o.Probe.Answer, res.Header)}
}

func request(ctx context.Context, url string, p contract.Probe, token string) (*http.Request, error) {
	var body io.Reader
	if p.Body != "" {
		body = strings.NewReader(p.Body)
	}
	req, err := http.NewRequestWithContext(ctx, p.Method, url, body)
	if err != nil {
		return nil, err
	}
	for name, value := range p.Headers {
		req.Header.Set(name, value)
	}
	if p.Body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return req, nil
}

// elsewhere is what an answer says instead of what is measured, or "".
func elsewhere(want contract.Answer, got http.Header) string {
	if want.Header == "" || got.Get(want.Header) == want.Value {
		return ""
	}
	if got.Get(want.Header) == "" {
		return "none"
	}
	return fmt.Sprintf("%.40q", got.Get(want.Header))
}

// pooled is a client that keeps a connection for every worker: a new one for each request would measure handshakes.
func pooled(client *http.Client, workers int) (own *http.Client, closeIdle func()) {
	transport, ok := client.Transport.(*http.Transport)
	if client.Transport == nil {
		transport, ok = http.DefaultTransport.(*http.Transport)
	}
	if !ok {
		return client, func() {}
	}
	transport = transport.Clone()
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 0, workers
	copied := *client
	copied.Transport, copied.Timeout = transport, 0
	return &copied, transport.CloseIdleConnections
}
