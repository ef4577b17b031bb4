package deploy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/stacks/deploy"
	"github.com/cognomega/edge/stacks/platform"
)

// childVariable makes this test program drive one run, so that a test has a process to kill.
const childVariable = "DEPLOY_TEST_CHILD"

type childRun struct {
	Verb deploy.Verb
	Root string
	Env  map[string]string
	Spec platform.Spec
}

func runChild(path string) int {
	raw, err := os.ReadFile(path)
	var c childRun
	if err == nil {
		err = json.Unmarshal(raw, &c)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	return fault.ExitCode(deploy.Run(context.Background(), deploy.Config{
		Verb: c.Verb, Stack: "local", Hostname: hostname, Project: []byte(project), StackFile: []byte(stackFile), Root: c.Root,
		Getenv: func(name string) string { return c.Env[name] }, Out: os.Stdout,
		Program: func(context.Context) (pulumi.RunFunc, error) { return platform.Program(inputs(c.Spec)), nil },
		API: func() (*cfapi.Client, error) {
			return cfapi.New(cfapi.Config{BaseURL: c.Env["CLOUDFLARE_BASE_URL"], Token: c.Env["CLOUDFLARE_API_TOKEN"], AccountID: account})
		},
	}))
}

// child starts `up` in a process of its own.
func (w *world) child() (*exec.Cmd, *bytes.Buffer) {
	w.t.Helper()
	raw, err := json.Marshal(childRun{Verb: deploy.Up, Root: w.dir, Env: w.env, Spec: w.spec})
	if err != nil {
		w.t.Fatal(err)
	}
	path := filepath.Join(w.dir, "child.json")
	write(w.t, path, string(raw))
	self, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childVariable+"="+path)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	return cmd, &out
}

// A deployment that is killed just after the account changed, and before anybody heard of it, is continued by the next one.
func TestUpContinuesWhatKill9CutOff(t *testing.T) {
	t.Parallel()
	for _, k := range []struct {
		after int  // writes to the account
		tree  bool // the engine and the plugins die too, as in a power cut
	}{{1, true}, {3, true}, {6, true}, {8, true}, {9, true}, {11, true}, {12, true}, {2, false}, {10, false}} {
		t.Run(fmt.Sprintf("after write %d, whole tree %t", k.after, k.tree), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.killedAfter(k.after, k.tree)
			w.must(deploy.Up)
			w.whole()
			again := w.must(deploy.Up)
			if got := again.planned(); len(got) > 0 {
				again.dump()
				t.Errorf("the up after the repair plans %q", got)
			}
		})
	}
}

// The same while it repairs, updates and deletes what is there already.
func TestUpContinuesAChangeThatKill9CutOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(deploy.Up)
	for _, after := range []int{1, 2, 4} {
		for _, b := range edits() {
			b.do(w)
		}
		w.call(http.MethodDelete, bucket, nil)
		w.killedAfter(after, true)
		w.must(deploy.Up)
		w.whole()
		w.lifecycle()
		if got := w.must(deploy.Up).planned(); len(got) > 0 {
			t.Errorf("killed after write %d: the up after the repair plans %q", after, got)
		}
	}
}

// killedAfter runs `up` and kills it with SIGKILL between the n-th change of the account and its answer.
func (w *world) killedAfter(n int, tree bool) {
	w.t.Helper()
	before := w.writes.count()
	cmd, out := w.child()
	var once sync.Once
	w.writes.onWrite(func(now int) {
		if now-before >= n {
			once.Do(func() { kill(cmd.Process.Pid, tree) })
		}
	})
	_ = cmd.Wait() // killed: its status says only that
	w.writes.onWrite(nil)
	w.t.Cleanup(func() {
		within(w.t, 10*time.Second, "the engine's plugins end", func() bool { return len(orphans(w.env["COGNOMEGA_BIN"])) == 0 })
	})
	if !strings.Contains(cmd.ProcessState.String(), "killed") {
		w.t.Fatalf("the deployment ended by itself (%s):\n%s", cmd.ProcessState, out)
	}
}

// kill kills a process, and with tree all that descend from it, children first so that none escapes to another parent.
func kill(pid int, tree bool) {
	if tree {
		for _, child := range children(pid) {
			kill(child, true)
		}
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
}

func children(pid int) []int {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	var list []int
	for _, path := range stats {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(raw), ") ")
		fields := strings.Fields(rest)
		if len(fields) > 1 && fields[1] == strconv.Itoa(pid) {
			child, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			if err == nil {
				list = append(list, child)
			}
		}
	}
	return list
}

// orphans lists the plugins that have lost their engine.
func orphans(bin string) []string {
	links, _ := filepath.Glob("/proc/[0-9]*/exe")
	var list []string
	for _, link := range links {
		exe, err := os.Readlink(link)
		if err != nil || !strings.HasPrefix(exe, bin+"/") {
			continue
		}
		stat, err := os.ReadFile(filepath.Join(filepath.Dir(link), "stat"))
		_, rest, _ := strings.Cut(string(stat), ") ")
		if fields := strings.Fields(rest); err == nil && len(fields) > 1 && fields[1] == "1" {
			list = append(list, exe)
		}
	}
	return list
}

// whole checks that the account has exactly one of everything that is declared.
func (w *world) whole() {
	w.t.Helper()
	w.kvPath()
	w.queue("test-events")
	w.queue("test-dead")
	w.consumer()
	w.hyperdrive()
	w.route()
	w.record()
	w.cron("*/5 * * * *")
}

// What somebody else made under a name of ours is never taken over: not at first sight, and not after the failure either.
func TestWhatIsNotOursIsNotTakenOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.call(http.MethodPost, "/accounts/"+account+"/r2/buckets", map[string]any{"name": "test-uploads"})
	for range 2 {
		r := w.run(deploy.Up)
		if fault.KindOf(r.err) != fault.Conflict || !strings.Contains(r.err.Error(), "10004") || fault.HintOf(r.err) == "" {
			r.dump()
			t.Fatalf("up over a bucket of somebody else's: %v", r.err)
		}
	}
	w.call(http.MethodDelete, bucket, nil)
	w.must(deploy.Up)
	w.whole()
}

// Side files of the state that a killed engine left half-written do not matter.
func TestATornSideFileIsDropped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(deploy.Up)
	write(t, filepath.Join(w.dir, "state", ".pulumi", "stacks", "test", "local.json.attrs"), "")
	if got := w.must(deploy.Up).planned(); len(got) > 0 {
		t.Errorf("planned %q", got)
	}
}

// Two deployments at once take turns.
func TestTwoUpsTakeTurns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cmd, out := w.child()
	second := w.run(deploy.Up)
	err := cmd.Wait()
	if err != nil || second.err != nil {
		second.dump()
		t.Fatalf("first: %v\n%s\nsecond: %v", err, out, second.err)
	}
	w.whole()
}

func TestALockOfADeadEngineIsRemoved(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(deploy.Up)
	locks := filepath.Join(w.dir, "state", ".pulumi", "locks", "organization", "test", "local")
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(locks, "dead.json"), fmt.Sprintf(`{"pid":%d,"hostname":%q}`, deadPID(t), host))
	write(t, filepath.Join(locks, "reused.json"), fmt.Sprintf(`{"pid":%d,"hostname":%q}`, os.Getpid(), host))
	w.must(deploy.Up)

	write(t, filepath.Join(locks, "elsewhere.json"), `{"pid":1,"hostname":"another-machine.example.test"}`)
	if r := w.run(deploy.Up); fault.KindOf(r.err) != fault.Conflict || !strings.Contains(r.err.Error(), "another-machine") {
		t.Errorf("a lock of another machine: %v", r.err)
	}
}

// deadPID is the number of a process that has just ended.
func deadPID(t *testing.T) int {
	t.Helper()
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	return cmd.Process.Pid
}

// within fails the test when a condition does not come true in time.
func within(t *testing.T, d time.Duration, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(d); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s", what, d)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
