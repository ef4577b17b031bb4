package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strconv"
	"time"

	"github.com/cognomega/edge/internal/localcloud/store"
)

// minTTL is the shortest life Workers KV gives a value.
const minTTL = 60 * time.Second

func (s *server) kvValues() []endpoint {
	const ns = "/accounts/{account}/storage/kv/namespaces/{namespace}"
	return []endpoint{
		{method: "GET", pattern: ns + "/keys", permission: reads(groupKV), handle: s.listKeys},
		{method: "GET", pattern: ns + "/values/{key}", permission: reads(groupKV), handle: s.getValue},
		{method: "PUT", pattern: ns + "/values/{key}", permission: writes(groupKV), handle: s.putValue, limit: kvValueBodyLimit},
		{method: "DELETE", pattern: ns + "/values/{key}", permission: writes(groupKV), handle: s.deleteValue},
		{method: "GET", pattern: ns + "/metadata/{key}", permission: reads(groupKV), handle: s.getMetadata},
		{method: "PUT", pattern: ns + "/bulk", permission: writes(groupKV), handle: s.putBulk, limit: bulkBodyLimit},
		{method: "DELETE", pattern: ns + "/bulk", permission: writes(groupKV), handle: s.deleteBulk},
		{method: "POST", pattern: ns + "/bulk/delete", permission: writes(groupKV), handle: s.deleteBulk},
		{method: "POST", pattern: ns + "/bulk/get", permission: reads(groupKV), handle: s.getBulk},
	}
}

type keyView struct {
	Name       string          `json:"name"`
	Expiration int64           `json:"expiration,omitempty"`
	Metadata   json.RawMessage `json:"metadata,omitempty"`
}

func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

func (s *server) listKeys(c *call) (any, error) {
	n, err := s.namespace(c)
	if err != nil {
		return nil, err
	}
	limit := c.number("limit", store.MaxKVListLimit)
	if limit < 10 || limit > store.MaxKVListLimit {
		return nil, bad(10019, "list keys: 'limit must be between 10 and 1000'")
	}
	page, err := s.Store.KV().List(n.ID, store.ListOptions{Prefix: c.query("prefix"), Cursor: c.query("cursor"), Limit: limit})
	if err != nil {
		return nil, err
	}
	views := make([]keyView, 0, len(page.Keys))
	for _, k := range page.Keys {
		views = append(views, keyView{k.Name, unix(k.Expiration), k.Metadata})
	}
	return list{views, cursorInfo{Count: len(views), Cursor: page.Cursor}}, nil
}

func checkKey(key string) error {
	if key == "" || key == "." || key == ".." {
		return bad(10033, "key %q is not allowed", key)
	}
	if len(key) > store.MaxKVKeyBytes {
		return fail(http.StatusRequestURITooLong, 10030, "key of %d bytes is longer than the limit of 512", len(key))
	}
	return nil
}

func (s *server) entry(c *call) (store.Entry, error) {
	n, err := s.namespace(c)
	if err != nil {
		return store.Entry{}, err
	}
	if err := checkKey(c.param("key")); err != nil {
		return store.Entry{}, err
	}
	e, err := s.Store.KV().Get(n.ID, c.param("key"))
	return e, orMissing(err, missing(10009, "get: 'key not found'"))
}

func (s *server) getValue(c *call) (any, error) {
	e, err := s.entry(c)
	if err != nil {
		return nil, err
	}
	header := http.Header{"Content-Type": {"application/octet-stream"}}
	if !e.Expiration.IsZero() {
		header.Set("Expiration", strconv.FormatInt(e.Expiration.Unix(), 10))
	}
	return raw{header, e.Value}, nil
}

func (s *server) getMetadata(c *call) (any, error) {
	e, err := s.entry(c)
	return e.Metadata, err
}

func (s *server) putValue(c *call) (any, error) {
	n, err := s.namespace(c)
	if err != nil {
		return nil, err
	}
	if err := checkKey(c.param("key")); err != nil {
		return nil, err
	}
	value, metadata, err := readValue(c)
	if err != nil {
		return nil, err
	}
	expiration, err := s.expiration(c.query("expiration"), c.query("expiration_ttl"))
	if err != nil {
		return nil, err
	}
	if err := checkValue(value, metadata); err != nil {
		return nil, err
	}
	return nil, s.Store.KV().Put(n.ID, c.param("key"), value, store.PutOptions{Expiration: expiration, Metadata: metadata})
}

func checkValue(value []byte, metadata json.RawMessage) error {
	if len(value) > store.MaxKVValueBytes {
		return fail(http.StatusRequestEntityTooLarge, 10030, "value of %d bytes is larger than the limit of %d", len(value), store.MaxKVValueBytes)
	}
	if len(metadata) > store.MaxKVMetadataBytes {
		return bad(10039, "metadata of %d bytes is larger than the limit of 1024", len(metadata))
	}
	return nil
}

// expiration resolves both ways of saying when a value ends; the ttl wins when both are given.
func (s *server) expiration(at, ttl string) (time.Time, error) {
	switch {
	case ttl != "":
		seconds, err := strconv.ParseInt(ttl, 10, 64)
		if err != nil || seconds < int64(minTTL/time.Second) {
			return time.Time{}, bad(10034, "Invalid expiration_ttl of %s. Expiration TTL must be at least 60.", ttl)
		}
		return s.now().Add(time.Duration(seconds) * time.Second).Truncate(time.Second), nil
	case at != "":
		seconds, err := strconv.ParseInt(at, 10, 64)
		when := time.Unix(seconds, 0).UTC()
		if err != nil || when.Before(s.now().Truncate(time.Second).Add(minTTL)) {
			return time.Time{}, bad(10034, "Invalid expiration of %s. Expiration times must be at least 60 seconds in the future.", at)
		}
		return when, nil
	}
	return time.Time{}, nil
}

// readValue takes the raw body, or the value and metadata fields of a multipart one.
func readValue(c *call) ([]byte, json.RawMessage, error) {
	kind, params, _ := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	data, err := c.body()
	if err != nil || kind != "multipart/form-data" {
		return data, nil, err
	}
	return parseValueForm(data, params["boundary"])
}

func parseValueForm(data []byte, boundary string) (value []byte, metadata json.RawMessage, err error) {
	form := multipart.NewReader(bytes.NewReader(data), boundary)
	seen := false
	for {
		part, err := form.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, bad(10012, "could not read the multipart body: %s", err)
		}
		content, err := io.ReadAll(part)
		if err != nil {
			return nil, nil, bad(10012, "could not read the multipart body: %s", err)
		}
		switch part.FormName() {
		case "value":
			value, seen = content, true
		case "metadata":
			if len(bytes.TrimSpace(content)) == 0 {
				continue
			}
			if !json.Valid(content) {
				return nil, nil, bad(10012, "metadata must be valid JSON")
			}
			metadata = content
		}
	}
	if !seen {
		return nil, nil, bad(10012, "the multipart body has no field named value")
	}
	return value, metadata, nil
}

func (s *server) deleteValue(c *call) (any, error) {
	n, err := s.namespace(c)
	if err != nil {
		return nil, err
	}
	if err := checkKey(c.param("key")); err != nil {
		return nil, err
	}
	return nil, orNil(s.Store.KV().Delete(n.ID, c.param("key")))
}
