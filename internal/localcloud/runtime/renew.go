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

// runRenewals replaces the shared process when it has grown and the account is at rest, as Cloudflare ends the isolates that nobody
// asks. The new process serves before the old one is told to stop, and the switch is made only while nobody holds a lease, so that
// no request is lost or waits. Owners of Durable Objects, which cannot be started beside their predecessors, are left alone.
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
		if time.Now().Before(notBefore) || !r.due() {
			continue
		}
		if err := r.renew(ctx); err != nil && ctx.Err() == nil {
			notBefore = time.Now().Add(renewPause)
			r.cfg.Log.Warn("process not renewed", "err", err, "again_in", renewPause)
		}
	}
}

// due says whether the shared process has grown, and the account is at rest.
func (r *Runtime) due() bool {
	r.mu.RLock()
	units := r.units
	r.mu.RUnlock()
	shared := units[sharedUnit]
	if shared == nil || !shared.hasGrown() {
		return false
	}
	for _, u := range units {
		if !u.atRest(r.cfg.Rest) {
			return false
		}
	}
	return true
}

// renew starts the shared process anew beside itself and makes it serve. Nothing happens while a deployment is under way, nor when
// somebody has taken a lease meanwhile.
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
	r.mu.RLock()
	old := r.units[sharedUnit]
	r.mu.RUnlock()
	fresh := p.fresh[sharedUnit]
	if old == nil || fresh == nil || !old.refuse() {
		return nil
	}
	fresh.renewals, fresh.unasked = old.renewals+1, old.unaskedNow()
	was := old.status()
	p.Commit()
	r.cfg.Log.Info("process renewed", "unit", sharedUnit, "pid", was.PID, "held_mb", was.Memory>>20, "holds_mb", fresh.status().Memory>>20)
	return nil
}

// hasGrown says whether the process holds more than it did when it began to serve, by more than grown, and is not one that would at
// once grow again.
func (u *unit) hasGrown() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.serving || u.first == 0 {
		return false
	}
	if u.asked.Before(u.proc.started) && time.Since(u.proc.started) < min(unaskedAge<<min(max(u.unasked-unaskedFew+1, 0), 10), unaskedLast) {
		return false
	}
	return u.memory(u.proc.pid)-u.first > grown
}

// unaskedNow counts the renewals in a row, with the one of this process, before which nobody had asked for anything.
func (u *unit) unaskedNow() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.proc == nil || !u.asked.Before(u.proc.started) {
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
