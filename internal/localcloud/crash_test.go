package localcloud_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cognomega/edge/internal/localcloud"
)

// serveDir makes the test binary a local cloud on the folder that it names, so that a test can kill a real process.
const serveDir = "LOCALCLOUD_TEST_SERVE"

func TestMain(m *testing.M) {
	if dir := os.Getenv(serveDir); dir != "" {
		os.Exit(serve(dir))
	}
	os.Exit(m.Run())
}

func serve(dir string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	c, err := localcloud.Start(ctx, localcloud.Config{Dir: dir, AccountName: "test-account", Zones: []string{zoneName}, Workerd: os.Getenv("WORKERD")})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := c.Wait(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	if err := c.Close(); err != nil {
		return 1
	}
	return 0
}

// spawn runs a cloud in a process of its own and waits until it serves.
func spawn(t *testing.T, dir string) (*exec.Cmd, localcloud.Endpoints) {
	t.Helper()
	_ = os.Remove(filepath.Join(dir, "endpoints.json"))
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serveDir+"="+dir, "WORKERD="+workerd(t))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		if e, err := localcloud.ReadEndpoints(dir); err == nil {
			return cmd, e
		}
		<-time.After(10 * time.Millisecond)
	}
	t.Fatalf("the local cloud did not serve: %s", stderr.String())
	return nil, localcloud.Endpoints{}
}

const counter = `import { DurableObject } from "cloudflare:workers";
export class Counter extends DurableObject {
  constructor(ctx, env) { super(ctx, env); ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS n (v INTEGER)"); }
  add() { this.ctx.storage.sql.exec("INSERT INTO n VALUES (1)"); return this.ctx.storage.sql.exec("SELECT COUNT(*) AS c FROM n").one().c; }
}
export default { async fetch(request, env) {
  switch (new URL(request.url).pathname) {
    case "/put": await env.KV.put("k", "kept"); await env.BUCKET.put("o", "object"); await env.QUEUE.send({ n: 1 }); return new Response("acknowledged");
    case "/get": return new Response([await env.KV.get("k"), await (await env.BUCKET.get("o"))?.text()].join(" "));
    case "/add": return new Response(String(await env.COUNTER.get(env.COUNTER.idFromName("a")).add()));
  }
  return new Response("?", { status: 404 });
} };`

// After kill -9 everything that was acknowledged is there: scripts, routes, KV, R2, queue and Durable Object storage; and no
// workerd outlives its owner.
func TestKillLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd, e := spawn(t, dir)
	c := connect(t, e)
	account := "/accounts/" + e.AccountID
	var ns struct{ ID string }
	c.json(200, "POST", account+"/storage/kv/namespaces", map[string]any{"title": "things"}, &ns)
	c.json(200, "POST", account+"/r2/buckets", map[string]any{"name": "things"}, nil)
	var queue struct {
		ID string `json:"queue_id"`
	}
	c.json(200, "POST", account+"/queues", map[string]any{"queue_name": "things"}, &queue)
	uploadCounter(c, ns.ID)
	c.own("api."+zoneName, "counter")
	base := "https://api." + zoneName
	for path, want := range map[string]string{"/put": "acknowledged", "/add": "1"} {
		if status, body := c.get(base + path); status != 200 || body != want {
			t.Fatalf("%s: %d %q", path, status, body)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	waitNoProcess(t, dir)

	_, e = spawn(t, dir)
	c = connect(t, e)
	if status, body := c.get(base + "/get"); status != 200 || body != "kept object" {
		t.Errorf("KV and R2 after the kill: %d %q", status, body)
	}
	if status, body := c.get(base + "/add"); status != 200 || body != "2" {
		t.Errorf("the Durable Object after the kill: %d %q", status, body)
	}
	var metrics struct {
		Backlog int `json:"backlog_count"`
	}
	c.json(200, "GET", account+"/queues/"+queue.ID+"/metrics", nil, &metrics)
	if metrics.Backlog != 1 {
		t.Errorf("the queue holds %d messages after the kill, want 1", metrics.Backlog)
	}
}

func uploadCounter(c client, namespace string) {
	c.t.Helper()
	c.uploadWith(map[string]any{"migrations": map[string]any{"new_tag": "v1", "new_sqlite_classes": []string{"Counter"}}}, "counter", counter,
		map[string]any{"type": "kv_namespace", "name": "KV", "namespace_id": namespace},
		map[string]any{"type": "r2_bucket", "name": "BUCKET", "bucket_name": "things"},
		map[string]any{"type": "queue", "name": "QUEUE", "queue_name": "things"},
		map[string]any{"type": "durable_object_namespace", "name": "COUNTER", "class_name": "Counter"})
}

// waitNoProcess waits until no process works in the folder any more.
func waitNoProcess(t *testing.T, dir string) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		left := workingIn(dir)
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("processes outlived the local cloud: %v", left)
		}
		<-time.After(20 * time.Millisecond)
	}
}

func workingIn(dir string) (found []string) {
	commands, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, link := range commands {
		if at, err := os.Readlink(link); err == nil && strings.HasPrefix(at, dir) {
			found = append(found, link+" "+at)
		}
	}
	return found
}
