package pgpool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cognomega/edge/internal/localcloud/runtime/pgpool/pgtest"
	"github.com/jackc/pgx/v5/pgconn"
)

func newPool(t *testing.T, address string, adjust func(*Config)) (*Pool, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Address: address, Database: "db", User: "u", Password: "real", ClientUser: "hyper", ClientPassword: "local", MaxServers: 2, Wait: 300 * time.Millisecond}
	if adjust != nil {
		adjust(&cfg)
	}
	p := Serve(l, cfg)
	t.Cleanup(p.Close)
	return p, l.Addr().String()
}

func connect(ctx context.Context, addr, password, more string) (*pgconn.PgConn, error) {
	return pgconn.Connect(ctx, fmt.Sprintf("postgres://hyper:%s@%s/db?sslmode=disable%s", password, addr, more))
}

func query(t *testing.T, c *pgconn.PgConn, sql string) string {
	t.Helper()
	results, err := c.Exec(t.Context(), sql).ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	if len(results) == 0 || len(results[0].Rows) == 0 {
		return ""
	}
	return string(results[0].Rows[0][0])
}

func TestPoolReusesServers(t *testing.T) {
	t.Parallel()
	f := pgtest.New(t)
	p, addr := newPool(t, f.Addr(), nil)
	for i := range 5 {
		c, err := connect(t.Context(), addr, "local", "")
		if err != nil {
			t.Fatal(err)
		}
		if got := query(t, c, "show"); got != "1 default" {
			t.Errorf("session %d: %q, want the first server without settings", i, got)
		}
		query(t, c, "SET x TO 1")
		if i == 2 {
			query(t, c, "BEGIN") // left open
		}
		_ = c.Close(t.Context())
		awaitIdle(t, p)
	}
	if s := p.Stats(); s.Opened != 1 || s.Idle != 1 {
		t.Errorf("stats %+v, want one connection for all", s)
	}
	if f.Count(discard) != 5 || f.Count("ROLLBACK") != 1 {
		t.Errorf("the server heard %v", f.Heard())
	}
	c, err := connect(t.Context(), addr, "local", "&application_name=it's")
	if err != nil {
		t.Fatal(err)
	}
	if got := query(t, c, "show"); got != "1 SET application_name TO 'it''s';" {
		t.Errorf("startup settings: %q", got)
	}
	_ = c.Close(t.Context())
}

func awaitIdle(t *testing.T, p *Pool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for s := p.Stats(); s.Clients > 0; s = p.Stats() {
		if time.Now().After(deadline) {
			t.Fatalf("clients stay: %+v", s)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestPoolRefusesStrangersAndExcess(t *testing.T) {
	t.Parallel()
	f := pgtest.New(t)
	_, addr := newPool(t, f.Addr(), nil)
	var refused *pgconn.PgError
	if _, err := connect(t.Context(), addr, "guess", ""); !errors.As(err, &refused) || refused.Code != "28P01" {
		t.Errorf("a wrong password: %v", err)
	}
	for range 2 {
		c, err := connect(t.Context(), addr, "local", "")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(context.Background())
	}
	if _, err := connect(t.Context(), addr, "local", ""); !errors.As(err, &refused) || refused.Code != "53300" {
		t.Errorf("a third session: %v", err)
	}
	_, addr = newPool(t, f.Addr(), func(c *Config) { c.Password = "not it" })
	if _, err := connect(t.Context(), addr, "local", ""); err == nil || strings.Contains(err.Error(), "not it") {
		t.Errorf("a wrong server password: %v", err)
	}
}

func TestPoolForwardsCancel(t *testing.T) {
	t.Parallel()
	f := pgtest.New(t)
	p, addr := newPool(t, f.Addr(), nil)
	c, err := connect(t.Context(), addr, "local", "")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		var canceled *pgconn.PgError
		if _, err := c.Exec(context.Background(), "sleep").ReadAll(); !errors.As(err, &canceled) || canceled.Code != "57014" {
			t.Errorf("sleep ended with %v", err)
		}
	}()
	for deadline := time.Now().Add(10 * time.Second); f.Count("sleep") == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the statement never arrived")
		}
	}
	if err := c.CancelRequest(t.Context()); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if got := query(t, c, "show"); got != "1 default" {
		t.Errorf("after the cancel: %q", got)
	}
	_ = c.Close(t.Context())
	awaitIdle(t, p)
}

// TestPoolDropsBusyServers cuts a client off in the middle of a statement: nobody may inherit that session.
func TestPoolDropsBusyServers(t *testing.T) {
	t.Parallel()
	f := pgtest.New(t)
	p, addr := newPool(t, f.Addr(), nil)
	c, err := connect(t.Context(), addr, "local", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Conn().Write([]byte("Q\x00\x00\x00\x0asleep\x00")); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); f.Count("sleep") == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the statement never arrived")
		}
	}
	_ = c.Conn().Close()
	awaitIdle(t, p)
	if s := p.Stats(); s.Idle != 0 {
		t.Errorf("stats %+v: a busy connection was kept", s)
	}
	f.WakeAll()
}

// wire stands between a pool and its server, and can be cut, as by kill -9 of the server.
type wire struct {
	net.Listener
	mu    sync.Mutex
	conns []net.Conn
}

func newWire(t *testing.T, to string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{Listener: l}
	t.Cleanup(func() { _ = l.Close(); w.cut() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s, err := net.Dial("tcp", to)
			if err != nil {
				_ = c.Close()
				continue
			}
			w.mu.Lock()
			w.conns = append(w.conns, c, s)
			w.mu.Unlock()
			go func() { _, _ = io.Copy(s, c) }()
			go func() { _, _ = io.Copy(c, s) }()
		}
	}()
	return w
}

func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		_ = c.Close()
	}
	w.conns = nil
}

// A connection that broke while it lay idle is the pool's affair: the client is given a new one, and is never told that what it
// asked for is wrong. A consumer that is told so gives its messages up.
func TestPoolReplacesWhatBrokeWhileIdle(t *testing.T) {
	t.Parallel()
	f := pgtest.New(t)
	w := newWire(t, f.Addr())
	p, addr := newPool(t, w.Addr().String(), nil)
	for range 3 {
		c, err := connect(t.Context(), addr, "local", "&application_name=writer")
		if err != nil {
			t.Fatal(err)
		}
		query(t, c, "show")
		_ = c.Close(t.Context())
		awaitIdle(t, p)
		w.cut()
	}
	if s := p.Stats(); s.Opened != 3 {
		t.Errorf("stats %+v, want a new connection after each cut", s)
	}
	_ = w.Close()
	w.cut()
	var refused *pgconn.PgError
	if _, err := connect(t.Context(), addr, "local", "&application_name=writer"); !errors.As(err, &refused) || refused.Code != "53300" {
		t.Errorf("with no server behind it: %v, want a refusal that says to come again", err)
	}
}

func FuzzStartup(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x08\x04\xd2\x16\x2f\x00\x00\x00\x13\x00\x03\x00\x00user\x00hyper\x00\x00"))
	f.Add([]byte("\x00\x00\x00\x10\x04\xd2\x16\x2e\x00\x00\x00\x01\x00\x00\x00\x02"))
	f.Add([]byte("\xff\xff\xff\xff"))
	f.Add([]byte("\x00\x00\x00\x13\x00\x03\x00\x00user\x00hyper\x00\x00p\xff\xff\xff\xff"))
	p := &Pool{cfg: Config{ClientUser: "hyper", ClientPassword: "local", Wait: time.Millisecond}, keys: map[clientKey]*server{}, slots: make(chan struct{})}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.cancel()
	f.Fuzz(func(t *testing.T, in []byte) {
		client, server := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = p.serve(server)
			_ = server.Close()
		}()
		go func() {
			buf := make([]byte, 1024)
			for {
				if _, err := client.Read(buf); err != nil {
					return
				}
			}
		}()
		_ = client.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = client.Write(in)
		_ = client.Close()
		<-done
	})
}
