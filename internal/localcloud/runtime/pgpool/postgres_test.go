package pgpool

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cognomega/edge/internal/localpg"
)

// postgres starts the real server that the checkout installs, with the role that the pool's origin names.
func postgres(t *testing.T) (addr string) {
	t.Helper()
	root, err := filepath.Abs("../../../..")
	if err != nil {
		t.Fatal(err)
	}
	binaries, err := localpg.FindBinaries(filepath.Join(root, "workers", "node_modules"))
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "pgpool-") // not t.TempDir: its path would make the server's socket too long
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	server, err := localpg.Start(t.Context(), localpg.Config{Dir: dir, Binaries: binaries, Bound: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop(context.Background()) })
	c, err := pgconn.Connect(t.Context(), server.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	if _, err := c.Exec(t.Context(), "CREATE ROLE u LOGIN PASSWORD 'real'").ReadAll(); err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(server.Port))
}

func TestAgainstPostgres(t *testing.T) {
	t.Parallel()
	addr := postgres(t)
	p, pool := newPool(t, addr, func(c *Config) { c.Database = "postgres"; c.Wait = 20 * time.Second })
	// What a session before may have left beside settings and tables.
	const left = "SELECT name FROM pg_prepared_statements UNION ALL SELECT pg_listening_channels() UNION ALL SELECT name FROM pg_cursors " +
		"UNION ALL SELECT 'lock' FROM pg_locks WHERE locktype = 'advisory'"
	var first string
	for i := range 20 {
		c, err := connect(t.Context(), pool, "local", "&application_name=me")
		if err != nil {
			t.Fatal(err)
		}
		pid := query(t, c, "SELECT pg_backend_pid()::text")
		if first == "" {
			first = pid
		}
		if got := query(t, c, "SELECT current_setting('application_name') || coalesce(to_regclass('pg_temp.x')::text, '') || (SELECT coalesce(string_agg(x, ''), '') FROM ("+left+") l(x))"); got != "me" || pid != first {
			t.Errorf("session %d: %q on server %s, want a cleared session of server %s", i, got, pid, first)
		}
		query(t, c, "PREPARE p AS SELECT 1; LISTEN l; SELECT pg_advisory_lock(7); DECLARE c CURSOR WITH HOLD FOR SELECT 1; CREATE TEMP TABLE x(); COMMIT; BEGIN; SET search_path TO nowhere")
		r := c.ExecParams(t.Context(), "SELECT $1::text || repeat('x', 100000)", [][]byte{[]byte("p")}, nil, nil, nil).Read()
		if r.Err != nil || len(r.Rows[0][0]) != 100001 {
			t.Fatalf("extended protocol: %v", r.Err)
		}
		_ = c.Close(t.Context())
		awaitIdle(t, p)
	}
	c, err := connect(t.Context(), pool, "local", "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	done := make(chan error, 1)
	go func() { _, err := c.Exec(t.Context(), "SELECT pg_sleep(60)").ReadAll(); done <- err }()
	var canceled *pgconn.PgError
	for deadline := time.Now().Add(20 * time.Second); ; {
		if err := c.CancelRequest(t.Context()); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-done:
			if !errors.As(err, &canceled) || canceled.Code != "57014" {
				t.Errorf("the statement ended with %v", err)
			}
			return
		case <-time.After(20 * time.Millisecond):
			if time.Now().After(deadline) {
				t.Fatal("the cancel request had no effect")
			}
		}
	}
}
