package runtime

import (
	"context"
	"time"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/runtime/cronspec"
	"github.com/cognomega/edge/internal/localcloud/store"
)

// runCron fires the cron triggers at the start of each minute, UTC. A minute that this machine slept through is not made up for.
func (r *Runtime) runCron(ctx context.Context) {
	last := r.cfg.Now().Truncate(time.Minute)
	ticker := time.NewTicker(cronTick)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if minute := r.cfg.Now().Truncate(time.Minute); minute.After(last) {
				last = minute
				r.fire(ctx, minute)
			}
		case <-ctx.Done():
			return
		}
	}
}

// cronTick is how late a trigger may be. The clock is asked again and again because a timer does not count a machine's sleep.
const cronTick = 200 * time.Millisecond

// fire starts every trigger that names the minute.
func (r *Runtime) fire(ctx context.Context, minute time.Time) {
	var scripts []store.Script
	err := r.cfg.Store.View(func(tx *store.Tx) (err error) {
		scripts, err = store.All[store.Script](tx, store.Scripts, "")
		return err
	})
	if err != nil {
		r.cfg.Log.Error("cron triggers not read", "err", err)
		return
	}
	for _, script := range scripts {
		for _, s := range script.Schedules {
			spec, err := cronspec.Parse(s.Cron)
			if err != nil || !spec.Matches(minute) {
				continue // the API refuses what does not parse
			}
			r.tasks.Add(1)
			go func() {
				defer r.tasks.Done()
				hard, cancel := softly(ctx, r.cfg.Settle)
				defer cancel()
				if err := r.Trigger(hard, script.Name, s.Cron, minute); err != nil {
					r.cfg.Log.Warn("cron trigger failed", "script", script.Name, "cron", s.Cron, "err", err)
				}
			}()
		}
	}
}

// cronWall is Cloudflare's limit for one scheduled run.
const cronWall = 15 * time.Minute

// Trigger runs a script's scheduled handler now, as if the expression had named the time.
func (r *Runtime) Trigger(ctx context.Context, script, cron string, at time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, cronWall)
	defer cancel()
	lease, err := r.acquire(ctx, script, clock, Prefer{})
	if err != nil {
		return err
	}
	defer lease.Release()
	began := time.Now()
	var result struct{ Outcome string }
	err = r.dispatch(ctx, lease, event{Type: "scheduled", Script: script, Cron: cron, Time: at.UnixMilli()}, &result)
	if err != nil {
		result.Outcome = "canceled"
	}
	r.record(lease, script, began, result.Outcome)
	if err == nil && result.Outcome != "ok" {
		err = fault.New(fault.Invalid, "the scheduled handler of %s ended with %q", script, result.Outcome)
	}
	return err
}
