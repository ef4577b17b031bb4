package store

import (
	"context"
	"io"
	"os"
	"time"

	"github.com/cognomega/edge/internal/fault"
)

var errTODO = fault.New(fault.Unsupported, "not written yet")

func (s *Store) createTables() error   { return errTODO }
func (s *Store) collectOrphans() error { return nil }
func (s *Store) housekeep()            {}

type bodies struct{}

func openBodies(string) (*bodies, error)  { return nil, nil }
func checkVisibility(time.Duration) error { return nil }

// PutBlob stores bytes under their SHA-256, lower-case hex; they are on disk when it returns.
func (s *Store) PutBlob(r io.Reader) (digest string, size int64, err error) { return "", 0, errTODO }

// OpenBlob opens bytes by digest; fault.NotFound when there are none.
func (s *Store) OpenBlob(digest string) (io.ReadSeekCloser, error) { return (*os.File)(nil), errTODO }

// BlobPath is the file that holds a blob: read it, never write it.
func (s *Store) BlobPath(digest string) (string, error) { return "", errTODO }

// KV is Workers KV.
func (s *Store) KV() *KV { return s.kv }

// Queues are the account's message queues.
func (s *Store) Queues() *QueueStore { return s.queues }

// R2 is the account's object storage.
func (s *Store) R2() *R2 { return s.r2 }

// Metrics are those of the Workers' invocations.
func (s *Store) Metrics() *Metrics { return s.metrics }

type KV struct{}

func newKV(*Store, time.Duration) *KV { return &KV{} }

// Get gives the newest committed value, as the REST API reads it; fault.NotFound when absent or expired.
func (*KV) Get(ns, key string) (Entry, error) { return Entry{}, errTODO }

// GetVisible gives what Workers see: the state as it was before writes younger than the visibility delay.
func (*KV) GetVisible(ns, key string) (Entry, error)             { return Entry{}, errTODO }
func (*KV) Put(ns, key string, value []byte, o PutOptions) error { return errTODO }
func (*KV) Delete(ns, key string) error                          { return errTODO }

// PutMany is all or nothing.
func (*KV) PutMany(ns string, pairs []KVPair) error            { return errTODO }
func (*KV) DeleteMany(ns string, keys []string) error          { return errTODO }
func (*KV) List(ns string, o ListOptions) (Page, error)        { return Page{}, errTODO }
func (*KV) ListVisible(ns string, o ListOptions) (Page, error) { return Page{}, errTODO }

// DropNamespace deletes the values and the KVNamespace document.
func (*KV) DropNamespace(ns string) error       { return errTODO }
func (*KV) SetVisibility(d time.Duration) error { return errTODO }
func (*KV) Visibility() time.Duration           { return 0 }

type QueueStore struct{}

func newQueueStore(*Store) *QueueStore                      { return &QueueStore{} }
func (*QueueStore) recover() error                          { return nil }
func (*QueueStore) close()                                  {}
func (*QueueStore) Send(queueID string, ms []Message) error { return errTODO }
func (*QueueStore) Lease(queueID string, max, maxBytes int, visibility time.Duration) ([]Leased, error) {
	return nil, errTODO
}

// Ack deletes leased messages. Ids without a lease are fault.NotFound, after the others were acknowledged.
func (*QueueStore) Ack(queueID string, ids ...string) error             { return errTODO }
func (*QueueStore) Retry(queueID, id string, delay time.Duration) error { return errTODO }
func (*QueueStore) Settle(queueID string, o Settlement) error           { return errTODO }

// ResolveLease gives the message id of a lease that has not ended.
func (*QueueStore) ResolveLease(queueID, leaseID string) (id string, err error) { return "", errTODO }

// Backlog counts every message held: ready, delayed and in flight.
func (*QueueStore) Backlog(queueID string) (count, bytes int64, oldest time.Time, err error) {
	return 0, 0, time.Time{}, errTODO
}
func (*QueueStore) Depth(queueID string) (Depth, error)            { return Depth{}, errTODO }
func (*QueueStore) Peek(queueID string, max int) ([]Queued, error) { return nil, errTODO }
func (*QueueStore) Purge(queueID string) error                     { return errTODO }
func (*QueueStore) Ready(queueID string) <-chan struct{}           { return nil }

// Drop deletes the messages and the Queue document.
func (*QueueStore) Drop(queueID string) error { return errTODO }

// Wake looks at the clock again; tests that turn an injected clock call it.
func (*QueueStore) Wake() {}

type R2 struct{}

func newR2(*Store, int64) *R2 { return &R2{} }
func (*R2) Put(ctx context.Context, bucket, key string, body io.Reader, o R2PutOptions) (Object, error) {
	return Object{}, errTODO
}
func (*R2) Get(bucket, key string, o GetOptions) (Object, io.ReadCloser, error) {
	return Object{}, nil, errTODO
}
func (*R2) Head(bucket, key string) (Object, error)             { return Object{}, errTODO }
func (*R2) Delete(bucket string, keys ...string) error          { return errTODO }
func (*R2) List(bucket string, o R2ListOptions) (R2Page, error) { return R2Page{}, errTODO }
func (*R2) CreateMultipart(bucket, key string, o MultipartOptions) (Upload, error) {
	return Upload{}, errTODO
}
func (*R2) UploadPart(ctx context.Context, bucket, key, uploadID string, number int, body io.Reader) (Part, error) {
	return Part{}, errTODO
}
func (*R2) CompleteMultipart(bucket, key, uploadID string, parts []Part) (Object, error) {
	return Object{}, errTODO
}
func (*R2) AbortMultipart(bucket, key, uploadID string) error   { return errTODO }
func (*R2) Uploads(bucket string) ([]Upload, error)             { return nil, errTODO }
func (*R2) RunLifecycle(now time.Time) (LifecycleReport, error) { return LifecycleReport{}, errTODO }

// DropBucket deletes an empty bucket and its document, with multipart uploads under way; fault.Conflict when it holds objects.
func (*R2) DropBucket(bucket string) error { return errTODO }

type Histogram struct{}

// Quantile gives the value below which a share q of the recorded ones lie, within 3 %.
func (*Histogram) Quantile(q float64) time.Duration { return 0 }
func (*Histogram) Sum() time.Duration               { return 0 }

type Metrics struct{}

func newMetrics(func() time.Time) *Metrics  { return &Metrics{} }
func (*Metrics) Record(i Invocation)        {}
func (*Metrics) Query(f Filter) []Aggregate { return nil }
