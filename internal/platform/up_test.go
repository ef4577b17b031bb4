package platform_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestUpIsGreenThenSameThenDownLeavesNothing(t *testing.T) {
	t.Parallel()
	j := newJourney(t)
	first := j.up()
	if first.Changes["create"] < 10 {
		t.Errorf("a fresh account was changed by %v", first.Changes)
	}
	for _, c := range slices.Concat(first.Proof.Checks, first.Phase1.Checks) {
		j.must(0, nil, "verify", c.Proof)
		if raw := payload(t, c.Proof); !bytes.Contains(raw, []byte(`"verdict"`)) || bytes.Contains(raw, []byte("PRIVATE KEY")) {
			t.Errorf("the evidence of %s is %s", c.Name, raw)
		}
	}
	again := j.up()
	if len(again.Changes) != 1 || again.Changes["same"] != first.Changes["create"] {
		t.Errorf("a second run changed %v", again.Changes)
	}
	e := j.endpoints()
	listened := map[string][]string{}
	for _, address := range []string{e.APIHTTP, e.APIHTTPS, e.EdgeHTTP, e.EdgeHTTPS, e.Control} {
		if listened[address] = sockets(t, address); len(listened[address]) == 0 {
			t.Errorf("nothing listens at %s", address)
		}
	}
	j.must(0, nil, "down")
	j.quiet()
	for address, before := range listened {
		if after := sockets(t, address); slices.ContainsFunc(before, func(s string) bool { return slices.Contains(after, s) }) {
			t.Errorf("%s still listens", address)
		}
	}
	if _, err := os.Stat(filepath.Join(j.dir, "endpoints.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("endpoints.json is left: %v", err)
	}
}

// The state holds secrets only encrypted, and no log holds one at all.
func TestSecretsAreNowhereInClear(t *testing.T) {
	t.Parallel()
	j := newJourney(t)
	j.up()
	token, err := j.endpoints().Token()
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(filepath.Join(j.dir, "secrets.json"))
	if err != nil {
		t.Fatal(err)
	}
	password, err := os.ReadFile(filepath.Join(j.dir, "pg", "password"))
	if err != nil {
		t.Fatal(err)
	}
	if len(password) < 20 || !bytes.Contains(key, password) {
		t.Fatalf("the database's password of %d bytes is not among the secrets", len(password))
	}
	body := strings.SplitN(string(key), `\n`, 3)[1] // the first line of the PEM's body
	var files int
	for _, dir := range []string{"pulumi", "log"} {
		err := filepath.WalkDir(filepath.Join(j.dir, dir), func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			files++
			raw, err := os.ReadFile(path)
			if bytes.Contains(raw, []byte(token)) || bytes.Contains(raw, []byte(body)) || bytes.Contains(raw, password) {
				t.Errorf("%s holds a secret in clear", path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files == 0 || len(body) < 40 {
		t.Fatalf("looked into %d files for %d bytes of key: this test looks at nothing", files, len(body))
	}
}

func TestWhatIsDoneBehindTheStacksBackIsReportedAndRepaired(t *testing.T) {
	t.Parallel()
	j := newJourney(t)
	j.up()
	e := j.endpoints()
	var before struct{ Changes map[string]int }
	j.must(0, &before, "preview", "--refresh", "--exit-code")
	j.api("PUT", "/accounts/"+e.AccountID+"/r2/buckets/cognomega-uploads/lifecycle", `{"rules":[]}`)
	j.api("POST", "/accounts/"+e.AccountID+"/workers/scripts/auth-svc/subdomain", `{"enabled":true,"previews_enabled":true}`)
	var drifted struct {
		Plan []struct{ Op, Type, Name string }
	}
	j.must(1, &drifted, "preview", "--refresh", "--exit-code")
	if len(drifted.Plan) < 2 {
		t.Errorf("the preview reports %+v", drifted)
	}
	j.must(1, nil, "audit", "routes") // the open switch is a second way in
	if got := j.up(); got.Changes["update"] < 2 {
		t.Errorf("the repair changed %v", got.Changes)
	}
	j.must(0, nil, "preview", "--refresh", "--exit-code")
}

// A killed `cogctl up` leaves the engine, the stack's program or nothing at all behind it: the next run converges either way.
func TestAKilledUpIsContinued(t *testing.T) {
	t.Parallel()
	for _, after := range []time.Duration{500 * time.Millisecond, 2500 * time.Millisecond, 4500 * time.Millisecond} {
		j := newJourney(t)
		cmd := j.command("up")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- cmd.Wait() }()
		select {
		case <-done: // a fast machine: it was over before the kill
		case <-time.After(after):
			_ = cmd.Process.Kill()
			<-done
		}
		j.up()
		j.must(0, nil, "preview", "--refresh", "--exit-code")
	}
}

// kill -9 of the local cloud and of workerd: the next up finds everything that was acknowledged.
func TestAKilledCloudComesBackWithItsData(t *testing.T) {
	t.Parallel()
	j := newJourney(t)
	j.up()
	e := j.endpoints()
	if err := syscall.Kill(e.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if !allEnd(j.cloud) {
		t.Fatalf("processes are left: %v", j.cloud())
	}
	j.must(0, nil, "down")
	j.quiet()
	for _, gone := range []string{"endpoints.json", "run"} {
		if _, err := os.Stat(filepath.Join(j.dir, gone)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("down leaves %s of a killed cloud (%v)", gone, err)
		}
	}
	if got := j.up(); got.Changes["same"] == 0 || len(got.Changes) != 1 {
		t.Errorf("after the kill the account was changed by %v", got.Changes)
	}
	var status struct {
		Processes []struct{ PID int }
	}
	j.must(0, &status, "local", "status")
	for _, p := range status.Processes {
		if err := syscall.Kill(p.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	j.must(0, nil, "status")
	j.up()
}

// kill -9 of the database, and a port that somebody took meanwhile: the next up goes on with the data, and what is unchanged stays.
func TestAKilledDatabaseComesBackAndIsFollowedWhenItMoved(t *testing.T) {
	t.Parallel()
	j := newJourney(t)
	j.up()
	j.sql("CREATE TABLE kept AS SELECT 'acknowledged'::text AS what")
	postmaster := j.postmaster()
	if err := syscall.Kill(postmaster, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if got := j.up(); got.Changes["same"] == 0 || len(got.Changes) != 1 {
		t.Errorf("the database came back where it was, and the account was changed by %v", got.Changes)
	}
	if got := j.sql("SELECT what FROM kept"); got != "acknowledged" {
		t.Errorf("after the kill the table holds %q", got)
	}
	port := j.port()
	j.must(0, nil, "db", "down")
	taken, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	got := j.up()
	if got.Changes["update"] != 1 || j.port() == port {
		t.Errorf("the database moved from port %s to %s, and the account was changed by %v", port, j.port(), got.Changes)
	}
	if err := taken.Close(); err != nil {
		t.Fatal(err)
	}
	if again := j.up(); again.Changes["same"] == 0 || len(again.Changes) != 1 {
		t.Errorf("the second time the account was changed by %v", again.Changes)
	}
}

// Ctrl-C ends it within seconds at whatever step it is, and says that it can be run again.
func TestAnInterruptedUpEndsSoonAndIsContinued(t *testing.T) {
	t.Parallel()
	j := newJourney(t)
	for _, after := range []time.Duration{1200 * time.Millisecond, 2 * time.Second, 3 * time.Second} {
		j.must(0, nil, "local", "start")
		cmd := j.command("up")
		var stdout bytes.Buffer
		cmd.Stdout = &stdout
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // as a terminal does: Ctrl-C reaches the whole group
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- cmd.Wait() }()
		select {
		case <-done:
			continue // a fast machine: it was over before
		case <-time.After(after):
		}
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGINT)
		select {
		case <-done:
		case <-time.After(30 * time.Second):
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			t.Fatalf("interrupted after %v, it went on for 30 s", after)
		}
		if code := cmd.ProcessState.ExitCode(); code == 0 && !bytes.Contains(stdout.Bytes(), []byte(`"verdict": "pass"`)) {
			t.Errorf("interrupted after %v: exit 0 without a proof: %s", after, stdout.String())
		}
	}
	j.up()
	j.must(0, nil, "preview", "--refresh", "--exit-code")
}

// payload is what a signed proof says.
func payload(t *testing.T, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var envelope struct{ Payload []byte }
	if err := json.Unmarshal(raw, &envelope); err != nil {
		t.Fatal(err)
	}
	return envelope.Payload
}

// Two people, or two terminals, start at once: one cloud serves, and both are told where.
func TestTwoStartsAtOnceShareOneCloud(t *testing.T) {
	t.Parallel()
	j := newJourney(t)
	said := make(chan string, 2)
	for range cap(said) {
		go func() {
			out, err := j.command("local", "start").CombinedOutput()
			if err != nil {
				out = append(out, err.Error()...)
			}
			said <- string(out)
		}()
	}
	e := struct{ Endpoints struct{ PID int } }{}
	for range cap(said) {
		var got struct{ Endpoints struct{ PID int } }
		out := <-said
		if err := json.Unmarshal([]byte(out), &got); err != nil || got.Endpoints.PID == 0 {
			t.Fatalf("a start said %s (%v)", out, err)
		}
		if e.Endpoints.PID != 0 && e != got {
			t.Errorf("two clouds serve: %d and %d", e.Endpoints.PID, got.Endpoints.PID)
		}
		e = got
	}
}

// Whoever runs a command under flock(1), or reads its output through a pipe of their own, gets it back when the command ends.
func TestTheCloudHoldsNothingOfWhoStartedIt(t *testing.T) {
	t.Parallel()
	j := newJourney(t)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	cmd := j.command("local", "start")
	cmd.ExtraFiles = []*os.File{write}
	out, err := cmd.CombinedOutput()
	write.Close()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := read.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := read.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the pipe is still held: %v", err)
	}
}
