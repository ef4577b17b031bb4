package slo

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/audittest"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
)

// service is a real server with a planted fault, and the target that names it. Limits are far from what it does, so that a
// loaded machine changes nothing.
func service(t *testing.T, maxMS int, answer http.HandlerFunc) *audit.Target {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	base, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	tt, o := target(), objective
	o.MaxMS = maxMS
	tt.BaseURL, tt.HTTP, tt.Contract.SLO = base, server.Client(), map[string]contract.Objective{"o": o}
	return tt
}

func measured(t *testing.T, tt *audit.Target, p Plan) (audit.Result, Measured, Evidence) {
	t.Helper()
	check := Check("o", tt.Contract.SLO["o"], Options{Plan: p})
	r, err := check.Run(t.Context(), tt)
	if err != nil {
		t.Fatal(err)
	}
	audittest.Rejudge(t, check, tt, r)
	e := r.Evidence.(Evidence)
	m, err := Measure(tt, "o", e)
	if err != nil {
		t.Fatal(err)
	}
	return r, m, e
}

func TestAFastServerPasses(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	tt := service(t, 5000, func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	r, m, e := measured(t, tt, Plan{Rate: 200, Requests: 100, WarmUp: 5, Workers: 50})
	if r.Verdict != audit.Pass || m.Errors > 0 || m.Judged < m.Least || len(e.WarmUpUS) != 5 {
		t.Errorf("%+v", r.Summary)
	}
	if n := asked.Load(); n > 105 || n < int64(m.Judged)+5 {
		t.Errorf("the budget was 105 requests, it got %d and %d were judged", n, m.Judged)
	}
}

func TestASlowServerFails(t *testing.T) {
	t.Parallel()
	tt := service(t, 1000, func(_ http.ResponseWriter, r *http.Request) { sleep(r.Context(), 1500*time.Millisecond) })
	r, m, _ := measured(t, tt, Plan{Rate: 100, Requests: 60, WarmUp: 1, Workers: 200})
	if r.Verdict != audit.Fail || *m.LowerMS < 1500 || len(r.Findings) != 1 || r.Findings[0].URL != "https://api.example.test/p" {
		t.Errorf("%+v", r)
	}
}

func TestErrorsFailHoweverFast(t *testing.T) {
	t.Parallel()
	tt := service(t, 5000, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	r, m, _ := measured(t, tt, Plan{Rate: 200, Requests: 60, WarmUp: 1, Workers: 50})
	if r.Verdict != audit.Fail || m.Errors != m.Judged || m.QuantileMS != nil || !strings.Contains(r.Findings[0].Message, "× 503") {
		t.Errorf("%+v", r)
	}
}

// stalls is a server that answers nobody for a second from its 20th request on.
func stalls() http.HandlerFunc {
	var (
		asked atomic.Int64
		until atomic.Int64
	)
	return func(_ http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 20 {
			until.Store(time.Now().Add(time.Second).UnixNano())
		}
		if at := until.Load(); at > 0 {
			sleep(r.Context(), time.Until(time.Unix(0, at)))
		}
	}
}

// TestAStallWithTooFewWorkersIsInconclusive: the requests that could not be sent are not silently left out, and the service is
// not judged by a load that it was not given.
func TestAStallWithTooFewWorkersIsInconclusive(t *testing.T) {
	t.Parallel()
	r, m, e := measured(t, service(t, 500, stalls()), Plan{Rate: 100, Requests: 200, WarmUp: 1, Workers: 2})
	if r.Verdict != audit.Inconclusive || m.LateSends < 2 || e.Starved == 0 || !strings.Contains(r.Summary, "the load generator fell behind") || !strings.Contains(r.Summary, "all 2 workers busy") {
		t.Errorf("%s: %+v", r.Summary, m)
	}
}

func TestAStallWithEnoughWorkersShowsInTheTail(t *testing.T) {
	t.Parallel()
	_, m, e := measured(t, service(t, 500, stalls()), Plan{Rate: 100, Requests: 200, WarmUp: 1, Workers: 300})
	if e.Starved > 0 || m.OverLimit < 10 || m.P99MS == nil || *m.P99MS < 700 {
		t.Errorf("%+v", m)
	}
}

func TestNobodyAnswers(t *testing.T) {
	t.Parallel()
	tt := service(t, 500, func(http.ResponseWriter, *http.Request) {})
	tt.BaseURL = &url.URL{Scheme: "http", Host: "127.0.0.1:1"}
	plan := Plan{Rate: 100, Requests: 50, WarmUp: 3, Workers: 10}
	if _, err := Check("o", objective, Options{Plan: plan}).Run(t.Context(), tt); !errors.Is(err, fault.Unavailable) {
		t.Errorf("got %v", err)
	}
}

func TestAnInterruptedRunConcludesNothing(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	tt := service(t, 5000, func(http.ResponseWriter, *http.Request) {})
	o := Options{Plan: Plan{Rate: 100, Requests: 500, WarmUp: 1, Workers: 10}, Progress: func(done, _ int) {
		if done == 5 {
			cancel()
		}
	}}
	if _, err := Check("o", tt.Contract.SLO["o"], o).Run(ctx, tt); !errors.Is(err, fault.Unavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestPlansThatCannotBe(t *testing.T) {
	t.Parallel()
	good := DefaultPlan(objective)
	if good.Check() != nil || good.Total() != 910 || good.Workers != 150 {
		t.Errorf("the default is %+v: %v", good, good.Check())
	}
	for _, change := range []func(*Plan){
		func(p *Plan) { p.Rate = 0 }, func(p *Plan) { p.Rate = 1e6 }, func(p *Plan) { p.Requests = 0 }, func(p *Plan) { p.Requests = MostRequests + 1 },
		func(p *Plan) { p.WarmUp = 0 }, func(p *Plan) { p.Workers = 0 },
	} {
		p := good
		change(&p)
		if err := p.Check(); !errors.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", p, err)
		}
	}
}
