package store

import (
	"errors"
	"sync"

	"github.com/cognomega/edge/internal/fault"
	bolt "go.etcd.io/bbolt"
)

// maxGroup bounds one group commit, so that a burst does not make the first of it wait for the last.
const maxGroup = 512

// committer lets concurrent writers share a transaction, and so an fsync. Unlike bolt's Batch it never waits for company:
// what arrives while one group is being written forms the next.
type committer struct {
	db   *bolt.DB
	mu   sync.Mutex
	wake *sync.Cond
	todo []*write
	end  bool
	done chan struct{}
}

type write struct {
	fn    func(*bolt.Tx) error
	err   error
	panic any
	done  chan struct{}
}

func newCommitter(db *bolt.DB) *committer {
	c := &committer{db: db, done: make(chan struct{})}
	c.wake = sync.NewCond(&c.mu)
	go c.run()
	return c
}

// do runs fn in a transaction and returns when that is on disk. fn is run again when another of its group had an error,
// so it must start from nothing each time. An error undoes what fn wrote.
func (c *committer) do(fn func(*bolt.Tx) error) error {
	w := &write{fn: fn, done: make(chan struct{})}
	c.mu.Lock()
	if c.end {
		c.mu.Unlock()
		return fault.New(fault.Unavailable, "the store is closed")
	}
	c.todo = append(c.todo, w)
	c.wake.Signal()
	c.mu.Unlock()
	<-w.done
	if w.panic != nil {
		panic(w.panic)
	}
	return w.err
}

func (c *committer) run() {
	defer close(c.done)
	for {
		group := c.take()
		if group == nil {
			return
		}
		c.commit(group)
	}
}

// take waits for work; nil means that there will be no more.
func (c *committer) take() []*write {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.todo) == 0 {
		if c.end {
			return nil
		}
		c.wake.Wait()
	}
	n := min(len(c.todo), maxGroup)
	group := c.todo[:n:n]
	c.todo = c.todo[n:]
	return group
}

// commit writes a group; a member with an error is taken out and the rest is written without it.
func (c *committer) commit(group []*write) {
	for len(group) > 0 {
		bad := -1
		err := c.db.Update(func(tx *bolt.Tx) error {
			for i, w := range group {
				if err := w.run(tx); err != nil {
					bad = i
					return err
				}
			}
			return nil
		})
		if bad < 0 {
			for _, w := range group {
				w.finish(err)
			}
			return
		}
		group[bad].finish(err)
		group = append(group[:bad:bad], group[bad+1:]...)
	}
}

var errPanicked = errors.New("panicked")

// run carries a panic of fn to the caller that brought it; the committer must outlive it.
func (w *write) run(tx *bolt.Tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			w.panic, err = p, errPanicked
		}
	}()
	return w.fn(tx)
}

func (w *write) finish(err error) {
	w.err = asFault(err, "commit")
	close(w.done)
}

// close lets what was brought be written, then stops.
func (c *committer) close() {
	c.mu.Lock()
	c.end = true
	c.wake.Signal()
	c.mu.Unlock()
	<-c.done
}
