package store

import (
	"bytes"
	"encoding/json"

	"github.com/cognomega/edge/internal/fault"
	bolt "go.etcd.io/bbolt"
)

// Tx is a view of the documents at one moment, in Update with what the transaction itself wrote.
// It must not be used after the function it was given to returns.
type Tx struct {
	tx      *bolt.Tx
	touched map[Collection]bool
}

// View runs fn on a consistent state of the documents. Within fn, write to the store only from other goroutines.
func (s *Store) View(fn func(*Tx) error) error {
	var own error
	err := s.db.View(func(tx *bolt.Tx) error {
		own = fn(&Tx{tx: tx})
		return own
	})
	if own != nil {
		return own
	}
	return asFault(err, "read the store")
}

// Update runs fn once and commits what it wrote when it returns nil, all or nothing; the changes are on disk when Update
// returns. Within fn only tx may be used: every other write to the store waits for it, and it would wait for itself.
func (s *Store) Update(fn func(*Tx) error) error {
	t := &Tx{touched: map[Collection]bool{}}
	var own error
	err := s.db.Update(func(tx *bolt.Tx) error {
		t.tx = tx
		own = fn(t)
		return own
	})
	if own != nil {
		return own
	}
	if err != nil {
		return asFault(err, "commit")
	}
	s.watch.notify(t.touched)
	return nil
}

func (t *Tx) collection(c Collection) *bolt.Bucket {
	return t.tx.Bucket(documentsTable).Bucket([]byte(c))
}

// Get decodes the document into v; fault.NotFound when there is none.
func (t *Tx) Get(c Collection, id string, v any) error {
	var raw []byte
	if b := t.collection(c); b != nil {
		raw = b.Get([]byte(id))
	}
	if raw == nil {
		return fault.New(fault.NotFound, "%s %q does not exist", c, id)
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return fault.New(fault.Internal, "decode %s %q: %w", c, id, err)
	}
	return nil
}

// Put creates or replaces a document.
func (t *Tx) Put(c Collection, id string, v any) error {
	if id == "" || len(id) > bolt.MaxKeySize {
		return fault.New(fault.Invalid, "%s: an id has 1 to %d bytes, this one has %d", c, bolt.MaxKeySize, len(id))
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return fault.New(fault.Invalid, "encode %s %q: %w", c, id, err)
	}
	b, err := t.tx.Bucket(documentsTable).CreateBucketIfNotExists([]byte(c))
	if err == nil {
		err = b.Put([]byte(id), raw)
	}
	if err != nil {
		return fault.New(fault.Internal, "put %s %q: %w", c, id, err)
	}
	t.touched[c] = true
	return nil
}

// Delete removes a document; fault.NotFound when there is none.
func (t *Tx) Delete(c Collection, id string) error {
	b := t.collection(c)
	if b == nil || b.Get([]byte(id)) == nil {
		return fault.New(fault.NotFound, "%s %q does not exist", c, id)
	}
	if err := b.Delete([]byte(id)); err != nil {
		return fault.New(fault.Internal, "delete %s %q: %w", c, id, err)
	}
	t.touched[c] = true
	return nil
}

// Each calls fn for the documents whose id starts with prefix, in id order. raw is valid during the call only.
// fn must not write to the same collection.
func (t *Tx) Each(c Collection, prefix string, fn func(id string, raw []byte) error) error {
	b := t.collection(c)
	if b == nil {
		return nil
	}
	cur := b.Cursor()
	for k, v := cur.Seek([]byte(prefix)); k != nil && bytes.HasPrefix(k, []byte(prefix)); k, v = cur.Next() {
		if err := fn(string(k), v); err != nil {
			return err
		}
	}
	return nil
}

// All decodes the documents whose id starts with prefix, in id order.
func All[T any](tx *Tx, c Collection, prefix string) ([]T, error) {
	var all []T
	err := tx.Each(c, prefix, func(id string, raw []byte) error {
		var v T
		if err := json.Unmarshal(raw, &v); err != nil {
			return fault.New(fault.Internal, "decode %s %q: %w", c, id, err)
		}
		all = append(all, v)
		return nil
	})
	return all, err
}

// exists says whether a document is there, without decoding it.
func exists(tx *bolt.Tx, c Collection, id string) bool {
	b := tx.Bucket(documentsTable).Bucket([]byte(c))
	return b != nil && b.Get([]byte(id)) != nil
}
