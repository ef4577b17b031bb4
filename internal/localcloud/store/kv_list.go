package store

import (
	"encoding/base64"
	"strings"
	"time"

	"github.com/cognomega/edge/internal/fault"
	bolt "go.etcd.io/bbolt"
)

// List gives keys by their newest committed state, as the REST API lists them.
func (kv *KV) List(ns string, o ListOptions) (Page, error) {
	return kv.list(ns, o, func(_ *kvNamespace, _ string, newest kvRecord, _ time.Time) (kvRecord, bool, error) {
		return newest, true, nil
	})
}

// ListVisible gives keys as Workers see them, see GetVisible.
func (kv *KV) ListVisible(ns string, o ListOptions) (Page, error) {
	delay := kv.Visibility()
	return kv.list(ns, o, func(n *kvNamespace, key string, newest kvRecord, now time.Time) (kvRecord, bool, error) {
		if newest.seen(now, delay) {
			return newest, true, nil
		}
		return n.seen(key, now, delay)
	})
}

func (kv *KV) list(ns string, o ListOptions, choose func(*kvNamespace, string, kvRecord, time.Time) (kvRecord, bool, error)) (Page, error) {
	from, err := o.start()
	if err != nil {
		return Page{}, err
	}
	limit := o.Limit
	if limit == 0 {
		limit = MaxKVListLimit
	}
	page := Page{Complete: true}
	err = kv.s.db.View(func(tx *bolt.Tx) error {
		n, err := openNamespace(tx, ns)
		if err != nil || n.live == nil {
			return err
		}
		now := kv.s.now()
		cur := n.live.Cursor()
		for k, raw := cur.Seek([]byte(from)); k != nil && strings.HasPrefix(string(k), o.Prefix); k, raw = cur.Next() {
			newest, err := decodeKV(raw)
			if err != nil {
				return err
			}
			key := string(k)
			r, found, err := choose(n, key, newest, now)
			if err != nil {
				return err
			}
			if !found || !r.present(now) {
				continue
			}
			if len(page.Keys) == limit {
				page.Complete, page.Cursor = false, encodeCursor(page.Keys[limit-1].Name)
				return nil
			}
			page.Keys = append(page.Keys, KeyInfo{Name: key, Expiration: r.expiration(), Metadata: r.metadata()})
		}
		return nil
	})
	return page, asFault(err, "list keys")
}

// start is the first key that the page may hold.
func (o ListOptions) start() (string, error) {
	if o.Limit < 0 || o.Limit > MaxKVListLimit {
		return "", fault.New(fault.Invalid, "a list gives 1 to %d keys, not %d", MaxKVListLimit, o.Limit)
	}
	if len(o.Prefix) > MaxKVKeyBytes {
		return "", fault.New(fault.Invalid, "the prefix has %d bytes, a key at most %d", len(o.Prefix), MaxKVKeyBytes)
	}
	if o.Cursor == "" {
		return o.Prefix, nil
	}
	last, err := decodeCursor(o.Cursor)
	if err != nil {
		return "", err
	}
	if !strings.HasPrefix(last, o.Prefix) {
		return "", fault.New(fault.Invalid, "the cursor is of a list with another prefix")
	}
	return last + "\x00", nil // the first key after it
}

// A cursor is the last key given, behind a version, so that its form can change without misreading an old one.
const cursorVersion = '1'

func encodeCursor(last string) string { return sealCursor(cursorVersion, last) }

func decodeCursor(cursor string) (last string, err error) {
	kind, last, err := unsealCursor(cursor)
	if err == nil && kind != cursorVersion {
		err = notACursor(cursor)
	}
	return last, err
}

// sealCursor makes a cursor of what was given last, and of what sort that was.
func sealCursor(kind byte, last string) string {
	return base64.RawURLEncoding.EncodeToString(append([]byte{kind}, last...))
}

func unsealCursor(cursor string) (kind byte, last string, err error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(raw) < 2 || strings.ContainsAny(cursor, "\r\n") { // which the decoder passes over
		return 0, "", notACursor(cursor)
	}
	return raw[0], string(raw[1:]), nil
}

func notACursor(cursor string) error {
	return fault.New(fault.Invalid, "%.40q is not a cursor", cursor).WithHint("give the cursor of the page before, unchanged")
}
