package pgpool

import (
	"bufio"
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"maps"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cognomega/edge/internal/fault"
	"github.com/jackc/pgx/v5/pgproto3"
)

// session is one client's connection.
type session struct {
	pool *Pool
	conn net.Conn
	br   *bufio.Reader
	bw   *bufio.Writer
	key  clientKey

	pending atomic.Int64 // answers the client still waits for
	open    atomic.Bool  // extended-protocol messages since the last Sync
}

const loginLimit = 10 * time.Second

// serve runs a client from its first byte to its last.
func (p *Pool) serve(c net.Conn) error {
	s := &session{pool: p, conn: c, br: bufio.NewReaderSize(c, 32<<10), bw: bufio.NewWriterSize(c, 32<<10)}
	_ = c.SetDeadline(time.Now().Add(loginLimit))
	params, err := s.startup()
	if err != nil || params == nil {
		return err
	}
	if err := s.login(params); err != nil {
		return s.refuse("28P01", err)
	}
	_ = c.SetDeadline(time.Time{})
	srv, err := p.borrowFor(params)
	if err != nil {
		return s.refuse(refusalCode(err), err)
	}
	clean := false
	defer func() { p.giveBack(srv, clean) }()
	if err := s.adopt(srv); err != nil {
		return err // the client is gone
	}
	defer p.disown(s.key)
	clean, err = s.relay(srv)
	return err
}

// borrowFor lends a server connection that has taken a client's startup parameters. A connection that broke while it lay idle, as
// all do when the server is killed, is the pool's affair: another is taken, and in the end a new one.
func (p *Pool) borrowFor(params map[string]string) (*server, error) {
	sql := settings(params)
	for tries := 0; ; tries++ {
		srv, err := p.borrow()
		if err != nil || sql == "" {
			return srv, err
		}
		if err = srv.query(sql); err == nil {
			return srv, nil
		}
		var said *refusal
		refused := errors.As(err, &said) && said.Code[:2] != "57"
		p.giveBack(srv, refused)
		if refused || tries > p.cfg.MaxServers {
			return nil, err
		}
	}
}

// refusalCode tells a client's mistake from a database that is away: whoever takes the one for the other gives up what it should
// try again.
func refusalCode(err error) string {
	var said *refusal
	if errors.As(err, &said) && said.Code[:2] != "57" {
		return "22023"
	}
	return "53300"
}

const (
	cancelCode = 80877102
	sslCode    = 80877103
	gssCode    = 80877104
)

// startup answers what may come before a session, and returns the session's parameters; nil after a cancel request.
func (s *session) startup() (map[string]string, error) {
	for range 3 {
		b, err := readStartup(s.br)
		if err != nil {
			return nil, err
		}
		switch binary.BigEndian.Uint32(b) {
		case sslCode, gssCode:
			if _, err := s.conn.Write([]byte{'N'}); err != nil {
				return nil, err
			}
		case cancelCode:
			if len(b) != 12 {
				return nil, fault.New(fault.Invalid, "malformed cancel request")
			}
			return nil, s.pool.forwardCancel(clientKey{binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])})
		default:
			var m pgproto3.StartupMessage
			if err := m.Decode(b); err != nil {
				return nil, s.refuse("08P01", fault.New(fault.Invalid, "unsupported startup message"))
			}
			return m.Parameters, nil
		}
	}
	return nil, fault.New(fault.Invalid, "no startup message")
}

// login asks for the password in clear: the only clients are on this machine, behind a socket of their own.
func (s *session) login(params map[string]string) error {
	if err := s.send(&pgproto3.AuthenticationCleartextPassword{}); err != nil {
		return err
	}
	m, err := readMessage(s.br, maxControl)
	if err != nil {
		return err
	}
	given := strings.TrimSuffix(string(m.body), "\x00")
	user := subtle.ConstantTimeCompare([]byte(params["user"]), []byte(s.pool.cfg.ClientUser))
	if m.kind != 'p' || user&subtle.ConstantTimeCompare([]byte(given), []byte(s.pool.cfg.ClientPassword)) != 1 {
		return fault.New(fault.Unauthenticated, "password authentication failed for user %q", params["user"])
	}
	return nil
}

// adopt tells the client about its server, once the client's own settings are in place.
func (s *session) adopt(srv *server) error {
	var raw [8]byte
	_, _ = rand.Read(raw[:]) // never fails
	s.key = clientKey{binary.BigEndian.Uint32(raw[:4]) & 0x7fffffff, binary.BigEndian.Uint32(raw[4:])}
	s.pool.mu.Lock()
	s.pool.keys[s.key] = srv
	s.pool.mu.Unlock()
	hello := []pgproto3.BackendMessage{&pgproto3.AuthenticationOk{}}
	for _, name := range slices.Sorted(maps.Keys(srv.params)) {
		hello = append(hello, &pgproto3.ParameterStatus{Name: name, Value: srv.params[name]})
	}
	return s.send(append(hello, &pgproto3.BackendKeyData{ProcessID: s.key.pid, SecretKey: s.key.secret}, &pgproto3.ReadyForQuery{TxStatus: 'I'})...)
}

func (p *Pool) disown(key clientKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.keys, key)
}

var settingName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]{0,62}$`)

// settings are the statements for a client's startup parameters.
func settings(params map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(params)) {
		switch name {
		case "user", "database", "replication", "options":
			continue
		}
		if settingName.MatchString(name) {
			b.WriteString("SET " + name + " TO '" + strings.ReplaceAll(params[name], "'", "''") + "';")
		}
	}
	return b.String()
}

// relay passes messages both ways until the client leaves. clean says whether the server is between two statements.
func (s *session) relay(srv *server) (clean bool, err error) {
	fromServer := make(chan error, 1)
	go func() {
		err := pump(s.bw, srv.br, func(kind, status byte) bool {
			if kind == 'Z' {
				srv.status = status
				s.pending.Add(-1)
			}
			return true
		})
		_ = s.conn.SetReadDeadline(time.Now()) // a client that waits must learn of its server's end
		fromServer <- err
	}()
	err = pump(srv.bw, s.br, func(kind, _ byte) bool {
		switch kind {
		case 'X':
			return false
		case 'Q', 'F', 'S':
			s.pending.Add(1)
			s.open.Store(false)
		default:
			s.open.Store(true)
		}
		return true
	})
	_ = srv.conn.SetReadDeadline(time.Now())
	serverErr := <-fromServer
	_ = srv.conn.SetReadDeadline(time.Time{})
	left := err == nil || errors.Is(err, errBoundary)
	clean = left && s.pending.Load() == 0 && !s.open.Load() && errors.Is(serverErr, errBoundary) && srv.bw.Buffered() == 0
	if left {
		err = nil
	}
	return clean, err
}

func (s *session) send(ms ...pgproto3.BackendMessage) error {
	var b []byte
	for _, m := range ms {
		var err error
		if b, err = m.Encode(b); err != nil {
			return fault.New(fault.Internal, "encode message: %w", err)
		}
	}
	_, err := s.conn.Write(b)
	return err
}

// refuse tells the client why its session ends, in the database's own words when it has said something.
func (s *session) refuse(code string, err error) error {
	e := pgproto3.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: code, Message: err.Error()}
	var r *refusal
	if errors.As(err, &r) {
		e = r.ErrorResponse
		e.Severity, e.SeverityUnlocalized = "FATAL", "FATAL"
	}
	return errors.Join(err, s.send(&e))
}
