package localpg

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestEveryIdentityServesTheSameFolder runs the server in each way that this machine allows root, one after the other, on one
// folder: the way may change between two starts, and the data must go with it.
func TestEveryIdentityServesTheSameFolder(t *testing.T) {
	t.Parallel()
	b, err := FindBinaries("../../workers/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	dir, served := filepath.Join(t.TempDir(), "pg"), 0
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	ids := rootIdentities(unprivileged())
	if os.Geteuid() != 0 {
		own, err := chooseIdentity(t.Context(), b, dir)
		if err != nil {
			t.Fatal(err)
		}
		ids = []identity{own}
	}
	for _, id := range append(ids, ids...) {
		if err := id.probe(t.Context(), b, dir); err != nil {
			t.Logf("not here: %s: %v", id.name, err)
			continue
		}
		l := launch{cfg: Config{Dir: dir, Binaries: b, Bound: true}, id: id}
		if err := l.initialise(t.Context()); err != nil {
			t.Fatalf("%s: %v", id.name, err)
		}
		s, err := l.start(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", id.name, err)
		}
		name := fmt.Sprintf("made_%d", served)
		served++
		if err := s.EnsureDatabase(t.Context(), name); err != nil {
			t.Errorf("%s: %v", id.name, err)
		}
		if err := s.Stop(context.Background()); err != nil {
			t.Fatalf("%s: %v", id.name, err)
		}
	}
	if served == 0 {
		t.Error("no way works")
	}
}

// TestAClosedCheckout has the programs below a folder that only this user may enter, as a checkout in root's home has.
func TestAClosedCheckout(t *testing.T) {
	t.Parallel()
	b, err := FindBinaries("../../workers/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	closed := filepath.Join(t.TempDir(), "closed")
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(closed, "native"), os.DirFS(b.dir)); err != nil {
		t.Fatal(err)
	}
	s, err := Start(t.Context(), Config{Dir: filepath.Join(closed, "pg"), Binaries: Binaries{dir: filepath.Join(closed, "native")}, Bound: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(context.Background()); err != nil {
		t.Error(err)
	}
}

// TestBoundServerEndsWithItsProgram kills with -9 a program that started a server, and sees the server go.
func TestBoundServerEndsWithItsProgram(t *testing.T) {
	t.Parallel()
	const dirEnv = "LOCALPG_TEST_BOUND_DIR"
	if dir := os.Getenv(dirEnv); dir != "" {
		serveUntilKilled(dir)
		return
	}
	dir := filepath.Join(t.TempDir(), "pg")
	cmd := exec.Command(os.Args[0], "-test.run=^TestBoundServerEndsWithItsProgram$")
	cmd.Env = append(os.Environ(), dirEnv+"="+dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	pidFile := filepath.Join(filepath.Dir(dir), "pid")
	var pid int
	within(t, 30*time.Second, "the server starts", func() bool {
		raw, err := os.ReadFile(pidFile)
		if err != nil || !strings.HasSuffix(string(raw), "\n") {
			return false
		}
		pid, err = strconv.Atoi(strings.TrimSpace(string(raw)))
		return err == nil
	})
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	within(t, 20*time.Second, "the server ends with its program", func() bool { return !isServerOf(pid, dir) })
}

func serveUntilKilled(dir string) {
	b, err := FindBinaries("../../workers/node_modules")
	if err != nil {
		return
	}
	s, err := Start(context.Background(), Config{Dir: dir, Binaries: b, Bound: true})
	if err != nil {
		return
	}
	_ = os.WriteFile(filepath.Join(filepath.Dir(dir), "pid"), []byte(strconv.Itoa(s.PID)+"\n"), 0o600)
	select {}
}

func within(t *testing.T, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in %s: %s", limit, what)
		}
	}
}
