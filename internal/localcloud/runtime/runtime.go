// Package runtime runs the account's Workers in the real workerd: it writes the configurations, supervises the processes and serves the bindings.
package runtime

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/store"
)

// Config is what New needs. Dir holds what must survive (Durable Objects); RunDir holds what may be deleted while stopped.
type Config struct {
	Dir     string
	RunDir  string // Dir/run when empty
	Workerd string // path of the workerd binary
	Store   *store.Store
	Log     *slog.Logger
	AI      http.Handler // answers env.AI; a 501 when nil
	// Outbound answers what Workers fetch: Host says from whom, the header Cogctl-Proto by which scheme, and CONNECT opens a socket.
	// When nil they reach the network themselves.
	Outbound http.Handler

	Drain  time.Duration // how long a replaced process may finish its requests; 30 s when zero
	Settle time.Duration // how long a Durable Object owner may finish when replaced; 5 s when zero
	Rest   time.Duration // how long nothing may have been asked before a process that has grown is renewed; 30 s when zero
	Now    func() time.Time

	memory func(pid int) int64 // what a process holds that no other shares, in bytes
}

// Runtime is a running set of workerd processes that serves what the account has deployed.
type Runtime struct {
	cfg   Config
	paths paths
	back  *backend

	deploying chan struct{} // held from Prepare to Commit or Abort: one change at a time

	mu       sync.RWMutex
	deployed deployed
	units    map[string]*unit // by unit name
	routes   map[string][]route
	broken   map[string]error // scripts that did not start at boot
	changed  chan struct{}    // closed and replaced with every new table

	logs     *logBook
	ctx      context.Context
	cancel   context.CancelFunc
	retiring sync.WaitGroup
	tasks    sync.WaitGroup
	serial   int
}

// New checks the configuration; nothing runs before Start.
func New(c Config) (*Runtime, error) {
	if c.Dir == "" || c.Workerd == "" || c.Store == nil {
		return nil, fault.New(fault.Internal, "the runtime needs a folder, a workerd binary and a store")
	}
	if err := checkBinary(c.Workerd); err != nil {
		return nil, err
	}
	if c.RunDir == "" {
		c.RunDir = filepath.Join(c.Dir, "run")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if c.Drain == 0 {
		c.Drain = 30 * time.Second
	}
	if c.Settle == 0 {
		c.Settle = 5 * time.Second
	}
	if c.Rest == 0 {
		c.Rest = 30 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.memory == nil {
		c.memory = ownMemory
	}
	return &Runtime{
		cfg: c, deploying: make(chan struct{}, 1), units: map[string]*unit{}, routes: map[string][]route{},
		broken: map[string]error{}, changed: make(chan struct{}), logs: newLogBook(c.Log),
	}, nil
}

// Start clears what an earlier run left behind, serves the bindings and boots what the store says is deployed.
func (r *Runtime) Start(ctx context.Context) error {
	p, err := newPaths(r.cfg.Dir, r.cfg.RunDir)
	if err != nil {
		return err
	}
	r.paths = p
	killOrphans(p.run, r.cfg.Log)
	if err := p.clear(); err != nil {
		return err
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	if r.back, err = newBackend(r); err != nil {
		return err
	}
	if err := r.boot(ctx); err != nil {
		return err
	}
	r.startTasks()
	return nil
}

// Close stops taking events, lets every process finish what it has in hand, and stops them all.
func (r *Runtime) Close() error {
	if r.cancel == nil {
		return nil
	}
	r.cancel()
	r.tasks.Wait()
	r.mu.Lock()
	units := r.units
	r.units, r.routes = map[string]*unit{}, map[string][]route{}
	r.swapTableLocked()
	r.mu.Unlock()
	var stopping sync.WaitGroup
	for _, name := range sortedKeys(units) {
		stopping.Add(1)
		go func() {
			defer stopping.Done()
			units[name].retire(r.cfg.Settle)
		}()
	}
	stopping.Wait()
	r.retiring.Wait()
	err := r.back.close()
	r.paths.remove()
	return err
}
