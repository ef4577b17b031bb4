package store

import (
	"bytes"
	"strings"

	"github.com/cognomega/edge/internal/fault"
	bolt "go.etcd.io/bbolt"
)

// List gives objects in byte order of their keys. With a delimiter, keys that have it after the prefix are given as one
// group each, which counts as one towards the limit.
func (r *R2) List(bucket string, o R2ListOptions) (R2Page, error) {
	if o.Limit < 0 || o.Limit > MaxR2ListLimit {
		return R2Page{}, fault.New(fault.Invalid, "a list gives 1 to %d objects, not %d", MaxR2ListLimit, o.Limit)
	}
	if o.Limit == 0 {
		o.Limit = MaxR2ListLimit
	}
	from, err := o.start()
	if err != nil {
		return R2Page{}, err
	}
	var page R2Page
	err = r.s.db.View(func(tx *bolt.Tx) error {
		b, err := openBucket(tx, bucket)
		if err != nil || b.objects == nil || from == nil {
			return err
		}
		page, err = o.page(b.objects.Cursor(), from)
		return err
	})
	return page, asFault(err, "list objects")
}

// page collects from the first key on.
func (o R2ListOptions) page(cur *bolt.Cursor, from []byte) (page R2Page, err error) {
	last := "" // what the next page starts after, as a cursor
	k, raw := cur.Seek(from)
	for k != nil && strings.HasPrefix(string(k), o.Prefix) {
		if len(page.Objects)+len(page.Prefixes) == o.Limit {
			page.Truncated, page.Cursor = true, last
			return page, nil
		}
		if group, ok := o.group(string(k)); ok {
			page.Prefixes = append(page.Prefixes, group)
			last = sealCursor(afterGroup, group)
			next := successor([]byte(group))
			if next == nil {
				break
			}
			k, raw = cur.Seek(next)
			continue
		}
		var one objectRecord
		if err := decodeR2(raw, &one); err != nil {
			return R2Page{}, err
		}
		page.Objects = append(page.Objects, o.include(one.Object))
		last = sealCursor(afterKey, one.Key)
		k, raw = cur.Next()
	}
	return page, nil
}

// group is the common prefix that a key is listed under, if it is.
func (o R2ListOptions) group(key string) (string, bool) {
	if o.Delimiter == "" {
		return "", false
	}
	i := strings.Index(key[len(o.Prefix):], o.Delimiter)
	if i < 0 {
		return "", false
	}
	return key[:len(o.Prefix)+i+len(o.Delimiter)], true
}

func (o R2ListOptions) include(one Object) Object {
	if !o.HTTPMetadata {
		one.HTTPMetadata = HTTPMetadata{}
	}
	if !o.CustomMetadata {
		one.CustomMetadata = nil
	}
	return one
}

// start is the first key that the page may hold, by the prefix, startAfter and the cursor; nil when there can be none.
func (o R2ListOptions) start() ([]byte, error) {
	from := []byte(o.Prefix)
	if o.StartAfter != "" {
		from = later(from, append([]byte(o.StartAfter), 0))
	}
	if o.Cursor == "" {
		return from, nil
	}
	kind, last, err := decodeR2Cursor(o.Cursor)
	if err != nil {
		return nil, err
	}
	if kind == afterKey {
		return later(from, append([]byte(last), 0)), nil
	}
	next := successor([]byte(last))
	if next == nil {
		return nil, nil
	}
	return later(from, next), nil
}

func later(a, b []byte) []byte {
	if bytes.Compare(a, b) > 0 {
		return a
	}
	return b
}

// successor is the least key above all that start with prefix; nil when there is none.
func successor(prefix []byte) []byte {
	next := bytes.Clone(prefix)
	for i := len(next) - 1; i >= 0; i-- {
		if next[i] < 0xff {
			next[i]++
			return next[:i+1]
		}
	}
	return nil
}

// A cursor says what was given last, and whether that was a key or a group of keys to pass over.
const (
	afterKey   = 'k'
	afterGroup = 'g'
)

func decodeR2Cursor(cursor string) (kind byte, last string, err error) {
	kind, last, err = unsealCursor(cursor)
	if err == nil && kind != afterKey && kind != afterGroup {
		err = notACursor(cursor)
	}
	return kind, last, err
}
