package pgpool

import (
	"bufio"
	"context"
	"net"
	"net/url"
	"time"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/nonblock"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// server is an authenticated connection to the database.
type server struct {
	conn   net.Conn
	br     *bufio.Reader
	bw     *bufio.Writer
	pid    uint32
	secret uint32
	params map[string]string
	status byte // of the last ReadyForQuery: I idle, T in a transaction, E in a failed one
	since  time.Time
}

const (
	connectLimit = 15 * time.Second
	resetLimit   = 5 * time.Second
	trustFor     = 5 * time.Second // an idle connection is checked after this
)

// open connects and authenticates. The password stays out of errors.
func (p *Pool) open() (*server, error) {
	ctx, cancel := context.WithTimeout(p.ctx, connectLimit)
	defer cancel()
	u := url.URL{
		Scheme: "postgres", Host: p.cfg.Address, Path: "/" + p.cfg.Database, User: url.User(p.cfg.User),
		RawQuery: "sslmode=prefer&application_name=cogctl-hyperdrive",
	}
	config, err := pgconn.ParseConfig(u.String())
	if err != nil {
		return nil, fault.New(fault.Invalid, "the database address %s cannot be used", p.cfg.Address)
	}
	config.Password = p.cfg.Password
	dial := config.DialFunc
	config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return nonblock.Wrap(c), nil
	}
	c, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "connect to the database: %w", err)
	}
	h, err := c.Hijack()
	if err != nil {
		return nil, fault.New(fault.Internal, "take over the connection: %w", err)
	}
	p.mu.Lock()
	p.opened++
	p.mu.Unlock()
	return &server{
		conn: h.Conn, br: bufio.NewReaderSize(h.Conn, 32<<10), bw: bufio.NewWriterSize(h.Conn, 32<<10),
		pid: h.PID, secret: h.SecretKey, params: h.ParameterStatuses, status: 'I', since: time.Now(),
	}, nil
}

func (s *server) close() {
	_ = s.conn.SetDeadline(time.Now().Add(time.Second))
	_, _ = s.conn.Write([]byte{'X', 0, 0, 0, 4})
	_ = s.conn.Close()
}

// alive trusts a connection that was just used, and asks any other.
func (s *server) alive() bool { return time.Since(s.since) < trustFor || s.query(";") == nil }

// discard is DISCARD ALL in its parts but one: plans of functions stay. PostgreSQL itself makes a plan anew when a setting or a
// table that it depends on changes, and making all of them anew is a quarter of what posting a batch costs.
const discard = "CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; DEALLOCATE ALL; UNLISTEN *; " +
	"SELECT pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES"

// reset clears everything a session can have set.
func (s *server) reset() error {
	if s.status != 'I' {
		if err := s.query("ROLLBACK"); err != nil {
			return err
		}
	}
	return s.query(discard)
}

// query runs a statement for its effect.
func (s *server) query(sql string) error {
	_ = s.conn.SetDeadline(time.Now().Add(resetLimit))
	defer func() { _ = s.conn.SetDeadline(time.Time{}) }()
	b, err := (&pgproto3.Query{String: sql}).Encode(nil)
	if err != nil {
		return fault.New(fault.Internal, "encode statement: %w", err)
	}
	if _, err := s.conn.Write(b); err != nil {
		return fault.New(fault.Unavailable, "write to the database: %w", err)
	}
	var failed error
	for {
		m, err := readMessage(s.br, maxControl)
		if err != nil {
			return fault.New(fault.Unavailable, "read from the database: %w", err)
		}
		switch m.kind {
		case 'E':
			var e pgproto3.ErrorResponse
			if e.Decode(m.body) == nil {
				failed = &refusal{e}
			}
		case 'S':
			var ps pgproto3.ParameterStatus
			if ps.Decode(m.body) == nil {
				s.params[ps.Name] = ps.Value
			}
		case 'Z':
			if len(m.body) == 1 {
				s.status = m.body[0]
			}
			return failed
		}
	}
}

// refusal is an error that the database itself answered.
type refusal struct{ pgproto3.ErrorResponse }

func (r *refusal) Error() string { return r.Message }
