package localpg

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cognomega/edge/internal/fault"
)

// The names every server of this package has.
const (
	superuser  = "cognomega"
	maintainDB = "postgres"
)

// startTimeout is how long a start waits for the remains of a killed server to go away, or for its recovery.
const startTimeout = 60 * time.Second

// Config says where a server lives and how.
type Config struct {
	Dir      string // everything of the server is below it
	Binaries Binaries
	Bound    bool // the server stops when this process ends, however it ends
	Settings map[string]string
}

// Server is a running server.
type Server struct {
	Dir    string
	PID    int
	Port   int
	Socket string // the folder of its unix socket

	password string
	exited   <-chan error // of a server that this process started
	unlock   func()
}

// Start starts the server of a folder, making the folder the first time, and returns when it takes connections. A server that runs
// on the folder already is fault.Conflict; one that was killed is recovered, with everything it had acknowledged.
func Start(ctx context.Context, cfg Config) (_ *Server, err error) {
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fault.New(fault.Invalid, "database folder %s: %w", cfg.Dir, err)
	}
	cfg.Dir = dir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fault.New(fault.Unavailable, "create the database's folder: %w", err)
	}
	unlock, err := lock(dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil || !cfg.Bound {
			unlock()
		}
	}()
	if s, err := Running(ctx, dir); err == nil {
		return nil, fault.New(fault.Conflict, "a server runs on %s already (pid %d)", dir, s.PID)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	l := launch{cfg: cfg}
	if l.id, err = chooseIdentity(ctx, cfg.Binaries, dir); err != nil {
		return nil, err
	}
	if err := l.initialise(ctx); err != nil {
		return nil, err
	}
	s, err := l.start(ctx)
	if err != nil {
		return nil, err
	}
	s.unlock = unlock
	return s, nil
}

// Running is the server that runs on a folder now; fault.NotFound when none does, fault.Unavailable when it does not answer.
func Running(ctx context.Context, dir string) (*Server, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fault.New(fault.Invalid, "database folder %s: %w", dir, err)
	}
	p, err := readPostmaster(dir)
	if err != nil {
		return nil, err
	}
	password, err := os.ReadFile(passwordPath(dir))
	if err != nil {
		return nil, fault.New(fault.Unavailable, "read the database's password: %w", err)
	}
	s := &Server{Dir: dir, PID: p.pid, Port: p.port, Socket: p.socket, password: string(password), unlock: func() {}}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := s.ping(ctx); err != nil {
		return nil, fault.New(fault.Unavailable, "the server on %s (pid %d) does not answer: %w", dir, p.pid, err)
	}
	return s, nil
}

// URL reaches a database of the server over its loopback port. It holds the password.
func (s *Server) URL(database string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(superuser, s.password), Host: "127.0.0.1:" + strconv.Itoa(s.Port), Path: "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// SocketURL reaches a database of the server over its unix socket. It holds the password.
func (s *Server) SocketURL(database string) string {
	q := url.Values{"host": {s.Socket}, "port": {strconv.Itoa(s.Port)}, "sslmode": {"disable"}}
	u := url.URL{Scheme: "postgres", User: url.UserPassword(superuser, s.password), Path: "/" + database, RawQuery: q.Encode()}
	return u.String()
}

// EnsureDatabase makes a database unless it is there.
func (s *Server) EnsureDatabase(ctx context.Context, name string) error {
	conn, err := pgx.Connect(ctx, s.SocketURL(maintainDB))
	if err != nil {
		return fault.New(fault.Unavailable, "connect to the local database: %w", err)
	}
	defer conn.Close(ctx)
	var there bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&there); err != nil {
		return fault.New(fault.Unavailable, "look for database %s: %w", name, err)
	}
	if there {
		return nil
	}
	var pg *pgconn.PgError
	_, err = conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
	if errors.As(err, &pg) && (pg.Code == "42P04" || pg.Code == "23505") {
		return nil // another program made it at the same moment
	}
	if err != nil {
		return fault.New(fault.Unavailable, "create database %s: %w", name, err)
	}
	return nil
}

// Stop ends every session, writes everything down and waits until the process is gone.
func (s *Server) Stop(ctx context.Context) error {
	defer s.unlock()
	if err := s.stop(ctx); err != nil {
		return err
	}
	if filepath.Dir(s.Socket) != s.Dir {
		_ = os.Remove(s.Socket) // in the system's temporary folder: nothing is left there, unless it is not empty
	}
	return nil
}

func (s *Server) ping(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, s.SocketURL(maintainDB))
	if err != nil {
		return err
	}
	return errors.Join(conn.Ping(ctx), conn.Close(ctx))
}

// launch is one start of a server.
type launch struct {
	cfg      Config
	id       identity
	password string
}

func dataPath(dir string) string     { return filepath.Join(dir, "data") }
func passwordPath(dir string) string { return filepath.Join(dir, "password") }
func logPath(dir string) string      { return filepath.Join(dir, "server.log") }

// arguments are the server's command line. Everything that is not named keeps PostgreSQL's default: fsync and synchronous_commit
// are on.
func (l launch) arguments(port int, socket string) []string {
	args := []string{"-D", dataPath(l.cfg.Dir), "-p", strconv.Itoa(port), "-k", socket}
	settings := map[string]string{
		"listen_addresses": "127.0.0.1", "unix_socket_permissions": "0700", "max_connections": "100", "shared_buffers": "64MB",
		"log_min_messages": "warning", "log_line_prefix": "%m [%p] ", "log_timezone": "UTC", "timezone": "UTC",
	}
	for name, value := range l.cfg.Settings {
		settings[name] = value
	}
	for _, name := range sortedKeys(settings) {
		args = append(args, "-c", fmt.Sprintf("%s=%s", name, settings[name]))
	}
	return args
}

func (l launch) command(program string, args ...string) *exec.Cmd {
	cmd := l.id.command(l.cfg.Binaries.program(program), args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	return cmd
}
