package slo

import (
	"context"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// known is a service whose delays are log-normal around 20 ms, drawn by the number of the request, and its own log of them.
type known struct {
	mu  sync.Mutex
	rng *rand.Rand
	log []time.Duration
}

// serve takes its time and logs how long that really was.
func (k *known) serve(ctx context.Context) {
	began := time.Now()
	k.mu.Lock()
	d := time.Duration(20 * math.Exp(0.5*k.rng.NormFloat64()) * float64(time.Millisecond))
	k.mu.Unlock()
	sleep(ctx, d)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.log = append(k.log, time.Since(began))
}

// off is the largest relative error of the measured P50, P90 and P99 against the service's own log.
func (k *known) off(samples []sample) float64 {
	var us []int64
	for _, s := range samples {
		us = append(us, s.latency.Microseconds())
	}
	slices.Sort(us)
	slices.Sort(k.log)
	worst := 0.0
	for _, q := range []float64{0.5, 0.9, 0.99} {
		truth := milliseconds(k.log[int(math.Ceil(q*float64(len(k.log))))-1].Microseconds())
		worst = max(worst, math.Abs(*quantile(us, q)-truth)/truth)
	}
	return worst
}

func TestAKnownDistributionIsMeasured(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := &known{rng: rand.New(rand.NewPCG(1, 2))}
		g := generator{rate: 500, workers: 500, send: func(ctx context.Context, _ int) outcome { k.serve(ctx); return outcome{} }, next: func(sample) bool { return false }}
		if off := k.off(g.run(t.Context(), 5000).samples); off > 0.05 {
			t.Errorf("off by %.1f %%", off*100)
		}
	})
}

// BenchmarkKnownServer measures a real server at 500 requests/s: how far its quantiles are from the server's own log, and what
// a request costs in CPU, the server's share included.
func BenchmarkKnownServer(b *testing.B) {
	k := &known{rng: rand.New(rand.NewPCG(1, 2))}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { k.serve(r.Context()) }))
	defer server.Close()
	client, idle := pooled(server.Client(), 500)
	defer idle()
	send := func(ctx context.Context, _ int) outcome { return probe(ctx, client, server.URL, objective, "") }
	requests := 0
	before := cpu(b)
	for b.Loop() {
		k.log = nil
		out := generator{rate: 500, workers: 500, send: send, next: func(sample) bool { return false }}.run(b.Context(), 2500)
		requests += out.count
		b.ReportMetric(k.off(out.samples)*100, "%off")
		b.ReportMetric(float64(out.starved), "starved")
	}
	b.ReportMetric(float64((cpu(b)-before).Microseconds())/1000/float64(requests), "cpu-ms/request")
}

func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
