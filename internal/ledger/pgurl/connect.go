package pgurl

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cognomega/edge/internal/fault"
)

// wakeTimeout is how long a database that sleeps, restarts or recovers is given to answer.
const wakeTimeout = 15 * time.Second

// Facts are what a server says of itself.
type Facts struct {
	Version  string `json:"version"`
	ReadOnly bool   `json:"read_only"`
	Vector   string `json:"vector"` // the pgvector that it offers; empty: none
}

// Probe connects and looks whether the server can hold the platform's data.
func (t *Target) Probe(ctx context.Context) (f Facts, err error) {
	conn, err := Connect(ctx, t.Direct)
	if err != nil {
		return f, err
	}
	defer conn.Close(ctx)
	var number int
	err = conn.QueryRow(ctx, `SELECT current_setting('server_version'), current_setting('server_version_num')::int, current_setting('transaction_read_only') = 'on',
		coalesce((SELECT default_version FROM pg_available_extensions WHERE name = 'vector'), '')`).Scan(&f.Version, &number, &f.ReadOnly, &f.Vector)
	if err != nil {
		return f, Explain("look at the database", err)
	}
	if number < minVersion {
		return f, fault.New(fault.Unsupported, "the database runs PostgreSQL %s", f.Version).WithHint("PostgreSQL %d or newer is needed", minVersion/10000)
	}
	return f, nil
}

// Connect opens a connection, waiting for a server that sleeps or recovers.
func Connect(ctx context.Context, cfg *pgx.ConnConfig) (*pgx.Conn, error) {
	deadline := time.Now().Add(wakeTimeout)
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		conn, err := pgx.ConnectConfig(ctx, cfg)
		if err == nil {
			return conn, nil
		}
		if !wakes(err) || time.Now().Add(pause).After(deadline) {
			return nil, Explain("connect to the database at "+net.JoinHostPort(cfg.Host, portText(cfg.Port)), err)
		}
		select {
		case <-ctx.Done():
			return nil, Explain("connect to the database at "+net.JoinHostPort(cfg.Host, portText(cfg.Port)), err)
		case <-time.After(pause):
		}
	}
}

// wakes tells whether the same attempt may succeed a moment later. A port nobody listens on is not such a case.
func wakes(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return strings.HasPrefix(pg.Code, "08") || strings.HasPrefix(pg.Code, "57P0") || pg.Code == "53300"
	}
	return errors.Is(err, syscall.ECONNRESET)
}

// Explain gives a database's error a kind, and a way out where there is one. It never repeats a connection string.
func Explain(doing string, err error) error {
	if err == nil {
		return nil
	}
	var known *fault.Error
	if errors.As(err, &known) {
		return err
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return explainSQL(doing, pg)
	}
	var (
		host    x509.HostnameError
		unknown x509.UnknownAuthorityError
		invalid x509.CertificateInvalidError
		plain   tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &host), errors.As(err, &unknown), errors.As(err, &invalid), errors.As(err, &plain), strings.Contains(err.Error(), "server refused TLS"):
		return fault.New(fault.Denied, "%s: its TLS does not prove who it is: %s", doing, lastOf(err)).
			WithHint("off this machine a certificate that verifies is required; give a private authority with sslrootcert=")
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOENT):
		return fault.New(fault.Unavailable, "%s: nothing listens there", doing).WithHint("cogctl db up, or correct DATABASE_URL")
	}
	return fault.New(fault.Unavailable, "%s: %s", doing, lastOf(err))
}

func explainSQL(doing string, pg *pgconn.PgError) error {
	kind, hint := fault.Unavailable, ""
	switch {
	case strings.HasPrefix(pg.Code, "28"):
		kind, hint = fault.Unauthenticated, "check the user and the password in DATABASE_URL"
	case pg.Code == "3D000":
		kind, hint = fault.NotFound, "create the database, or correct DATABASE_URL"
	case pg.Code == "42501":
		kind, hint = fault.Denied, "the role in DATABASE_URL lacks a privilege"
	case pg.Code == "42P01", pg.Code == "3F000", pg.Code == "42883":
		kind, hint = fault.Conflict, "the schema is older than this program: cogctl db up"
	case pg.Code == "55P03":
		hint = "another transaction holds what this needs: run it again"
	case pg.Code == "25006":
		kind, hint = fault.Denied, "the database is read-only: is DATABASE_URL a replica?"
	case strings.HasPrefix(pg.Code, "22"), strings.HasPrefix(pg.Code, "23"):
		kind = fault.Invalid
	case strings.HasPrefix(pg.Code, "42"):
		kind = fault.Internal
	}
	e := fault.New(kind, "%s: %w", doing, sqlError{pg})
	if hint != "" {
		return e.WithHint("%s", hint)
	}
	return e
}

// sqlError is a database's error as a person reads it; errors.As still finds the whole.
type sqlError struct{ pg *pgconn.PgError }

func (e sqlError) Error() string { return e.pg.Message + " (SQLSTATE " + e.pg.Code + ")" }
func (e sqlError) Unwrap() error { return e.pg }

// lastOf is the innermost message: pgx's outer ones repeat the user and the database.
func lastOf(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			if many, ok := err.(interface{ Unwrap() []error }); ok && len(many.Unwrap()) > 0 {
				err = many.Unwrap()[0]
				continue
			}
			return err.Error()
		}
		err = inner
	}
}

func portText(port uint16) string { return strconv.Itoa(int(port)) }
