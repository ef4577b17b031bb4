package runtime

import (
	"context"
	"time"
)

// startTasks runs what happens without a request: queue deliveries, cron triggers and the R2 lifecycle rules.
func (r *Runtime) startTasks() {
	for _, task := range []func(context.Context){r.runConsumers, r.runCron, r.runLifecycle} {
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
