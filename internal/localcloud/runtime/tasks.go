package runtime

import (
	"context"
	"time"

	"github.com/cognomega/edge/internal/localcloud/store"
)

// startTasks runs what happens without a request: queue deliveries, cron triggers, the R2 lifecycle rules, changes of databases,
// and the renewal of processes that have grown.
func (r *Runtime) startTasks() {
	for _, task := range []func(context.Context){r.runConsumers, r.runCron, r.runLifecycle, r.runDatabases, r.runRenewals} {
		r.tasks.Add(1)
		go func() {
			defer r.tasks.Done()
			task(r.ctx)
		}()
	}
}

// lifecyclePause is how often lifecycle rules are applied; Cloudflare promises within a day.
const lifecyclePause = time.Minute

func (r *Runtime) runLifecycle(ctx context.Context) {
	ticker := time.NewTicker(lifecyclePause)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if _, err := r.cfg.Store.R2().RunLifecycle(r.cfg.Now()); err != nil {
				r.cfg.Log.Error("R2 lifecycle rules not applied", "err", err)
			}
		}
	}
}

// runDatabases gives the processes that use a Hyperdrive configuration its new settings when it changes.
func (r *Runtime) runDatabases(ctx context.Context) {
	changed, stop := r.cfg.Store.Watch(store.Hyperdrives)
	defer stop()
	for {
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
		p, err := r.Prepare(ctx, Change{})
		if err != nil {
			if ctx.Err() == nil {
				r.cfg.Log.Error("change of a Hyperdrive configuration not applied", "err", err)
			}
			continue
		}
		p.Commit()
	}
}
