package runtime

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/cognomega/edge/internal/localcloud/store"
)

func versioned(name, text string) upload {
	return upload{name: name, js: `export default { async fetch(request, env) {
  const path = new URL(request.url).pathname;
  if (request.headers.get("upgrade") === "websocket") {
    const [client, server] = Object.values(new WebSocketPair());
    server.accept();
    server.addEventListener("message", (e) => server.send("` + text + `:" + e.data));
    return new Response(null, { status: 101, webSocket: client });
  }
  if (path === "/slow") {
    const { readable, writable } = new TransformStream();
    const w = writable.getWriter();
    (async () => { for (let i = 0; i < 20; i++) { await w.write(new TextEncoder().encode(i + " ")); await scheduler.wait(100); } await w.close(); })();
    return new Response(readable);
  }
  return new Response("` + text + `");
} };`}
}

// TestDeployDropsNothing deploys under constant load, with a slow stream and a WebSocket open across the deployments.
func TestDeployDropsNothing(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.deploy(versioned("app", "v0"), versioned("other", "steady"))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var served, failed atomic.Int64
	var seen sync.Map
	var load sync.WaitGroup
	for i := range 8 {
		script := []string{"app", "other"}[i%2]
		load.Add(1)
		go func() {
			defer load.Done()
			for ctx.Err() == nil {
				req, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://x.test/", nil)
				status, body, version, err := b.do(script, req)
				if err != nil || status != 200 {
					failed.Add(1)
					t.Errorf("%s: %d %v", script, status, err)
					return
				}
				seen.Store(script+" "+body, version)
				served.Add(1)
			}
		}()
	}
	slow := b.openSlow("app")
	ws, release := b.openWebSocket("app")
	var versions []Candidate
	for i := 1; i <= 4; i++ {
		versions = b.deploy(versioned("app", fmt.Sprintf("v%d", i)))
		before := served.Load()
		eventually(t, "requests go on after a deployment", func() bool { return served.Load() > before+20 || failed.Load() > 0 })
		b.want("app", "/", fmt.Sprintf("v%d", i)) // the new version from Commit on
	}
	echo(t, ws, "v0:")
	cancel()
	load.Wait()
	if text := <-slow; text != "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 " {
		t.Errorf("the slow response was %q", text)
	}
	_ = ws.Close(websocket.StatusNormalClosure, "")
	release()
	for i := range 5 {
		if _, ok := seen.LoadAndDelete(fmt.Sprintf("app v%d", i)); !ok {
			t.Errorf("version v%d was never seen", i)
		}
	}
	seen.Delete("other steady")
	seen.Range(func(k, _ any) bool { t.Errorf("unexpected answer %v", k); return true })
	eventually(t, "only the last process is left", func() bool { return b.rt.processes() == 1 })
	lease, err := b.rt.Acquire(context.Background(), "app")
	if err != nil || lease.VersionID != versions[0].Version.ID {
		t.Fatalf("lease %+v, %v", lease, err)
	}
	lease.Release()
	t.Logf("%d requests served over 4 deployments, %d failed", served.Load(), failed.Load())
}

// processes counts the pid records, hence the workerd processes alive.
func (r *Runtime) processes() int { return countPIDs(r.paths.run) }

// openSlow reads a response that takes 2 s; it returns after the first bytes have come.
func (b *bed) openSlow(script string) <-chan string {
	b.t.Helper()
	lease, err := b.rt.Acquire(context.Background(), script)
	if err != nil {
		b.t.Fatal(err)
	}
	conn, err := net.Dial(lease.Network, lease.Addr)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET /slow HTTP/1.1\r\nHost: x.test\r\nConnection: close\r\n\r\n"); err != nil {
		b.t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		b.t.Fatal(err)
	}
	done := make(chan string, 1)
	go func() {
		defer lease.Release()
		defer conn.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			b.t.Errorf("slow response: %v", err)
		}
		done <- string(text)
	}()
	return done
}

func (b *bed) openWebSocket(script string) (*websocket.Conn, func()) {
	b.t.Helper()
	lease, err := b.rt.Acquire(context.Background(), script)
	if err != nil {
		b.t.Fatal(err)
	}
	ws := dialWebSocket(b.t, lease.Addr, "/ws")
	echo(b.t, ws, "v0:")
	return ws, lease.Release
}

func dialWebSocket(t *testing.T, socket, path string) *websocket.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, "ws://x.test"+path, &websocket.DialOptions{HTTPClient: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return ws
}

func echo(t *testing.T, ws *websocket.Conn, prefix string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := ws.Write(ctx, websocket.MessageText, []byte("hi")); err != nil {
		t.Fatal(err)
	}
	_, text, err := ws.Read(ctx)
	if err != nil || string(text) != prefix+"hi" {
		t.Fatalf("echo %q, %v", text, err)
	}
}

// TestBrokenBundleIsRefused plants each way in which a bundle does not start, and checks that the old version serves on.
func TestBrokenBundleIsRefused(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.deploy(versioned("app", "v0"), versioned("other", "steady"))
	tests := map[string]struct {
		u    upload
		says []string
	}{
		"syntax error":        {upload{js: `export default { fetch( { }`}, []string{"SyntaxError", "index.js"}},
		"throws at top level": {upload{js: `throw new Error("boom at start"); export default {}`}, []string{"Uncaught Error: boom at start", "index.js:1"}},
		"missing module":      {upload{js: `import x from "./nope.js"; export default {}`}, []string{`No such module "nope.js"`}},
		"class not exported":  {upload{js: `export default { fetch() {} }`, classes: []store.DOClass{{Name: "Room", SQLite: true, UniqueKey: "k-room"}}}, []string{"Room", "no such Durable Object class is exported"}},
		"date of the future":  {upload{js: `export default {}`, edit: func(v *store.Version) { v.CompatibilityDate = "2099-01-01" }}, []string{`compatibility date "2099-01-01"`}},
		"unknown flag":        {upload{js: `export default {}`, edit: func(v *store.Version) { v.CompatibilityFlags = []string{"nonesuch"} }}, []string{"nonesuch"}},
		"main module missing": {upload{js: `export default {}`, edit: func(v *store.Version) { v.MainModule = "main.js" }}, []string{"main.js"}},
		"entrypoint missing":  {upload{js: `export default {}`, bindings: []store.Binding{{Name: "B", Type: "service", Service: "other", Entrypoint: "Nope"}}}, []string{"Nope"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tt.u.name = "app"
			_, err := b.try(tt.u)
			wantInvalid(t, err, tt.says...)
			if err != nil && strings.Contains(err.Error(), "app/") {
				t.Errorf("the error names our own layout: %s", err)
			}
			b.want("app", "/", "v0")
			b.want("other", "/", "steady")
		})
	}
	if n := b.rt.processes(); n != 1 {
		t.Errorf("%d processes left, want 1", n)
	}
	b.deploy(versioned("app", "v1"))
	b.want("app", "/", "v1")
}

// TestDeleteAndAbort checks that an aborted change leaves no trace and a deleted script is gone.
func TestDeleteAndAbort(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.deploy(versioned("app", "v0"), upload{
		name: "caller", js: `export default { async fetch(r, env) { try { return await env.APP.fetch(r) } catch (e) { return new Response(e.message) } } }`,
		bindings: []store.Binding{{Name: "APP", Type: "service", Service: "app"}},
	})
	p, err := b.rt.Prepare(context.Background(), Change{Put: []Candidate{b.candidate(versioned("app", "never"))}})
	if err != nil {
		t.Fatal(err)
	}
	p.Abort()
	p.Commit() // nothing after Abort
	b.want("caller", "/", "v0")
	p, err = b.rt.Prepare(context.Background(), Change{Delete: []string{"app"}})
	if err != nil {
		t.Fatal(err)
	}
	p.Commit()
	b.want("caller", "/", `service binding: script "app" is not deployed`)
	if lease, err := b.rt.Acquire(context.Background(), "app"); err == nil {
		t.Errorf("a deleted script still serves: %+v", lease)
	}
}

// TestVersionSplit checks that two versions of a deployment serve by their shares, at the edge and behind bindings, and that a request
// may say which, or that it is always to be the same one.
func TestVersionSplit(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	app := func(name string) upload {
		return upload{name: "app", js: `import { WorkerEntrypoint } from "cloudflare:workers";
export default class extends WorkerEntrypoint { fetch() { return new Response("` + name + `"); } hello(who) { return "hello " + who; } }`}
	}
	small, large := b.candidate(app("small")), b.candidate(app("large"))
	d := store.Deployment{Versions: []store.VersionShare{{VersionID: small.Version.ID, Percentage: 20}, {VersionID: large.Version.ID, Percentage: 80}}}
	small.Script.Deployments, large.Script.Deployments = []store.Deployment{d}, []store.Deployment{d}
	caller := b.candidate(upload{name: "caller", js: `export default { async fetch(r, env) { return r.url.endsWith("/rpc") ? new Response(await env.APP.hello("you")) : env.APP.fetch(r); } }`, bindings: []store.Binding{{Name: "APP", Type: "service", Service: "app"}}})
	p, err := b.rt.Prepare(context.Background(), Change{Put: []Candidate{small, large, caller}})
	if err != nil {
		t.Fatal(err)
	}
	p.Commit()
	for _, script := range []string{"app", "caller"} {
		seen := map[string]int{}
		for range 300 {
			seen[b.get(script, "/")]++
		}
		if seen["small"] < 30 || seen["small"] > 100 || seen["large"] < 200 {
			t.Errorf("shares of 300 requests of %s: %v, want about 60 and 240", script, seen)
		}
	}
	b.want("caller", "/rpc", "hello you")
	overrides := func(text string) string { return b.withHeader("caller", "Cloudflare-Workers-Version-Overrides", text) }
	for range 20 {
		if got := overrides(`other="x", app="` + small.Version.ID + `"`); got != "small" {
			t.Fatalf("a call that asks for the small version reached %s", got)
		}
	}
	for text, want := range map[string]string{"no version of the deployment": `app="x"`, "no dictionary": `app="` + small.Version.ID} {
		if got := overrides(want); got != "small" && got != "large" {
			t.Errorf("%s: %s", text, got)
		}
	}
	for i := range 100 { // the helper of bindings and the edge's choice put a key in the same place
		key := fmt.Sprint("key", i)
		rt := choose([]route{{version: "large", number: large.Version.Number, share: 80}, {version: "small", number: small.Version.Number, share: 20}}, Prefer{Key: key})
		if got := b.withHeader("caller", "Cloudflare-Workers-Version-Key", key); got != rt.version {
			t.Errorf("%s: a binding reaches %s, the edge %s", key, got, rt.version)
		}
	}
}

// withHeader is what a script answers a request with a header.
func (b *bed) withHeader(script, name, value string) string {
	b.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://x.test/", http.NoBody)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set(name, value)
	_, text, _, err := b.do(script, req)
	if err != nil {
		b.t.Fatal(err)
	}
	return text
}

// A key that fell to the newer version stays with it while that version's share grows, and keys fall by the shares.
func TestAKeyStaysWithTheNewerVersion(t *testing.T) {
	t.Parallel()
	on := map[string]bool{}
	for _, share := range []float64{0, 10, 20, 50, 100} {
		routes := []route{{version: "old", number: 1, share: 100 - share}, {version: "new", number: 2, share: share}}
		count := 0
		for i := range 2000 {
			key := fmt.Sprint("user-", i)
			isNew := choose(routes, Prefer{Key: key}).version == "new"
			if on[key] && !isNew {
				t.Fatalf("%s went back at %v%%", key, share)
			}
			if on[key] = isNew; isNew {
				count++
			}
		}
		if got := float64(count) / 20; got < share-4 || got > share+4 {
			t.Errorf("%.1f%% of the keys are on the new version, want %v%%", got, share)
		}
	}
	for range 100 {
		routes := []route{{version: "old", number: 1, share: 100}, {version: "new", number: 2, share: 0}}
		if got := choose(routes, Prefer{Version: "new", Key: "x"}).version; got != "new" {
			t.Fatalf("a version of no share that is asked for: %s", got)
		}
		if got := choose(routes, Prefer{Version: "gone"}).version; got != "old" {
			t.Fatalf("a version that is not deployed: %s", got)
		}
	}
}

// What a Worker does after its answer is done by the process that a deployment replaces: it ends when that is over.
func TestWhatGoesOnAfterAnAnswerOutlivesADeployment(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.put(store.Namespaces, "ns", store.KVNamespace{ID: "ns"})
	app := upload{name: "app", bindings: []store.Binding{{Name: "KV", Type: "kv_namespace", NamespaceID: "ns"}}, js: `export default {
  async fetch(request, env, ctx) {
    ctx.waitUntil(scheduler.wait(300).then(() => env.KV.put("after", "done")));
    return new Response("answered");
  },
};`}
	b.deploy(app)
	b.want("app", "/", "answered")
	app.js = `export default { fetch: async (request, env) => new Response(await env.KV.get("after")) };`
	b.deploy(app)
	eventually(t, "what went on after the answer is done", func() bool { return b.get("app", "/") == "done" })
}
