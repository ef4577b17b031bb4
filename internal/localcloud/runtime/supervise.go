package runtime

import (
	"context"
	"sync"
	"time"
)

// Backoff of restarts: at once at first, so that a single crash costs little.
const (
	firstPause = 20 * time.Millisecond
	lastPause  = 5 * time.Second
	wellAfter  = 30 * time.Second // a process that lived so long starts the backoff anew
)

// supervise keeps a process running until the unit is retired. A nil process is one that is yet to be started.
func (u *unit) supervise(p *process) {
	defer close(u.done)
	pause := firstPause
	for {
		if p != nil {
			select {
			case <-p.exited:
				u.setDown(p)
				if !u.isRenewing() {
					u.log.Warn("workerd ended, starting it again", "pid", p.pid, "err", p.err)
				}
				if time.Since(p.started) > wellAfter {
					pause = firstPause
				}
			case <-u.quit:
				u.end(p)
				return
			}
		}
		if p = u.revive(&pause); p == nil {
			u.discard()
			return
		}
	}
}

// revive starts the process again, waiting longer after each failure; nil means that the unit was retired meanwhile.
func (u *unit) revive(pause *time.Duration) *process {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-u.quit:
			cancel()
		case <-ctx.Done():
		}
	}()
	for ctx.Err() == nil {
		p, said, err := u.launch()
		if err == nil {
			err = u.awaitFirst(ctx, p, said)
		}
		if err == nil {
			u.countStart(p)
			u.setServing(p)
			*pause = min(2**pause, lastPause)
			return p
		}
		if ctx.Err() == nil {
			u.log.Error("workerd did not start", "err", err, "again_in", *pause)
		}
		select {
		case <-time.After(*pause):
		case <-ctx.Done():
		}
		*pause = min(2**pause, lastPause)
	}
	return nil
}

func (u *unit) isRenewing() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.renewing
}

// countStart takes note of a start by the supervisor: the first of a unit that had to wait for its predecessor's end, a renewal, or one
// after a process ended by itself.
func (u *unit) countStart(p *process) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.startup = time.Since(p.started)
	switch {
	case u.renewing:
		u.renewing = false
		u.renewals++
	case u.served:
		u.restarts++
	}
}

// end stops the process of a retired unit and removes its files.
func (u *unit) end(p *process) {
	u.mu.Lock()
	grace := u.grace
	u.mu.Unlock()
	p.stop(grace)
	u.setDown(p)
	u.discard()
}

// acquire takes a lease, waiting while the process restarts. A retired unit gives none.
func (u *unit) acquire(ctx context.Context) error {
	for {
		u.mu.Lock()
		up := u.up
		switch {
		case u.retired:
			u.mu.Unlock()
			return errRetired
		case u.held != nil:
			up = u.held
		case u.serving:
			u.leases++
			u.mu.Unlock()
			return nil
		}
		u.mu.Unlock()
		select {
		case <-up:
		case <-u.quit:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// releaser returns the function that ends a lease, once however often it is called.
func (u *unit) releaser(why use) func() {
	var once sync.Once
	return func() {
		once.Do(func() {
			u.mu.Lock()
			defer u.mu.Unlock()
			if why == asked {
				u.asked = time.Now()
			}
			if u.leases--; u.leases == 0 && u.retired {
				close(u.idle)
			}
		})
	}
}

// retire gives no more leases, waits for those given, for at most drain, and stops the process.
func (u *unit) retire(drain time.Duration) { u.retireUntil(nil, drain, drain) }

// retireUntil is retire that is cut short when hurry is closed: then it waits no longer than rest.
func (u *unit) retireUntil(hurry <-chan struct{}, drain, rest time.Duration) {
	deadline := time.Now().Add(drain)
	u.mu.Lock()
	if u.ending {
		u.mu.Unlock()
		<-u.done
		return
	}
	u.ending = true
	if !u.retired {
		u.retired = true
		if u.leases == 0 {
			close(u.idle)
		}
	}
	u.mu.Unlock()
	if u.awaitIdle(hurry, drain) {
		deadline = time.Now().Add(rest)
		u.awaitIdle(nil, rest)
	}
	u.awaitAfterwards()
	u.mu.Lock()
	if u.leases > 0 {
		u.log.Warn("requests were still running when their process was stopped", "requests", u.leases, "after", drain)
	}
	u.grace = u.lastGrace(deadline)
	u.mu.Unlock()
	close(u.quit)
	<-u.done
}

// awaitIdle waits for the last lease's release or the end of the time; hurried says that neither came first.
func (u *unit) awaitIdle(hurry <-chan struct{}, drain time.Duration) (hurried bool) {
	t := time.NewTimer(drain)
	defer t.Stop()
	select {
	case <-u.idle:
	case <-t.C:
	case <-hurry:
		return true
	}
	return false
}

// afterwards is what the Workers of a process that is stopped get for what they do after the last answer. workerd drops that on SIGTERM, and
// tells nobody whether there is any. Cloudflare gives it half a minute.
const afterwards = time.Second

// awaitAfterwards waits until the last answer is that long ago. An owner of Durable Objects stops at once: its successor waits for it.
func (u *unit) awaitAfterwards() {
	u.mu.Lock()
	left := afterwards - time.Since(u.asked)
	u.mu.Unlock()
	if !u.spec.owner && left > 0 {
		time.Sleep(left)
	}
}

// Bounds of the time between SIGTERM and SIGKILL.
const (
	minGrace   = 500 * time.Millisecond
	ownerGrace = time.Second
)

// lastGrace is for calls from other processes, which hold no lease: workerd finishes them on SIGTERM. It also waits for their
// idle sessions, which do not end, so an owner of Durable Objects, for whose successor requests are waiting, gets less.
func (u *unit) lastGrace(deadline time.Time) time.Duration {
	grace := max(time.Until(deadline), minGrace)
	if u.spec.owner {
		return min(grace, ownerGrace)
	}
	return grace
}
