package localpg_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localpg"
)

func binaries(t *testing.T) localpg.Binaries {
	t.Helper()
	b, err := localpg.FindBinaries("../../workers/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func start(t *testing.T, dir string) *localpg.Server {
	t.Helper()
	s, err := localpg.Start(t.Context(), localpg.Config{Dir: dir, Binaries: binaries(t), Bound: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop(context.Background()) })
	return s
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func TestServerLife(t *testing.T) {
	t.Parallel()
	closed := t.TempDir()
	if err := os.Chmod(closed, 0o700); err != nil { // as root's home is: the server must not need it opened
		t.Fatal(err)
	}
	ctx, dir := t.Context(), filepath.Join(closed, "pg")
	if _, err := localpg.Running(ctx, dir); !errors.Is(err, fault.NotFound) {
		t.Fatalf("nothing runs yet, got %v", err)
	}
	s := start(t, dir)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := s.EnsureDatabase(ctx, "life"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	conn := connect(t, s.URL("life"))
	var fsync, listens, checksums string
	if err := conn.QueryRow(ctx, "SELECT current_setting('fsync'), current_setting('listen_addresses'), current_setting('data_checksums')").Scan(&fsync, &listens, &checksums); err != nil {
		t.Fatal(err)
	}
	if fsync != "on" || listens != "127.0.0.1" || checksums != "on" {
		t.Errorf("fsync %s, listens on %s, checksums %s", fsync, listens, checksums)
	}
	if _, err := conn.Exec(ctx, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)"); err != nil {
		t.Fatal(err)
	}

	if _, err := localpg.Start(ctx, localpg.Config{Dir: dir, Binaries: binaries(t)}); !errors.Is(err, fault.Conflict) {
		t.Errorf("a second start on the folder must be refused, got %v", err)
	}
	seen, err := localpg.Running(ctx, dir)
	if err != nil || seen.PID != s.PID || seen.URL("life") != s.URL("life") {
		t.Errorf("Running sees %+v, %v", seen, err)
	}
	for _, url := range []string{s.URL("life"), s.SocketURL("life")} {
		if _, err := pgx.Connect(ctx, strings.Replace(url, "cognomega:", "cognomega:x", 1)); err == nil || !strings.Contains(err.Error(), "28P01") {
			t.Errorf("a wrong password must be refused, got %v", err)
		}
	}

	if err := s.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := localpg.Running(ctx, dir); !errors.Is(err, fault.NotFound) {
		t.Fatalf("it was stopped, got %v", err)
	}
	if syscall.Kill(s.PID, 0) == nil {
		t.Error("its process is left")
	}
	begin := time.Now()
	again := start(t, dir)
	t.Logf("warm start: %s", time.Since(begin).Round(time.Millisecond))
	if again.Port != s.Port {
		t.Errorf("the port was %d and is %d", s.Port, again.Port)
	}
	var n int
	if err := connect(t, again.SocketURL("life")).QueryRow(ctx, "SELECT n FROM kept").Scan(&n); err != nil || n != 7 {
		t.Errorf("read %d, %v: the data must outlive the server", n, err)
	}
}

// TestKilledServerRecovers kills the server with -9 under writers, twice, and misses none of what was acknowledged.
func TestKilledServerRecovers(t *testing.T) {
	t.Parallel()
	ctx, dir := t.Context(), filepath.Join(t.TempDir(), "pg")
	s := start(t, dir)
	if _, err := connect(t, s.URL("postgres")).Exec(ctx, "CREATE TABLE acked (id text PRIMARY KEY)"); err != nil {
		t.Fatal(err)
	}
	acked := 0
	for round := range 2 {
		acked += writeUntilKilled(t, s, string(rune('a'+round)))
		_ = s.Stop(ctx) // gives the lock back, as the end of its process would
		was := s.Port
		if s = start(t, dir); s.Port != was {
			t.Errorf("the server was on port %d, and came back on %d", was, s.Port)
		}
		var kept int
		if err := connect(t, s.URL("postgres")).QueryRow(ctx, "SELECT count(*) FROM acked").Scan(&kept); err != nil || kept < acked {
			t.Fatalf("%d rows of %d acknowledged, %v", kept, acked, err)
		}
		acked = kept // a row whose acknowledgement was lost may be there
	}
}

func writeUntilKilled(t *testing.T, s *localpg.Server, prefix string) int {
	t.Helper()
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		acked int
		once  sync.Once
	)
	var conns []*pgx.Conn
	for range 4 {
		conns = append(conns, connect(t, s.URL("postgres")))
	}
	for _, conn := range conns {
		wg.Go(func() {
			for {
				if _, err := conn.Exec(t.Context(), "INSERT INTO acked VALUES ($1 || gen_random_uuid())", prefix); err != nil {
					return
				}
				mu.Lock()
				acked++
				if acked > 100 {
					once.Do(func() { _ = syscall.Kill(s.PID, syscall.SIGKILL) })
				}
				mu.Unlock()
				if syscall.Kill(s.PID, 0) != nil {
					return // orphaned sessions are served on until their client goes
				}
			}
		})
	}
	wg.Wait()
	return acked
}

func TestOneOfManyStartsWins(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), strings.Repeat("a-long-name-", 8)) // too long for a socket below it
	var wg sync.WaitGroup
	servers, errs := make([]*localpg.Server, 4), make([]error, 4)
	for i := range servers {
		wg.Go(func() {
			servers[i], errs[i] = localpg.Start(t.Context(), localpg.Config{Dir: dir, Binaries: binaries(t), Bound: true})
		})
	}
	wg.Wait()
	won := 0
	for i, s := range servers {
		if s != nil {
			won++
			if strings.HasPrefix(s.Socket, dir) {
				t.Errorf("a socket at %s is too long for some systems", s.Socket)
			}
			if err := s.Stop(t.Context()); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(s.Socket); err == nil {
				t.Errorf("%s is left behind", s.Socket)
			}
		} else if !errors.Is(errs[i], fault.Conflict) {
			t.Errorf("want a conflict, got %v", errs[i])
		}
	}
	if won != 1 {
		t.Errorf("%d starts won", won)
	}
}

func TestNotInstalled(t *testing.T) {
	t.Parallel()
	if _, err := localpg.FindBinaries(t.TempDir()); !errors.Is(err, fault.NotFound) || fault.HintOf(err) == "" {
		t.Errorf("got %v", err)
	}
}

func TestAFolderThatIsNoClusterIsLeftAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	precious := filepath.Join(dir, "data", "precious")
	if err := errors.Join(os.MkdirAll(filepath.Dir(precious), 0o700), os.WriteFile(precious, []byte("x"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := localpg.Start(t.Context(), localpg.Config{Dir: dir, Binaries: binaries(t)}); !errors.Is(err, fault.Invalid) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(precious); err != nil {
		t.Error(err)
	}
}
