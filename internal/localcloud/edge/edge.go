// Package edge is the front of the local account: it terminates TLS, decides by Cloudflare's rules which Worker owns a URL, and proxies to it.
package edge

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cognomega/edge/internal/localcloud/keepalive"
	"github.com/cognomega/edge/internal/localcloud/store"
)

// idleLife is shorter than the 5 s after which workerd ends a connection without a request.
const idleLife = 4 * time.Second

// Lease keeps the process of a script alive while a request or a WebSocket uses it.
type Lease struct {
	Network, Addr string // "unix" and a path, or "tcp"
	VersionID     string
	Release       func()
}

// Runtime lends the process that serves a script. Acquire waits while the script restarts; fault.NotFound when there is none.
type Runtime interface {
	Acquire(ctx context.Context, script string, p Prefer) (*Lease, error)
}

// Recorder takes the figures of each request.
type Recorder interface {
	Record(i store.Invocation)
}

// Config is what the edge serves and with what.
type Config struct {
	Store   *store.Store
	Runtime Runtime
	CA      *CA
	Log     *slog.Logger
	Metrics Recorder
	Now     func() time.Time // defaults to time.Now
}

// Edge serves the account's hostnames. It is safe for concurrent use.
type Edge struct {
	Config
	certs   *certificates
	pool    *keepalive.Pool
	tunnels tunnels

	changed       <-chan struct{}
	routesChanged <-chan struct{}
	stopWatch     func()
	current       atomic.Pointer[table]
	behind        atomic.Bool // current may not show the last change that was signalled
	rebuild       sync.Mutex  // guards the two below
	missed        bool
	missedRoutes  bool
}

// New makes an edge that is ready to serve; Close it when its servers have shut down.
func New(cfg Config) *Edge {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	e := &Edge{Config: cfg, pool: keepalive.New(net.Dialer{}, idleLife)}
	e.certs = newCertificates(cfg.CA, cfg.Now, func(host string) bool {
		t, err := e.table()
		return err == nil && t.knows(host)
	})
	var stopAll, stopRoutes func()
	e.changed, stopAll = cfg.Store.Watch(watched...)
	e.routesChanged, stopRoutes = cfg.Store.Watch(watchedRoutes...)
	e.stopWatch = func() { stopAll(); stopRoutes() }
	return e
}

// Handler serves requests for Workers.
func (e *Edge) Handler() http.Handler { return http.HandlerFunc(e.serve) }

// Close ends the WebSockets and the idle connections to Workers.
func (e *Edge) Close() error {
	e.stopWatch()
	e.tunnels.closeAll()
	e.pool.Close()
	return nil
}

// table is compiled by the first request after a change. The store signals before its Update returns, so who changed a
// route through the API meets the new table with the next request. A failed read keeps the table that is there, and the
// next request tries again.
func (e *Edge) table() (*table, error) {
	if t := e.current.Load(); t != nil && len(e.changed) == 0 && !e.behind.Load() {
		return t, nil
	}
	e.rebuild.Lock()
	defer e.rebuild.Unlock()
	e.behind.Store(true) // before the signal is taken, so that nobody slips through in between
	e.missed = taken(e.changed) || e.missed
	e.missedRoutes = taken(e.routesChanged) || e.missedRoutes
	t := e.current.Load()
	if t == nil || e.missed {
		reuse := t
		if e.missedRoutes {
			reuse = nil
		}
		made, err := readTable(e.Store, reuse, e.Log)
		if err != nil {
			e.Log.Error("route table is stale", "err", err)
			if t != nil {
				return t, nil
			}
			return nil, err
		}
		t = made
		e.current.Store(t)
	}
	e.missed, e.missedRoutes = false, false
	e.behind.Store(false)
	return t, nil
}

// taken takes a signal that is there.
func taken(signal <-chan struct{}) bool {
	select {
	case <-signal:
		return true
	default:
		return false
	}
}
