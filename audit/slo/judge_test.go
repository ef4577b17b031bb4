package slo

import (
	"encoding/json"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/audittest"
	"github.com/cognomega/edge/contract"
)

func now() time.Time { return time.Date(2026, 11, 22, 18, 40, 11, 0, time.UTC) }

var objective = contract.Objective{Quantile: 0.9, MaxMS: 150, Confidence: 0.95, Probe: contract.Probe{Path: "/p", Method: "GET"}}

func target() *audit.Target {
	return &audit.Target{
		Env: "local", Hostname: "api.example.test", BaseURL: &url.URL{Scheme: "http", Host: "127.0.0.1:1"}, Now: now,
		Contract: &contract.Contract{
			SLO: map[string]contract.Objective{"o": objective}, Workers: map[string]contract.Worker{"w": {}},
			HTTP: contract.HTTP{Paths: map[string]contract.Path{"/p": {Methods: []string{"GET"}, Worker: "w", Auth: contract.AccessNone}}},
		},
	}
}

// ran is evidence of a run of at most n requests, cut where its verdict stood. A latency below 0 is an error.
func ran(n int, ms func(i int) int64) Evidence {
	e := Evidence{
		Objective: "o", Method: "GET", URL: "https://api.example.test/p", Started: now().Add(-time.Minute), Ended: now(),
		Plan: Plan{Rate: 100, Requests: n, WarmUp: 1, Workers: 10}, WarmUpUS: []int64{1000}, LatencyUS: []int64{}, LateUS: []int64{}, Failures: []Failure{},
	}
	f := follow(NewDesign(0.9, 0.95, n))
	for i := range n {
		latency := ms(i)
		if latency < 0 {
			latency = -latency
			e.Failures = append(e.Failures, Failure{Request: i, What: "503"})
		}
		e.LatencyUS, e.LateUS = append(e.LatencyUS, latency*1000), append(e.LateUS, 100)
		if f.add(ms(i) < 0 || latency > 150, false) {
			break
		}
	}
	e.Sent = len(e.LatencyUS)
	return e
}

func every(k int, otherwise, then int64) func(int) int64 {
	return func(i int) int64 {
		if i%k == k-1 {
			return then
		}
		return otherwise
	}
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	behind := ran(300, every(1000, 40, 40))
	for i := range 10 {
		behind.LateUS[i] = 20_000
	}
	behind.Starved = 3
	cut := ran(300, every(12, 40, 400))
	cut.LatencyUS, cut.LateUS = cut.LatencyUS[:100], cut.LateUS[:100]
	tests := map[string]struct {
		e    Evidence
		want audit.Verdict
		says string
	}{
		"fast":                      {ran(900, every(1000, 40, 40)), audit.Pass, "P90 40.0 ms"},
		"slow":                      {ran(900, every(1000, 400, 400)), audit.Fail, "P90 400.0 ms"},
		"exactly at the limit":      {ran(300, every(1000, 150, 150)), audit.Pass, "limit 150 ms"},
		"every tenth is over":       {ran(300, every(10, 40, 400)), audit.Inconclusive, "no run of up to 100000 would decide"},
		"every twelfth is over":     {ran(300, every(12, 40, 400)), audit.Inconclusive, "more than this one"},
		"errors count, though fast": {ran(300, every(3, 40, -1)), audit.Fail, "errors"},
		"nothing was judged":        {ran(0+1, func(int) int64 { return 40 }), audit.Inconclusive, "too few"},
		"ended early":               {cut, audit.Inconclusive, "after 100 of 300"},
		"the generator fell behind": {behind, audit.Inconclusive, "3 found all 10 workers busy"},
		"late is not slow": {func() Evidence {
			e := ran(300, every(1000, 400, 400))
			for i := range e.LateUS {
				e.LateUS[i] = 399_000
			}
			return e
		}(), audit.Inconclusive, "the load generator fell behind"},
		"no data": {func() Evidence {
			e := ran(300, every(12, 40, 400))
			e.LatencyUS, e.LateUS = []int64{}, []int64{}
			return e
		}(), audit.Inconclusive, "no data proves nothing"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := judge(target(), "o", tt.e)
			if err != nil || r.Verdict != tt.want || !strings.Contains(r.Summary, tt.says) {
				t.Fatalf("%v: %s %s, want %s: %s", err, r.Verdict, r.Summary, tt.want, tt.says)
			}
			if (r.Verdict == audit.Fail) != (len(r.Findings) == 1) {
				t.Errorf("findings %+v", r.Findings)
			}
			audittest.Rejudge(t, Check("o", objective, Options{}), target(), r)
		})
	}
}

// TestBoundsAndVerdictAgree runs random services: the bound is beyond the limit exactly when the verdict is not that it holds.
func TestBoundsAndVerdictAgree(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 4))
	seen := map[audit.Verdict]int{}
	for range 300 {
		middle, n := 40+rng.Float64()*140, 29+rng.IntN(600)
		latencies := make([]int64, n)
		for i := range latencies {
			latencies[i] = int64(middle * (0.5 + rng.Float64()))
		}
		e := ran(n, func(i int) int64 { return latencies[i] })
		m, err := Measure(target(), "o", e)
		if err != nil {
			t.Fatal(err)
		}
		seen[m.Verdict]++
		if (m.Verdict == audit.Pass) != (m.UpperMS != nil && *m.UpperMS <= 150) || (m.Verdict == audit.Fail) != (m.LowerMS != nil && *m.LowerMS > 150) {
			t.Errorf("%s with bounds %v, %v", m.Verdict, m.LowerMS, m.UpperMS)
		}
		if m.LowerMS != nil && *m.LowerMS > *m.QuantileMS || m.UpperMS != nil && *m.UpperMS < *m.QuantileMS {
			t.Errorf("P90 %v is not within its bounds %v, %v", *m.QuantileMS, m.LowerMS, m.UpperMS)
		}
	}
	if len(seen) != 3 {
		t.Errorf("only %v were seen", seen)
	}
}

// TestWhatWouldDecideDecides believes the number and runs it.
func TestWhatWouldDecideDecides(t *testing.T) {
	t.Parallel()
	m, err := Measure(target(), "o", ran(300, every(12, 40, 400)))
	if err != nil || m.Decide <= 300 {
		t.Fatalf("%v %+v", err, m)
	}
	if m, err = Measure(target(), "o", ran(m.Decide, every(12, 40, 400))); err != nil || m.Verdict != audit.Pass {
		t.Errorf("%v %+v", err, m)
	}
}

func TestChangedEvidenceIsFoundOut(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*Evidence){
		"another objective": func(e *Evidence) { e.Objective = "other" },
		"another host":      func(e *Evidence) { e.URL = "https://fast.example.test/p" },
		"another method":    func(e *Evidence) { e.Method = "HEAD" },
		"more after the verdict": func(e *Evidence) {
			e.LatencyUS, e.LateUS, e.Sent = append(e.LatencyUS, 1000), append(e.LateUS, 1), e.Sent+1
		},
		"a latency without a send":    func(e *Evidence) { e.LatencyUS = append(e.LatencyUS, 1) },
		"answered before it was sent": func(e *Evidence) { e.LatencyUS[0] = 10 },
		"a failure of nothing":        func(e *Evidence) { e.Failures = []Failure{{Request: 900, What: "503"}} },
		"a failure twice":             func(e *Evidence) { e.Failures = []Failure{{0, "503"}, {0, "503"}} },
		"faster than its rate":        func(e *Evidence) { e.Ended = e.Started.Add(time.Millisecond) },
		"long ago":                    func(e *Evidence) { e.Started, e.Ended = e.Started.Add(-time.Hour), e.Ended.Add(-time.Hour) },
		"no rate":                     func(e *Evidence) { e.Plan.Rate = 0 },
		"a plan beyond all":           func(e *Evidence) { e.Plan.Requests = MostRequests + 1 },
		"more sent than planned":      func(e *Evidence) { e.Sent = e.Plan.Requests + 1 },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := ran(900, every(1000, 40, 40))
			change(&e)
			if r, err := judge(target(), "o", e); err == nil {
				t.Errorf("it is taken as %s", r.Verdict)
			}
		})
	}
}

func FuzzJudge(f *testing.F) {
	for _, e := range []Evidence{ran(900, every(1000, 40, 40)), ran(40, every(2, 40, -1)), {}} {
		raw, err := json.Marshal(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	check := Check("o", objective, Options{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := check.Judge(target(), raw)
		if err == nil && r.Verdict == audit.Pass && !strings.Contains(string(raw), "latency_us") {
			t.Errorf("%s passes", raw)
		}
	})
}

func TestUnprobeable(t *testing.T) {
	t.Parallel()
	with := func(change func(c *contract.Contract, o *contract.Objective)) string {
		c, o := target().Contract, objective
		change(c, &o)
		return Unprobeable(c, o)
	}
	tests := map[string]struct {
		change func(c *contract.Contract, o *contract.Objective)
		want   string
	}{
		"can be":    {func(*contract.Contract, *contract.Objective) {}, ""},
		"no path":   {func(_ *contract.Contract, o *contract.Objective) { o.Probe.Path = "/later" }, "not declared yet: the contract has no path /later"},
		"no Worker": {func(c *contract.Contract, _ *contract.Objective) { delete(c.Workers, "w") }, `not declared yet: the contract has no Worker "w" for /p`},
		"a body":    {func(_ *contract.Contract, o *contract.Objective) { o.Probe.Method = "POST" }, "not measurable yet: POST needs a body, and the contract has none for the probe"},
		"a token": {func(c *contract.Contract, _ *contract.Objective) {
			c.HTTP.Paths["/p"] = contract.Path{Worker: "w", Auth: contract.AccessToken}
		}, "not measurable yet: /p needs more than the probe shows (token)"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := with(tt.change); got != tt.want {
				t.Errorf("got %q", got)
			}
		})
	}
}
