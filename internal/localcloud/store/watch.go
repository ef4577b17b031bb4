package store

import "sync"

// watchers wakes those who wait for a collection to change.
type watchers struct {
	mu   sync.Mutex
	next int
	all  map[int]watcher
}

type watcher struct {
	collections []Collection
	changed     chan struct{}
}

// Watch signals after commits that touched one of the collections, or any when none is named. Signals that nobody
// took yet are one. stop ends it; the channel is not closed, so that a late receive cannot be mistaken for a change.
func (s *Store) Watch(cs ...Collection) (changed <-chan struct{}, stop func()) {
	return s.watch.add(watcher{collections: cs, changed: make(chan struct{}, 1)})
}

func (w *watchers) add(one watcher) (<-chan struct{}, func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil {
		w.all = map[int]watcher{}
	}
	id := w.next
	w.next++
	w.all[id] = one
	return one.changed, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.all, id)
	}
}

func (w *watchers) notify(touched map[Collection]bool) {
	if len(touched) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, one := range w.all {
		if one.wants(touched) {
			signal(one.changed)
		}
	}
}

func (w watcher) wants(touched map[Collection]bool) bool {
	for _, c := range w.collections {
		if touched[c] {
			return true
		}
	}
	return len(w.collections) == 0
}

// signal leaves at most one untaken signal in c.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
