package runtime

import (
	"context"
	"errors"

	"github.com/cognomega/edge/internal/fault"
)

// Lease is the right to send requests to the process that serves a script. Whoever holds it keeps that process from being
// stopped by a deployment, so hold it for the whole of a request or WebSocket and release it then.
type Lease struct {
	Network, Addr string // "unix" and a path
	VersionID     string
	Release       func() // once or more often

	dispatcher string // socket of the worker that delivers events
}

// route is one serving version of a script.
type route struct {
	unit    *unit
	addr    string
	version string
	number  int // of the version: the newer, the larger
	share   float64
}

// Acquire finds the process that serves a script, waiting while it restarts or is replaced. fault.NotFound when there is no
// such script; the reason when the script did not start at boot.
func (r *Runtime) Acquire(ctx context.Context, script string) (*Lease, error) {
	return r.acquire(ctx, script, asked, Prefer{})
}

// AcquireFor is Acquire for a request that may say which version of the deployment should serve it.
func (r *Runtime) AcquireFor(ctx context.Context, script string, p Prefer) (*Lease, error) {
	return r.acquire(ctx, script, asked, p)
}

// use is why a lease is held. The clock's own calls, once a minute perhaps, do not keep an account from being at rest.
type use int

const (
	asked use = iota // a request or a message came
	clock            // a cron trigger
)

func (r *Runtime) acquire(ctx context.Context, script string, why use, p Prefer) (*Lease, error) {
	for {
		r.mu.RLock()
		routes, changed, broken := r.routes[script], r.changed, r.broken[script]
		r.mu.RUnlock()
		if len(routes) == 0 {
			if broken != nil {
				return nil, fault.New(fault.Unavailable, "script %s does not start: %w", script, broken)
			}
			return nil, fault.New(fault.NotFound, "there is no script %q", script)
		}
		rt := choose(routes, p)
		err := rt.unit.acquire(ctx)
		if err == nil {
			return &Lease{Network: "unix", Addr: rt.addr, VersionID: rt.version, Release: rt.unit.releaser(why), dispatcher: rt.unit.socketPath(dispatchSocket)}, nil
		}
		if !errors.Is(err, errRetired) {
			return nil, fault.New(fault.Unavailable, "script %s is restarting: %w", script, err)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fault.New(fault.Unavailable, "script %s is being replaced: %w", script, ctx.Err())
		}
	}
}

// swapTableLocked wakes everybody who waits for a new routing table.
func (r *Runtime) swapTableLocked() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// install makes a set of units serve. The caller holds r.mu.
func (r *Runtime) installLocked(world deployed, units map[string]*unit) {
	routes := map[string][]route{}
	for _, name := range sortedKeys(world) {
		u := units[world.unitOf(name)]
		if u == nil {
			continue
		}
		for _, c := range world[name] {
			routes[name] = append(routes[name], route{
				unit: u, addr: u.socketPath(world.serviceName(c)), version: c.Version.ID, number: c.Version.Number, share: c.share(),
			})
		}
	}
	r.deployed, r.units, r.routes = world, units, routes
	r.swapTableLocked()
}
