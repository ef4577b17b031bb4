package platform_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cognomega/edge/internal/localcloud"
)

// journey drives the built cogctl on an account of its own, as a person would.
type journey struct {
	t    *testing.T
	bin  string
	root string
	dir  string
}

func newJourney(t *testing.T) journey {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	j := journey{t: t, root: root, bin: filepath.Join(root, "bin", "cogctl"), dir: filepath.Join(t.TempDir(), ".local")}
	for _, built := range []string{j.bin, filepath.Join(root, "bin", "stacks")} {
		if _, err := os.Stat(built); err != nil {
			t.Fatalf("%v: make setup", err)
		}
	}
	t.Cleanup(j.end)
	return j
}

// end stops whatever the test left running; a test that failed halfway must not leave a cloud behind.
func (j journey) end() {
	_, _, _ = j.run("down")
	if j.ended() {
		return
	}
	for _, pid := range j.processes() {
		args, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
		j.t.Errorf("process %d outlived the test: %q", pid, args)
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

func (j journey) command(args ...string) *exec.Cmd {
	cmd := exec.Command(j.bin, append(args, "--dir", j.dir, "--output", "json")...)
	cmd.Dir = j.root
	cmd.Env = append(os.Environ(), "COGCTL_PROOFS_DIR="+filepath.Join(filepath.Dir(j.dir), "proofs"))
	return cmd
}

func (j journey) run(args ...string) (code int, stdout, stderr string) {
	j.t.Helper()
	cmd := j.command(args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		j.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// must runs a command that has to end with code, and decodes what it printed.
func (j journey) must(code int, out any, args ...string) {
	j.t.Helper()
	got, stdout, stderr := j.run(args...)
	if got != code {
		j.t.Fatalf("cogctl %s: exit %d, want %d\n%s%s", strings.Join(args, " "), got, code, stdout, stderr)
	}
	if out != nil {
		if err := json.Unmarshal([]byte(stdout), out); err != nil {
			j.t.Fatalf("cogctl %s: %v in %s", strings.Join(args, " "), err, stdout)
		}
	}
}

type upReport struct {
	Changes       map[string]int
	Proof, Phase1 phaseReport
}

type phaseReport struct {
	Verdict string
	Checks  []struct{ Name, Verdict, Proof string }
}

// up brings the platform up and wants the promises of Phase 0 and of Phase 1 to hold.
func (j journey) up() upReport {
	j.t.Helper()
	var r upReport
	j.must(0, &r, "up")
	if r.Proof.Verdict != "pass" || len(r.Proof.Checks) != 4 {
		j.t.Fatalf("the proof is %+v", r.Proof)
	}
	if r.Phase1.Verdict != "pass" || len(r.Phase1.Checks) != 2 {
		j.t.Fatalf("the proof of the money path is %+v", r.Phase1)
	}
	return r
}

func (j journey) endpoints() localcloud.Endpoints {
	j.t.Helper()
	e, err := localcloud.ReadEndpoints(j.dir)
	if err != nil {
		j.t.Fatal(err)
	}
	return e
}

// api changes the account behind the stack's back.
func (j journey) api(method, path, body string) {
	j.t.Helper()
	e := j.endpoints()
	token, err := e.Token()
	if err != nil {
		j.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(context.Background(), method, e.APIHTTP+path, strings.NewReader(body))
	if err != nil {
		j.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		j.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode >= 300 {
		j.t.Fatalf("%s %s: %s", method, path, res.Status)
	}
}

// sql runs one statement on the platform's database, and returns the first value that it gives.
func (j journey) sql(statement string) (value string) {
	j.t.Helper()
	var address struct{ URL string }
	j.must(0, &address, "db", "psql-url")
	conn, err := pgx.Connect(j.t.Context(), address.URL)
	if err != nil {
		j.t.Fatal(err)
	}
	defer conn.Close(j.t.Context())
	err = conn.QueryRow(j.t.Context(), statement).Scan(&value)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		j.t.Fatal(err)
	}
	return value
}

// postmaster is the process of the database's server.
func (j journey) postmaster() int {
	j.t.Helper()
	raw, err := os.ReadFile(filepath.Join(j.dir, "pg", "data", "postmaster.pid"))
	if err != nil {
		j.t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.SplitN(string(raw), "\n", 2)[0])
	if err != nil {
		j.t.Fatal(err)
	}
	return pid
}

func (j journey) port() string {
	j.t.Helper()
	raw, err := os.ReadFile(filepath.Join(j.dir, "pg", "port"))
	if err != nil {
		j.t.Fatal(err)
	}
	return string(raw)
}

// processes are those that were started for this account: its folder is in their arguments, environment or working folder.
func (j journey) processes() (pids []int) {
	found, _ := filepath.Glob("/proc/[0-9]*")
	for _, proc := range found {
		var pid int
		if err := json.Unmarshal([]byte(filepath.Base(proc)), &pid); err != nil || pid == os.Getpid() {
			continue
		}
		args, _ := os.ReadFile(filepath.Join(proc, "cmdline"))
		env, _ := os.ReadFile(filepath.Join(proc, "environ"))
		cwd, _ := os.Readlink(filepath.Join(proc, "cwd"))
		if strings.Contains(string(args)+string(env)+cwd, j.dir) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// cloud are the processes but the database's, which a killed cloud does not take with it.
func (j journey) cloud() []int {
	return slices.DeleteFunc(j.processes(), func(pid int) bool {
		cwd, _ := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "cwd"))
		return strings.HasPrefix(cwd, filepath.Join(j.dir, "pg"))
	})
}

// quiet waits until no process of the account is left.
func (j journey) quiet() {
	j.t.Helper()
	if !j.ended() {
		j.t.Fatalf("processes are left: %v", j.processes())
	}
}

// ended waits for the processes of the account to end: those whose parent was killed notice it a moment later.
func (j journey) ended() bool { return allEnd(j.processes) }

func allEnd(processes func() []int) bool {
	for deadline := time.Now().Add(20 * time.Second); len(processes()) > 0; <-time.After(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

// sockets are the kernel's numbers of what listens at an address's port. A port alone says little: another account may have it a moment later.
func sockets(t *testing.T, address string) (inodes []string) {
	t.Helper()
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		address = u.Host
	}
	_, digits, err := net.SplitHostPort(address)
	port, nan := strconv.Atoi(digits)
	if err != nil || nan != nil {
		t.Fatalf("address %q: %v, %v", address, err, nan)
	}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		raw, _ := os.ReadFile(table) // a machine may be without IPv6
		for line := range strings.Lines(string(raw)) {
			if f := strings.Fields(line); len(f) > 9 && f[3] == "0A" && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) {
				inodes = append(inodes, f[9])
			}
		}
	}
	return inodes
}
