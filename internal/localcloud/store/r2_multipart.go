package store

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/cognomega/edge/internal/fault"
	bolt "go.etcd.io/bbolt"
)

// CreateMultipart starts an upload in parts. Nothing is visible under the key until CompleteMultipart.
func (r *R2) CreateMultipart(bucket, key string, o MultipartOptions) (Upload, error) {
	class, err := R2PutOptions{CustomMetadata: o.CustomMetadata, StorageClass: o.StorageClass}.check(key)
	if err != nil {
		return Upload{}, err
	}
	up := uploadRecord{
		Upload:       Upload{ID: randomHex(32), Key: key},
		HTTPMetadata: o.HTTPMetadata, CustomMetadata: o.CustomMetadata, StorageClass: class,
	}
	err = r.change(bucket, func(b *bucketTable, now time.Time) error {
		up.Started = r2Time(now)
		return putJSON(b.uploads, []byte(up.ID), up)
	})
	return up.Upload, err
}

// UploadPart stores one part; a part of the same number before it is replaced.
func (r *R2) UploadPart(ctx context.Context, bucket, key, uploadID string, number int, body io.Reader) (Part, error) {
	if number < 1 || number > MaxR2Parts {
		return Part{}, fault.New(fault.Invalid, "a part number is 1 to %d, not %d", MaxR2Parts, number)
	}
	err := r.s.db.View(func(tx *bolt.Tx) error {
		b, err := openBucket(tx, bucket)
		if err == nil {
			_, err = b.upload(key, uploadID)
		}
		return err
	})
	if err != nil {
		return Part{}, asFault(err, "upload a part")
	}
	sum := md5.New()
	id, size, err := r.s.bodies.write(ctx, io.TeeReader(limited(body), sum))
	if err != nil {
		return Part{}, err
	}
	part := partRecord{Part: Part{Number: number, ETag: hex.EncodeToString(sum.Sum(nil)), Size: size}, Body: segment{ID: id, Size: size}}
	err = r.change(bucket, func(b *bucketTable, _ time.Time) error {
		if _, err := b.upload(key, uploadID); err != nil {
			return err
		}
		return b.putPart(uploadID, part)
	})
	if err != nil {
		r.s.bodies.remove([]string{id})
		return Part{}, err
	}
	return part.Part, nil
}

// CompleteMultipart joins the named parts, in the order of their numbers, into the object; the others are deleted.
// The bytes are not copied. All parts but the last have one size of at least the minimum, as R2 demands.
func (r *R2) CompleteMultipart(bucket, key, uploadID string, parts []Part) (Object, error) {
	var one objectRecord
	err := r.change(bucket, func(b *bucketTable, now time.Time) error {
		up, err := b.upload(key, uploadID)
		if err != nil {
			return err
		}
		chosen, err := b.choose(uploadID, parts)
		if err != nil {
			return err
		}
		if err := r.checkSizes(chosen); err != nil {
			return err
		}
		one = join(up, chosen, now)
		if err := b.put(one); err != nil {
			return err
		}
		return b.endUpload(uploadID, one.Bodies)
	})
	return one.Object, err
}

// AbortMultipart deletes an upload under way and its parts; ErrNoSuchUpload when there is none.
func (r *R2) AbortMultipart(bucket, key, uploadID string) error {
	return r.change(bucket, func(b *bucketTable, _ time.Time) error {
		if _, err := b.upload(key, uploadID); err != nil {
			return err
		}
		return b.endUpload(uploadID, nil)
	})
}

// Uploads gives the multipart uploads under way, by key and start.
func (r *R2) Uploads(bucket string) ([]Upload, error) {
	var all []Upload
	err := r.s.db.View(func(tx *bolt.Tx) error {
		b, err := openBucket(tx, bucket)
		if err != nil || b.uploads == nil {
			return err
		}
		return b.uploads.ForEach(func(_, raw []byte) error {
			var up uploadRecord
			err := decodeR2(raw, &up)
			all = append(all, up.Upload)
			return err
		})
	})
	slices.SortFunc(all, func(a, b Upload) int {
		if c := strings.Compare(a.Key, b.Key); c != 0 {
			return c
		}
		return a.Started.Compare(b.Started)
	})
	return all, asFault(err, "list multipart uploads")
}

// upload gives an upload under way, or ErrNoSuchUpload.
func (b *bucketTable) upload(key, uploadID string) (up uploadRecord, err error) {
	var raw []byte
	if b.uploads != nil {
		raw = b.uploads.Get([]byte(uploadID))
	}
	if raw != nil {
		err = decodeR2(raw, &up)
	}
	if err == nil && (raw == nil || up.Key != key) {
		err = fault.New(fault.NotFound, "%w: %.80q", ErrNoSuchUpload, uploadID)
	}
	return up, err
}

func (b *bucketTable) putPart(uploadID string, part partRecord) error {
	k := partKey(uploadID, part.Number)
	if raw := b.parts.Get(k); raw != nil {
		var old partRecord
		if err := decodeR2(raw, &old); err != nil {
			return err
		}
		b.freed = append(b.freed, old.Body.ID)
	}
	return putJSON(b.parts, k, part)
}

// choose finds the named parts and orders them by number.
func (b *bucketTable) choose(uploadID string, parts []Part) ([]partRecord, error) {
	if len(parts) == 0 {
		return nil, fault.New(fault.Invalid, "%w: no part was named", ErrInvalidPart)
	}
	chosen := make([]partRecord, 0, len(parts))
	for _, want := range parts {
		var have partRecord
		if want.Number >= 1 && want.Number <= MaxR2Parts {
			if raw := b.parts.Get(partKey(uploadID, want.Number)); raw != nil {
				if err := decodeR2(raw, &have); err != nil {
					return nil, err
				}
			}
		}
		if have.Number == 0 || have.ETag != strings.Trim(want.ETag, `"`) {
			return nil, fault.New(fault.Invalid, "%w: part %d with etag %.80q", ErrInvalidPart, want.Number, want.ETag)
		}
		chosen = append(chosen, have)
	}
	slices.SortFunc(chosen, func(a, b partRecord) int { return a.Number - b.Number })
	for i := 1; i < len(chosen); i++ {
		if chosen[i].Number == chosen[i-1].Number {
			return nil, fault.New(fault.Invalid, "%w: part %d is named twice", ErrInvalidPart, chosen[i].Number)
		}
	}
	return chosen, nil
}

func (r *R2) checkSizes(parts []partRecord) error {
	last := parts[len(parts)-1]
	for _, p := range parts[:len(parts)-1] {
		if p.Size < r.minPartSize {
			return fault.New(fault.Invalid, "%w: part %d has %d bytes, the minimum is %d", ErrPartTooSmall, p.Number, p.Size, r.minPartSize)
		}
		if p.Size != parts[0].Size {
			return fault.New(fault.Invalid, "%w: part %d has %d bytes, part %d has %d", ErrPartSizes, p.Number, p.Size, parts[0].Number, parts[0].Size)
		}
	}
	if last.Size > parts[0].Size {
		return fault.New(fault.Invalid, "%w: the last part has %d bytes, the first %d", ErrPartSizes, last.Size, parts[0].Size)
	}
	return nil
}

// join makes the object of the parts; its ETag is the MD5 of their MD5s, and how many there are.
func join(up uploadRecord, parts []partRecord, now time.Time) objectRecord {
	one := objectRecord{Object: Object{
		Key: up.Key, Version: randomHex(16), Uploaded: r2Time(now),
		HTTPMetadata: up.HTTPMetadata, CustomMetadata: up.CustomMetadata, StorageClass: up.StorageClass,
	}}
	sum := md5.New()
	for _, p := range parts {
		raw, _ := hex.DecodeString(p.ETag) // ours, always hex
		sum.Write(raw)
		one.Size += p.Size
		one.Bodies = append(one.Bodies, p.Body)
	}
	one.ETag = fmt.Sprintf("%x-%d", sum.Sum(nil), len(parts))
	return one
}

// endUpload deletes an upload, and the bodies of its parts but for those that an object took over.
func (b *bucketTable) endUpload(uploadID string, taken []segment) error {
	keep := make(map[string]bool, len(taken))
	for _, s := range taken {
		keep[s.ID] = true
	}
	var keys [][]byte
	cur := b.parts.Cursor()
	for k, raw := cur.Seek([]byte(uploadID)); bytes.HasPrefix(k, []byte(uploadID)); k, raw = cur.Next() {
		var p partRecord
		if err := decodeR2(raw, &p); err != nil {
			return err
		}
		if !keep[p.Body.ID] {
			b.freed = append(b.freed, p.Body.ID)
		}
		keys = append(keys, bytes.Clone(k))
	}
	for _, k := range keys {
		if err := b.parts.Delete(k); err != nil {
			return err
		}
	}
	return b.uploads.Delete([]byte(uploadID))
}
