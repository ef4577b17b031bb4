package runtime

import (
	"net"
	"strconv"
	"testing"

	"github.com/cognomega/edge/internal/localcloud/runtime/pgpool/pgtest"
	"github.com/cognomega/edge/internal/localcloud/store"
)

// pgClient is a PostgreSQL client of one statement, over the socket that the binding opens.
const pgClient = `
async function query(hd, sql, password) {
  const socket = hd.connect(), writer = socket.writable.getWriter(), reader = socket.readable.getReader();
  const text = new TextEncoder(), out = [];
  let held = new Uint8Array(0);
  const message = (kind, body) => { const b = typeof body === "string" ? text.encode(body + "\0") : body; const m = new Uint8Array(5 + b.length); m[0] = kind.charCodeAt(0); new DataView(m.buffer).setUint32(1, b.length + 4); m.set(b, 5); return m; };
  const need = async (n) => { while (held.length < n) { const { value, done } = await reader.read(); if (done) throw new Error("closed"); const next = new Uint8Array(held.length + value.length); next.set(held); next.set(value, held.length); held = next; } };
  const read = async () => { await need(5); const n = new DataView(held.buffer, held.byteOffset).getUint32(1); await need(n + 1); const m = [String.fromCharCode(held[0]), held.slice(5, n + 1)]; held = held.slice(n + 1); return m; };
  const startup = text.encode("\0\x03\0\0user\0" + hd.user + "\0database\0" + hd.database + "\0\0");
  const first = new Uint8Array(startup.length + 4); new DataView(first.buffer).setUint32(0, first.length); first.set(startup, 4);
  await writer.write(first);
  for (;;) {
    const [kind, body] = await read();
    if (kind === "R" && body[3] === 3) await writer.write(message("p", password ?? hd.password));
    if (kind === "E") { return new TextDecoder().decode(body); }
    if (kind === "D") out.push(new TextDecoder().decode(body.slice(6)));
    if (kind === "Z") { if (sql === null) break; await writer.write(message("Q", sql)); sql = null; }
  }
  await writer.write(message("X", new Uint8Array(0)));
  await writer.close();
  return out[0];
}
`

func TestHyperdrive(t *testing.T) {
	t.Parallel()
	f := pgtest.New(t)
	b := newBed(t)
	host, port, err := net.SplitHostPort(f.Addr())
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	b.put(store.Hyperdrives, "hd1", store.Hyperdrive{ID: "hd1", Name: "main", Origin: store.HyperdriveOrigin{Scheme: "postgres", Host: host, Port: n, Database: "db", User: "app", Password: "real"}})
	b.deploy(upload{name: "app", bindings: []store.Binding{{Name: "HD", Type: "hyperdrive", ID: "hd1"}}, js: pgClient + `
export default { async fetch(request, env) {
  if (new URL(request.url).pathname === "/wrong") return new Response((await query(env.HD, "show", "guess")).includes("password authentication failed") ? "refused" : "let in");
  if (new URL(request.url).pathname === "/env") return Response.json([env.HD.connectionString.includes("real"), env.HD.host.endsWith(".hyperdrive.local"), env.HD.port, env.HD.database]);
  return new Response(await query(env.HD, "show"));
} };`})
	for range 4 {
		b.want("app", "/", "1 default") // always the one server session, cleared in between
	}
	b.want("app", "/wrong", "refused")
	f2 := pgtest.New(t)
	_, port, err = net.SplitHostPort(f2.Addr())
	if err != nil {
		t.Fatal(err)
	}
	if n, err = strconv.Atoi(port); err != nil {
		t.Fatal(err)
	}
	b.put(store.Hyperdrives, "hd1", store.Hyperdrive{ID: "hd1", Name: "main", Origin: store.HyperdriveOrigin{Scheme: "postgres", Host: host, Port: n, Database: "db", User: "app", Password: "real"}})
	eventually(t, "the changed configuration is used without a deployment", func() bool { b.want("app", "/", "1 default"); return f2.Count("show") > 0 })
	b.want("app", "/env", `[false,true,5432,"db"]`)
}

// TestADeletedDatabaseStopsNobodyElse deletes a configuration under a script that is bound to it: what asks the database fails, the
// rest of that script and every other script serve on, and both can be deployed.
func TestADeletedDatabaseStopsNobodyElse(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.put(store.Hyperdrives, "hd1", store.Hyperdrive{ID: "hd1", Name: "main", Origin: store.HyperdriveOrigin{Scheme: "postgres", Host: "127.0.0.1", Port: 1, Database: "db", User: "app", Password: "real"}})
	app := upload{name: "app", bindings: []store.Binding{{Name: "HD", Type: "hyperdrive", ID: "hd1"}}, js: pgClient + `
export default { async fetch(request, env) {
  if (new URL(request.url).pathname === "/db") return new Response(await query(env.HD, "show").catch(() => "no database"));
  return new Response("here");
} };`}
	b.deploy(app)
	if err := b.store.Update(func(tx *store.Tx) error { return tx.Delete(store.Hyperdrives, "hd1") }); err != nil {
		t.Fatal(err)
	}
	b.deploy(upload{name: "other", js: `export default { fetch() { return new Response("beside") } }`})
	b.want("other", "/", "beside")
	b.want("app", "/", "here")
	b.want("app", "/db", "no database")
	b.deploy(app)
	b.want("app", "/", "here")
}
