package store

import (
	"context"
	bolt "go.etcd.io/bbolt"
	"io"
	"time"

	"github.com/cognomega/edge/internal/fault"
)

var errTODO = fault.New(fault.Unsupported, "not written yet")

// R2 is the account's object storage.
func (s *Store) R2() *R2 { return s.r2 }

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

func namedByR2(*bolt.Tx, map[string]bool) error { return nil }
