package slo

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/fault"
)

// liveContract has an uptime objective, and a latency objective that has the gateway to itself when there is one path.
func liveContract(t *testing.T, paths int) *contract.Contract {
	t.Helper()
	loaded, err := contract.Load()
	if err != nil {
		t.Fatal(err)
	}
	c := *loaded
	c.SLO = map[string]contract.Objective{"o": {Quantile: 0.9, MaxMS: 100, Confidence: 0.95, Probe: contract.Probe{Path: "/p0", Method: "GET"}}}
	c.Uptime = map[string]contract.Uptime{"up": {Worker: c.Gateway(), Share: 0.999, Confidence: 0.95}}
	c.HTTP.Paths = map[string]contract.Path{}
	for i := range paths {
		c.HTTP.Paths["/p"+string(rune('0'+i))] = contract.Path{Methods: []string{"GET"}}
	}
	return &c
}

// minute makes of latencies what the analytics would; a request is an error when its latency is below zero.
func minute(at time.Time, us []float64) cfapi.Minute {
	m := cfapi.Minute{At: at, Requests: int64(len(us))}
	sorted := []float64{}
	for _, v := range us {
		if v < 0 {
			m.Errors++
		}
		sorted = append(sorted, math.Abs(v))
	}
	slices.Sort(sorted)
	q := func(p float64) float64 { return sorted[int(math.Ceil(p*float64(len(sorted))-1e-9))-1] }
	m.P50US, m.P90US, m.P99US = q(0.5), q(0.9), q(0.99)
	return m
}

// TestTheBoundsHoldTheTruth makes minutes of every size and shape, and counts what the quantiles hide.
func TestTheBoundsHoldTheTruth(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 3))
	tight := 0
	for range 20_000 {
		us := make([]float64, 1+rng.IntN(300))
		spread, middle := rng.Float64()*2, 100_000*math.Exp(rng.NormFloat64()*2)
		truth := int64(0)
		for i := range us {
			us[i] = middle * math.Exp(spread*rng.NormFloat64())
			bad := us[i] > 100_000
			if rng.IntN(40) == 0 {
				us[i], bad = -us[i], true
			}
			if bad {
				truth++
			}
		}
		m := minute(time.Time{}, us)
		blurred := m
		for _, q := range []*float64{&blurred.P50US, &blurred.P90US, &blurred.P99US} {
			*q *= 1 + (rng.Float64()*2-1)*blur*0.9
		}
		least, most := over(blurred, 100_000)
		if truth < least || truth > most {
			t.Fatalf("%d of %d were over; the bounds are %d and %d, of %+v", truth, len(us), least, most, blurred)
		}
		if most-least < int64(len(us)/2) {
			tight++
		}
	}
	if tight < 10_000 {
		t.Errorf("only %d bounds say anything", tight)
	}
}

func live(c *contract.Contract, id string, minutes ...cfapi.Minute) LiveEvidence {
	e := LiveEvidence{Objective: id, Worker: c.Gateway(), From: liveStart, To: liveStart.Add(time.Hour), Minutes: append([]cfapi.Minute{}, minutes...)}
	for i := range e.Minutes {
		e.Minutes[i].At = liveStart.Add(time.Duration(i) * time.Minute)
	}
	return e
}

var liveStart = time.Date(2026, 11, 22, 17, 0, 0, 0, time.UTC)

func TestWhatLiveTrafficProves(t *testing.T) {
	t.Parallel()
	alone, shared := liveContract(t, 1), liveContract(t, 3)
	quick, slow := cfapi.Minute{Requests: 1000, P50US: 1e3, P90US: 2e3, P99US: 9e3}, cfapi.Minute{Requests: 1000, P50US: 2e5, P90US: 3e5, P99US: 4e5}
	near := cfapi.Minute{Requests: 1000, P50US: 9e4, P90US: 1.01e5, P99US: 2e5}
	for name, tt := range map[string]struct {
		c       *contract.Contract
		id      string
		minutes []cfapi.Minute
		want    audit.Verdict
		says    string
	}{
		"nothing":                          {alone, "o", nil, audit.Inconclusive, "no data proves nothing"},
		"slow for callers too":             {alone, "o", []cfapi.Minute{slow}, audit.Fail, ""},
		"quick, but the network is not in": {alone, "o", []cfapi.Minute{quick}, audit.Inconclusive, "the time between the caller and the Worker"},
		"near the limit":                   {alone, "o", []cfapi.Minute{near}, audit.Inconclusive, "between the bounds"},
		"many paths":                       {shared, "o", []cfapi.Minute{slow}, audit.Inconclusive, "do not tell the 3 paths"},
		"up":                               {shared, "up", []cfapi.Minute{quick, quick, quick}, audit.Pass, ""},
		"up, too little":                   {shared, "up", []cfapi.Minute{quick}, audit.Inconclusive, "2995 requests are the fewest"},
		"down":                             {shared, "up", []cfapi.Minute{{Requests: 1000, Errors: 20}}, audit.Fail, ""},
		"nothing up":                       {shared, "up", nil, audit.Inconclusive, "no data proves nothing"},
	} {
		s := See(tt.c, live(tt.c, tt.id, tt.minutes...))
		if s.Verdict != tt.want || !strings.Contains(s.Because, tt.says) {
			t.Errorf("%s: %+v, want %s", name, s, tt.want)
		}
	}
}

// TestTenThousandServicesAtTheirUptime: a service that sits exactly at its objective passes by chance no more often than promised.
func TestTenThousandServicesAtTheirUptime(t *testing.T) {
	t.Parallel()
	c := liveContract(t, 3)
	rng := rand.New(rand.NewPCG(9, 9))
	passed, failed, naive := 0, 0, 0
	for range 10_000 {
		errs := binomialDraw(rng, 9000, 0.001)
		s := See(c, live(c, "up", cfapi.Minute{Requests: 9000, Errors: int64(errs)}))
		switch s.Verdict {
		case audit.Pass:
			passed++
		case audit.Fail:
			failed++
		}
		if errs <= 9 {
			naive++
		}
	}
	t.Logf("false pass %.2f %%, false fail %.2f %%; comparing the share alone would pass %.1f %%", float64(passed)/100, float64(failed)/100, float64(naive)/100)
	if passed > 500 || failed > 500 || naive < 3000 {
		t.Errorf("passed %d, failed %d, naive %d of 10,000", passed, failed, naive)
	}
}

// binomialDraw counts by waiting times, which is quick when p is small.
func binomialDraw(rng *rand.Rand, n int, p float64) (k int) {
	for at := 0; ; k++ {
		at += int(math.Log(1-rng.Float64())/math.Log(1-p)) + 1
		if at > n {
			return k
		}
	}
}

func TestLiveEvidenceThatCannotHaveBeen(t *testing.T) {
	t.Parallel()
	c := liveContract(t, 3)
	tt := target()
	tt.Contract, tt.Now = c, func() time.Time { return liveStart.Add(time.Hour) }
	check := LiveChecks(c, time.Hour)[1]
	good := live(c, "up", cfapi.Minute{Requests: 4000}, cfapi.Minute{Requests: 10, P50US: 1, P90US: 2, P99US: 3})
	judged := func(e LiveEvidence) error {
		raw, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		_, err = check.Judge(tt, raw)
		return err
	}
	if err := judged(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*LiveEvidence){
		"another objective": func(e *LiveEvidence) { e.Objective = "o" },
		"another Worker":    func(e *LiveEvidence) { e.Worker = "auth-svc" },
		"another time":      func(e *LiveEvidence) { e.To = e.To.Add(-2 * time.Hour); e.From = e.From.Add(-2 * time.Hour) },
		"outside":           func(e *LiveEvidence) { e.Minutes[0].At = e.From.Add(-time.Minute) },
		"twice":             func(e *LiveEvidence) { e.Minutes[1].At = e.Minutes[0].At },
		"more errors":       func(e *LiveEvidence) { e.Minutes[0].Errors = 5000 },
		"less than nothing": func(e *LiveEvidence) { e.Minutes[0].Requests = -1 },
		"unordered":         func(e *LiveEvidence) { e.Minutes[1].P90US = 9 },
	} {
		e := good
		e.Minutes = slices.Clone(good.Minutes)
		change(&e)
		if err := judged(e); !errors.Is(err, fault.Denied) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
