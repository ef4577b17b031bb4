package slo

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// stalling is a service of the simulated clock that answers in 10 ms, but nobody during one second from its third second on.
func stalling(start time.Time) func(context.Context, int) outcome {
	return func(ctx context.Context, _ int) outcome {
		at := time.Since(start)
		if at >= 3*time.Second && at < 4*time.Second {
			sleep(ctx, 4*time.Second-at)
		}
		sleep(ctx, 10*time.Millisecond)
		return outcome{}
	}
}

// TestAStallIsChargedToTheService runs under a simulated clock: every request that was due during the stall waited for its end.
func TestAStallIsChargedToTheService(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		workers, late, starved int
	}{
		"enough workers":  {1000, 0, 0},
		"too few workers": {4, 90, 10},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var order []sample
				g := generator{rate: 100, workers: tt.workers, send: stalling(time.Now()), next: func(s sample) bool {
					order = append(order, s)
					return false
				}}
				out := g.run(t.Context(), 1000)
				if out.count != 1000 || len(out.samples) != 1000 || !slices.Equal(order, out.samples) {
					t.Fatalf("sent %d, kept %d, told %d", out.count, len(out.samples), len(order))
				}
				for i, s := range out.samples {
					due := time.Duration(i) * 10 * time.Millisecond
					if due < 3*time.Second || due >= 4*time.Second {
						continue
					}
					if waited := 4*time.Second - due + 10*time.Millisecond; s.latency < waited {
						t.Errorf("request %d was due at %s and counts %s: the stall is hidden", i, due, s.latency)
					}
				}
				late := 0
				for _, s := range out.samples {
					if s.late > 5*time.Millisecond {
						late++
					}
				}
				if late < tt.late || tt.late == 0 && late > 0 || out.starved < tt.starved || tt.starved == 0 && out.starved > 0 {
					t.Errorf("%d late, %d starved", late, out.starved)
				}
			})
		})
	}
}

func TestTheRateIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		g := generator{rate: 500, workers: 10, send: func(context.Context, int) outcome { return outcome{} }, next: func(sample) bool { return false }}
		out := g.run(t.Context(), 5000)
		if took := time.Since(began); took < 9990*time.Millisecond || took > 10010*time.Millisecond || out.starved > 0 || len(out.samples) != 5000 {
			t.Errorf("5000 at 500/s took %s, %d starved", took, out.starved)
		}
	})
}

func TestARunEndsWhenItIsEnough(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		seen := 0
		g := generator{rate: 100, workers: 100, send: func(ctx context.Context, _ int) outcome { sleep(ctx, 200*time.Millisecond); return outcome{} }, next: func(sample) bool {
			seen++
			return seen == 50
		}}
		out := g.run(t.Context(), 1000)
		if len(out.samples) != 50 || seen != 50 || out.count < 50 || out.count > 75 {
			t.Errorf("kept %d, told %d, sent %d", len(out.samples), seen, out.count)
		}
	})
}

func TestARunThatIsStoppedKeepsWhatWasAnswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		g := generator{rate: 10, workers: 1, send: func(ctx context.Context, _ int) outcome { sleep(ctx, 350*time.Millisecond); return outcome{} }, next: func(sample) bool { return false }}
		if out := g.run(ctx, 100); len(out.samples) != 2 || out.count > 4 {
			t.Errorf("kept %d of %d", len(out.samples), out.count)
		}
	})
}
