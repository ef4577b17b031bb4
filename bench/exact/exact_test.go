package exact_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// events are the unique events of a run: 100,000, or what COGNOMEGA_EXACT_EVENTS says.
func events(t *testing.T) int {
	t.Helper()
	text := os.Getenv("COGNOMEGA_EXACT_EVENTS")
	if text == "" {
		return 100_000
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1000 {
		t.Fatalf("COGNOMEGA_EXACT_EVENTS is %q", text)
	}
	return n
}

// TestEveryEventIsInTheLedgerOnce sends events twice, out of order and again after lost answers, and kills -9, at fractions of what
// the ledger has, the local cloud, every workerd, and PostgreSQL twice.
func TestEveryEventIsInTheLedgerOnce(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it takes minutes")
	}
	s := newStage(t)
	n := events(t)
	s.cogctl("up", "--skip-proof")
	manifest := filepath.Join(t.TempDir(), "manifest.tsv")
	sent := make(chan report, 1)
	go func() { sent <- s.generate(n, manifest) }()
	for _, step := range []struct {
		at   float64
		what string
		do   func()
	}{
		{0.05, "the local cloud", s.killCloud},
		{0.15, "PostgreSQL", s.killDatabase},
		{0.30, "workerd", s.killWorkerd},
		{0.50, "PostgreSQL again", s.killDatabase},
		{0.70, "the local cloud again", s.killCloud},
		{0.85, "workerd again", s.killWorkerd},
	} {
		s.awaitPosted(int(step.at * float64(n)))
		t.Logf("kill -9 %s at %.0f %%", step.what, step.at*100)
		step.do()
	}
	r := <-sent
	if r.Events != n || r.Duplicates < int64(n)/25 || r.Resent == 0 {
		t.Fatalf("sent %+v: nothing was sent twice, or no answer was lost", r)
	}
	v := s.check(manifest)
	t.Logf("sent %d messages for %d events (%d twice, %d again); KV agreed %.1f s after the last write", r.Messages, r.Events, r.Duplicates, r.Resent, v.AgreedAfter)
	if !v.Exact || v.Events != int64(n) || v.SumMicro != v.LedgerMicro || v.SumMicro == 0 {
		t.Errorf("%+v", v)
	}
	s.plant(manifest)
}

type report struct {
	Events                       int
	Messages, Duplicates, Resent int64
	Sum                          int64 `json:"sum_micro"`
}

type verdict struct {
	Exact       bool
	Wrong       []string
	Events      int64
	SumMicro    int64   `json:"sum_micro"`
	LedgerMicro int64   `json:"ledger_micro"`
	AgreedAfter float64 `json:"kv_agreed_after_s"`
}

// stage is a platform of its own, driven by the built programs as a person would.
type stage struct {
	t              *testing.T
	root, bin, dir string
}

func newStage(t *testing.T) stage {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	s := stage{t: t, root: root, bin: t.TempDir(), dir: filepath.Join(t.TempDir(), ".local")}
	for _, program := range []string{"generate", "check"} {
		build := exec.Command("go", "build", "-o", filepath.Join(s.bin, program), "./bench/exact/"+program)
		build.Dir = root
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", program, err, out)
		}
	}
	t.Cleanup(func() { _, _, _ = s.run(filepath.Join(root, "bin", "cogctl"), "down", "--dir", s.dir) })
	return s
}

func (s stage) run(program string, args ...string) (out []byte, code int, said string) {
	s.t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = s.root
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); cmd.ProcessState == nil {
		s.t.Fatal(err)
	}
	return stdout.Bytes(), cmd.ProcessState.ExitCode(), stderr.String()
}

func (s stage) cogctl(args ...string) []byte {
	s.t.Helper()
	out, code, said := s.run(filepath.Join(s.root, "bin", "cogctl"), append(args, "--dir", s.dir, "--output", "json")...)
	if code != 0 {
		s.t.Fatalf("cogctl %s: exit %d\n%s%s", strings.Join(args, " "), code, out, said)
	}
	return out
}

// generate runs in a goroutine: it reports, and leaves it to the test to fail.
func (s stage) generate(n int, manifest string) (r report) {
	cmd := exec.Command(filepath.Join(s.bin, "generate"), "-dir", s.dir, "-manifest", manifest, "-events", fmt.Sprint(n), "-rate", "4000")
	out, err := cmd.Output()
	if err != nil {
		s.t.Errorf("generate: %v", err)
		return r
	}
	if err := json.Unmarshal(out, &r); err != nil {
		s.t.Errorf("generate: %v", err)
	}
	return r
}

func (s stage) check(manifest string) (v verdict) {
	s.t.Helper()
	out, code, said := s.run(filepath.Join(s.bin, "check"), "-dir", s.dir, "-manifest", manifest, "-database", s.database(), "-wait", "20m")
	if err := json.Unmarshal(out, &v); err != nil {
		s.t.Fatalf("check: exit %d, %v\n%s", code, err, said)
	}
	return v
}

func (s stage) database() string {
	s.t.Helper()
	var address struct{ URL string }
	if err := json.Unmarshal(s.cogctl("db", "psql-url"), &address); err != nil {
		s.t.Fatal(err)
	}
	return address.URL
}

// awaitPosted waits until the ledger has so many rows, through the times in which it does not answer.
func (s stage) awaitPosted(n int) {
	s.t.Helper()
	url := s.database()
	for deadline := time.Now().Add(15 * time.Minute); ; {
		if have, err := posted(url); err == nil && have >= n {
			return
		} else if time.Now().After(deadline) {
			s.t.Fatalf("the ledger has %d events of %d after 15 minutes (%v)", have, n, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func posted(url string) (n int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return 0, err
	}
	defer conn.Close(ctx)
	return n, conn.QueryRow(ctx, "SELECT count(*) FROM ledger.transfer").Scan(&n)
}

func (s stage) killCloud() {
	s.t.Helper()
	raw, err := os.ReadFile(filepath.Join(s.dir, "endpoints.json"))
	if err != nil {
		s.t.Fatal(err)
	}
	var e struct{ PID int }
	if err := json.Unmarshal(raw, &e); err != nil {
		s.t.Fatal(err)
	}
	s.kill(e.PID)
	s.cogctl("local", "start")
}

func (s stage) killDatabase() {
	s.t.Helper()
	raw, err := os.ReadFile(filepath.Join(s.dir, "pg", "data", "postmaster.pid"))
	if err != nil {
		s.t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.SplitN(string(raw), "\n", 2)[0])
	if err != nil {
		s.t.Fatal(err)
	}
	s.kill(pid)
	s.cogctl("db", "up")
}

// killWorkerd kills the processes that run the Workers, in the middle of whatever batch they have; the cloud starts them again.
func (s stage) killWorkerd() {
	s.t.Helper()
	var status struct{ Processes []struct{ PID int } }
	if err := json.Unmarshal(s.cogctl("local", "status"), &status); err != nil {
		s.t.Fatal(err)
	}
	if len(status.Processes) == 0 {
		s.t.Fatal("no workerd runs")
	}
	for _, p := range status.Processes {
		s.kill(p.PID)
	}
}

func (s stage) kill(pid int) {
	s.t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		s.t.Fatalf("kill %d: %v", pid, err)
	}
}

// plant shows that the judge can find what it is there to find: an event that is not in the ledger, an amount, and a copy in KV.
func (s stage) plant(manifest string) {
	s.t.Helper()
	raw, err := os.ReadFile(manifest)
	if err != nil {
		s.t.Fatal(err)
	}
	first, rest, _ := strings.Cut(string(raw), "\n")
	part := strings.Split(first, "\t")
	for wrong, line := range map[string]string{
		"not in the ledger":    "00000000-0000-7000-8000-000000000000\tusage\t" + part[2] + "\t5\n" + first,
		"another kind, amount": part[0] + "\t" + part[1] + "\t" + part[2] + "\t" + part[3] + "0",
		"were not sent":        "",
	} {
		path := filepath.Join(s.t.TempDir(), "manifest.tsv")
		if err := os.WriteFile(path, []byte(strings.TrimPrefix(line+"\n"+rest, "\n")), 0o600); err != nil {
			s.t.Fatal(err)
		}
		out, code, said := s.run(filepath.Join(s.bin, "check"), "-dir", s.dir, "-manifest", path, "-database", s.database(), "-wait", "0s", "-within", "1h")
		if code != 1 || !strings.Contains(string(out), wrong) {
			s.t.Errorf("planted, and not found to be %q: exit %d %s%s", wrong, code, out, said)
		}
	}
}
