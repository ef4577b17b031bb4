package runtime

import (
	"context"
	"time"
)

const (
	// grown is how much more than at its start a process may hold at rest: above what a cold Worker's first requests leave, below
	// what a burst does. V8 collects when it allocates, so that what is at rest keeps what it had.
	grown = 16 << 20
	// looks is how often in the time of a rest the processes are looked at.
	looks = 6
	// renewPause follows a renewal that did not succeed.
	renewPause = 5 * time.Minute
	// A process that nobody has asked for anything is renewed for what its cron triggers left, once it is so old: the shortest for the
	// first few times, in which they may be at what a burst has left them, and then twice as old each time, because triggers that need
	// the memory will take it again.
	unaskedAge, unaskedLast = time.Minute, time.Hour
	unaskedFew              = 5
)

// runRenewals replaces processes that have grown when the account is at rest, as Cloudflare ends the isolates that nobody asks.
func (r *Runtime) runRenewals(ctx context.Context) {
	tick := time.NewTicker(r.cfg.Rest / looks)
	defer tick.Stop()
	var notBefore time.Time
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if time.Now().Before(notBefore) {
			continue
		}
		for _, name := range r.due() {
			renew := r.renewOwner
			if name == sharedUnit {
				renew = func(ctx context.Context, _ string) error { return r.renew(ctx) }
			}
			if err := renew(ctx, name); err != nil && ctx.Err() == nil {
				notBefore = time.Now().Add(renewPause)
				r.cfg.Log.Warn("process not renewed", "unit", name, "err", err, "again_in", renewPause)
			}
		}
	}
}

// due are the processes that have grown, by name, when the account is at rest.
func (r *Runtime) due() (names []string) {
	units := r.serving()
	asked := lastAsked(units)
	for _, name := range sortedKeys(units) {
		if !units[name].atRest(r.cfg.Rest) {
			return nil
		}
		if units[name].hasGrown(asked) {
			names = append(names, name)
		}
	}
	return names
}

// serving are the units that serve now, by name.
func (r *Runtime) serving() map[string]*unit {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.units
}

// lastAsked is when somebody last had a lease for a request or a message. What one process was asked, another may have had to do:
// owners of Durable Objects are asked by the others.
func lastAsked(units map[string]*unit) (last time.Time) {
	for _, u := range units {
		u.mu.Lock()
		if u.asked.After(last) {
			last = u.asked
		}
		u.mu.Unlock()
	}
	return last
}

// renew starts the shared process anew beside itself and makes it serve before the old one is told to stop, so that no request is lost
// or waits. Nothing happens while a deployment is under way, nor when somebody has taken a lease meanwhile.
func (r *Runtime) renew(ctx context.Context) error {
	select {
	case r.deploying <- struct{}{}:
	default:
		return nil
	}
	p := &Prepared{r: r, fresh: map[string]*unit{}, waiting: map[string]rendered{}, exports: map[string][]export{}, renewed: sharedUnit}
	defer p.Abort() // nothing after Commit
	if err := p.prepare(ctx, Change{}); err != nil {
		return err
	}
	units := r.serving()
	old, fresh := units[sharedUnit], p.fresh[sharedUnit]
	if old == nil || fresh == nil || !old.refuse() {
		return nil
	}
	asked := lastAsked(units)
	fresh.renewals, fresh.unasked, fresh.asked = old.renewals+1, old.unaskedNow(asked), asked
	was := old.status()
	p.Commit()
	r.cfg.Log.Info("process renewed", "unit", sharedUnit, "pid", was.PID, "held_mb", was.Memory>>20, "holds_mb", fresh.status().Memory>>20)
	return nil
}

// hasGrown says whether the process holds more than it did when it began to serve, by more than grown, and is not one that would at
// once grow again. The account was last asked for something at the time.
func (u *unit) hasGrown(asked time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.serving || u.first == 0 {
		return false
	}
	if asked.Before(u.proc.started) && time.Since(u.proc.started) < min(unaskedAge<<min(max(u.unasked-unaskedFew+1, 0), 10), unaskedLast) {
		return false
	}
	return u.memory(u.proc.pid)-u.first > grown
}

// unaskedNow counts the renewals in a row, with the one of this process, before which nobody had asked the account for anything.
func (u *unit) unaskedNow(asked time.Time) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.proc == nil || !asked.Before(u.proc.started) {
		return 0
	}
	return u.unasked + 1
}

// atRest says whether nobody holds a lease, and none was held for a request or a message in the time.
func (u *unit) atRest(rest time.Duration) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.leases == 0 && time.Since(u.asked) >= rest
}

// refuse gives no more leases; false when somebody has one, or it gave none already.
func (u *unit) refuse() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.leases > 0 || u.retired {
		return false
	}
	u.retired = true
	close(u.idle)
	return true
}
