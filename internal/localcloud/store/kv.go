package store

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"sync/atomic"
	"time"

	"github.com/cognomega/edge/internal/fault"
	bolt "go.etcd.io/bbolt"
)

// maxInlineValue is the largest value kept in the database; larger ones are files. By BenchmarkKVPutSizes a file is cheaper from
// about 256 KiB on; the limit is below, because large values leave holes in the database that small ones do not fill.
const maxInlineValue = 64 << 10

// KV is Workers KV: every namespace of the account.
type KV struct {
	s     *Store
	delay atomic.Int64
}

func newKV(s *Store, delay time.Duration) *KV {
	kv := &KV{s: s}
	kv.delay.Store(int64(delay))
	return kv
}

// KV is Workers KV.
func (s *Store) KV() *KV { return s.kv }

// Visibility is how long Workers keep seeing the state before a write.
func (kv *KV) Visibility() time.Duration { return time.Duration(kv.delay.Load()) }

// SetVisibility changes the delay. A shorter one also holds for writes already made.
func (kv *KV) SetVisibility(d time.Duration) error {
	if err := checkVisibility(d); err != nil {
		return err
	}
	kv.delay.Store(int64(d))
	return nil
}

func checkVisibility(d time.Duration) error {
	if d < 0 || d > MaxKVVisibility {
		return fault.New(fault.Invalid, "a KV visibility delay is 0 to %s, not %s", MaxKVVisibility, d)
	}
	return nil
}

// Get gives the newest committed value, as the REST API reads it; fault.NotFound when absent or expired.
func (kv *KV) Get(ns, key string) (Entry, error) {
	return kv.get(ns, key, func(n *kvNamespace, _ time.Time) (kvRecord, bool, error) { return n.newest(key) })
}

// GetVisible gives what Workers see: the state as it was before writes and deletes younger than the visibility delay.
func (kv *KV) GetVisible(ns, key string) (Entry, error) {
	delay := kv.Visibility()
	return kv.get(ns, key, func(n *kvNamespace, now time.Time) (kvRecord, bool, error) { return n.seen(key, now, delay) })
}

func (kv *KV) get(ns, key string, choose func(*kvNamespace, time.Time) (kvRecord, bool, error)) (Entry, error) {
	if err := checkKey(key); err != nil {
		return Entry{}, err
	}
	var e Entry
	var body string
	release, err := kv.s.bodies.reading(func() (ids []string, err error) {
		err = kv.s.db.View(func(tx *bolt.Tx) error {
			n, err := openNamespace(tx, ns)
			if err != nil {
				return err
			}
			now := kv.s.now()
			r, found, err := choose(n, now)
			if err != nil {
				return err
			}
			if !found || !r.present(now) {
				return fault.New(fault.NotFound, "key %q does not exist", key)
			}
			e = Entry{Value: bytes.Clone(r.value), Metadata: r.metadata(), Expiration: r.expiration(), Written: time.Unix(0, r.written).UTC()}
			if body = r.body; body != "" {
				ids = []string{body}
			}
			return nil
		})
		return ids, err
	})
	if err != nil {
		return Entry{}, asFault(err, "read a key")
	}
	defer release()
	if body != "" {
		e.Value, err = os.ReadFile(kv.s.bodies.path(body))
	}
	return e, asFault(err, "read a key")
}

// Put stores a value; it is on disk when Put returns.
func (kv *KV) Put(ns, key string, value []byte, o PutOptions) error {
	return kv.PutMany(ns, []KVPair{{Key: key, Value: value, PutOptions: o}})
}

// PutMany stores all or none of the pairs; of pairs with the same key the last one counts.
func (kv *KV) PutMany(ns string, pairs []KVPair) (err error) {
	for _, p := range pairs {
		if err := checkPair(p, kv.s.now()); err != nil {
			return err
		}
	}
	records, written, err := kv.records(pairs)
	if err == nil {
		err = kv.change(ns, func(n *kvNamespace, now time.Time) error {
			for i, p := range pairs {
				if err := n.write(p.Key, records[i].at(now, kv.Visibility()), now); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err != nil {
		kv.s.bodies.remove(written)
	}
	return err
}

// records puts large values on disk, outside the transaction.
func (kv *KV) records(pairs []KVPair) (records []kvRecord, written []string, err error) {
	for _, p := range pairs {
		r := kvRecord{meta: p.Metadata, value: p.Value}
		if string(p.Metadata) == "null" {
			r.meta = nil
		}
		if !p.Expiration.IsZero() {
			r.expires = p.Expiration.Unix()
		}
		if len(p.Value) > maxInlineValue {
			r.value = nil
			if r.body, r.size, err = kv.s.bodies.write(context.Background(), bytes.NewReader(p.Value)); err != nil {
				return nil, written, err
			}
			written = append(written, r.body)
		}
		records = append(records, r)
	}
	return records, written, nil
}

// at dates a version.
func (r kvRecord) at(now time.Time, delay time.Duration) kvRecord {
	r.written, r.visible = now.UnixNano(), now.Add(delay).UnixNano()
	return r
}

// Delete removes a key; a key that does not exist stays so, without an error.
func (kv *KV) Delete(ns, key string) error { return kv.DeleteMany(ns, []string{key}) }

// DeleteMany removes all or none of the keys.
func (kv *KV) DeleteMany(ns string, keys []string) error {
	for _, key := range keys {
		if err := checkKey(key); err != nil {
			return err
		}
	}
	return kv.change(ns, func(n *kvNamespace, now time.Time) error {
		for _, key := range keys {
			if err := n.write(key, kvRecord{deleted: true}.at(now, kv.Visibility()), now); err != nil {
				return err
			}
		}
		return nil
	})
}

// change commits what fn does to a namespace, then deletes the bodies that this left without a name.
func (kv *KV) change(ns string, fn func(*kvNamespace, time.Time) error) error {
	var freed []string
	err := kv.s.log.do(func(tx *bolt.Tx) error {
		n, err := createNamespace(tx, ns)
		if err != nil {
			return err
		}
		err = fn(n, kv.s.now())
		freed = n.freed
		return err
	})
	if err != nil {
		return err
	}
	kv.s.bodies.remove(freed)
	return nil
}

// DropNamespace deletes a namespace's values and its KVNamespace document; one that does not exist stays so.
func (kv *KV) DropNamespace(ns string) error {
	var freed []string
	err := kv.s.log.do(func(tx *bolt.Tx) (err error) {
		freed, err = dropNamespace(tx, ns)
		if err == nil {
			err = dropDocument(tx, Namespaces, ns)
		}
		return err
	})
	if err != nil {
		return err
	}
	kv.s.bodies.remove(freed)
	kv.s.watch.notify(map[Collection]bool{Namespaces: true})
	return nil
}

func checkKey(key string) error {
	if key == "" || key == "." || key == ".." || len(key) > MaxKVKeyBytes {
		return fault.New(fault.Invalid, "key %.40q cannot be used", key).WithHint("a key has 1 to %d bytes, and is not . or ..", MaxKVKeyBytes)
	}
	return nil
}

func checkPair(p KVPair, now time.Time) error {
	if err := checkKey(p.Key); err != nil {
		return err
	}
	switch {
	case len(p.Value) > MaxKVValueBytes:
		return fault.New(fault.TooLarge, "value of key %q has %d bytes, the limit is %d", p.Key, len(p.Value), MaxKVValueBytes)
	case len(p.Metadata) > MaxKVMetadataBytes:
		return fault.New(fault.TooLarge, "metadata of key %q has %d bytes, the limit is %d", p.Key, len(p.Metadata), MaxKVMetadataBytes)
	case len(p.Metadata) > 0 && !json.Valid(p.Metadata):
		return fault.New(fault.Invalid, "metadata of key %q is not JSON", p.Key)
	case !p.Expiration.IsZero() && !p.Expiration.After(now):
		return fault.New(fault.Invalid, "expiration of key %q is in the past: %s", p.Key, p.Expiration.UTC().Format(time.RFC3339))
	}
	return nil
}
