package store

import (
	"crypto/rand"
	"encoding/hex"
	"sync"
	"time"

	"github.com/cognomega/edge/internal/fault"
	bolt "go.etcd.io/bbolt"
)

// QueueStore is the account's queues. Messages are delivered in the order in which they become deliverable, at least once.
type QueueStore struct {
	s     *Store
	alarm *alarm

	mu      sync.Mutex
	flights map[string]map[string]flight // queue, message id
}

// flight is a lease that this process gave out; leases do not outlive it.
type flight struct {
	slot
	attempts int
}

func newQueueStore(s *Store) *QueueStore {
	return &QueueStore{s: s, alarm: newAlarm(s.now), flights: map[string]map[string]flight{}}
}

// Queues are the account's message queues.
func (s *Store) Queues() *QueueStore { return s.queues }

func (qs *QueueStore) close() { qs.alarm.close() }

// recover makes deliverable again what was leased when the process before ended.
func (qs *QueueStore) recover() error {
	return qs.s.log.do(func(tx *bolt.Tx) error {
		var ids []string
		err := tx.Bucket(queuesTable).ForEachBucket(func(id []byte) error {
			ids = append(ids, string(id))
			return nil
		})
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := qs.recoverOne(tx, id); err != nil {
				return err
			}
		}
		return nil
	})
}

func (qs *QueueStore) recoverOne(tx *bolt.Tx, id string) error {
	if !exists(tx, Queues, id) {
		return tx.Bucket(queuesTable).DeleteBucket([]byte(id)) // the document went first, then the process
	}
	q, err := openQueue(tx, id)
	if err != nil {
		return err
	}
	cur := q.leased.Cursor()
	now := qs.s.now().UnixNano()
	for k, v := cur.First(); k != nil; k, v = cur.First() {
		leased := parseSlot(k)
		if err := q.release(leased, decodeAttempts(v), min(leased.at, now)); err != nil {
			return err
		}
	}
	qs.afterwards(tx, q)
	return q.save()
}

// afterwards sets the alarm by what the transaction left, once it is committed.
func (qs *QueueStore) afterwards(tx *bolt.Tx, q *queueTable) {
	next := q.next()
	tx.OnCommit(func() { qs.alarm.set(q.id, next) })
}

// change commits what fn does to a queue. Leases that ended are over before fn looks, so that what the clock says does not
// depend on who asks first.
func (qs *QueueStore) change(queueID string, fn func(tx *bolt.Tx, q *queueTable, now int64) error) error {
	return qs.s.log.do(func(tx *bolt.Tx) error {
		q, err := createQueue(tx, queueID)
		if err != nil {
			return err
		}
		now := qs.s.now().UnixNano()
		released, err := q.releaseEnded(now)
		if err != nil {
			return err
		}
		if len(released) > 0 {
			tx.OnCommit(func() { qs.lost(queueID, released) })
		}
		if err := fn(tx, q, now); err != nil {
			return err
		}
		qs.afterwards(tx, q)
		return q.save()
	})
}

// view runs fn on a consistent state of a queue.
func (qs *QueueStore) view(queueID string, fn func(q *queueTable, now int64) error) error {
	err := qs.s.db.View(func(tx *bolt.Tx) error {
		q, err := openQueue(tx, queueID)
		if err != nil {
			return err
		}
		return fn(q, qs.s.now().UnixNano())
	})
	return asFault(err, "read a queue")
}

// Send adds all or none of the messages; they are on disk when it returns.
func (qs *QueueStore) Send(queueID string, ms []Message) error {
	for i := range ms {
		if err := checkMessage(ms[i]); err != nil {
			return err
		}
	}
	ids := messageIDs(ms)
	return qs.change(queueID, func(_ *bolt.Tx, q *queueTable, now int64) error {
		sent := max(now, q.totals.lastSent)
		for i, m := range ms {
			one := stored{sent: sent, visible: now + int64(m.Delay), id: ids[i], contentType: m.ContentType, body: m.Body}
			if err := q.append(one); err != nil {
				return err
			}
		}
		return nil
	})
}

// messageIDs gives an id to those without one.
func messageIDs(ms []Message) []string {
	random := make([]byte, 16*len(ms))
	_, _ = rand.Read(random) // never fails since Go 1.24
	digits := hex.EncodeToString(random)
	ids := make([]string, len(ms))
	for i, m := range ms {
		if ids[i] = m.ID; m.ID == "" {
			ids[i] = digits[32*i : 32*i+32]
		}
	}
	return ids
}

func checkMessage(m Message) error {
	switch {
	case len(m.Body) > MaxMessageBytes:
		return fault.New(fault.TooLarge, "the message has %d bytes, the limit is %d", len(m.Body), MaxMessageBytes)
	case m.Delay < 0 || m.Delay > MaxDelay:
		return fault.New(fault.Invalid, "a delay is 0 to %s, not %s", MaxDelay, m.Delay)
	case len(m.ID) > 255 || len(m.ContentType) > 255:
		return fault.New(fault.Invalid, "the id or content type of the message has more than 255 bytes")
	}
	return nil
}

// Ready gets a signal when Lease may have something to give: after a send, a retry, the end of a delay or of a lease, and
// after a Lease that left some. The signal is one for all receivers, so a consumer that took it leases until it gets nothing.
func (qs *QueueStore) Ready(queueID string) <-chan struct{} { return qs.alarm.channel(queueID) }

// Wake looks at the clock again; a test that turns an injected clock calls it.
func (qs *QueueStore) Wake() { qs.alarm.wake() }

// Purge deletes every message, in flight or not.
func (qs *QueueStore) Purge(queueID string) error {
	return qs.change(queueID, func(tx *bolt.Tx, q *queueTable, _ int64) error {
		sequence, last := q.root.Sequence(), q.totals.lastSent
		if err := tx.Bucket(queuesTable).DeleteBucket([]byte(queueID)); err != nil {
			return err
		}
		fresh, err := createQueue(tx, queueID)
		if err != nil {
			return err
		}
		*q = *fresh
		q.totals.lastSent = last
		tx.OnCommit(func() { qs.forgetFlights(queueID) })
		return q.root.SetSequence(sequence) // a lease of before must never fit a message of after
	})
}

// Drop deletes the messages and the Queue document; a queue that does not exist stays so.
func (qs *QueueStore) Drop(queueID string) error {
	err := qs.s.log.do(func(tx *bolt.Tx) error {
		if tx.Bucket(queuesTable).Bucket([]byte(queueID)) != nil {
			if err := tx.Bucket(queuesTable).DeleteBucket([]byte(queueID)); err != nil {
				return err
			}
		}
		tx.OnCommit(func() {
			qs.forgetFlights(queueID)
			qs.alarm.set(queueID, 0)
		})
		return dropDocument(tx, Queues, queueID)
	})
	if err == nil {
		qs.s.watch.notify(map[Collection]bool{Queues: true})
	}
	return err
}

func (qs *QueueStore) forgetFlights(queueID string) {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	delete(qs.flights, queueID)
}

// expireAll removes messages past their retention from every queue.
func (qs *QueueStore) expireAll() error {
	var ids []string
	err := qs.s.View(func(tx *Tx) error {
		return tx.Each(Queues, "", func(id string, _ []byte) error {
			ids = append(ids, id)
			return nil
		})
	})
	for _, id := range ids {
		if err == nil {
			err = qs.expire(id)
		}
	}
	return err
}

// expire removes a queue's messages past their retention; when there are none it costs no commit.
func (qs *QueueStore) expire(queueID string) error {
	for {
		var due bool
		err := qs.view(queueID, func(q *queueTable, now int64) (err error) {
			due, err = q.hasExpired(now)
			return err
		})
		if err != nil || !due {
			return err
		}
		err = qs.change(queueID, func(_ *bolt.Tx, q *queueTable, now int64) error {
			_, err := q.expire(now)
			return err
		})
		if err != nil {
			return err
		}
	}
}

// visibility is checked here because a lease without an end would lose the message.
func checkLease(limit int, visibility time.Duration) error {
	if limit < 1 {
		return fault.New(fault.Invalid, "a lease takes at least one message, not %d", limit)
	}
	if visibility <= 0 || visibility > MaxVisibility {
		return fault.New(fault.Invalid, "a visibility time-out is up to %s, not %s", MaxVisibility, visibility)
	}
	return nil
}
