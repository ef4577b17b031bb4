package runtime

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/cognomega/edge/internal/localcloud/store"
)

func countPIDs(run string) int {
	records, err := filepath.Glob(filepath.Join(run, "*.pid"))
	if err != nil {
		return -1
	}
	return len(records)
}

func (b *bed) pidOf(script string) int {
	for _, s := range b.rt.Status() {
		for _, name := range s.Scripts {
			if name == script {
				return s.PID
			}
		}
	}
	return 0
}

// kill ends a script's process with SIGKILL, and waits until that was noticed.
func (b *bed) kill(script string) {
	b.t.Helper()
	pid := b.pidOf(script)
	if pid == 0 {
		b.t.Fatalf("%s has no process", script)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		b.t.Fatal(err)
	}
	eventually(b.t, "the death is noticed", func() bool { return b.pidOf(script) != pid })
}

func TestKilledProcessComesBack(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.put(store.Namespaces, "ns", store.KVNamespace{ID: "ns"})
	b.deploy(upload{
		name: "app", bindings: []store.Binding{{Name: "KV", Type: "kv_namespace", NamespaceID: "ns"}},
		js: `export default { async fetch(r, env) { if (new URL(r.url).pathname === "/put") await env.KV.put("k", "kept"); return new Response(await env.KV.get("k")); } }`,
	}, counter("room", 1))
	b.want("app", "/put", "kept")
	b.want("room", "/", "1")
	for range 3 {
		b.kill("app")
		b.want("app", "/", "kept") // Acquire waits for the restart
	}
	b.kill("room")
	b.want("room", "/", "2")
}

// TestRestartServesAgain stops the runtime and starts it on the same folder.
func TestRestartServesAgain(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.deploy(versioned("app", "v0"), counter("room", 1))
	b.want("room", "/", "1")
	run := b.rt.paths.run
	b.close()
	if left, err := filepath.Glob(filepath.Join(run, "*")); err != nil || len(left) > 0 {
		t.Errorf("files left after Close: %v %v", left, err)
	}
	b.open()
	b.want("app", "/", "v0")
	b.want("room", "/", "2")
}

// TestBootLeavesOutWhatDoesNotStart plants a broken version in the store itself.
func TestBootLeavesOutWhatDoesNotStart(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.deploy(versioned("app", "v0"))
	bad := b.candidate(upload{name: "bad", js: `throw new Error("broken since")`})
	b.put(store.Scripts, "bad", bad.Script)
	b.put(store.Versions, "bad/"+bad.Version.ID, bad.Version)
	b.close()
	b.open()
	b.want("app", "/", "v0")
	if _, err := b.rt.Acquire(context.Background(), "bad"); err == nil || !strings.Contains(err.Error(), "broken since") {
		t.Errorf("the broken script's error is %v", err)
	}
}

// TestOrphansAreEnded plants what a killed run leaves: a live process and its record.
func TestOrphansAreEnded(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.deploy(versioned("app", "v0"))
	pid := b.pidOf("app")
	start, ok := processStart(pid)
	if !ok {
		t.Fatal("no start time")
	}
	other := t.TempDir()
	for name, text := range map[string]string{"1.pid": "garbage", "2.pid": "999999999 1@x", "3.pid": "1 nothing"} {
		if err := os.WriteFile(filepath.Join(other, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	killOrphans(other, b.rt.cfg.Log)
	if now, ok := processStart(pid); !ok || now != start {
		t.Fatal("a process that no record names was ended")
	}
	record, err := os.ReadFile(filepath.Join(b.rt.paths.run, strconv.Itoa(pid)+".pid"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(other, "x.pid"), record, 0o600); err != nil {
		t.Fatal(err)
	}
	killOrphans(other, b.rt.cfg.Log)
	eventually(t, "the orphan is ended", func() bool { now, ok := processStart(pid); return !ok || now != start })
	b.want("app", "/", "v0")
}

// TestLongFolder runs below a path that no socket could be bound in.
func TestLongFolder(t *testing.T) {
	t.Parallel()
	b := newBed(t, func(c *Config) { c.RunDir = filepath.Join(c.Dir, strings.Repeat("long", 30)) })
	b.deploy(versioned("app", "v0"))
	b.want("app", "/", "v0")
	run := b.rt.paths.run
	if len(run) > 80 {
		t.Errorf("sockets are in %s", run)
	}
	b.close()
	if _, err := os.Stat(run); err == nil {
		t.Errorf("the temporary folder %s was left", run)
	}
}
