package runtime

import (
	"context"
	"errors"
	"testing"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/store"
)

func TestServesWithVariablesKVAndServices(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.put(store.Namespaces, "ns1", store.KVNamespace{ID: "ns1", Title: "keys"})
	cs := b.deploy(upload{
		name: "front",
		js: `import { WorkerEntrypoint } from "cloudflare:workers";
import note from "./note.txt";
import data from "./data.bin";
export class Admin extends WorkerEntrypoint { hello(who) { return "hello " + who; } }
export default { async fetch(request, env, ctx) {
  const url = new URL(request.url);
  console.log("saw", url.pathname);
  switch (url.pathname) {
    case "/vars": return Response.json([env.PLAIN, env.SECRET, env.CONF.deep.list, env.VERSION.id, env.VERSION.tag, typeof env.VERSION.timestamp]);
    case "/modules": return Response.json([note, [...new Uint8Array(data)]]);
    case "/fetch": return env.BACK.fetch("https://inner.test/path?x=1", { method: "POST", body: "body" });
    case "/rpc": return Response.json([await env.BACK.add(2, 3), await env.NAMED.who("me"), await new Response(await env.NAMED.stream()).text()]);
    case "/scheme": return new Response(url.protocol + url.host);
    case "/kv": {
      const kv = env.KV;
      await kv.put("a b/ü?&", "value", { metadata: { m: 1 }, expirationTtl: 120 });
      await kv.put("json", JSON.stringify({ j: true }));
      await kv.put("bytes", new Uint8Array([0, 255, 10]));
      for (let i = 0; i < 5; i++) await kv.put("list:" + i, String(i));
      await kv.delete("list:4");
      await kv.delete("never was");
      const first = await kv.list({ prefix: "list:", limit: 3 });
      const rest = await kv.list({ prefix: "list:", limit: 3, cursor: first.cursor });
      const withMeta = await kv.getWithMetadata("a b/ü?&");
      const bulk = await kv.get(["json", "list:0", "nope"]);
      const bulkMeta = await kv.getWithMetadata(["a b/ü?&"]);
      const bad = await kv.put("x", "y", { expirationTtl: 5 }).catch((e) => e.message);
      return Response.json({
        text: await kv.get("a b/ü?&"), json: await kv.get("json", "json"), cached: await kv.get("json", { type: "json", cacheTtl: 60 }),
        bytes: [...new Uint8Array(await kv.get("bytes", "arrayBuffer"))], stream: await new Response(await kv.get("json", "stream")).text(),
        none: await kv.get("nope"), first: first.keys.map((k) => k.name), complete: first.list_complete,
        rest: rest.keys.map((k) => k.name), restComplete: rest.list_complete, meta: withMeta.metadata,
        expires: (await kv.list({ prefix: "a b" })).keys[0].expiration > Date.now() / 1000, listed: (await kv.list({ prefix: "a b" })).keys[0].metadata,
        bulk: [...bulk], bulkMeta: [...bulkMeta].map(([k, v]) => [k, v.value, v.metadata]), bad,
      });
    }
  }
  return new Response("hello");
} };`,
		modules: []store.Module{b.blob("note.txt", "text/plain", []byte("a note")), b.blob("data.bin", "application/octet-stream", []byte{1, 2}), b.blob("index.js.map", "application/source-map", []byte("{}"))},
		bindings: []store.Binding{
			{Name: "PLAIN", Type: "plain_text", Text: "pl\"ain\\\n\x01ü"}, {Name: "SECRET", Type: "secret_text", Text: "s3cret"},
			{Name: "CONF", Type: "json", JSON: []byte(`{"deep":{"list":[1,"two"]}}`)}, {Name: "VERSION", Type: "version_metadata"},
			{Name: "KV", Type: "kv_namespace", NamespaceID: "ns1"}, {Name: "BACK", Type: "service", Service: "back"},
			{Name: "NAMED", Type: "service", Service: "back", Entrypoint: "Named"},
		},
		edit: func(v *store.Version) { v.Annotations = map[string]string{"workers/tag": "v1.0"} },
	}, upload{name: "back", js: `import { WorkerEntrypoint } from "cloudflare:workers";
export class Named extends WorkerEntrypoint {
  who(name) { return "named " + name; }
  stream() { return new ReadableStream({ start(c) { c.enqueue(new TextEncoder().encode("streamed")); c.close(); } }); }
}
export default class extends WorkerEntrypoint {
  async fetch(request) { return new Response(request.method + " " + request.url + " " + await request.text()); }
  add(a, b) { return a + b; }
}`})
	b.want("front", "/", "hello")
	b.want("front", "/vars", `["pl\"ain\\\n\u0001ü","s3cret",[1,"two"],"`+cs[0].Version.ID+`","v1.0","string"]`)
	b.want("front", "/modules", `["a note",[1,2]]`)
	b.want("front", "/fetch", "POST https://inner.test/path?x=1 body")
	b.want("front", "/rpc", `[5,"named me","streamed"]`)
	b.want("front", "/kv", `{"text":"value","json":{"j":true},"cached":{"j":true},"bytes":[0,255,10],"stream":"{\"j\":true}","none":null,`+
		`"first":["list:0","list:1","list:2"],"complete":false,"rest":["list:3"],"restComplete":true,"meta":{"m":1},"expires":true,"listed":{"m":1},`+
		`"bulk":[["json","{\"j\":true}"],["list:0","0"],["nope",null]],"bulkMeta":[["a b/ü?&","value",{"m":1}]],`+
		`"bad":"KV PUT failed: 400 Bad Request"}`)
	eventually(t, "the script's console line is in its log", func() bool {
		lines := b.rt.Logs("front", 10)
		return len(lines) > 0 && lines[len(lines)-1].Text == "saw /kv"
	})
	handlers, named, err := b.rt.Inspect(context.Background(), "front")
	if err != nil || len(handlers) != 1 || handlers[0] != "fetch" || len(named) != 1 || named[0].Name != "Admin" || named[0].Handlers[0] != "hello" {
		t.Errorf("front exports %v %v, %v", handlers, named, err)
	}
	if status := b.rt.Status(); len(status) != 1 || !status[0].Serving || len(status[0].Scripts) != 2 {
		t.Errorf("scripts without Durable Objects do not share one process: %+v", status)
	}
	if _, err := b.rt.Acquire(context.Background(), "nobody"); !errors.Is(err, fault.NotFound) {
		t.Errorf("a script that does not exist: %v", err)
	}
}
