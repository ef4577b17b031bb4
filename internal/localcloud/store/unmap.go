package store

import (
	"github.com/cognomega/edge/internal/localcloud/mapped"
	bolt "go.etcd.io/bbolt"
)

// Unmap gives the pages of the database that this process has read back to the machine, when they are more than so many bytes. The
// machine may still cache them, and whoever reads on finds them again: it costs a page fault for a few of them, and no write.
func (s *Store) Unmap(above int64) {
	// Within a transaction the map stays where it is.
	_ = s.db.View(func(tx *bolt.Tx) error {
		if size := tx.Size(); size > above && mapped.Files() > above {
			mapped.Forget(s.db.Info().Data, size)
		}
		return nil
	}) // a closed database has no map
}
