package runtime

import (
	"context"
	"reflect"
	"time"

	"github.com/cognomega/edge/internal/localcloud/store"
)

// consumerJob is one queue with the Worker that consumes it.
type consumerJob struct {
	queue      store.Queue
	consumer   store.Consumer
	deadLetter string // queue id; empty when there is none
}

type runningConsumer struct {
	job    consumerJob
	cancel context.CancelFunc
	left   chan struct{} // closed when it takes no more messages
	done   chan struct{} // closed when its last batch is settled
}

// runConsumers keeps a consumer running for each queue that has one, as the account's documents change.
func (r *Runtime) runConsumers(ctx context.Context) {
	changed, stop := r.cfg.Store.Watch(store.Queues)
	defer stop()
	running := map[string]*runningConsumer{}
	for {
		jobs, err := r.consumerJobs()
		if err != nil {
			r.cfg.Log.Error("queues not read", "err", err)
		} else {
			r.reconcile(ctx, running, jobs)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			for _, c := range running {
				<-c.done
			}
			return
		}
	}
}

func (r *Runtime) consumerJobs() (map[string]consumerJob, error) {
	jobs := map[string]consumerJob{}
	err := r.cfg.Store.View(func(tx *store.Tx) error {
		queues, err := store.All[store.Queue](tx, store.Queues, "")
		if err != nil {
			return err
		}
		ids := map[string]string{}
		for _, q := range queues {
			ids[q.Name] = q.ID
		}
		for _, q := range queues {
			if q.Paused {
				continue
			}
			for _, c := range q.Consumers {
				if c.Type == "worker" {
					jobs[q.ID] = consumerJob{queue: q, consumer: c, deadLetter: ids[c.DeadLetterQueue]}
				}
			}
		}
		return nil
	})
	return jobs, err
}

// reconcile stops consumers that changed or went, and starts the missing. Batches in hand finish beside the successor.
func (r *Runtime) reconcile(ctx context.Context, running map[string]*runningConsumer, jobs map[string]consumerJob) {
	for _, id := range sortedKeys(running) {
		c := running[id]
		if job, ok := jobs[id]; ok && sameJob(job, c.job) {
			continue
		}
		c.cancel()
		<-c.left // or it might take the signal that its successor waits for
		delete(running, id)
	}
	for _, id := range sortedKeys(jobs) {
		if running[id] != nil {
			continue
		}
		cctx, cancel := context.WithCancel(ctx)
		c := &runningConsumer{job: jobs[id], cancel: cancel, left: make(chan struct{}), done: make(chan struct{})}
		running[id] = c
		r.tasks.Add(1)
		go func() {
			defer r.tasks.Done()
			defer close(c.done)
			defer cancel()
			r.consume(cctx, c.job, c.left)
		}()
	}
}

func sameJob(a, b consumerJob) bool {
	a.queue.Modified, b.queue.Modified = time.Time{}, time.Time{}
	return reflect.DeepEqual(a, b)
}
