package platform

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/ledger/pgurl"
	"github.com/cognomega/edge/internal/localpg"
)

// databaseName is the platform's database on this machine's server.
const databaseName = "cognomega"

// Database is an environment's database: the server on this machine, or the one that DATABASE_URL names.
type Database struct {
	Target   *pgurl.Target
	Embedded *localpg.Server // nil when DATABASE_URL names another
}

// Address is a connection string for psql and other tools. It holds the password.
func (d *Database) Address() string {
	if d.Embedded != nil {
		return d.Embedded.URL(databaseName)
	}
	return d.Target.Pool.ConnConfig.ConnString()
}

func (l Layout) database() string { return filepath.Join(l.Local, "pg") }

// OpenDatabase finds an environment's database; fault.NotFound when it is this machine's and does not run.
func OpenDatabase(ctx context.Context, l Layout, env string, getenv func(string) string) (*Database, error) {
	if d, err := namedDatabase(env, getenv); d != nil || err != nil {
		return d, err
	}
	s, err := localpg.Running(ctx, l.database())
	if errors.Is(err, fault.NotFound) {
		return nil, fault.New(fault.NotFound, "the database on this machine is not running").WithHint("cogctl db up")
	}
	if err != nil {
		return nil, err
	}
	return embedded(s)
}

// StartDatabase starts the database on this machine, unless it runs or DATABASE_URL names another.
func StartDatabase(ctx context.Context, l Layout, env string, getenv func(string) string) (d *Database, started bool, err error) {
	if d, err := namedDatabase(env, getenv); d != nil || err != nil {
		return d, false, err
	}
	s, started, err := startServer(ctx, l)
	if err != nil {
		return nil, false, err
	}
	if err := s.EnsureDatabase(ctx, databaseName); err != nil {
		return nil, started, err
	}
	d, err = embedded(s)
	return d, started, err
}

// startServer starts the server, or waits for the one that another process is starting.
func startServer(ctx context.Context, l Layout) (s *localpg.Server, started bool, err error) {
	if s, err := localpg.Running(ctx, l.database()); err == nil {
		return s, false, nil
	}
	binaries, err := localpg.FindBinaries(filepath.Join(l.Root, "workers", "node_modules"))
	if err != nil {
		return nil, false, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		s, err := localpg.Start(ctx, localpg.Config{Dir: l.database(), Binaries: binaries})
		if err == nil {
			return s, true, nil
		}
		if !errors.Is(err, fault.Conflict) {
			return nil, false, err
		}
		select {
		case <-ctx.Done():
			return nil, false, err
		case <-time.After(50 * time.Millisecond):
		}
		if s, err := localpg.Running(ctx, l.database()); err == nil {
			return s, false, nil
		}
	}
}

// StopDatabase stops the database on this machine; false when it was not running.
func StopDatabase(ctx context.Context, l Layout) (stopped bool, err error) {
	s, err := localpg.Running(ctx, l.database())
	if errors.Is(err, fault.NotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, s.Stop(ctx)
}

// namedDatabase is the one of DATABASE_URL; nil when that is empty and the environment is this machine's.
func namedDatabase(env string, getenv func(string) string) (*Database, error) {
	text := getenv("DATABASE_URL")
	if text == "" && env != Local {
		return nil, fault.New(fault.Invalid, "environment %s has no database on this machine", env).WithHint("set DATABASE_URL to its connection string")
	}
	if text == "" {
		return nil, nil //nolint:nilnil // no database is named, which is no error
	}
	direct := getenv("DIRECT_URL")
	if direct == "" {
		direct = getenv("DATABASE_URL_UNPOOLED")
	}
	target, err := pgurl.Parse(text, direct)
	if err != nil {
		return nil, err
	}
	return &Database{Target: target}, nil
}

func embedded(s *localpg.Server) (*Database, error) {
	target, err := pgurl.Parse(s.SocketURL(databaseName), "")
	if err != nil {
		return nil, err
	}
	target.Shown = fmt.Sprintf("127.0.0.1:%d/%s", s.Port, databaseName) // the socket's path is long, and says less
	return &Database{Target: target, Embedded: s}, nil
}
