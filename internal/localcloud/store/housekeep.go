package store

import (
	"time"

	bolt "go.etcd.io/bbolt"
)

// housekeep removes, now and then, what is due and nobody asked for. An error is left to the next time: readers judge by
// the clock and not by what was swept, so nothing wrong is ever seen.
func (s *Store) housekeep(stop <-chan struct{}) {
	defer s.stopped.Done()
	tick := time.NewTicker(housekeepEvery)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
			if s.kv.sweepDue() {
				_ = s.kv.Sweep()
			}
			_ = s.queues.expireAll()
			s.metrics.expire()
		}
	}
}

// collectOrphans deletes the body files whose record was never written, or was deleted just before a crash.
func (s *Store) collectOrphans() error {
	named := map[string]bool{}
	err := s.db.View(func(tx *bolt.Tx) error {
		if err := namedByKV(tx, named); err != nil {
			return err
		}
		return namedByR2(tx, named)
	})
	if err == nil {
		_, err = s.bodies.collect(named)
	}
	return asFault(err, "collect orphan bodies")
}

func namedByKV(tx *bolt.Tx, named map[string]bool) error {
	return tx.Bucket(kvTable).ForEachBucket(func(ns []byte) error {
		b := tx.Bucket(kvTable).Bucket(ns)
		for _, table := range [][]byte{liveTable, pastTable} {
			err := b.Bucket(table).ForEach(func(_, raw []byte) error {
				r, err := decodeKV(raw)
				if r.body != "" {
					named[r.body] = true
				}
				return err
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}
