package runtime

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cognomega/edge/internal/localcloud/store"
)

func TestR2(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.put(store.Buckets, "files", store.Bucket{Name: "files"})
	b.deploy(upload{
		name: "app", bindings: []store.Binding{{Name: "R2", Type: "r2_bucket", BucketName: "files"}, {Name: "GONE", Type: "r2_bucket", BucketName: "no-such"}},
		js: `export default { async fetch(request, env) {
  const r2 = env.R2, out = {};
  const error = (p) => p.then(() => "no error", (e) => e.message);
  const put = await r2.put("dir/a.txt", "0123456789", { httpMetadata: { contentType: "text/plain", cacheControl: "no-store", cacheExpiry: new Date(1e12) }, customMetadata: { k: "ü" }, md5: "781e5e245d69b566979b86e28d23f2c7" });
  out.put = [put.key, put.size, put.etag, put.httpMetadata.contentType, put.customMetadata, put.checksums.toJSON().md5];
  const head = await r2.head("dir/a.txt");
  out.head = [head.size, head.httpEtag === '"' + put.etag + '"', head.httpMetadata.cacheExpiry.getTime(), head.storageClass, Math.abs(head.uploaded.getTime() - Date.now()) < 60000];
  out.none = [await r2.head("nope"), await r2.get("nope")];
  out.whole = await (await r2.get("dir/a.txt")).text();
  out.ranges = [];
  for (const range of [{ offset: 2, length: 3 }, { offset: 7 }, { length: 2 }, { suffix: 4 }]) {
    const o = await r2.get("dir/a.txt", { range });
    out.ranges.push([await o.text(), o.range.offset, o.range.length]);
  }
  out.header = await (await r2.get("dir/a.txt", { range: new Headers({ range: "bytes=1-3" }) })).text();
  out.unsatisfiable = await error(r2.get("dir/a.txt", { range: { offset: 50 } }));
  const matched = await r2.get("dir/a.txt", { onlyIf: { etagMatches: put.etag } });
  const failed = await r2.get("dir/a.txt", { onlyIf: { etagMatches: "other" } });
  out.conditional = [await matched.text(), failed.body === undefined, failed.key, await r2.put("dir/a.txt", "x", { onlyIf: { etagDoesNotMatch: put.etag } }),
    (await r2.put("new", "y", { onlyIf: new Headers({ "If-None-Match": "*" }) })).key, await r2.put("new", "z", { onlyIf: new Headers({ "If-None-Match": "*" }) })];
  out.digest = (await error(r2.put("bad", "x", { sha256: "00".repeat(32) }))).includes("(10037)");
  const body = new Blob(["streamed"]).stream();
  const fixed = new FixedLengthStream(8); body.pipeTo(fixed.writable);
  out.stream = (await r2.put("dir/sub/b", fixed.readable)).size;
  await r2.put("empty", null);
  out.empty = [(await r2.head("empty")).size, await (await r2.get("empty")).text()];
  const listed = await r2.list({ prefix: "dir/", delimiter: "/", include: ["httpMetadata", "customMetadata"] });
  out.list = [listed.objects.map((o) => [o.key, o.httpMetadata.contentType, o.customMetadata.k]), listed.delimitedPrefixes, listed.truncated];
  const first = await r2.list({ limit: 2 }), second = await r2.list({ limit: 2, cursor: first.cursor });
  out.pages = [first.objects.map((o) => o.key), first.truncated, second.objects.map((o) => o.key), second.truncated];
  out.after = (await r2.list({ startAfter: "empty" })).objects.map((o) => o.key);
  const upload = await r2.createMultipartUpload("big", { customMetadata: { m: "p" } });
  const part = new Uint8Array(5 * 1024 * 1024).fill(97);
  const parts = [await upload.uploadPart(1, part), await r2.resumeMultipartUpload("big", upload.uploadId).uploadPart(2, "end")];
  const big = await upload.complete(parts);
  out.multipart = [big.size, big.etag.endsWith("-2"), (await r2.get("big", { range: { suffix: 5 } }).then((o) => o.text())), (await r2.head("big")).customMetadata.m];
  const aborted = await r2.createMultipartUpload("never");
  await aborted.abort();
  out.aborted = [(await error(aborted.uploadPart(1, "x"))).includes("(10024)"), await r2.head("never")];
  await r2.delete("new"); await r2.delete(["big", "empty", "was never"]);
  out.left = (await r2.list()).objects.map((o) => o.key);
  out.gone = (await error(env.GONE.put("k", "v"))).includes("(10006)");
  return Response.json(out);
} };`,
	})
	var got map[string]json.RawMessage
	if err := json.Unmarshal([]byte(b.get("app", "/")), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"put":    `["dir/a.txt",10,"781e5e245d69b566979b86e28d23f2c7","text/plain",{"k":"ü"},"781e5e245d69b566979b86e28d23f2c7"]`,
		"head":   `[10,true,1000000000000,"Standard",true]`,
		"none":   `[null,null]`,
		"whole":  `"0123456789"`,
		"ranges": `[["234",2,3],["789",7,3],["01",0,2],["6789",6,4]]`, "header": `"123"`,
		"unsatisfiable": `"get: The requested range is not satisfiable (10039)"`,
		"conditional":   `["0123456789",true,"dir/a.txt",null,"new",null]`,
		"digest":        `true`, "stream": `8`, "empty": `[0,""]`,
		"list":      `[[["dir/a.txt","text/plain","ü"]],["dir/sub/"],false]`,
		"pages":     `[["dir/a.txt","dir/sub/b"],true,["empty","new"],false]`,
		"after":     `["new"]`,
		"multipart": `[5242883,true,"aaend","p"]`, "aborted": `[true,null]`, "left": `["dir/a.txt","dir/sub/b"]`, "gone": `true`,
	}
	for name, w := range want {
		if string(got[name]) != w {
			t.Errorf("%s: got %s, want %s", name, got[name], w)
		}
	}
}

func TestAI(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.deploy(upload{
		name: "app", bindings: []store.Binding{{Name: "AI", Type: "ai"}},
		js: `export default { async fetch(request, env) {
  const model = "@cf/meta/llama-3.1-8b-instruct";
  switch (new URL(request.url).pathname) {
    case "/bound": return Response.json({ ai_bound: typeof env.AI?.run === "function" });
    case "/stream": return new Response(await env.AI.run(model, { prompt: "one two", stream: true }));
    case "/embed": { const r = await env.AI.run("@cf/baai/bge-small-en-v1.5", { text: ["a", "b", "a"] }); return Response.json([r.shape, r.data[0][0] === r.data[2][0], r.data[0][0] !== r.data[1][0]]); }
    case "/unknown": return new Response(await env.AI.run("@cf/x/no-such", { prompt: "x" }).catch((e) => e.name + " " + e.message));
  }
  const r = await env.AI.run(model, { messages: [{ role: "system", content: "s" }, { role: "user", content: "are you there" }] });
  return Response.json([r.response, r.usage.total_tokens > 0, env.AI.lastRequestHttpStatusCode]);
} };`,
	})
	b.want("app", "/bound", `{"ai_bound":true}`)
	b.want("app", "/", `["This is llama-3.1-8b-instruct answering locally: you said \"are you there\".",true,200]`)
	b.want("app", "/embed", `[[3,384],true,true]`)
	b.want("app", "/unknown", "AiError 5007: No such model @cf/x/no-such or task")
	stream := b.get("app", "/stream")
	if !strings.HasPrefix(stream, "data: {\"response\":\"This\"}\n\ndata: {\"response\":\" is\"}\n\n") || !strings.HasSuffix(stream, "data: [DONE]\n\n") {
		t.Errorf("stream: %s", stream)
	}
}

func TestRateLimitAndAnalytics(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 22, 0, 30, 0, time.UTC)
	b := newBed(t, func(c *Config) { c.Now = func() time.Time { return at } })
	b.deploy(upload{
		name: "app", bindings: []store.Binding{
			{Name: "LIMIT", Type: "ratelimit", NamespaceID: "1001", Simple: &store.RateLimit{Limit: 3, Period: 60}},
			{Name: "AE", Type: "analytics_engine", Dataset: "usage"},
		},
		js: `export default { async fetch(request, env) {
  const out = [];
  for (const key of ["a", "a", "a", "a", "b"]) out.push((await env.LIMIT.limit({ key })).success);
  env.AE.writeDataPoint({ indexes: ["acme"], blobs: ["chat", new TextEncoder().encode("ü")], doubles: [1.5, 2] });
  out.push(await env.LIMIT.limit({ key: 1 }).catch((e) => e.message));
  return Response.json(out);
} };`,
	})
	b.want("app", "/", `[true,true,true,false,true,"invalid key: 1"]`)
	var points []DataPoint
	eventually(t, "the data point is stored", func() bool {
		var err error
		points, err = b.rt.DataPoints("usage")
		return err == nil && len(points) == 1
	})
	p := points[0]
	if p.Script != "app" || p.Index != "acme" || p.Blobs[0] != "chat" || p.Blobs[1] != "ü" || p.Doubles[0] != 1.5 || p.Doubles[1] != 2 || p.Doubles[2] != 0 {
		t.Errorf("data point %+v", p)
	}
}

func TestRefusesBindingsItDoesNotHave(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	for kind, says := range map[string]string{"vectorize": "vectorize", "durable_object_namespace": "not currently configured", "ratelimit": "needs a limit", "text_blob": "was not uploaded"} {
		_, err := b.try(upload{name: "app", js: `export default {}`, bindings: []store.Binding{{Name: "X", Type: kind, ClassName: "C"}}})
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", kind, err)
		}
	}
	if n := b.rt.processes(); n != 0 {
		t.Errorf("%d processes, want none", n)
	}
}

// TestCron triggers a scheduled handler by hand, and by the clock of a minute that is over in a moment.
func TestCron(t *testing.T) {
	t.Parallel()
	var clock atomic.Pointer[time.Time]
	turn := func(text string) {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		clock.Store(&at)
	}
	turn("2026-11-22T22:00:59Z")
	b := newBed(t, func(c *Config) { c.Now = func() time.Time { return *clock.Load() } })
	b.put(store.Namespaces, "ns", store.KVNamespace{ID: "ns"})
	script := func(name string) upload {
		return upload{
			name: name, crons: []string{"1 22 * * 1", "30 9 * * *"}, bindings: []store.Binding{{Name: "KV", Type: "kv_namespace", NamespaceID: "ns"}},
			js: `export default {
  async scheduled(controller, env, ctx) { if (controller.cron === "fail") throw new Error("no"); ctx.waitUntil(env.KV.put("` + name + `:" + controller.cron, new Date(controller.scheduledTime).toISOString())); },
  async fetch(request, env) { return Response.json(Object.fromEntries((await Promise.all((await env.KV.list({ prefix: "` + name + `:" })).keys.map(async (k) => [k.name, await env.KV.get(k.name)]))))); } };`,
		}
	}
	owner := script("owner")
	owner.js += "\n" + `import { DurableObject } from "cloudflare:workers"; export class C extends DurableObject {}`
	owner.classes = []store.DOClass{{Name: "C", SQLite: true, UniqueKey: "c"}}
	b.deploy(script("app"), owner)
	turn("2026-11-22T22:01:00Z")
	for _, name := range []string{"app", "owner"} {
		if err := b.rt.Trigger(context.Background(), name, "by hand", time.UnixMilli(0)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the trigger of the minute ran", func() bool {
			return b.get(name, "/") == fmt.Sprintf(`{"%s:1 22 * * 1":"2026-11-22T22:01:00.000Z","%s:by hand":"1970-01-01T00:00:00.000Z"}`, name, name)
		})
	}
	wantInvalid(t, b.rt.Trigger(context.Background(), "app", "fail", time.Now()), "exception")
}

// TestFetchReachesThisMachine checks that a script can call a provider's double on the loopback interface.
func TestFetchReachesThisMachine(t *testing.T) {
	t.Parallel()
	double := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "double ", r.URL.Path) }))
	defer double.Close()
	b := newBed(t)
	b.deploy(upload{name: "app", js: `export default { fetch: (r, env) => fetch(env.BASE + "/v1/x") }`, bindings: []store.Binding{{Name: "BASE", Type: "plain_text", Text: double.URL}}})
	b.want("app", "/", "double /v1/x")
}
