package rotation_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/rotation"
)

// schedule lets one operator at a time do one call, in an order that a seed decides; when all sleep, time goes to the first who wakes.
type schedule struct {
	w       *world
	random  *rand.Rand
	inTurn  bool // one call each, instead of by chance
	last    int
	mu      sync.Mutex
	waiting map[int]*waiter
	live    int
}

type waiter struct {
	wake time.Time
	run  chan struct{}
}

// yield waits for the operator's turn.
func (s *schedule) yield(who int, until time.Time) {
	me := &waiter{until, make(chan struct{})}
	s.mu.Lock()
	s.waiting[who] = me
	s.dispatch()
	s.mu.Unlock()
	<-me.run
}

// leave takes an operator out that has ended.
func (s *schedule) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live--
	s.dispatch()
}

// dispatch chooses once everybody waits.
func (s *schedule) dispatch() {
	if s.live == 0 || len(s.waiting) < s.live {
		return
	}
	var ready []int
	first, at := -1, time.Time{}
	for who, w := range s.waiting {
		if !w.wake.After(s.w.clock()) {
			ready = append(ready, who)
		}
		if first < 0 || w.wake.Before(at) || w.wake.Equal(at) && who < first {
			first, at = who, w.wake
		}
	}
	next := first
	if len(ready) > 0 {
		slices.Sort(ready)
		next = ready[s.random.IntN(len(ready))]
		if at := slices.IndexFunc(ready, func(who int) bool { return who != s.last }); s.inTurn && at >= 0 {
			next = ready[at]
		}
	}
	s.last = next
	chosen := s.waiting[next]
	if left := chosen.wake.Sub(s.w.clock()); left > 0 {
		_ = s.w.sleep(context.Background(), left)
	}
	delete(s.waiting, next)
	close(chosen.run)
}

// race runs operators against each other. One of them may be killed on the way.
func race(t *testing.T, h *host, seed uint64, operators int, kill, inTurn bool, run func(*rotation.Rotator) (rotation.Outcome, error)) (*world, []rotation.Outcome, []error) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 7))
	w := newWorld(t, h, []time.Duration{0, 60 * time.Second, 120 * time.Second}[random.IntN(3)])
	s := &schedule{w: w, random: random, inTurn: inTurn, waiting: map[int]*waiter{}, live: operators}
	end := w.clock().Add(6 * time.Hour)
	outs, errs := make([]rotation.Outcome, operators), make([]error, operators)
	var all sync.WaitGroup
	for i := range operators {
		k := &killer{w: w, turn: func() { s.yield(i, time.Time{}) }}
		if kill && i == 0 {
			k.at, k.after = 1+random.IntN(40), random.IntN(2) == 0
		}
		r := w.operatorOf(fmt.Sprintf("operator %d", i), k, func(c *rotation.Config) {
			c.Sleep = func(ctx context.Context, d time.Duration) error {
				s.yield(i, w.clock().Add(d))
				if w.clock().After(end) {
					return errors.New("it does not end")
				}
				return ctx.Err()
			}
		})
		all.Go(func() {
			defer s.leave()
			outs[i], errs[i] = run(r)
		})
	}
	all.Wait()
	return w, outs, errs
}

// TestTwoRotatorsAtOnce has several operators rotate at the same moment, in many orders: there is one rotation, and nobody notices.
func TestTwoRotatorsAtOnce(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for seed := range uint64(24) {
		operators, kill := 2+int(seed%3), seed%4 == 3
		t.Run(fmt.Sprintf("seed %d, %d operators, kill=%t", seed, operators, kill), func(t *testing.T) {
			w, outs, errs := race(t, h, seed, operators, kill, seed%2 == 0, func(r *rotation.Rotator) (rotation.Outcome, error) { return r.Rotate(t.Context(), false) })
			for i, err := range errs {
				if err != nil && !(kill && i == 0) {
					t.Fatalf("operator %d: %v", i, err)
				}
			}
			if err := w.finished(outs[operators-1]); err != nil {
				t.Error(err)
			}
			for step, times := range taken(outs) {
				if times != 1 {
					t.Errorf("%s was done %d times", step, times)
				}
			}
		})
	}
}

// taken counts the steps that were acknowledged to somebody.
func taken(outs []rotation.Outcome) map[string]int {
	count := map[string]int{}
	for _, out := range outs {
		for _, step := range out.Steps {
			count[step]++
		}
	}
	return count
}

// generous gives everybody the ticket that they ask for.
type generous struct{ rotation.Account }

func (g generous) CreateNamespace(ctx context.Context, title string) (cfapi.Namespace, error) {
	n, err := g.Account.CreateNamespace(ctx, title)
	if errors.Is(err, fault.Conflict) {
		return cfapi.Namespace{ID: "00000000000000000000000000000000", Title: title}, nil
	}
	return n, err
}

// TestWithoutTicketsTheyCollide shows that it is the ticket that keeps operators apart, and that the race would show it.
func TestWithoutTicketsTheyCollide(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for seed := range uint64(8) {
		w, outs, errs := race(t, h, seed, 2, false, true, func(r *rotation.Rotator) (rotation.Outcome, error) {
			r.Account = generous{r.Account}
			return r.Rotate(t.Context(), false)
		})
		if w.broken != nil || errs[0] != nil || errs[1] != nil || taken(outs)["store"] > 1 {
			t.Logf("seed %d: %v %v, steps %v", seed, w.broken, errs, taken(outs))
			return
		}
	}
	t.Error("no order of calls shows a collision: the race proves nothing")
}
