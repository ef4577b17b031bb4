package runtime

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/store"
)

// minTTL is the shortest life that Workers KV accepts.
const minTTL = 60

// serveKV speaks workerd's protocol for KV namespaces (src/workerd/api/kv.c++).
func (b *backend) serveKV(w http.ResponseWriter, r *http.Request, ns string) {
	key, err := url.PathUnescape(strings.TrimPrefix(r.URL.EscapedPath(), "/"))
	if err != nil {
		refuse(w, fault.New(fault.Invalid, "malformed key"))
		return
	}
	switch {
	case r.Method == http.MethodGet && key == "":
		b.kvList(w, r, ns)
	case r.Method == http.MethodGet:
		b.kvGet(w, ns, key)
	case r.Method == http.MethodPut:
		b.kvPut(w, r, ns, key)
	case r.Method == http.MethodDelete:
		if err := b.store.KV().Delete(ns, key); err != nil && !errors.Is(err, fault.NotFound) {
			refuse(w, err)
		}
	case r.Method == http.MethodPost && r.URL.Path == "/bulk/get":
		b.kvBulkGet(w, r, ns)
	default:
		http.Error(w, "unknown operation", http.StatusMethodNotAllowed)
	}
}

func (b *backend) kvGet(w http.ResponseWriter, ns, key string) {
	e, err := b.store.KV().GetVisible(ns, key)
	if err != nil {
		refuse(w, err)
		return
	}
	if e.Metadata != nil {
		w.Header().Set("CF-KV-Metadata", string(e.Metadata))
	}
	if !e.Expiration.IsZero() {
		w.Header().Set("CF-Expiration", strconv.FormatInt(e.Expiration.Unix(), 10))
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(len(e.Value)))
	_, _ = w.Write(e.Value)
}

func (b *backend) kvPut(w http.ResponseWriter, r *http.Request, ns, key string) {
	o := store.PutOptions{}
	var err error
	if o.Expiration, err = kvExpiration(r.URL.Query(), b.now()); err != nil {
		refuse(w, err)
		return
	}
	if m := r.Header.Get("CF-KV-Metadata"); m != "" && m != "null" {
		o.Metadata = json.RawMessage(m)
	}
	value, err := readBody(r, store.MaxKVValueBytes)
	if err == nil {
		err = b.store.KV().Put(ns, key, value, o)
	}
	if err != nil {
		refuse(w, err)
	}
}

// kvExpiration is when a written value ends; given both, the time to live wins.
func kvExpiration(q url.Values, now time.Time) (time.Time, error) {
	if s := q.Get("expiration_ttl"); s != "" {
		ttl, err := strconv.ParseInt(s, 10, 32)
		if err != nil || ttl < minTTL {
			return time.Time{}, fault.New(fault.Invalid, "invalid expiration_ttl of %s: it must be at least %d", s, minTTL)
		}
		return now.Add(time.Duration(ttl) * time.Second), nil
	}
	s := q.Get("expiration")
	if s == "" {
		return time.Time{}, nil
	}
	at, err := strconv.ParseInt(s, 10, 64)
	if err != nil || at < now.Unix()+minTTL {
		return time.Time{}, fault.New(fault.Invalid, "invalid expiration of %s: it must be at least %d seconds in the future", s, minTTL)
	}
	return time.Unix(at, 0), nil
}

type kvKey struct {
	Name       string  `json:"name"`
	Expiration int64   `json:"expiration,omitempty"`
	Metadata   *string `json:"metadata,omitempty"` // JSON in a string: workerd parses it
}

func (b *backend) kvList(w http.ResponseWriter, r *http.Request, ns string) {
	q := r.URL.Query()
	limit := store.MaxKVListLimit
	if s := q.Get("key_count_limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			refuse(w, fault.New(fault.Invalid, "invalid key_count_limit of %s: it must be at least 1", s))
			return
		}
		limit = min(n, store.MaxKVListLimit)
	}
	page, err := b.store.KV().ListVisible(ns, store.ListOptions{Prefix: q.Get("prefix"), Cursor: q.Get("cursor"), Limit: limit})
	if err != nil {
		refuse(w, err)
		return
	}
	answer := struct {
		Keys     []kvKey `json:"keys"`
		Complete bool    `json:"list_complete"`
		Cursor   string  `json:"cursor,omitempty"`
	}{Keys: make([]kvKey, 0, len(page.Keys)), Complete: page.Complete, Cursor: page.Cursor}
	for _, k := range page.Keys {
		key := kvKey{Name: k.Name}
		if !k.Expiration.IsZero() {
			key.Expiration = k.Expiration.Unix()
		}
		if k.Metadata != nil {
			text := string(k.Metadata)
			key.Metadata = &text
		}
		answer.Keys = append(answer.Keys, key)
	}
	answerJSON(w, answer)
}

// Limits of a bulk get, as Cloudflare documents them.
const (
	maxBulkKeys  = 100
	maxBulkBytes = 25 << 20
)

func (b *backend) kvBulkGet(w http.ResponseWriter, r *http.Request, ns string) {
	var req struct {
		Keys         []string
		Type         string
		WithMetadata bool
	}
	body, err := readBody(r, 1<<20)
	if err == nil && json.Unmarshal(body, &req) != nil {
		err = fault.New(fault.Invalid, "malformed bulk get")
	}
	if err == nil && (len(req.Keys) == 0 || len(req.Keys) > maxBulkKeys) {
		err = fault.New(fault.Invalid, "you can request 1 to %d keys at once, not %d", maxBulkKeys, len(req.Keys))
	}
	if err == nil && req.Type != "" && req.Type != "text" && req.Type != "json" {
		err = fault.New(fault.Invalid, "%q is not a type for a bulk get: use json or text", req.Type)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	answer := map[string]any{}
	total := 0
	for _, key := range req.Keys {
		value, size, err := b.bulkValue(ns, key, req.Type, req.WithMetadata)
		if total += size; err == nil && total > maxBulkBytes {
			err = fault.New(fault.TooLarge, "total size of the values is over %d bytes", maxBulkBytes)
		}
		if err != nil {
			refuse(w, err)
			return
		}
		answer[key] = value
	}
	answerJSON(w, answer)
}

func (b *backend) bulkValue(ns, key, kind string, withMetadata bool) (any, int, error) {
	e, err := b.store.KV().GetVisible(ns, key)
	if errors.Is(err, fault.NotFound) {
		if withMetadata {
			return map[string]any{"value": nil, "metadata": nil}, 0, nil
		}
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	var value any = string(e.Value)
	if kind == "json" {
		if !json.Valid(e.Value) {
			return nil, 0, fault.New(fault.Invalid, "the value of %q is not JSON", key)
		}
		value = json.RawMessage(bytes.TrimSpace(e.Value))
	}
	if withMetadata {
		value = map[string]any{"value": value, "metadata": e.Metadata}
	}
	return value, len(e.Value), nil
}
