package store

import (
	"encoding/json"
	"time"
)

// The limits of Workers KV.
const (
	MaxKVKeyBytes      = 512
	MaxKVValueBytes    = 25 << 20
	MaxKVMetadataBytes = 1024
	MaxKVListLimit     = 1000
	MaxKVVisibility    = 120 * time.Second
)

// Entry is a KV value with what was stored beside it.
type Entry struct {
	Value      []byte
	Metadata   json.RawMessage // nil when none was given
	Expiration time.Time       // zero when it never expires
	Written    time.Time
}

// PutOptions say what to store beside a KV value.
type PutOptions struct {
	Expiration time.Time       // whole seconds; zero means never
	Metadata   json.RawMessage // any JSON value of at most 1,024 bytes
}

// KVPair is one write of PutMany.
type KVPair struct {
	Key   string
	Value []byte
	PutOptions
}

// ListOptions choose keys of a namespace.
type ListOptions struct {
	Prefix string
	Cursor string // of an earlier Page
	Limit  int    // 1 to 1,000; 0 means 1,000
}

// Page is a part of a list, in byte order of the keys.
type Page struct {
	Keys     []KeyInfo
	Cursor   string // of the next page; empty when Complete
	Complete bool
}

// KeyInfo is what a list tells of a key.
type KeyInfo struct {
	Name       string
	Expiration time.Time // zero when it never expires
	Metadata   json.RawMessage
}
