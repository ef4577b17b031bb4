package store_test

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/store"
)

const modelRetention = 10 * time.Minute

// queueModel is a plain list of the messages in the order of sending.
type queueModel []*modelMessage

type modelMessage struct {
	id            string
	order         int
	size          int64
	sent, visible time.Time // visible is the end of the lease while leased
	attempts      int
	leased        bool
}

// settle lets leases end and retention pass.
func (m *queueModel) settle(now time.Time) {
	for _, msg := range *m {
		if msg.leased && !msg.visible.After(now) {
			msg.leased = false
		}
	}
	*m = slices.DeleteFunc(*m, func(msg *modelMessage) bool { return !msg.leased && !msg.sent.Add(modelRetention).After(now) })
}

func (m queueModel) due(now time.Time) (due []*modelMessage) {
	for _, msg := range m {
		if !msg.leased && !msg.visible.After(now) {
			due = append(due, msg)
		}
	}
	slices.SortFunc(due, func(a, b *modelMessage) int {
		return cmp.Or(a.visible.Compare(b.visible), cmp.Compare(a.order, b.order))
	})
	return due
}

func (m queueModel) depth(now time.Time) (d store.Depth) {
	for i, msg := range m {
		d.Count++
		d.Bytes += msg.size
		switch {
		case msg.leased:
			d.InFlight++
		case msg.visible.After(now):
			d.Delayed++
		default:
			d.Ready++
		}
		if i == 0 {
			d.Oldest = msg.sent
		}
	}
	return d
}

func TestQueueBehavesAsItsModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := &queueRun{t: t, rnd: rand.New(rand.NewPCG(seed, 2)), clock: newClock(), dir: t.TempDir()}
			r.store = account(t, r.dir, store.Options{Now: r.clock.Now})
			must(t, r.store.Update(func(tx *store.Tx) error {
				return tx.Put(store.Queues, "q", store.Queue{ID: "q", RetentionS: int(modelRetention.Seconds())})
			}))
			for range 400 {
				r.step()
			}
		})
	}
}

type queueRun struct {
	t     *testing.T
	rnd   *rand.Rand
	clock *clock
	dir   string
	store *store.Store
	model queueModel
	sent  int
}

func (r *queueRun) step() {
	switch n := r.rnd.IntN(20); {
	case n < 6:
		r.send()
	case n < 11:
		r.lease()
	case n < 16:
		r.settle()
	case n < 19:
		r.clock.Advance(time.Duration(r.rnd.IntN(60)) * time.Second)
	default:
		r.reopen()
	}
	r.model.settle(r.clock.Now())
	want := r.model.depth(r.clock.Now())
	if got, err := r.store.Queues().Depth("q"); err != nil || got != want {
		r.t.Fatalf("depth %+v %v, want %+v", got, err, want)
	}
}

func (r *queueRun) send() {
	var batch []store.Message
	for range r.rnd.IntN(5) {
		r.sent++
		m := store.Message{ID: fmt.Sprint("m", r.sent), Body: make([]byte, r.rnd.IntN(100)), Delay: time.Duration(r.rnd.IntN(3)*20) * time.Second}
		batch = append(batch, m)
		now := r.clock.Now()
		r.model = append(r.model, &modelMessage{id: m.ID, order: r.sent, size: int64(len(m.Body)), sent: now, visible: now.Add(m.Delay)})
	}
	must(r.t, r.store.Queues().Send("q", batch))
}

func (r *queueRun) lease() {
	now, limit, visibility := r.clock.Now(), 1+r.rnd.IntN(6), time.Duration(10+r.rnd.IntN(60))*time.Second
	r.model.settle(now)
	due := r.model.due(now)
	due = due[:min(limit, len(due))]
	got, err := r.store.Queues().Lease("q", limit, 0, visibility)
	if err != nil || len(got) != len(due) {
		r.t.Fatalf("leased %d %v, want %d", len(got), err, len(due))
	}
	for i, want := range due {
		want.attempts++
		want.leased, want.visible = true, now.Add(visibility)
		if got[i].ID != want.id || got[i].Attempts != want.attempts || !got[i].VisibleAt.Equal(want.visible) || int64(len(got[i].Body)) != want.size {
			r.t.Fatalf("leased %+v, want %+v", got[i], *want)
		}
	}
}

// settle acknowledges and retries at random, also what is not leased.
func (r *queueRun) settle() {
	now := r.clock.Now()
	r.model.settle(now)
	var o store.Settlement
	lost := false
	for _, m := range slices.Clone(r.model) {
		if r.rnd.IntN(4) > 0 {
			continue
		}
		delay := time.Duration(r.rnd.IntN(3)*15) * time.Second
		ack := r.rnd.IntN(2) == 0
		lost = lost || !m.leased
		if ack {
			o.Ack = append(o.Ack, m.id)
		} else {
			o.Retry = append(o.Retry, store.Retrial{ID: m.id, Delay: delay})
		}
		switch {
		case !m.leased:
		case ack:
			r.model = slices.DeleteFunc(r.model, func(x *modelMessage) bool { return x == m })
		default:
			m.leased, m.visible = false, now.Add(delay)
		}
	}
	if err := r.store.Queues().Settle("q", o); lost != errors.Is(err, fault.NotFound) || err != nil && !lost {
		r.t.Fatalf("settle: %v, lost %v", err, lost)
	}
}

func (r *queueRun) reopen() {
	r.model.settle(r.clock.Now())
	must(r.t, r.store.Close())
	r.store = open(r.t, r.dir, store.Options{Now: r.clock.Now})
	for _, m := range r.model {
		if m.leased {
			m.leased, m.visible = false, r.clock.Now()
		}
	}
}
