package store

import (
	"sync"
	"time"
)

// alarm tells consumers when there may be something to lease, with one timer for all queues.
type alarm struct {
	now   func() time.Time
	mu    sync.Mutex
	ready map[string]chan struct{}
	at    map[string]int64 // when to signal next
	timer *time.Timer
	ended bool
}

func newAlarm(now func() time.Time) *alarm {
	return &alarm{now: now, ready: map[string]chan struct{}{}, at: map[string]int64{}}
}

func (a *alarm) channel(queueID string) chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.locked(queueID)
}

func (a *alarm) locked(queueID string) chan struct{} {
	c := a.ready[queueID]
	if c == nil {
		c = make(chan struct{}, 1)
		a.ready[queueID] = c
	}
	return c
}

// set signals at the time, which replaces the queue's earlier one; 0 is never.
func (a *alarm) set(queueID string, at int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if at == 0 {
		delete(a.at, queueID)
		return
	}
	a.at[queueID] = at
	a.fire()
}

// wake signals the queues whose time has come.
func (a *alarm) wake() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fire()
}

func (a *alarm) fire() {
	now, next := a.now().UnixNano(), int64(0)
	for id, at := range a.at {
		if at <= now {
			delete(a.at, id)
			signal(a.locked(id))
		} else if next == 0 || at < next {
			next = at
		}
	}
	if a.timer != nil {
		a.timer.Stop()
	}
	if next != 0 && !a.ended {
		a.timer = time.AfterFunc(time.Duration(next-now), a.wake)
	}
}

func (a *alarm) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = true
	if a.timer != nil {
		a.timer.Stop()
	}
}
