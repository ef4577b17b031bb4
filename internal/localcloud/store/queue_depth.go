package store

import (
	"time"

	bolt "go.etcd.io/bbolt"
)

// Backlog counts every message held: ready, delayed and in flight. oldest is zero when there is none.
func (qs *QueueStore) Backlog(queueID string) (count, bytes int64, oldest time.Time, err error) {
	if err := qs.expire(queueID); err != nil {
		return 0, 0, time.Time{}, err
	}
	err = qs.view(queueID, func(q *queueTable, _ int64) (err error) {
		count, bytes = q.totals.count, q.totals.bytes
		oldest, err = q.oldest()
		return err
	})
	return count, bytes, oldest, err
}

// Depth tells apart what Backlog adds up. It walks the delayed messages, so it is for operators and not for a hot path.
func (qs *QueueStore) Depth(queueID string) (Depth, error) {
	if err := qs.expire(queueID); err != nil {
		return Depth{}, err
	}
	var d Depth
	err := qs.view(queueID, func(q *queueTable, now int64) (err error) {
		d = Depth{Count: q.totals.count, Bytes: q.totals.bytes, InFlight: q.totals.inFlight}
		if q.empty() {
			return nil
		}
		cur := q.due.Cursor()
		for k, _ := cur.Seek(slot{now + 1, 0}.key()); k != nil; k, _ = cur.Next() {
			d.Delayed++
		}
		// A lease that ended and was not given out again counts as what it is: ready.
		cur = q.leased.Cursor()
		for k, _ := cur.First(); k != nil && parseSlot(k).at <= now; k, _ = cur.Next() {
			d.InFlight--
		}
		d.Ready = d.Count - d.Delayed - d.InFlight
		d.Oldest, err = q.oldest()
		return err
	})
	return d, err
}

// oldest is the first in the order of sending, as a later message never has an earlier date.
func (q *queueTable) oldest() (time.Time, error) {
	if q.empty() {
		return time.Time{}, nil
	}
	_, raw := q.messages.Cursor().First()
	m, err := decodeMessage(raw)
	if err != nil {
		return time.Time{}, err
	}
	return moment(m.sent), nil
}

// Peek shows up to limit messages without leasing them: first those in line, in the order of delivery, then those in flight.
func (qs *QueueStore) Peek(queueID string, limit int) ([]Queued, error) {
	if err := qs.expire(queueID); err != nil {
		return nil, err
	}
	var all []Queued
	err := qs.view(queueID, func(q *queueTable, now int64) error {
		if q.empty() {
			return nil
		}
		for _, table := range []*bolt.Bucket{q.due, q.leased} {
			cur := table.Cursor()
			for k, v := cur.First(); k != nil && len(all) < limit; k, v = cur.Next() {
				s := parseSlot(k)
				m, err := q.message(s.sequence)
				if err != nil {
					return err
				}
				all = append(all, m.queued(s, decodeAttempts(v), table == q.leased && s.at > now))
			}
		}
		return nil
	})
	return all, err
}
