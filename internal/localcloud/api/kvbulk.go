package api

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"

	"github.com/cognomega/edge/internal/localcloud/store"
)

// The limits of a bulk call.
const (
	maxBulkPairs = 10_000
	maxBulkGet   = 100
)

type pair struct {
	Key        string          `json:"key"`
	Value      string          `json:"value"`
	Expiration int64           `json:"expiration"`
	TTL        int64           `json:"expiration_ttl"`
	Metadata   json.RawMessage `json:"metadata"`
	Base64     bool            `json:"base64"`
}

func (s *server) putBulk(c *call) (any, error) {
	n, err := s.namespace(c)
	if err != nil {
		return nil, err
	}
	var pairs []pair
	if err := c.decodeAs(10012, &pairs); err != nil {
		return nil, err
	}
	if err := checkBulk(len(pairs), maxBulkPairs); err != nil {
		return nil, err
	}
	writes := make([]store.KVPair, 0, len(pairs))
	for _, p := range pairs {
		w, err := s.bulkWrite(p)
		if err != nil {
			return nil, err
		}
		writes = append(writes, w)
	}
	return bulkResult(len(writes)), s.Store.KV().PutMany(n.ID, writes)
}

func checkBulk(n, maximum int) error {
	if n == 0 {
		return bad(10029, "at least one key is required")
	}
	if n > maximum {
		return bad(10012, "%d keys are more than the limit of %d", n, maximum)
	}
	return nil
}

func bulkResult(n int) map[string]any {
	return map[string]any{"successful_key_count": n, "unsuccessful_keys": []string{}}
}

func (s *server) bulkWrite(p pair) (store.KVPair, error) {
	none := store.KVPair{}
	if err := checkKey(p.Key); err != nil {
		return none, err
	}
	value := []byte(p.Value)
	if p.Base64 {
		decoded, err := base64.StdEncoding.DecodeString(p.Value)
		if err != nil {
			return none, bad(10012, "the value of key %q is not base64", p.Key)
		}
		value = decoded
	}
	if string(p.Metadata) == "null" {
		p.Metadata = nil
	}
	if err := checkValue(value, p.Metadata); err != nil {
		return none, err
	}
	expiration, err := s.expiration(digits(p.Expiration), digits(p.TTL))
	if err != nil {
		return none, err
	}
	return store.KVPair{Key: p.Key, Value: value, PutOptions: store.PutOptions{Expiration: expiration, Metadata: p.Metadata}}, nil
}

func digits(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

func (s *server) deleteBulk(c *call) (any, error) {
	n, err := s.namespace(c)
	if err != nil {
		return nil, err
	}
	var keys []string
	if err := c.decodeAs(10012, &keys); err != nil {
		return nil, err
	}
	if err := checkBulk(len(keys), maxBulkPairs); err != nil {
		return nil, err
	}
	for _, key := range keys {
		if err := checkKey(key); err != nil {
			return nil, err
		}
	}
	return bulkResult(len(keys)), orNil(s.Store.KV().DeleteMany(n.ID, keys))
}

type bulkGet struct {
	Keys         []string `json:"keys"`
	Type         string   `json:"type"`
	WithMetadata bool     `json:"withMetadata"`
}

// getBulk gives null for a key that is not there.
func (s *server) getBulk(c *call) (any, error) {
	n, err := s.namespace(c)
	if err != nil {
		return nil, err
	}
	req := bulkGet{Type: "text"}
	if err := c.decodeAs(10012, &req); err != nil {
		return nil, err
	}
	if err := checkBulk(len(req.Keys), maxBulkGet); err != nil {
		return nil, err
	}
	if !slices.Contains([]string{"text", "json"}, req.Type) {
		return nil, bad(10012, "type %q is neither text nor json", req.Type)
	}
	values := map[string]any{}
	for _, key := range req.Keys {
		if values[key], err = s.bulkValue(n.ID, key, req); err != nil {
			return nil, err
		}
	}
	return map[string]any{"values": values}, nil
}

func (s *server) bulkValue(ns, key string, req bulkGet) (any, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	e, err := s.Store.KV().Get(ns, key)
	if err != nil {
		return nil, orNil(err)
	}
	var value any = string(e.Value)
	if req.Type == "json" {
		if err := json.Unmarshal(e.Value, &value); err != nil {
			return nil, bad(10012, "the value of key %q is not JSON", key)
		}
	}
	if !req.WithMetadata {
		return value, nil
	}
	view := map[string]any{"value": value, "metadata": e.Metadata}
	if !e.Expiration.IsZero() {
		view["expiration"] = e.Expiration.Unix()
	}
	return view, nil
}
