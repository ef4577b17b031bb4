package store

import (
	"bytes"
	"time"

	bolt "go.etcd.io/bbolt"
)

// sweepBatch bounds how long a sweep keeps writers waiting.
const sweepBatch = 1000

// Sweep removes expired values, and versions that nobody can see any more. It changes nothing that a caller can observe.
func (kv *KV) Sweep() error {
	for {
		var freed []string
		var seen int
		err := kv.s.log.do(func(tx *bolt.Tx) (err error) {
			seen, freed, err = sweepKV(tx, kv.s.now())
			return err
		})
		if err != nil {
			return err
		}
		kv.s.bodies.remove(freed)
		if seen < sweepBatch {
			return nil
		}
	}
}

// sweepDue says whether a Sweep would find something, without the cost of a commit.
func (kv *KV) sweepDue() (due bool) {
	_ = kv.s.db.View(func(tx *bolt.Tx) error { // fails only when the store is closed
		k, _ := tx.Bucket(kvSweepTable).Cursor().First()
		at, _, _, ok := parseSweepKey(k)
		due = ok && at <= kv.s.now().UnixNano()
		return nil
	})
	return due
}

func sweepKV(tx *bolt.Tx, now time.Time) (seen int, freed []string, err error) {
	index := tx.Bucket(kvSweepTable)
	var due [][]byte
	cur := index.Cursor()
	for k, _ := cur.First(); k != nil && len(due) < sweepBatch; k, _ = cur.Next() {
		if at, _, _, ok := parseSweepKey(k); ok && at > now.UnixNano() {
			break
		}
		due = append(due, bytes.Clone(k))
	}
	for _, k := range due {
		_, ns, key, _ := parseSweepKey(k)
		if b := tx.Bucket(kvTable).Bucket([]byte(ns)); b != nil {
			n := &kvNamespace{id: ns, live: b.Bucket(liveTable), past: b.Bucket(pastTable), sweep: index}
			if err := n.settle(key, now); err != nil {
				return 0, nil, err
			}
			freed = append(freed, n.freed...)
		}
		if err := index.Delete(k); err != nil {
			return 0, nil, err
		}
	}
	return len(due), freed, nil
}

// settle removes of one key what no reader sees at the time or later. Versions are judged by their own dates and not by
// the delay set at the moment, which may be raised again.
func (n *kvNamespace) settle(key string, now time.Time) error {
	newest, found, err := n.newest(key)
	if err != nil || !found {
		return err
	}
	if newest.visible > now.UnixNano() {
		return n.prune(key, now)
	}
	if err := n.forget(key, func(kvRecord) bool { return true }); err != nil {
		return err
	}
	if newest.present(now) {
		return nil
	}
	n.free(newest)
	return n.live.Delete([]byte(key))
}

// prune keeps the past version that is seen and those after it, so that a key written all the time does not grow without end.
func (n *kvNamespace) prune(key string, now time.Time) error {
	prefix := pastPrefix(key)
	before, i := 0, 0
	cur := n.past.Cursor()
	for k, raw := cur.Seek(prefix); k != nil && isPast(k, prefix); k, raw = cur.Next() {
		r, err := decodeKV(raw)
		if err != nil {
			return err
		}
		if r.visible <= now.UnixNano() {
			before = i
		}
		i++
	}
	return n.forget(key, func(kvRecord) bool {
		before--
		return before >= 0
	})
}
