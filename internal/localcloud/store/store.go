// Package store keeps a local account's state in one folder: documents, KV, queues, R2 and module blobs, each write on disk before it is acknowledged.
package store

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/cognomega/edge/internal/fault"
	bolt "go.etcd.io/bbolt"
)

// housekeepEvery is how often what is due but was asked for by nobody is removed: it costs disk space, never truth.
const housekeepEvery = 30 * time.Second

// Options set what a store cannot know by itself. The zero value is ready for use.
type Options struct {
	Now           func() time.Time // defaults to time.Now
	KVVisibility  time.Duration    // how long Workers keep seeing the state before a KV write, 0 to 120 s
	R2MinPartSize int64            // least size of every part but the last; 0 means 5 MiB, as R2 has it
}

// Store is the only owner of its folder from Open to Close. It is safe for concurrent use.
type Store struct {
	dir  string
	now  func() time.Time
	lock *os.File
	db   *bolt.DB
	log  *committer

	watch   watchers
	bodies  *bodies
	kv      *KV
	queues  *QueueStore
	r2      *R2
	metrics *Metrics

	stop    chan struct{}
	stopped sync.WaitGroup
	closing sync.Once
}

// Open takes dir for this process alone, and puts right what a crash left behind.
// It never waits: a folder in use is fault.Conflict.
func Open(dir string, o Options) (_ *Store, err error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if err := checkVisibility(o.KVVisibility); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fault.New(fault.Unavailable, "create folder of the store: %w", err)
	}
	s := &Store{dir: dir, now: o.Now, stop: make(chan struct{})}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.lock, err = lockFolder(dir); err != nil {
		return nil, err
	}
	if err = s.openDatabase(); err != nil {
		return nil, err
	}
	if err = s.openBlobs(); err != nil {
		return nil, err
	}
	if s.bodies, err = openBodies(filepath.Join(dir, "blobs", "bodies")); err != nil {
		return nil, err
	}
	s.log = newCommitter(s.db)
	s.kv = newKV(s, o.KVVisibility)
	s.queues = newQueueStore(s)
	s.r2 = newR2(s, o.R2MinPartSize)
	s.metrics = newMetrics(o.Now)
	if err = s.recover(); err != nil {
		return nil, err
	}
	s.stopped.Add(1)
	go s.housekeep(s.stop)
	return s, nil
}

func (s *Store) openDatabase() (err error) {
	path := filepath.Join(s.dir, "cloud.db")
	s.db, err = bolt.Open(path, 0o600, &bolt.Options{
		Timeout:         time.Second, // ours is the lock that decides; this one only guards against another program
		FreelistType:    bolt.FreelistMapType,
		NoFreelistSync:  true,    // rebuilt on Open, so that a commit does not write it each time
		InitialMmapSize: 1 << 30, // address space, not memory: growing the map would wait for every reader
	})
	if err != nil {
		return fault.New(fault.Unavailable, "open %s: %w", path, err).WithHint("if the file is damaged, move the folder away and start anew")
	}
	return s.createTables()
}

// recover returns lost leases, then deletes the body files that nothing names.
func (s *Store) recover() error {
	if err := s.queues.recover(); err != nil {
		return err
	}
	return s.collectOrphans()
}

// Close waits for writes under way, and gives the folder back. Closing twice does nothing; what is called later is
// fault.Unavailable.
func (s *Store) Close() (err error) {
	s.closing.Do(func() { err = s.close() })
	return err
}

func (s *Store) close() error {
	close(s.stop)
	s.stopped.Wait()
	if s.queues != nil {
		s.queues.close()
	}
	if s.log != nil {
		s.log.close()
	}
	var errs []error
	if s.db != nil {
		errs = append(errs, s.db.Close())
	}
	if s.lock != nil {
		errs = append(errs, unlockFolder(s.lock))
	}
	return asFault(errors.Join(errs...), "close the store")
}
