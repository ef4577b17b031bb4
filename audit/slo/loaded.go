package slo

import "context"

// Loaded is what came of a load without an objective.
type Loaded struct {
	LatencyUS []int64 // from the intended send, in the order of sending
	Starved   int     // requests that found every worker busy
}

// Load sends the requests of a plan, but no warm-up, at its rate whatever the answers do; send returns what went wrong, or "".
// It is the generator that objectives are measured with, for measuring the generator itself.
func Load(ctx context.Context, p Plan, send func(context.Context) string) Loaded {
	out := generator{rate: p.Rate, workers: p.Workers, send: func(ctx context.Context, _ int) outcome { return outcome{failure: send(ctx)} }, next: func(sample) bool { return false }}.run(ctx, p.Requests)
	l := Loaded{LatencyUS: make([]int64, len(out.samples)), Starved: out.starved}
	for i, s := range out.samples {
		l.LatencyUS[i] = s.latency.Microseconds()
	}
	return l
}
