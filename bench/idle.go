package main

import (
	"context"
	"time"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/platform"
)

const (
	// mostRest is how long at most the platform is left alone before its memory is read: half a minute without a request, the
	// half minute in which the reconciler's trigger runs, and a margin. Less when a process was renewed sooner.
	mostRest = 100 * time.Second
	// reading is the time over which the rounds are spread: it takes in whatever the clock starts once a minute.
	reading = 75 * time.Second
)

// idle is what all processes hold at rest after what everybody begins with: bringing the platform up and proving it.
func idle(ctx context.Context, s *stage, o options) ([]figure, error) {
	return s.atRest(ctx, o, "after up with its proofs", func() error {
		_, err := s.cogctl(ctx, "up")
		return err
	})
}

// atRest adds up the memory of all processes once the work's traces are gone.
func (s *stage) atRest(ctx context.Context, o options, when string, work func() error) ([]figure, error) {
	before, err := s.renewals(ctx)
	if err == nil {
		err = work()
	}
	if err == nil {
		err = s.rest(ctx, before)
	}
	if err != nil {
		return nil, err
	}
	f := figure{Name: "idle " + when + ": memory of all processes (PSS)", Against: "all Workers up", Unit: "MB", Bound: 150, RawUnits: "MB"}
	for range o.rounds {
		if err := pause(ctx, reading/time.Duration(o.rounds)); err != nil {
			return nil, err
		}
		own, workerd, err := s.memory()
		if err != nil {
			return nil, err
		}
		f.keep("go", own)
		f.keep("workerd", workerd)
		f.Rounds = append(f.Rounds, own+workerd)
	}
	return []figure{f}, nil
}

// rest waits until a process was renewed, or for as long as it would take.
func (s *stage) rest(ctx context.Context, before int) error {
	for began := time.Now(); time.Since(began) < mostRest; {
		now, err := s.renewals(ctx)
		if err != nil || now > before {
			return err
		}
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
	}
	return nil
}

// renewals is how often processes were replaced because they had grown.
func (s *stage) renewals(ctx context.Context) (n int, err error) {
	l, err := platform.FindLayout(s.root, s.dir)
	if err != nil {
		return 0, err
	}
	status, err := platform.StatusLocal(ctx, l)
	for _, p := range status.Processes {
		n += p.Renewals
	}
	return n, err
}

// memory is what the local cloud holds, in MB, and what the processes below it do.
func (s *stage) memory() (own, below float64, err error) {
	kids, err := children(s.endpoints.PID)
	if err == nil {
		own, err = pss(s.endpoints.PID)
	}
	for _, kid := range kids {
		if err == nil {
			var mb float64
			mb, err = pss(kid)
			below += mb
		}
	}
	return own, below, err
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return fault.New(fault.Unavailable, "interrupted: %w", ctx.Err())
	case <-time.After(d):
		return nil
	}
}
