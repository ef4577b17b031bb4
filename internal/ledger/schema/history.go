package schema

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/cognomega/edge/internal/ledger/pgurl"
)

// Troubles that an applied migration may have.
const (
	edited  = "it was edited after it was applied"
	unknown = "it is applied, and this program does not know it: the schema is newer than the program"
)

// history is what a database says was done to it.
type history struct {
	applied map[int64]time.Time
	sums    map[int64]string
}

// Status is how every migration stands. It writes nothing, not even to a database that was never migrated.
func (m *Migrator) Status(ctx context.Context) ([]State, error) {
	h, err := m.history(ctx)
	if err != nil {
		return nil, err
	}
	return m.judge(h), nil
}

func (m *Migrator) judge(h history) []State {
	var states []State
	known := map[int64]bool{}
	for _, f := range m.files {
		known[f.version] = true
		at, applied := h.applied[f.version]
		s := State{Version: f.version, Name: f.name, Applied: applied, At: at}
		if applied && h.sums[f.version] != f.sum {
			s.Trouble = edited
		}
		states = append(states, s)
	}
	for _, version := range slices.Sorted(maps.Keys(h.applied)) {
		if !known[version] {
			states = append(states, State{Version: version, Applied: true, At: h.applied[version], Trouble: unknown})
		}
	}
	return states
}

func (m *Migrator) history(ctx context.Context) (h history, err error) {
	h = history{applied: map[int64]time.Time{}, sums: map[int64]string{}}
	var migrated bool
	if err := m.db.QueryRowContext(ctx, "SELECT to_regclass('goose_db_version') IS NOT NULL AND to_regclass('schema_checksum') IS NOT NULL").Scan(&migrated); err != nil {
		return h, pgurl.Explain("read the schema's history", err)
	}
	if !migrated {
		return h, nil
	}
	rows, err := m.db.QueryContext(ctx, `SELECT v.version_id, v.tstamp, coalesce(c.sha256, '') FROM goose_db_version v
		LEFT JOIN schema_checksum c ON c.version = v.version_id WHERE v.is_applied AND v.version_id > 0`)
	if err != nil {
		return h, pgurl.Explain("read the schema's history", err)
	}
	defer rows.Close()
	for rows.Next() {
		var (
			version int64
			at      time.Time
			sum     string
		)
		if err := rows.Scan(&version, &at, &sum); err != nil {
			return h, pgurl.Explain("read the schema's history", err)
		}
		h.applied[version], h.sums[version] = at, sum
	}
	return h, pgurl.Explain("read the schema's history", rows.Err())
}

// InvalidIndexes are those that a CREATE INDEX CONCURRENTLY left half-built. They cost every write, and serve no read.
func (m *Migrator) InvalidIndexes(ctx context.Context) (names []string, err error) {
	rows, err := m.db.QueryContext(ctx, `SELECT c.oid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
		JOIN pg_namespace n ON n.oid = c.relnamespace WHERE NOT i.indisvalid AND n.nspname = 'ledger' ORDER BY 1`)
	if err != nil {
		return nil, pgurl.Explain("look for half-built indexes", err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, pgurl.Explain("look for half-built indexes", err)
		}
		names = append(names, name)
	}
	return names, pgurl.Explain("look for half-built indexes", rows.Err())
}

// dropInvalidIndexes clears the way for building them again: IF NOT EXISTS would keep one as it is. The migration lock is held, so
// nobody else is building it now.
func (m *Migrator) dropInvalidIndexes(ctx context.Context) error {
	names, err := m.InvalidIndexes(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, err := m.db.ExecContext(ctx, "DROP INDEX CONCURRENTLY IF EXISTS "+name); err != nil {
			return pgurl.Explain("drop half-built index "+name, err)
		}
	}
	return nil
}

// Version is the newest version up to which everything is applied, with how every migration stands.
func (m *Migrator) Version(ctx context.Context) (version int64, states []State, err error) {
	states, err = m.Status(ctx)
	for _, s := range states {
		if !s.Applied {
			break
		}
		version = s.Version
	}
	return version, states, err
}
