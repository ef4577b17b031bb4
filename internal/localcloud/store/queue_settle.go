package store

import (
	"time"

	"github.com/cognomega/edge/internal/fault"
	bolt "go.etcd.io/bbolt"
)

// Ack deletes leased messages. Ids without a lease are fault.NotFound, after the others were acknowledged.
func (qs *QueueStore) Ack(queueID string, ids ...string) error {
	return qs.Settle(queueID, Settlement{Ack: ids})
}

// Retry ends a lease and makes the message deliverable again after the delay; fault.NotFound when it is not leased.
func (qs *QueueStore) Retry(queueID, id string, delay time.Duration) error {
	return qs.Settle(queueID, Settlement{Retry: []Retrial{{ID: id, Delay: delay}}})
}

// Settle decides about the messages of a batch in one transaction. Ids without a lease (it ended, and somebody else may
// have the message) are left alone and reported as fault.NotFound, after the others were settled.
func (qs *QueueStore) Settle(queueID string, o Settlement) error {
	if err := o.check(queueID); err != nil {
		return err
	}
	var lost []string
	err := qs.change(queueID, func(tx *bolt.Tx, q *queueTable, now int64) error {
		batch := settling{qs: qs, q: q, now: now}
		if err := batch.settle(tx, o); err != nil {
			return err
		}
		lost = batch.lost
		tx.OnCommit(func() { qs.landed(queueID, batch.done) })
		return nil
	})
	if err != nil || len(lost) == 0 {
		return err
	}
	return fault.New(fault.NotFound, "%d of %d messages are not leased, the first is %.40q", len(lost), o.size(), lost[0]).
		WithHint("their visibility time-out passed before they were settled; they are delivered again")
}

func (o Settlement) size() int { return len(o.Ack) + len(o.Retry) + len(o.DeadLetter) }

func (o Settlement) check(queueID string) error {
	for _, r := range o.Retry {
		if r.Delay < 0 || r.Delay > MaxDelay {
			return fault.New(fault.Invalid, "a delay is 0 to %s, not %s", MaxDelay, r.Delay)
		}
	}
	if len(o.DeadLetter) > 0 && o.DeadLetterQueue == queueID {
		return fault.New(fault.Invalid, "queue %q cannot be its own dead letter queue", queueID)
	}
	return nil
}

// settling is a Settle within its transaction.
type settling struct {
	qs   *QueueStore
	q    *queueTable
	now  int64
	done map[string]flight
	lost []string
}

func (b *settling) settle(tx *bolt.Tx, o Settlement) error {
	b.done = make(map[string]flight, o.size())
	for _, id := range o.Ack {
		if err := b.end(id, nil); err != nil {
			return err
		}
	}
	for _, r := range o.Retry {
		if err := b.retry(r); err != nil {
			return err
		}
	}
	return b.deadLetters(tx, o)
}

// find gives the lease of a message that still holds in this transaction.
func (b *settling) find(id string) (f flight, ok bool) {
	b.qs.mu.Lock()
	f, ok = b.qs.flights[b.q.id][id]
	b.qs.mu.Unlock()
	if !ok || b.q.leased.Get(f.key()) == nil {
		b.lost = append(b.lost, id)
		return f, false
	}
	b.done[id] = f
	return f, true
}

// end deletes a leased message, after keep has seen it.
func (b *settling) end(id string, keep func(stored) error) error {
	f, ok := b.find(id)
	if !ok {
		return nil
	}
	m, err := b.q.message(f.sequence)
	if err == nil && keep != nil {
		err = keep(m)
	}
	if err != nil {
		return err
	}
	if err := b.q.leased.Delete(f.key()); err != nil {
		return err
	}
	b.q.totals.inFlight--
	return b.q.erase(f.sequence, len(m.body))
}

func (b *settling) retry(r Retrial) error {
	f, ok := b.find(r.ID)
	if !ok {
		return nil
	}
	return b.q.release(f.slot, f.attempts, b.now+int64(r.Delay))
}

// deadLetters moves messages, their ids and all, as newly sent.
func (b *settling) deadLetters(tx *bolt.Tx, o Settlement) error {
	if len(o.DeadLetter) == 0 {
		return nil
	}
	if o.DeadLetterQueue == "" {
		for _, id := range o.DeadLetter {
			if err := b.end(id, nil); err != nil {
				return err
			}
		}
		return nil
	}
	to, err := createQueue(tx, o.DeadLetterQueue)
	if err != nil {
		return err
	}
	for _, id := range o.DeadLetter {
		err := b.end(id, func(m stored) error {
			m.sent, m.visible = max(b.now, to.totals.lastSent), b.now
			return to.append(m)
		})
		if err != nil {
			return err
		}
	}
	b.qs.afterwards(tx, to)
	return to.save()
}

// landed forgets leases, unless the message has a newer one.
func (qs *QueueStore) landed(queueID string, done map[string]flight) {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	flights := qs.flights[queueID]
	for id, f := range done {
		if flights[id] == f {
			delete(flights, id)
		}
	}
}
