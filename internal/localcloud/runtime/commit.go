package runtime

import (
	"maps"
	"os"
	"path/filepath"
)

// Commit makes the change serve. New leases go to the new processes; replaced ones finish their requests and stop. An owner of
// Durable Objects stops before its successor starts, and Acquire waits in between. After Abort it does nothing.
func (p *Prepared) Commit() {
	if p.closed {
		return
	}
	p.closed = true
	r := p.r
	r.mu.RLock()
	units, old, before := maps.Clone(r.units), r.units, r.deployed
	r.mu.RUnlock()
	gone := map[string]*unit{} // owners whose folders must be free before anything starts on them
	for _, name := range sortedKeys(old) {
		_, replaced := p.waiting[name]
		if p.world.has(name) && !replaced {
			continue
		}
		delete(units, name)
		if name == sharedUnit {
			continue
		}
		gone[name] = old[name]
	}
	maps.Copy(units, p.fresh)
	r.stopOwners(gone)
	r.dropClasses(before, p.world)
	for _, name := range sortedKeys(p.waiting) {
		u := r.newUnit(p.waiting[name])
		if err := u.startLater(); err != nil {
			u.log.Error("process not started", "err", err)
			continue
		}
		units[name] = u
	}
	r.mu.Lock()
	r.installLocked(p.world, units)
	for name := range p.world {
		delete(r.broken, name)
	}
	r.mu.Unlock()
	r.relink(units)
	r.retireShared(old[sharedUnit], units[sharedUnit])
	<-r.deploying
}

// has says whether a unit of that name is part of the world.
func (d deployed) has(unit string) bool {
	for name := range d {
		if d.unitOf(name) == unit {
			return true
		}
	}
	return false
}

// stopOwners stops processes that hold Durable Objects, all at once, and waits for their end.
func (r *Runtime) stopOwners(gone map[string]*unit) {
	done := make(chan struct{}, len(gone))
	for _, u := range gone {
		go func() {
			u.retire(r.cfg.Settle)
			done <- struct{}{}
		}()
	}
	for range gone {
		<-done
	}
}

// retireShared lets a replaced shared process finish in the background.
func (r *Runtime) retireShared(old, now *unit) {
	if old == nil || old == now {
		return
	}
	r.retiring.Add(1)
	go func() {
		defer r.retiring.Done()
		old.retireUntil(r.ctx.Done(), r.cfg.Drain, r.cfg.Settle)
	}()
}

// relink points the stable paths at the processes that serve now.
func (r *Runtime) relink(units map[string]*unit) {
	for _, name := range sortedKeys(units) {
		u := units[name]
		for _, link := range sortedKeys(u.links) {
			if err := relink(filepath.Base(u.socketPath(u.links[link])), link); err != nil {
				u.log.Error("socket not switched", "err", err)
			}
		}
	}
}

// dropClasses removes what deleted Durable Object classes have stored. A renamed or transferred class keeps its unique key.
func (r *Runtime) dropClasses(before, after deployed) {
	kept := map[string]bool{}
	for _, cs := range after {
		for _, class := range cs[0].Version.DOClasses {
			kept[class.UniqueKey] = true
		}
	}
	for _, name := range sortedKeys(before) {
		for _, class := range before[name][0].Version.DOClasses {
			if kept[class.UniqueKey] || !filepath.IsLocal(class.UniqueKey) {
				continue
			}
			if err := os.RemoveAll(filepath.Join(r.paths.objects, class.UniqueKey)); err != nil {
				r.cfg.Log.Error("Durable Object storage not removed", "script", name, "class", class.Name, "err", err)
			}
		}
	}
}
