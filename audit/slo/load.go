package slo

import (
	"context"
	"sync"
	"time"
)

// sample is one request: how long after it was meant to be sent it was answered and was sent, and what went wrong.
type sample struct {
	latency, late time.Duration
	outcome
}

// generator sends at a constant rate whatever the answers do (open loop). A request's time counts from when it was meant to be
// sent, so that a server which stalls is charged for those that had to wait: no coordinated omission.
type generator struct {
	rate    float64
	workers int                                // requests in flight at once
	send    func(context.Context, int) outcome // the i-th request
	next    func(sample) (enough bool)         // is given the answers in the order of sending
}

// sent is what came of a run; samples are those answered without a gap from the first.
type sent struct {
	samples []sample
	count   int // requests that were sent, also those nobody waited for
	starved int // requests that found every worker busy
}

// run sends n requests, fewer when next has enough.
func (g generator) run(ctx context.Context, n int) sent {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := &recorder{samples: make([]sample, n), answered: make([]bool, n), next: g.next, enough: cancel}
	slots := make(chan struct{}, g.workers)
	var (
		wg    sync.WaitGroup
		out   sent
		start = time.Now()
	)
	for i := range n {
		due := start.Add(time.Duration(float64(i) / g.rate * float64(time.Second)))
		if wait := time.Until(due); wait > 0 {
			sleep(ctx, wait)
		}
		if ctx.Err() != nil || !out.take(ctx, slots) {
			break
		}
		out.count++
		wg.Go(func() {
			late := time.Since(due)
			out := g.send(ctx, i)
			latency := time.Since(due)
			<-slots
			if ctx.Err() == nil {
				r.record(i, sample{latency: latency, late: late, outcome: out})
			}
		})
	}
	wg.Wait()
	out.samples = r.samples[:r.complete]
	return out
}

// take waits for a free worker.
func (s *sent) take(ctx context.Context, slots chan<- struct{}) bool {
	select {
	case slots <- struct{}{}:
		return true
	default:
	}
	s.starved++
	select {
	case slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// recorder puts answers, which come in any order, into the order of sending.
type recorder struct {
	mu       sync.Mutex
	samples  []sample
	answered []bool
	complete int // answered without a gap from the first
	ended    bool
	next     func(sample) bool
	enough   func()
}

func (r *recorder) record(i int, s sample) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.samples[i], r.answered[i] = s, true
	for !r.ended && r.complete < len(r.samples) && r.answered[r.complete] {
		r.ended = r.next(r.samples[r.complete])
		r.complete++
	}
	if r.ended {
		r.enough()
	}
}

// sleep returns when d has passed or ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
