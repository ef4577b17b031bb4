package store

import (
	"encoding/binary"
	"encoding/json"

	"github.com/cognomega/edge/internal/fault"
	bolt "go.etcd.io/bbolt"
)

var (
	objectsTable = []byte("objects") // key -> objectRecord
	uploadsTable = []byte("uploads") // upload id -> uploadRecord
	partsTable   = []byte("parts")   // upload id and part number -> partRecord
)

// segment is a body file, or the place of one in an object made of parts.
type segment struct {
	ID   string `json:"id"`
	Size int64  `json:"size"`
}

type objectRecord struct {
	Object
	Bodies []segment `json:"bodies"`
}

type uploadRecord struct {
	Upload
	HTTPMetadata   HTTPMetadata      `json:"http_metadata"`
	CustomMetadata map[string]string `json:"custom_metadata,omitempty"`
	StorageClass   string            `json:"storage_class"`
}

type partRecord struct {
	Part
	Body segment `json:"body"`
}

// bucketTable is a bucket within a transaction. Before the first write its tables are nil, and it reads as empty.
type bucketTable struct {
	objects, uploads, parts *bolt.Bucket
	freed                   []string // bodies that lost their record
}

func openBucket(tx *bolt.Tx, name string) (*bucketTable, error) {
	if !exists(tx, Buckets, name) {
		return nil, fault.New(fault.NotFound, "%w: %q", ErrNoSuchBucket, name)
	}
	b := &bucketTable{}
	if root := tx.Bucket(r2Table).Bucket([]byte(name)); root != nil {
		b.bind(root)
	}
	return b, nil
}

func (b *bucketTable) bind(root *bolt.Bucket) {
	b.objects, b.uploads, b.parts = root.Bucket(objectsTable), root.Bucket(uploadsTable), root.Bucket(partsTable)
}

func createBucket(tx *bolt.Tx, name string) (*bucketTable, error) {
	b, err := openBucket(tx, name)
	if err != nil || b.objects != nil {
		return b, err
	}
	root, err := tx.Bucket(r2Table).CreateBucket([]byte(name))
	if err != nil {
		return nil, err
	}
	for _, table := range [][]byte{objectsTable, uploadsTable, partsTable} {
		if _, err := root.CreateBucket(table); err != nil {
			return nil, err
		}
	}
	b.bind(root)
	return b, nil
}

// find gives the object of a key, if there is one.
func (b *bucketTable) find(key string) (one objectRecord, found bool, err error) {
	if b.objects == nil {
		return one, false, nil
	}
	raw := b.objects.Get([]byte(key))
	if raw == nil {
		return one, false, nil
	}
	return one, true, decodeR2(raw, &one)
}

// get gives the object of a key, or ErrNoSuchKey.
func (b *bucketTable) get(key string) (objectRecord, error) {
	one, found, err := b.find(key)
	if err == nil && !found {
		err = fault.New(fault.NotFound, "%w: %q", ErrNoSuchKey, key)
	}
	return one, err
}

// put replaces the object of a key, if there is one.
func (b *bucketTable) put(one objectRecord) error {
	if err := b.delete(one.Key); err != nil {
		return err
	}
	return putJSON(b.objects, []byte(one.Key), one)
}

func (b *bucketTable) delete(key string) error {
	old, found, err := b.find(key)
	if err != nil || !found {
		return err
	}
	for _, s := range old.Bodies {
		b.freed = append(b.freed, s.ID)
	}
	return b.objects.Delete([]byte(key))
}

// holds gives ErrPrecondition unless the conditions hold for what is stored under key.
func (b *bucketTable) holds(key string, c *Conditions) error {
	if c == nil {
		return nil
	}
	one, found, err := b.find(key)
	if err != nil {
		return err
	}
	var have *Object
	if found {
		have = &one.Object
	}
	if !c.hold(have) {
		return ErrPrecondition
	}
	return nil
}

func partKey(uploadID string, number int) []byte {
	return binary.BigEndian.AppendUint16([]byte(uploadID), uint16(number))
}

func putJSON(b *bolt.Bucket, key []byte, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fault.New(fault.Invalid, "encode %q: %w", key, err)
	}
	return b.Put(key, raw)
}

func decodeR2(raw []byte, v any) error {
	if err := json.Unmarshal(raw, v); err != nil {
		return fault.New(fault.Internal, "decode an R2 record: %w", err)
	}
	return nil
}

// namedByR2 notes the bodies of every object and every part of an upload under way.
func namedByR2(tx *bolt.Tx, named map[string]bool) error {
	return tx.Bucket(r2Table).ForEachBucket(func(name []byte) error {
		root := tx.Bucket(r2Table).Bucket(name)
		err := root.Bucket(objectsTable).ForEach(func(_, raw []byte) error {
			var one objectRecord
			err := decodeR2(raw, &one)
			for _, s := range one.Bodies {
				named[s.ID] = true
			}
			return err
		})
		if err != nil {
			return err
		}
		return root.Bucket(partsTable).ForEach(func(_, raw []byte) error {
			var p partRecord
			err := decodeR2(raw, &p)
			named[p.Body.ID] = true
			return err
		})
	})
}
