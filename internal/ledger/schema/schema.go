// Package schema brings a database to the version that this program was built with, one migrator at a time, and refuses one whose history was edited.
package schema

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/ledger/pgurl"
	"github.com/cognomega/edge/migrations"
)

// A migrator that dies keeps its lease this long; one that lives renews it.
const (
	leaseTime   = 15 * time.Second
	leaseRenew  = 3 * time.Second
	leaseRetry  = 200 * time.Millisecond
	leaseTries  = 1500 // 5 minutes
	lockTimeout = "5s" // for rows and tables that the platform is using
)

// State is how one migration stands.
type State struct {
	Version int64     `json:"version"`
	Name    string    `json:"name"`
	Applied bool      `json:"applied"`
	At      time.Time `json:"applied_at,omitzero"`
	Trouble string    `json:"trouble,omitempty"` // what is wrong with it
}

// Step is one migration that was run.
type Step struct {
	Version int64         `json:"version"`
	Name    string        `json:"name"`
	Took    time.Duration `json:"took_ns"`
}

// Migrator changes the schema of one database.
type Migrator struct {
	db       *sql.DB
	provider *goose.Provider
	files    []file
}

type file struct {
	version int64
	name    string
	sum     string
}

// New makes a migrator over the migrations of this program.
func New(cfg *pgx.ConnConfig) (*Migrator, error) { return newMigrator(cfg, migrations.FS) }

func newMigrator(cfg *pgx.ConnConfig, source fs.FS) (*Migrator, error) {
	files, err := readFiles(source)
	if err != nil {
		return nil, err
	}
	db := stdlib.OpenDB(*cfg, stdlib.OptionAfterConnect(func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "SET lock_timeout = '"+lockTimeout+"'; SET statement_timeout = 0; SET client_min_messages = warning")
		return err
	}))
	provider, err := goose.NewProvider(goose.DialectPostgres, db, source, goose.WithDisableGlobalRegistry(true), goose.WithSlog(slog.New(slog.DiscardHandler)))
	if err != nil {
		return nil, errors.Join(fault.New(fault.Internal, "read the migrations: %w", err), db.Close())
	}
	return &Migrator{db: db, provider: provider, files: files}, nil
}

func readFiles(source fs.FS) ([]file, error) {
	read, broken := migrations.Lint(source)
	if len(broken) > 0 {
		return nil, fault.New(fault.Invalid, "migrations break their rules: %s", broken[0])
	}
	files := make([]file, 0, len(read))
	for _, f := range read {
		raw, err := fs.ReadFile(source, f.Name)
		if err != nil {
			return nil, fault.New(fault.Internal, "read migration %s: %w", f.Name, err)
		}
		sum := sha256.Sum256(raw)
		files = append(files, file{f.Version, f.Name, hex.EncodeToString(sum[:])})
	}
	return files, nil
}

// Close gives the migrator's connections back.
func (m *Migrator) Close() { _ = m.db.Close() }

// Target is the newest version that this program knows.
func (m *Migrator) Target() int64 { return m.files[len(m.files)-1].version }

// Up applies what is missing up to a version (0: all of it). A second migrator waits for the first, and finds nothing to do.
func (m *Migrator) Up(ctx context.Context, to int64) (done []Step, err error) {
	if to == 0 {
		to = m.Target()
	}
	err = m.locked(ctx, func(ctx context.Context) error {
		h, err := m.check(ctx)
		if err != nil {
			return err
		}
		if err := m.dropInvalidIndexes(ctx); err != nil {
			return err
		}
		for _, f := range m.files {
			if _, applied := h.applied[f.version]; applied || f.version > to {
				continue
			}
			step, err := m.apply(ctx, f)
			if err != nil {
				return err
			}
			done = append(done, step)
		}
		return nil
	})
	return done, err
}

// apply writes the checksum down first: whenever a version is applied, its checksum is there, wherever this program was killed.
func (m *Migrator) apply(ctx context.Context, f file) (Step, error) {
	doing := "apply migration " + f.name
	_, err := m.db.ExecContext(ctx, `INSERT INTO schema_checksum (version, sha256) VALUES ($1, $2)
		ON CONFLICT (version) DO UPDATE SET sha256 = excluded.sha256, written_at = now()`, f.version, f.sum)
	if err != nil {
		return Step{}, pgurl.Explain(doing, err)
	}
	r, err := m.provider.ApplyVersion(ctx, f.version, true)
	if err != nil {
		return Step{}, pgurl.Explain(doing, err)
	}
	return Step{f.version, f.name, r.Duration}, nil
}

// Down takes back what was applied after a version.
func (m *Migrator) Down(ctx context.Context, to int64) (done []Step, err error) {
	err = m.locked(ctx, func(ctx context.Context) error {
		h, err := m.check(ctx)
		if err != nil {
			return err
		}
		for i := len(m.files) - 1; i >= 0 && m.files[i].version > to; i-- {
			f := m.files[i]
			if _, applied := h.applied[f.version]; !applied {
				continue
			}
			r, err := m.provider.ApplyVersion(ctx, f.version, false)
			if err != nil {
				return pgurl.Explain("take back migration "+f.name, err)
			}
			done = append(done, Step{f.version, f.name, r.Duration})
		}
		return nil
	})
	return done, err
}

// locked runs do while no other migrator runs. The lock is a lease in a table: it needs no session, so it holds through a pooler.
func (m *Migrator) locked(ctx context.Context, do func(context.Context) error) (err error) {
	locker, err := lock.NewPostgresTableLocker(lock.WithTableLeaseDuration(leaseTime), lock.WithTableHeartbeatInterval(leaseRenew),
		lock.WithTableLockTimeout(leaseRetry, leaseTries))
	if err != nil {
		return fault.New(fault.Internal, "make the migration lock: %w", err)
	}
	if err := m.db.PingContext(ctx); err != nil {
		return pgurl.Explain("connect to the database", err)
	}
	if err := locker.Lock(ctx, m.db); err != nil {
		return fault.New(fault.Conflict, "wait for another migrator: %w", pgurl.Explain("lock the schema", err))
	}
	defer func() {
		if unlockErr := locker.Unlock(context.WithoutCancel(ctx), m.db); unlockErr != nil && err == nil {
			err = pgurl.Explain("unlock the schema", unlockErr)
		}
	}()
	if _, err := m.db.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS schema_checksum (
		version bigint PRIMARY KEY, sha256 text NOT NULL, written_at timestamptz NOT NULL DEFAULT now())`); err != nil {
		return pgurl.Explain("keep the migrations' checksums", err)
	}
	return do(ctx)
}

// check refuses a database that this program must not change.
func (m *Migrator) check(ctx context.Context) (history, error) {
	h, err := m.history(ctx)
	if err != nil {
		return h, err
	}
	for _, s := range m.judge(h) {
		if s.Trouble != "" {
			return h, fault.New(fault.Conflict, "migration %s: %s", label(s), s.Trouble).WithHint("%s", wayOut(s))
		}
	}
	return h, nil
}

func label(s State) string {
	if s.Name == "" {
		return fmt.Sprint(s.Version)
	}
	return s.Name
}

func wayOut(s State) string {
	if s.Name == "" {
		return "use the version of cogctl that applied it, or a newer one"
	}
	return "restore the file as it was applied, and put the change into a new migration"
}
