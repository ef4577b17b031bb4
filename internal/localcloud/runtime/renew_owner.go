package runtime

import (
	"context"
	"time"

	"github.com/cognomega/edge/internal/fault"
)

const (
	// ownerStop is what an owner of Durable Objects gets for what nobody holds a lease for, such as an alarm at work.
	ownerStop = 100 * time.Millisecond
	// holdLimit is how long at most everybody waits for an owner to serve again: after that only those who call it do.
	holdLimit = 3 * time.Second
)

// renewOwner ends a process that owns Durable Objects and starts it again on the same sockets, since two must never share an object's
// folder. Calls come from the other processes too, which hold no lease of it, so it happens only when nobody holds a lease of any, and
// none is given until it serves again: what comes meanwhile waits. What was acknowledged is on disk. An alarm that comes due goes when
// the new process serves; one that was at work and did not end in time runs again, as alarms do.
func (r *Runtime) renewOwner(ctx context.Context, name string) error {
	select {
	case r.deploying <- struct{}{}:
		defer func() { <-r.deploying }()
	default:
		return nil
	}
	units := r.serving()
	owner := units[name]
	if owner == nil {
		return nil
	}
	asked := lastAsked(units)
	held, ok := hold(units)
	defer letGo(held)
	if !ok {
		return nil
	}
	return owner.startAnew(ctx, asked)
}

// hold keeps every unit from giving leases. Those that it names wait for letGo; not ok when somebody had a lease.
func hold(units map[string]*unit) (held []*unit, ok bool) {
	for _, name := range sortedKeys(units) {
		if !units[name].hold() {
			return held, false
		}
		held = append(held, units[name])
	}
	return held, true
}

func letGo(held []*unit) {
	for _, u := range held {
		u.letGo()
	}
}

// hold lets whoever wants a lease wait; false when somebody has one.
func (u *unit) hold() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.leases > 0 || u.retired {
		return false
	}
	u.held = make(chan struct{})
	return true
}

func (u *unit) letGo() {
	u.mu.Lock()
	defer u.mu.Unlock()
	close(u.held)
	u.held = nil
}

// startAnew ends the process and waits until its supervisor has another serve.
func (u *unit) startAnew(ctx context.Context, asked time.Time) error {
	unasked := u.unaskedNow(asked)
	was, began := u.status(), time.Now()
	u.mu.Lock()
	old := u.proc
	u.renewing = old != nil
	u.mu.Unlock()
	if old == nil {
		return nil // it is being started as it is
	}
	old.stop(ownerStop)
	u.setDown(old)
	stopped := time.Now()
	ctx, cancel := context.WithTimeout(ctx, holdLimit)
	defer cancel()
	if err := u.awaitServing(ctx); err != nil {
		return fault.New(fault.Unavailable, "start the owner of Durable Objects %s again: %w", u.spec.name, err)
	}
	u.mu.Lock()
	u.unasked = unasked
	u.mu.Unlock()
	now := u.status()
	u.log.Info("process renewed", "pid", now.PID, "held_mb", was.Memory>>20, "holds_mb", now.Memory>>20,
		"stopped_ms", stopped.Sub(began).Milliseconds(), "started_ms", time.Since(stopped).Milliseconds())
	return nil
}

// awaitServing waits until the process serves, or the unit is retired.
func (u *unit) awaitServing(ctx context.Context) error {
	for {
		u.mu.Lock()
		up, serving := u.up, u.serving
		u.mu.Unlock()
		if serving {
			return nil
		}
		select {
		case <-up:
		case <-u.quit:
			return errRetired
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
