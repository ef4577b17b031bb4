package store

import (
	"bytes"
	"time"

	"github.com/cognomega/edge/internal/fault"
	bolt "go.etcd.io/bbolt"
)

var (
	liveTable = []byte("live") // key -> newest version
	pastTable = []byte("past") // key and sequence -> versions that Workers may still see
)

// kvNamespace is a namespace within a transaction. Before the first write its tables are nil, and it reads as empty.
type kvNamespace struct {
	id         string
	live, past *bolt.Bucket
	sweep      *bolt.Bucket
	freed      []string // bodies that lost their record
}

func openNamespace(tx *bolt.Tx, ns string) (*kvNamespace, error) {
	if !exists(tx, Namespaces, ns) {
		return nil, fault.New(fault.NotFound, "kv namespace %q does not exist", ns)
	}
	n := &kvNamespace{id: ns, sweep: tx.Bucket(kvSweepTable)}
	if b := tx.Bucket(kvTable).Bucket([]byte(ns)); b != nil {
		n.live, n.past = b.Bucket(liveTable), b.Bucket(pastTable)
	}
	return n, nil
}

func createNamespace(tx *bolt.Tx, ns string) (*kvNamespace, error) {
	n, err := openNamespace(tx, ns)
	if err != nil || n.live != nil {
		return n, err
	}
	b, err := tx.Bucket(kvTable).CreateBucketIfNotExists([]byte(ns))
	if err != nil {
		return nil, err
	}
	if n.live, err = b.CreateBucketIfNotExists(liveTable); err != nil {
		return nil, err
	}
	n.past, err = b.CreateBucketIfNotExists(pastTable)
	return n, err
}

// newest is the last version written, if there is one.
func (n *kvNamespace) newest(key string) (r kvRecord, found bool, err error) {
	if n.live == nil {
		return kvRecord{}, false, nil
	}
	raw := n.live.Get([]byte(key))
	if raw == nil {
		return kvRecord{}, false, nil
	}
	r, err = decodeKV(raw)
	return r, err == nil, err
}

// seen is the version that Workers see, if they see one.
func (n *kvNamespace) seen(key string, now time.Time, delay time.Duration) (r kvRecord, found bool, err error) {
	r, found, err = n.newest(key)
	if err != nil || !found || r.seen(now, delay) {
		return r, found, err
	}
	prefix := pastPrefix(key)
	cur := n.past.Cursor()
	for k, raw := seekLast(cur, prefix); k != nil && isPast(k, prefix); k, raw = cur.Prev() {
		if r, err = decodeKV(raw); err != nil || r.seen(now, delay) {
			return r, err == nil, err
		}
	}
	return kvRecord{}, false, nil
}

// isPast says whether k is a version of the key with that prefix, and not of a longer key.
func isPast(k, prefix []byte) bool { return len(k) == len(prefix)+8 && bytes.HasPrefix(k, prefix) }

// seekLast goes to the last entry that starts with prefix, or to one before all that do.
func seekLast(cur *bolt.Cursor, prefix []byte) (k, v []byte) {
	end := append(bytes.Clone(prefix), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
	if k, _ := cur.Seek(end); k == nil {
		return cur.Last()
	}
	return cur.Prev()
}

// write makes r the newest version of key, and keeps the one before as long as Workers see that.
func (n *kvNamespace) write(key string, r kvRecord, now time.Time) error {
	old, found, err := n.newest(key)
	if err != nil || r.deleted && (!found || old.deleted) {
		return err
	}
	if found && old.expires != 0 {
		if err := n.sweep.Delete(sweepKey(old.expires*1e9, n.id, key)); err != nil {
			return err
		}
	}
	if r.visible <= now.UnixNano() {
		return n.replace(key, old, r)
	}
	if found {
		sequence, err := n.past.NextSequence()
		if err != nil {
			return err
		}
		if err := n.past.Put(pastKey(key, sequence), bytes.Clone(n.live.Get([]byte(key)))); err != nil {
			return err
		}
	}
	if err := n.sweep.Put(sweepKey(r.visible, n.id, key), nil); err != nil {
		return err
	}
	return n.put(key, r)
}

// replace writes a version that Workers see at once: nothing before it matters any more.
func (n *kvNamespace) replace(key string, old, r kvRecord) error {
	n.free(old)
	if err := n.forget(key, func(kvRecord) bool { return true }); err != nil {
		return err
	}
	if r.deleted {
		return n.live.Delete([]byte(key))
	}
	return n.put(key, r)
}

func (n *kvNamespace) put(key string, r kvRecord) error {
	if r.expires != 0 {
		if err := n.sweep.Put(sweepKey(r.expires*1e9, n.id, key), nil); err != nil {
			return err
		}
	}
	return n.live.Put([]byte(key), r.encode())
}

// forget deletes the past versions of key from the oldest on while drop says so.
func (n *kvNamespace) forget(key string, drop func(kvRecord) bool) error {
	prefix := pastPrefix(key)
	var keys [][]byte
	cur := n.past.Cursor()
	for k, raw := cur.Seek(prefix); k != nil && isPast(k, prefix); k, raw = cur.Next() {
		r, err := decodeKV(raw)
		if err != nil {
			return err
		}
		if !drop(r) {
			break
		}
		n.free(r)
		keys = append(keys, bytes.Clone(k))
	}
	for _, k := range keys {
		if err := n.past.Delete(k); err != nil {
			return err
		}
	}
	return nil
}

func (n *kvNamespace) free(r kvRecord) {
	if r.body != "" {
		n.freed = append(n.freed, r.body)
	}
}

func dropNamespace(tx *bolt.Tx, ns string) (freed []string, err error) {
	b := tx.Bucket(kvTable).Bucket([]byte(ns))
	if b == nil {
		return nil, nil
	}
	for _, table := range [][]byte{liveTable, pastTable} {
		err := b.Bucket(table).ForEach(func(_, raw []byte) error {
			r, err := decodeKV(raw)
			if r.body != "" {
				freed = append(freed, r.body)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return freed, tx.Bucket(kvTable).DeleteBucket([]byte(ns))
}

// dropDocument removes a document if it is there.
func dropDocument(tx *bolt.Tx, c Collection, id string) error {
	if !exists(tx, c, id) {
		return nil
	}
	return tx.Bucket(documentsTable).Bucket([]byte(c)).Delete([]byte(id))
}
