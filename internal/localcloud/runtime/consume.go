package runtime

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/store"
)

const (
	consumerWall       = 15 * time.Minute // Cloudflare's limit for one batch
	consumerLease      = consumerWall + time.Minute
	defaultConcurrency = 10 // where the consumer sets none
	consumerPause      = 500 * time.Millisecond
)

// consume delivers a queue's messages to its consumer until ctx ends; then it closes left and waits for the batches in hand.
func (r *Runtime) consume(ctx context.Context, job consumerJob, left chan<- struct{}) {
	hard, cancel := softly(ctx, r.cfg.Settle)
	defer cancel()
	slots := make(chan struct{}, concurrency(job.consumer))
	var batches sync.WaitGroup
	defer batches.Wait()
	defer close(left)
	for r.awaitBatch(ctx, job) {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		batch, lease, err := r.leaseBatch(ctx, job)
		if err != nil || len(batch) == 0 {
			<-slots
			if err != nil && !r.pause(ctx, job, err) {
				return
			}
			continue
		}
		batches.Add(1)
		go func() {
			defer batches.Done()
			defer lease.Release()
			result := r.deliver(hard, job, lease, batch)
			<-slots // the next batch is taken in the commit that settles this one
			r.settle(job, batch, result)
		}()
	}
}

func concurrency(c store.Consumer) int {
	if c.MaxConcurrency > 0 {
		return c.MaxConcurrency
	}
	return defaultConcurrency
}

// pause waits before trying again what failed; false when there is no again.
func (r *Runtime) pause(ctx context.Context, job consumerJob, err error) bool {
	if !errors.Is(err, fault.NotFound) {
		r.cfg.Log.Warn("queue not consumed", "queue", job.queue.Name, "script", job.consumer.Script, "err", err)
	}
	select {
	case <-time.After(consumerPause):
		return true
	case <-ctx.Done():
		return false
	}
}

// awaitBatch waits until a batch is full, or the oldest of a part of one has waited long enough.
func (r *Runtime) awaitBatch(ctx context.Context, job consumerJob) bool {
	ready := r.cfg.Store.Queues().Ready(job.queue.ID)
	var late <-chan time.Time
	for {
		depth, err := r.cfg.Store.Queues().Depth(job.queue.ID)
		if err == nil && depth.Ready >= int64(max(job.consumer.BatchSize, 1)) {
			return ctx.Err() == nil
		}
		if err == nil && depth.Ready > 0 && late == nil {
			t := time.NewTimer(time.Duration(job.consumer.MaxWaitMS) * time.Millisecond)
			defer t.Stop()
			late = t.C
		}
		select {
		case <-ready:
		case <-late:
			return true
		case <-ctx.Done():
			return false
		}
	}
}

// leaseBatch takes the consumer's process first: without one, messages stay in the queue and no attempt is counted.
func (r *Runtime) leaseBatch(ctx context.Context, job consumerJob) ([]store.Leased, *Lease, error) {
	lease, err := r.Acquire(ctx, job.consumer.Script)
	if err != nil {
		return nil, nil, err
	}
	batch, err := r.cfg.Store.Queues().Lease(job.queue.ID, max(job.consumer.BatchSize, 1), store.MaxBatchBytes, consumerLease)
	if err != nil || len(batch) == 0 {
		lease.Release()
		return nil, nil, err
	}
	return batch, lease, nil
}

// deliver hands a batch to the consumer.
func (r *Runtime) deliver(ctx context.Context, job consumerJob, lease *Lease, batch []store.Leased) queueResult {
	ctx, cancel := context.WithTimeout(ctx, consumerWall)
	defer cancel()
	e := event{Type: "queue", Script: job.consumer.Script, Queue: job.queue.Name}
	for _, m := range batch {
		e.Messages = append(e.Messages, newEventMessage(m))
	}
	began := time.Now()
	var result queueResult
	if err := r.dispatch(ctx, lease, e, &result); err != nil {
		r.cfg.Log.Warn("queue batch not delivered", "queue", job.queue.Name, "script", job.consumer.Script, "messages", len(batch), "err", err)
		result = queueResult{Outcome: "canceled"}
	}
	r.record(lease, job.consumer.Script, began, result.Outcome)
	return result
}

// settle makes lasting what the consumer decided.
func (r *Runtime) settle(job consumerJob, batch []store.Leased, result queueResult) {
	err := r.cfg.Store.Queues().Settle(job.queue.ID, settlement(job, batch, result))
	if err != nil && !errors.Is(err, fault.NotFound) { // not found: the queue was purged meanwhile
		r.cfg.Log.Error("queue batch not settled", "queue", job.queue.Name, "err", err)
	}
}

// settlement decides each message: what was acknowledged goes, what failed returns after the retry delay, or, when it has had
// all its retries, goes to the dead letter queue. An exception fails only what was not acknowledged before it.
func settlement(job consumerJob, batch []store.Leased, result queueResult) store.Settlement {
	acked := map[string]bool{}
	for _, id := range result.ExplicitAcks {
		acked[id] = true
	}
	delays := map[string]*int{}
	for _, m := range result.RetryMessages {
		delays[m.MsgID] = m.DelaySeconds
	}
	retryAll := result.RetryBatch.Retry || (result.Outcome != "ok" && !result.AckAll)
	s := store.Settlement{DeadLetterQueue: job.deadLetter}
	for _, m := range batch {
		delay, retry := delays[m.ID]
		if !retry && retryAll && !acked[m.ID] {
			delay, retry = result.RetryBatch.DelaySeconds, true
		}
		switch {
		case !retry:
			s.Ack = append(s.Ack, m.ID)
		case m.Attempts > job.consumer.MaxRetries:
			s.DeadLetter = append(s.DeadLetter, m.ID)
		default:
			s.Retry = append(s.Retry, store.Retrial{ID: m.ID, Delay: retryDelay(delay, job.consumer)})
		}
	}
	return s
}

func retryDelay(seconds *int, c store.Consumer) time.Duration {
	s := c.RetryDelayS
	if seconds != nil {
		s = *seconds
	}
	return min(max(time.Duration(s)*time.Second, 0), store.MaxDelay)
}
