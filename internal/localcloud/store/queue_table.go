package store

import (
	"encoding/json"
	"time"

	"github.com/cognomega/edge/internal/fault"
	bolt "go.etcd.io/bbolt"
)

var (
	messagesTable = []byte("messages") // sequence -> stored
	dueTable      = []byte("due")      // slot -> attempts; ready and delayed messages
	leasedTable   = []byte("leased")   // slot, at the end of the lease -> attempts
	movedTable    = []byte("moved")    // sequence -> slot of a message that is not where its send put it
	totalsKey     = []byte("totals")
)

// expireBatch bounds the expired messages that one transaction removes.
const expireBatch = 1000

// queueTable is a queue within a transaction. save must follow its changes.
type queueTable struct {
	id                           string
	root                         *bolt.Bucket
	messages, due, leased, moved *bolt.Bucket
	totals                       totals
	retention                    time.Duration
}

// openQueue gives nil tables, which read as empty, before the first message.
func openQueue(tx *bolt.Tx, id string) (*queueTable, error) {
	var doc []byte
	if b := tx.Bucket(documentsTable).Bucket([]byte(Queues)); b != nil {
		doc = b.Get([]byte(id))
	}
	if doc == nil {
		return nil, fault.New(fault.NotFound, "queue %q does not exist", id)
	}
	var settings struct {
		RetentionS int64 `json:"message_retention_period"`
	}
	if err := json.Unmarshal(doc, &settings); err != nil {
		return nil, fault.New(fault.Internal, "decode queue %q: %w", id, err)
	}
	q := &queueTable{id: id, retention: time.Duration(settings.RetentionS) * time.Second}
	if q.retention <= 0 {
		q.retention = DefaultRetention
	}
	if b := tx.Bucket(queuesTable).Bucket([]byte(id)); b != nil {
		q.bind(b)
	}
	return q, nil
}

func (q *queueTable) bind(b *bolt.Bucket) {
	q.root = b
	q.messages, q.due, q.leased, q.moved = b.Bucket(messagesTable), b.Bucket(dueTable), b.Bucket(leasedTable), b.Bucket(movedTable)
	q.messages.FillPercent = 0.95 // only ever appended to
	q.totals = decodeTotals(b.Get(totalsKey))
}

func createQueue(tx *bolt.Tx, id string) (*queueTable, error) {
	q, err := openQueue(tx, id)
	if err != nil || q.root != nil {
		return q, err
	}
	b, err := tx.Bucket(queuesTable).CreateBucket([]byte(id))
	if err != nil {
		return nil, err
	}
	for _, table := range [][]byte{messagesTable, dueTable, leasedTable, movedTable} {
		if _, err := b.CreateBucket(table); err != nil {
			return nil, err
		}
	}
	q.bind(b)
	return q, nil
}

func (q *queueTable) empty() bool { return q.root == nil || q.totals.count == 0 }

func (q *queueTable) save() error { return q.root.Put(totalsKey, q.totals.encode()) }

// append adds a message at the end of its moment.
func (q *queueTable) append(m stored) error {
	sequence, err := q.root.NextSequence()
	if err != nil {
		return err
	}
	if err := q.messages.Put(sequenceKey(sequence), m.encode()); err != nil {
		return err
	}
	q.totals.count++
	q.totals.bytes += int64(len(m.body))
	q.totals.lastSent = m.sent
	return q.due.Put(slot{m.visible, sequence}.key(), encodeAttempts(0))
}

func (q *queueTable) message(sequence uint64) (stored, error) {
	return decodeMessage(q.messages.Get(sequenceKey(sequence)))
}

// erase removes a message that is in neither index any more.
func (q *queueTable) erase(sequence uint64, size int) error {
	q.totals.count--
	q.totals.bytes -= int64(size)
	if err := q.moved.Delete(sequenceKey(sequence)); err != nil {
		return err
	}
	return q.messages.Delete(sequenceKey(sequence))
}

// lease takes a due message out of the line until the given time, as one more attempt.
func (q *queueTable) lease(s slot, attempts int, until int64) error {
	if err := q.due.Delete(s.key()); err != nil {
		return err
	}
	q.totals.inFlight++
	return q.leased.Put(slot{until, s.sequence}.key(), encodeAttempts(attempts+1))
}

// release puts a leased message back in line.
func (q *queueTable) release(leased slot, attempts int, at int64) error {
	if err := q.leased.Delete(leased.key()); err != nil {
		return err
	}
	q.totals.inFlight--
	to := slot{at, leased.sequence}
	if err := q.moved.Put(sequenceKey(leased.sequence), to.key()); err != nil {
		return err
	}
	return q.due.Put(to.key(), encodeAttempts(attempts))
}

// releaseEnded puts back the messages whose lease ended by the time, at the moment when it did.
func (q *queueTable) releaseEnded(now int64) (released []slot, err error) {
	type ended struct {
		slot
		attempts int
	}
	var all []ended
	cur := q.leased.Cursor()
	for k, v := cur.First(); k != nil; k, v = cur.Next() {
		s := parseSlot(k)
		if s.at > now {
			break
		}
		all = append(all, ended{s, decodeAttempts(v)})
	}
	for _, e := range all {
		if err := q.release(e.slot, e.attempts, e.at); err != nil {
			return nil, err
		}
		released = append(released, e.slot)
	}
	return released, nil
}

// leaseEnded says whether releaseEnded would find something.
func (q *queueTable) leaseEnded(now int64) bool {
	k, _ := q.leased.Cursor().First()
	return k != nil && parseSlot(k).at <= now
}

// expired says whether retention ended for a message sent then.
func (q *queueTable) expired(sent, now int64) bool { return sent+int64(q.retention) <= now }

// hasExpired says whether expire would find something.
func (q *queueTable) hasExpired(now int64) (bool, error) {
	if q.empty() {
		return false, nil
	}
	cur := q.messages.Cursor()
	for k, raw := cur.First(); k != nil; k, raw = cur.Next() {
		m, err := decodeMessage(raw)
		if err != nil || !q.expired(m.sent, now) {
			return false, err
		}
		if q.leaseEnded(now) || q.due.Get(q.slotOf(k, m).key()) != nil {
			return true, nil
		}
	}
	return false, nil
}

// slotOf is where a message stands in line unless it is leased.
func (q *queueTable) slotOf(key []byte, m stored) slot {
	if moved := q.moved.Get(key); moved != nil {
		return parseSlot(moved)
	}
	return slot{m.visible, parseSequence(key)}
}

// expire removes messages past their retention; one in flight stays until its consumer is done with it.
func (q *queueTable) expire(now int64) (removed int, err error) {
	type old struct {
		slot
		size int
	}
	var all []old
	cur := q.messages.Cursor()
	for k, raw := cur.First(); k != nil && len(all) < expireBatch; k, raw = cur.Next() {
		m, err := decodeMessage(raw)
		if err != nil {
			return 0, err
		}
		if !q.expired(m.sent, now) {
			break
		}
		if s := q.slotOf(k, m); q.due.Get(s.key()) != nil {
			all = append(all, old{s, len(m.body)})
		}
	}
	for _, o := range all {
		if err := q.due.Delete(o.key()); err != nil {
			return 0, err
		}
		if err := q.erase(o.sequence, o.size); err != nil {
			return 0, err
		}
	}
	return len(all), nil
}

// next is when something becomes deliverable, or a lease ends; 0 when nothing will by itself.
func (q *queueTable) next() (at int64) {
	if q.empty() {
		return 0
	}
	for _, b := range []*bolt.Bucket{q.due, q.leased} {
		if k, _ := b.Cursor().First(); k != nil && (at == 0 || parseSlot(k).at < at) {
			at = parseSlot(k).at
		}
	}
	return at
}
