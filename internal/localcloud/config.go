// Package localcloud is a Cloudflare account in a process: the v4 API, durable stores, an edge that terminates TLS and routes, and Workers running in workerd.
package localcloud

import (
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"time"
)

// Ports are the wanted loopback ports; a taken one, or 0, is replaced by a free one.
type Ports struct {
	APIHTTP, APIHTTPS, EdgeHTTP, EdgeHTTPS int
}

// DefaultPorts are tried first, so that a developer's bookmarks keep working.
func DefaultPorts() Ports {
	return Ports{APIHTTP: 7080, APIHTTPS: 7443, EdgeHTTP: 8080, EdgeHTTPS: 8443}
}

// Config says where the account lives and what it is called.
type Config struct {
	Dir         string   // every byte of the account is kept under here
	AccountName string   // the account's id is derived from it
	Zones       []string // zone names to have at the start
	Workerd     string   // path of the workerd binary
	Ports       Ports
	Log         *slog.Logger
	Now         func() time.Time // defaults to time.Now
	KVDelay     time.Duration    // how long a KV write stays invisible to Workers, 0 to 120 s
}

// Zone is a zone of the account, as clients need to know it.
type Zone struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// identifier derives a stable 32-digit hex id, so that a stack's configuration outlives a reset of the account.
func identifier(kind, name string) string {
	sum := sha256.Sum256([]byte(kind + ":" + name))
	return hex.EncodeToString(sum[:16])
}
