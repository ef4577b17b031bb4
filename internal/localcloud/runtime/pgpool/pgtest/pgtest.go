// Package pgtest is a small PostgreSQL server for tests of what stands between clients and a database: sessions with one setting each.
package pgtest

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

// Server takes user names as they come and the password "real". It answers a query with the number of its session and the setting.
type Server struct {
	listener net.Listener

	mu       sync.Mutex
	sessions int
	log      []string
	waiting  map[uint32]chan struct{} // sessions in pg_sleep, by pid
	conns    []net.Conn
}

// New starts a server that ends with the test.
func New(t *testing.T) *Server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &Server{listener: l, waiting: map[uint32]chan struct{}{}}
	var running sync.WaitGroup
	running.Add(1)
	go func() {
		defer running.Done()
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			f.mu.Lock()
			f.conns = append(f.conns, c)
			f.mu.Unlock()
			running.Add(1)
			go func() {
				defer running.Done()
				defer c.Close()
				f.serve(c)
			}()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		f.WakeAll()
		f.mu.Lock()
		for _, c := range f.conns {
			_ = c.Close() // a pool that closes later keeps its connections open until then
		}
		f.mu.Unlock()
		running.Wait()
	})
	return f
}

// Addr is where the server listens.
func (f *Server) Addr() string { return f.listener.Addr().String() }

// Heard are the statements so far.
func (f *Server) Heard() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string{}, f.log...)
}

// WakeAll ends every sleep.
func (f *Server) WakeAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for pid, w := range f.waiting {
		close(w)
		delete(f.waiting, pid)
	}
}

func (f *Server) hear(s string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.log = append(f.log, s)
}

// Count is how often the server heard a statement.
func (f *Server) Count(s string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, l := range f.log {
		if l == s {
			n++
		}
	}
	return n
}

func (f *Server) serve(c net.Conn) {
	b := pgproto3.NewBackend(c, c)
	m, err := b.ReceiveStartupMessage()
	if _, ssl := m.(*pgproto3.SSLRequest); ssl && err == nil {
		_, _ = c.Write([]byte{'N'})
		m, err = b.ReceiveStartupMessage()
	}
	if err != nil {
		return
	}
	if cancel, ok := m.(*pgproto3.CancelRequest); ok {
		f.mu.Lock()
		defer f.mu.Unlock()
		if w := f.waiting[cancel.ProcessID]; w != nil && cancel.SecretKey == cancel.ProcessID*7 {
			close(w)
			delete(f.waiting, cancel.ProcessID)
		}
		return
	}
	b.Send(&pgproto3.AuthenticationCleartextPassword{})
	_ = b.SetAuthType(pgproto3.AuthTypeCleartextPassword)
	if b.Flush() != nil {
		return
	}
	if p, err := b.Receive(); err != nil || p.(*pgproto3.PasswordMessage).Password != "real" {
		b.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: "28P01", Message: "wrong"})
		_ = b.Flush()
		return
	}
	f.mu.Lock()
	f.sessions++
	pid := uint32(f.sessions)
	f.mu.Unlock()
	b.Send(&pgproto3.AuthenticationOk{})
	b.Send(&pgproto3.ParameterStatus{Name: "server_version", Value: "15.0"})
	b.Send(&pgproto3.BackendKeyData{ProcessID: pid, SecretKey: pid * 7})
	f.session(b, pid)
}

func (f *Server) session(b *pgproto3.Backend, pid uint32) {
	status, setting := byte('I'), "default"
	for {
		b.Send(&pgproto3.ReadyForQuery{TxStatus: status})
		if b.Flush() != nil {
			return
		}
		m, err := b.Receive()
		if err != nil {
			return
		}
		q, ok := m.(*pgproto3.Query)
		if !ok {
			return
		}
		f.hear(q.String)
		switch {
		case q.String == "BEGIN":
			status = 'T'
		case q.String == "ROLLBACK":
			status = 'I'
		case strings.HasPrefix(q.String, "CLOSE ALL;") && status == 'I':
			setting = "default"
		case strings.HasPrefix(q.String, "SET"):
			setting = q.String
		case q.String == "sleep":
			w := make(chan struct{})
			f.mu.Lock()
			f.waiting[pid] = w
			f.mu.Unlock()
			<-w
			b.Send(&pgproto3.ErrorResponse{Severity: "ERROR", Code: "57014", Message: "canceling statement due to user request"})
			continue
		default:
			b.Send(&pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{{Name: []byte("v"), DataTypeOID: 25, DataTypeSize: -1}}})
			b.Send(&pgproto3.DataRow{Values: [][]byte{fmt.Appendf(nil, "%d %s", pid, setting)}})
		}
		b.Send(&pgproto3.CommandComplete{CommandTag: []byte("OK")})
	}
}
