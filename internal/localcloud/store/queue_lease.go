package store

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/cognomega/edge/internal/fault"
	bolt "go.etcd.io/bbolt"
)

// Lease takes up to limit deliverable messages and, when maxBytes is above 0, no more bytes than that (but always one message).
// They are delivered again when visibility has passed without Ack or Retry, or when this process ends.
func (qs *QueueStore) Lease(queueID string, limit, maxBytes int, visibility time.Duration) ([]Leased, error) {
	if err := checkLease(limit, visibility); err != nil {
		return nil, err
	}
	if err := qs.expire(queueID); err != nil {
		return nil, err
	}
	var due bool
	err := qs.view(queueID, func(q *queueTable, now int64) error {
		next := q.next()
		due = next != 0 && next <= now
		return nil
	})
	if err != nil || !due {
		return nil, err
	}
	var taken []Leased
	err = qs.change(queueID, func(tx *bolt.Tx, q *queueTable, now int64) (err error) {
		if taken, err = qs.take(q, now, limit, maxBytes, visibility); err != nil {
			return err
		}
		got := taken
		tx.OnCommit(func() { qs.leased(queueID, got) })
		return nil
	})
	if err != nil {
		return nil, err
	}
	return taken, nil
}

// take leases from the front of the line; what is past its retention is deleted on the way.
func (qs *QueueStore) take(q *queueTable, now int64, limit, maxBytes int, visibility time.Duration) (taken []Leased, err error) {
	until, size := now+int64(visibility), 0
	cur := q.due.Cursor()
	for k, v := cur.First(); k != nil && len(taken) < limit; k, v = cur.First() {
		s, attempts := parseSlot(k), decodeAttempts(v)
		if s.at > now {
			break
		}
		m, err := q.message(s.sequence)
		if err != nil {
			return nil, err
		}
		if q.expired(m.sent, now) {
			if err := q.discard(s, len(m.body)); err != nil {
				return nil, err
			}
			continue
		}
		if size += len(m.body); maxBytes > 0 && size > maxBytes && len(taken) > 0 {
			break
		}
		if err := q.lease(s, attempts, until); err != nil {
			return nil, err
		}
		one := m.queued(slot{until, s.sequence}, attempts+1, true)
		taken = append(taken, Leased{Queued: one, LeaseID: leaseID(m.id, s.sequence, attempts+1)})
	}
	return taken, nil
}

// discard deletes a message that stands in line.
func (q *queueTable) discard(s slot, size int) error {
	if err := q.due.Delete(s.key()); err != nil {
		return err
	}
	return q.erase(s.sequence, size)
}

// queued copies a message out of the transaction.
func (m stored) queued(s slot, attempts int, inFlight bool) Queued {
	return Queued{
		ID: m.id, Body: bytes.Clone(m.body), ContentType: m.contentType, Sent: moment(m.sent), VisibleAt: moment(s.at),
		Attempts: attempts, InFlight: inFlight, sequence: s.sequence,
	}
}

// leased notes who has what, in the order of the commits.
func (qs *QueueStore) leased(queueID string, taken []Leased) {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	flights := qs.flights[queueID]
	if flights == nil {
		flights = make(map[string]flight, len(taken))
		qs.flights[queueID] = flights
	}
	for _, l := range taken {
		flights[l.ID] = flight{slot{l.VisibleAt.UnixNano(), l.sequence}, l.Attempts}
	}
}

// lost forgets the leases that ended.
func (qs *QueueStore) lost(queueID string, released []slot) {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	ended := make(map[slot]bool, len(released))
	for _, s := range released {
		ended[s] = true
	}
	for id, f := range qs.flights[queueID] {
		if ended[f.slot] {
			delete(qs.flights[queueID], id)
		}
	}
}

// leaseID names one delivery of a message, and the message.
func leaseID(id string, sequence uint64, attempts int) string {
	return fmt.Sprintf("%s.%x.%d", id, sequence, attempts)
}

// ResolveLease gives the message id of a lease that has not ended; fault.NotFound otherwise.
func (qs *QueueStore) ResolveLease(queueID, lease string) (id string, err error) {
	if i := strings.LastIndexByte(lease, '.'); i > 0 {
		id = lease[:max(0, strings.LastIndexByte(lease[:i], '.'))]
	}
	qs.mu.Lock()
	f, ok := qs.flights[queueID][id]
	qs.mu.Unlock()
	if !ok || leaseID(id, f.sequence, f.attempts) != lease {
		return "", fault.New(fault.NotFound, "lease %.60q has ended, or never was", lease)
	}
	return id, nil
}
