package pgpool

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// postgres starts a real server when the machine has one. The other tests do not need it: they use a double.
func postgres(t *testing.T) (addr string) {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if path, lookErr := exec.LookPath("initdb"); lookErr == nil {
		found = append(found, path)
	}
	if err != nil || len(found) == 0 {
		t.Skip("no PostgreSQL on this machine")
	}
	bin := filepath.Dir(found[len(found)-1])
	dir, err := os.MkdirTemp("", "pg") // not t.TempDir: another user must reach it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	attr := &syscall.SysProcAttr{}
	if os.Getuid() == 0 { // PostgreSQL refuses to run as root
		const nobody = 65534
		attr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
		if err := os.Chown(dir, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "pw"), []byte("real"), 0o644); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr = l.Addr().String()
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	_ = l.Close()
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", filepath.Join(dir, "d"), "-U", "u", "-A", "scram-sha-256", "--pwfile", filepath.Join(dir, "pw"), "--no-sync")
	initdb.SysProcAttr, initdb.Dir = attr, dir
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	server := exec.Command(filepath.Join(bin, "postgres"), "-D", filepath.Join(dir, "d"), "-p", port, "-k", dir, "-h", "127.0.0.1", "-F")
	server.SysProcAttr, server.Dir = attr, dir
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGINT)
		_ = server.Wait()
	})
	return addr
}

func TestAgainstPostgres(t *testing.T) {
	t.Parallel()
	addr := postgres(t)
	p, pool := newPool(t, addr, func(c *Config) { c.Database = "postgres"; c.Wait = 20 * time.Second })
	var first string
	for i, deadline := 0, time.Now().Add(30*time.Second); i < 20; {
		c, err := connect(t.Context(), pool, "local", "&application_name=me")
		if err != nil {
			if time.Now().After(deadline) || i > 0 {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Millisecond) // the server is starting
			continue
		}
		pid := query(t, c, "SELECT pg_backend_pid()::text")
		if first == "" {
			first = pid
		}
		if got := query(t, c, "SELECT current_setting('application_name') || coalesce(to_regclass('pg_temp.x')::text, '')"); got != "me" || pid != first {
			t.Errorf("session %d: %q on server %s, want a cleared session of server %s", i, got, pid, first)
		}
		query(t, c, "CREATE TEMP TABLE x(); BEGIN; SET search_path TO nowhere")
		r := c.ExecParams(t.Context(), "SELECT $1::text || repeat('x', 100000)", [][]byte{[]byte("p")}, nil, nil, nil).Read()
		if r.Err != nil || len(r.Rows[0][0]) != 100001 {
			t.Fatalf("extended protocol: %v", r.Err)
		}
		_ = c.Close(t.Context())
		awaitIdle(t, p)
		i++
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
