package runtime

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cognomega/edge/internal/localcloud/store"
)

// counter is a script with a SQLite class, whose object counts its calls.
func counter(name string, version int) upload {
	return upload{
		name: name, classes: []store.DOClass{{Name: "Room", SQLite: true, UniqueKey: name + "-room"}, {Name: "Plain", UniqueKey: name + "-plain"}},
		bindings: []store.Binding{{Name: "ROOM", Type: "durable_object_namespace", ClassName: "Room"}, {Name: "PLAIN", Type: "durable_object_namespace", ClassName: "Plain", ScriptName: name}},
		js:       counterSource(version),
	}
}

func counterSource(version int) string {
	return fmt.Sprintf(`import { DurableObject, WorkerEntrypoint, RpcTarget } from "cloudflare:workers";
class Handle extends RpcTarget { #n; constructor(n) { super(); this.#n = n; } double() { return this.#n * 2; } }
export class Room extends DurableObject {
  constructor(ctx, env) { super(ctx, env); ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS c(n INT)"); }
  inc() { this.ctx.storage.sql.exec("INSERT INTO c VALUES(1)"); return this.ctx.storage.sql.exec("SELECT COUNT(*) n FROM c").one().n; }
  me() { return this.ctx.id.toString(); }
  version() { return %d; }
  handle(n) { return new Handle(n); }
  bytes() { return new ReadableStream({ start(c) { c.enqueue(new TextEncoder().encode("bytes")); c.close(); } }); }
  fail() { throw new TypeError("from the object"); }
  async call(fn) { return "got " + await fn(20); }
  async fetch(request) {
    if (request.headers.get("upgrade") === "websocket") {
      const [client, server] = Object.values(new WebSocketPair());
      this.ctx.acceptWebSocket(server);
      return new Response(null, { status: 101, webSocket: client });
    }
    return new Response(request.method + " " + request.url + " " + await request.text());
  }
  webSocketMessage(ws, text) { ws.send("object:" + text); }
}
export class Plain extends DurableObject {
  async inc() { const n = ((await this.ctx.storage.get("n")) ?? 0) + 1; await this.ctx.storage.put("n", n); return n; }
}
export class Service extends WorkerEntrypoint { async room(name) { return this.env.ROOM.get(this.env.ROOM.idFromName(name)).inc(); } }
export default { async fetch(request, env) {
  const path = new URL(request.url).pathname;
  if (path === "/plain") return new Response(String(await env.PLAIN.get(env.PLAIN.idFromName("a")).inc()));
  const room = env.ROOM.get(env.ROOM.idFromName("a"));
  if (path === "/version") return new Response(String(await room.version()));
  if (path === "/id") return new Response(await room.me());
  return new Response(String(await room.inc()));
} };`, version)
}

func TestDurableObjects(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.deploy(counter("room", 1), upload{
		name: "caller",
		bindings: []store.Binding{
			{Name: "ROOM", Type: "durable_object_namespace", ClassName: "Room", ScriptName: "room"},
			{Name: "SVC", Type: "service", Service: "room", Entrypoint: "Service"}, {Name: "DEF", Type: "service", Service: "room"},
		},
		js: `export default { async fetch(request, env) {
  const id = env.ROOM.idFromName("a");
  const room = env.ROOM.get(id);
  switch (new URL(request.url).pathname) {
    case "/ws": case "/echo": return room.fetch(request);
    case "/post": return room.fetch("https://room.test/p?q=1", { method: "POST", body: "text" });
    case "/svc": return Response.json([await env.SVC.room("a"), await (await env.DEF.fetch("http://x/id")).text() === id.toString()]);
  }
  using handle = await room.handle(21);
  return Response.json([await room.inc(), await room.me() === id.toString(), await handle.double(), await new Response(await room.bytes()).text(),
    await room.fail().catch((e) => e.name + ": " + e.message), await room.call((n) => n + 1)]);
} };`,
	})
	b.want("room", "/", "1")
	b.want("room", "/plain", "1")
	b.want("caller", "/", `[2,true,42,"bytes","TypeError: from the object","got 21"]`)
	b.want("caller", "/post", "POST https://room.test/p?q=1 text")
	b.want("caller", "/svc", "[3,true]")
	if status := b.rt.Status(); len(status) != 2 {
		t.Errorf("an owner of Durable Objects does not have a process of its own: %+v", status)
	}
	lease, err := b.rt.Acquire(context.Background(), "caller")
	if err != nil {
		t.Fatal(err)
	}
	ws := dialWebSocket(t, lease.Addr, "/ws")
	echo(t, ws, "object:")
	_ = ws.CloseNow()
	lease.Release()
	ids, err := b.rt.Objects("room-room")
	if err != nil || len(ids) != 1 || ids[0] != b.get("room", "/id") {
		t.Errorf("objects %v, %v", ids, err)
	}
	b.deploy(counter("room", 2)) // the caller's process stays, and finds the owner again
	b.want("caller", "/svc", "[4,true]")
	b.want("room", "/version", "2")
	b.want("caller", "/", `[5,true,42,"bytes","TypeError: from the object","got 21"]`)
	b.kill("room")
	b.want("caller", "/svc", "[6,true]")
	b.want("caller", "/", `[7,true,42,"bytes","TypeError: from the object","got 21"]`)
}

// TestObjectClassChanges renames a class, which keeps its objects, and deletes one, which removes them.
func TestObjectClassChanges(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.deploy(counter("room", 1))
	b.want("room", "/", "1")
	b.want("room", "/plain", "1")
	next := counter("room", 2)
	next.js = strings.ReplaceAll(next.js, "class Room ", "class Hall ")
	next.classes = []store.DOClass{{Name: "Hall", SQLite: true, UniqueKey: "room-room"}}
	next.bindings = []store.Binding{{Name: "ROOM", Type: "durable_object_namespace", ClassName: "Hall"}}
	b.deploy(next)
	b.want("room", "/", "2")
	for key, want := range map[string]bool{"room-room": true, "room-plain": false} {
		_, err := os.Stat(filepath.Join(b.dir, "do", key))
		if got := err == nil; got != want {
			t.Errorf("storage of %s is there: %v, want %v", key, got, want)
		}
	}
}
