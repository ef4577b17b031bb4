package store

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"github.com/cognomega/edge/internal/fault"
	bolt "go.etcd.io/bbolt"
)

// R2 is the account's object storage: bodies are files, what is known of them is in the database.
type R2 struct {
	s           *Store
	minPartSize int64
}

func newR2(s *Store, minPartSize int64) *R2 {
	if minPartSize == 0 {
		minPartSize = DefaultMinPartSize
	}
	return &R2{s: s, minPartSize: minPartSize}
}

// R2 is the account's object storage.
func (s *Store) R2() *R2 { return s.r2 }

// Put stores an object, streaming its body to disk. Whoever reads the key sees the old object or the new one, whole.
// ErrPrecondition when a condition does not hold for the object that is there; ErrDigest when the body is not what a checksum said.
func (r *R2) Put(ctx context.Context, bucket, key string, body io.Reader, o R2PutOptions) (Object, error) {
	class, err := o.check(key)
	if err != nil {
		return Object{}, err
	}
	if err := r.mayPut(bucket, key, o.Conditions); err != nil {
		return Object{}, err
	}
	sums := newDigests(o.Checksums)
	id, size, err := r.s.bodies.write(ctx, io.TeeReader(limited(body), sums))
	if err != nil {
		return Object{}, err
	}
	one := objectRecord{Bodies: []segment{{ID: id, Size: size}}}
	one.Object = Object{
		Key: key, Version: randomHex(16), Size: size, HTTPMetadata: o.HTTPMetadata, CustomMetadata: o.CustomMetadata, StorageClass: class,
	}
	if one.ETag, one.Checksums, err = sums.verify(o.Checksums); err == nil {
		err = r.place(bucket, &one, o.Conditions)
	}
	if err != nil {
		r.s.bodies.remove([]string{id})
		return Object{}, err
	}
	return one.Object, nil
}

// mayPut spares the body of a Put that cannot succeed; place decides.
func (r *R2) mayPut(bucket, key string, c *Conditions) error {
	return asFault(r.s.db.View(func(tx *bolt.Tx) error {
		b, err := openBucket(tx, bucket)
		if err != nil {
			return err
		}
		return b.holds(key, c)
	}), "put an object")
}

// place makes a record the object of its key.
func (r *R2) place(bucket string, one *objectRecord, c *Conditions) error {
	return r.change(bucket, func(b *bucketTable, now time.Time) error {
		if err := b.holds(one.Key, c); err != nil {
			return err
		}
		one.Uploaded = r2Time(now)
		return b.put(*one)
	})
}

// r2Time is in whole milliseconds, as the binding gives it: a condition made of it must compare equal.
func r2Time(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// change commits what fn does to a bucket, then deletes the bodies that this left without a name.
func (r *R2) change(bucket string, fn func(*bucketTable, time.Time) error) error {
	var freed []string
	err := r.s.log.do(func(tx *bolt.Tx) error {
		b, err := createBucket(tx, bucket)
		if err != nil {
			return err
		}
		err = fn(b, r.s.now())
		freed = b.freed
		return err
	})
	if err != nil {
		return err
	}
	r.s.bodies.remove(freed)
	return nil
}

// Head gives an object without its body; ErrNoSuchKey when there is none.
func (r *R2) Head(bucket, key string) (o Object, err error) {
	if err := checkR2Key(key); err != nil {
		return Object{}, err
	}
	err = r.s.db.View(func(tx *bolt.Tx) error {
		b, err := openBucket(tx, bucket)
		if err != nil {
			return err
		}
		one, err := b.get(key)
		o = one.Object
		return err
	})
	return o, asFault(err, "head an object")
}

// Delete removes objects, all in one step; keys that do not exist stay so.
func (r *R2) Delete(bucket string, keys ...string) error {
	if len(keys) > MaxR2DeleteKeys {
		return fault.New(fault.Invalid, "a delete takes up to %d keys, not %d", MaxR2DeleteKeys, len(keys))
	}
	for _, key := range keys {
		if err := checkR2Key(key); err != nil {
			return err
		}
	}
	return r.change(bucket, func(b *bucketTable, _ time.Time) error {
		for _, key := range keys {
			if err := b.delete(key); err != nil {
				return err
			}
		}
		return nil
	})
}

// DropBucket deletes an empty bucket and its document, with multipart uploads under way; fault.Conflict when it holds objects.
// A bucket that does not exist stays so.
func (r *R2) DropBucket(bucket string) error {
	var freed []string
	err := r.s.log.do(func(tx *bolt.Tx) error {
		freed = nil
		if root := tx.Bucket(r2Table).Bucket([]byte(bucket)); root != nil {
			if k, _ := root.Bucket(objectsTable).Cursor().First(); k != nil {
				return fault.New(fault.Conflict, "bucket %q is not empty, it holds %q", bucket, k).WithHint("delete its objects first")
			}
			err := root.Bucket(partsTable).ForEach(func(_, raw []byte) error {
				var p partRecord
				err := json.Unmarshal(raw, &p)
				freed = append(freed, p.Body.ID)
				return err
			})
			if err != nil {
				return err
			}
			if err := tx.Bucket(r2Table).DeleteBucket([]byte(bucket)); err != nil {
				return err
			}
		}
		return dropDocument(tx, Buckets, bucket)
	})
	if err != nil {
		return err
	}
	r.s.bodies.remove(freed)
	r.s.watch.notify(map[Collection]bool{Buckets: true})
	return nil
}

// limited ends a body with an error when it is larger than R2 takes in one upload.
func limited(body io.Reader) io.Reader { return &bodyLimit{r: body, left: MaxR2PutBytes} }

type bodyLimit struct {
	r    io.Reader
	left int64
}

func (l *bodyLimit) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, fault.New(fault.TooLarge, "the body is larger than %d bytes", int64(MaxR2PutBytes)).WithHint("use a multipart upload")
	}
	return n, err
}
