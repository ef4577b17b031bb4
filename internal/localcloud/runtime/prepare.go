package runtime

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/store"
)

// Prepared is a change whose processes are known to start. Exactly one of Commit and Abort must follow: no other change is
// prepared before that.
type Prepared struct {
	r       *Runtime
	world   deployed
	fresh   map[string]*unit    // started, not yet serving
	waiting map[string]rendered // owners of Durable Objects: proven, to be started in Commit
	exports map[string][]export
	startup time.Duration
	renewed string // a unit to be replaced although its configuration is the same
	closed  bool
}

// Prepare starts the processes that a change needs beside those that serve, and returns when they are ready. A bundle that does
// not start is a fault.Invalid whose message is workerd's own; then everything is as it was.
func (r *Runtime) Prepare(ctx context.Context, ch Change) (*Prepared, error) {
	select {
	case r.deploying <- struct{}{}:
	case <-ctx.Done():
		return nil, fault.New(fault.Unavailable, "wait for the deployment before this one: %w", ctx.Err())
	}
	p := &Prepared{r: r, fresh: map[string]*unit{}, waiting: map[string]rendered{}, exports: map[string][]export{}}
	if err := p.prepare(ctx, ch); err != nil {
		p.Abort()
		return nil, err
	}
	return p, nil
}

func (p *Prepared) prepare(ctx context.Context, ch Change) error {
	p.r.mu.RLock()
	p.world = p.r.deployed.with(ch)
	p.r.mu.RUnlock()
	for _, spec := range layout(p.world) {
		if err := p.prepareUnit(ctx, spec); err != nil {
			return scoped(err, ch)
		}
	}
	return nil
}

// prepareUnit starts a unit that differs from the running one of that name.
func (p *Prepared) prepareUnit(ctx context.Context, spec unitSpec) error {
	c, err := p.r.render(p.world, spec, false)
	if err != nil {
		return err
	}
	p.r.mu.RLock()
	old := p.r.units[spec.name]
	p.r.mu.RUnlock()
	if old != nil && old.digest() == c.digest() && spec.name != p.renewed {
		p.take(old)
		return nil
	}
	if !spec.owner {
		u := p.r.newUnit(c)
		if err := u.start(ctx); err != nil {
			return err
		}
		p.fresh[spec.name] = u
		p.startup = max(p.startup, u.startup)
		p.take(u)
		return nil
	}
	return p.prove(ctx, spec, c)
}

// prove starts an owner of Durable Objects with storage in memory, and stops it again: the real storage is in use.
func (p *Prepared) prove(ctx context.Context, spec unitSpec, c rendered) error {
	trial, err := p.r.render(p.world, spec, true)
	if err != nil {
		return err
	}
	u := p.r.newUnit(trial)
	if err := u.start(ctx); err != nil {
		return err
	}
	p.startup = max(p.startup, u.startup)
	p.take(u)
	u.retire(0)
	p.waiting[spec.name] = c
	return missingClass(spec.members[0], p.exports[spec.name])
}

func (p *Prepared) take(u *unit) {
	u.awaitDescriptions()
	u.mu.Lock()
	defer u.mu.Unlock()
	for script, exports := range u.exports {
		p.exports[script] = exports
	}
}

// describeLimit is how long the modules' accounts of their exports may come after the sockets; they are lines of the output, read beside them.
const describeLimit = 5 * time.Second

// awaitDescriptions waits until every ES module of the process has told what it exports. One that never does has no exports.
func (u *unit) awaitDescriptions() {
	for deadline := time.Now().Add(describeLimit); !u.describedAll() && time.Now().Before(deadline); {
		select {
		case <-u.done:
			return
		case <-time.After(time.Millisecond):
		}
	}
}

func (u *unit) describedAll() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, c := range u.spec.members {
		if _, told := u.exports[c.Script.Name]; !told && c.Version.MainModule != "" {
			return false
		}
	}
	return true
}

// missingClass finds a Durable Object class that the modules do not export; workerd only warns of it.
func missingClass(c Candidate, exports []export) error {
	for _, class := range c.Version.DOClasses {
		exported := slices.ContainsFunc(exports, func(e export) bool { return e.Name == class.Name && e.Kind != "object" })
		if !exported {
			return &fault.Error{Kind: fault.Invalid, Err: &StartError{c.Script.Name, "no such Durable Object class is exported from the worker: " + class.Name}}
		}
	}
	return nil
}

// scoped says which script is at fault when it is not one of those being changed.
func scoped(err error, ch Change) error {
	var start *StartError
	if !errors.As(err, &start) || start.Script == "" {
		return err
	}
	for _, c := range ch.Put {
		if c.Script.Name == start.Script {
			return err
		}
	}
	return fault.New(fault.Invalid, "script %s would no longer start: %w", start.Script, err)
}

// StartupTime is how long the slowest process took to evaluate its modules and serve.
func (p *Prepared) StartupTime() time.Duration { return p.startup }

// Exports are the events that a script's default export handles, and the same of its named exports.
func (p *Prepared) Exports(script string) (handlers []string, named []store.NamedHandler) {
	return split(p.exports[script])
}

func split(exports []export) (handlers []string, named []store.NamedHandler) {
	for _, e := range exports {
		if e.Name == "default" {
			handlers = e.Handlers
			continue
		}
		named = append(named, store.NamedHandler{Name: e.Name, Handlers: e.Handlers})
	}
	return handlers, named
}

// Inspect is Exports of the version that serves.
func (r *Runtime) Inspect(ctx context.Context, script string) (handlers []string, named []store.NamedHandler, err error) {
	lease, err := r.Acquire(ctx, script)
	if err != nil {
		return nil, nil, err
	}
	defer lease.Release()
	r.mu.RLock()
	u := r.units[r.deployed.unitOf(script)]
	r.mu.RUnlock()
	if u == nil {
		return nil, nil, fault.New(fault.NotFound, "there is no script %q", script)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	handlers, named = split(u.exports[script])
	return handlers, named, nil
}

// Abort stops what Prepare started. After Commit it does nothing.
func (p *Prepared) Abort() {
	if p.closed {
		return
	}
	p.closed = true
	for _, name := range sortedKeys(p.fresh) {
		p.fresh[name].retire(0)
	}
	<-p.r.deploying
}
