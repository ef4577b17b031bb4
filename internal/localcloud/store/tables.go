package store

import (
	"github.com/cognomega/edge/internal/fault"
	bolt "go.etcd.io/bbolt"
)

// format is the layout of the database; a store of another layout is refused, not guessed at.
const format = "1"

var (
	documentsTable = []byte("documents") // collection / id -> JSON
	kvTable        = []byte("kv")        // namespace / live, past
	kvSweepTable   = []byte("kv_sweep")  // when, namespace, key -> nothing
	queuesTable    = []byte("queues")    // queue / messages, due, leased, moved
	r2Table        = []byte("r2")        // bucket / objects, uploads, parts
	metaTable      = []byte("meta")
	formatKey      = []byte("format")
)

func (s *Store) createTables() error {
	err := s.db.Update(func(tx *bolt.Tx) error {
		for _, name := range [][]byte{documentsTable, kvTable, kvSweepTable, queuesTable, r2Table, metaTable} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		meta := tx.Bucket(metaTable)
		if have := meta.Get(formatKey); have != nil && string(have) != format {
			return fault.New(fault.Unsupported, "%s has store format %s, this program knows format %s", s.dir, have, format).
				WithHint("use the version of cogctl that wrote it, or another folder")
		}
		return meta.Put(formatKey, []byte(format))
	})
	if err != nil {
		return asFault(err, "prepare the store")
	}
	return nil
}
