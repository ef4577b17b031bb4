package runtime

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cognomega/edge/internal/localcloud/store"
)

// bell is a script whose object counts its calls, and has an alarm that takes as long as it is told.
func bell() upload {
	return upload{
		name: "bell", classes: []store.DOClass{{Name: "Bell", SQLite: true, UniqueKey: "bell"}},
		bindings: []store.Binding{{Name: "BELL", Type: "durable_object_namespace", ClassName: "Bell"}},
		js: `import { DurableObject } from "cloudflare:workers";
export class Bell extends DurableObject {
  sql(text, ...given) { return this.ctx.storage.sql.exec(text, ...given).toArray(); }
  constructor(ctx, env) { super(ctx, env); this.sql("CREATE TABLE IF NOT EXISTS t(what TEXT, n INT)"); }
  count(what) { return this.sql("SELECT COUNT(*) n FROM t WHERE what = ?", what)[0].n; }
  inc() { this.sql("INSERT INTO t VALUES('call', 0)"); return this.count("call"); }
  async set(ms) { this.sql("DELETE FROM t WHERE what = 'takes'"); this.sql("INSERT INTO t VALUES('takes', ?)", ms); await this.ctx.storage.setAlarm(Date.now()); }
  async alarm() {
    this.sql("INSERT INTO t VALUES('begun', 0)");
    await scheduler.wait(this.sql("SELECT n FROM t WHERE what = 'takes'")[0].n);
    this.sql("INSERT INTO t VALUES('rung', 0)");
  }
  fetch() {
    const [client, server] = Object.values(new WebSocketPair());
    this.ctx.acceptWebSocket(server);
    return new Response(null, { status: 101, webSocket: client });
  }
  webSocketMessage(ws, text) { ws.send("object:" + text); }
}
export default { async fetch(request, env) {
  const bell = env.BELL.getByName("a"), [, what, of] = new URL(request.url).pathname.split("/");
  if (request.headers.has("upgrade")) return bell.fetch(request);
  if (what === "set") return new Response(String(await bell.set(Number(of))));
  return new Response(String(what === "count" ? await bell.count(of) : await bell.inc()));
} };`,
	}
}

// ringer asks the same object from another process.
func ringer() upload {
	u := bell()
	return upload{
		name: "ringer", bindings: []store.Binding{{Name: "BELL", Type: "durable_object_namespace", ClassName: "Bell", ScriptName: "bell"}},
		js: u.js[strings.Index(u.js, "export default"):],
	}
}

func (b *bed) renewOwner() (done bool) {
	b.t.Helper()
	before := b.renewalsOf("bell")
	if err := b.rt.renewOwner(context.Background(), "bell"); err != nil {
		b.t.Error(err)
	}
	return b.renewalsOf("bell") > before
}

func (b *bed) renewalsOf(unit string) int {
	for _, s := range b.rt.Status() {
		if s.Name == unit {
			return s.Renewals
		}
	}
	return -1
}

// TestOwnerRenewalDropsNothing renews an owner of Durable Objects again and again while clients of both processes come and go, and
// alarms with them: each call is answered, what was acknowledged is there, once, and each alarm rings.
func TestOwnerRenewalDropsNothing(t *testing.T) {
	t.Parallel()
	b, _ := renewalBed(t)
	b.deploy(bell(), ringer())
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var answers, alarms atomic.Int64
	var seen sync.Map
	var load sync.WaitGroup
	for i := range 6 {
		script := []string{"bell", "ringer"}[i%2]
		load.Go(func() {
			for ctx.Err() == nil && !t.Failed() {
				began := time.Now()
				if i < 4 {
					seen.Store(b.ask(script, "/inc"), true)
					answers.Add(1)
				} else if n := alarms.Load(); b.ask(script, "/count/rung") >= int(n) && alarms.CompareAndSwap(n, n+1) {
					b.ask(script, "/set/0")
				}
				time.Sleep(time.Duration(rand.Int64N(int64(5 * time.Since(began))))) // clients that never pause keep the process
			}
		})
	}
	eventually(t, "four renewals, with twenty answers and two alarms between them", func() bool {
		n := int64(b.renewalsOf("bell"))
		if answers.Load() < 20*n || alarms.Load() < 2*n {
			return t.Failed()
		}
		b.renewOwner()
		return n >= 4 || t.Failed()
	})
	cancel()
	load.Wait()
	if n := b.ask("bell", "/count/call"); int64(n) != answers.Load() {
		t.Errorf("%d calls were acknowledged, and %d are on disk", answers.Load(), n)
	}
	for i := range answers.Load() {
		if _, ok := seen.Load(int(i + 1)); !ok {
			t.Errorf("nobody was told of call %d", i+1)
		}
	}
	eventually(t, "the last alarm", func() bool { return b.ask("bell", "/count/rung") >= int(alarms.Load()) })
	if restarts := b.rt.Status()[1].Restarts; restarts != 0 {
		t.Errorf("%d restarts", restarts)
	}
	t.Logf("%d calls and %d alarms over %d renewals\n%s", answers.Load(), alarms.Load(), b.renewalsOf("bell"), gaps(b.log.String()))
}

// ask gives the number that a script answers.
func (b *bed) ask(script, path string) int {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://x.test"+path, nil)
	if err != nil {
		b.t.Error(err)
		return 0
	}
	status, body, _, err := b.do(script, req)
	n, bad := strconv.Atoi(body)
	if err != nil || status != http.StatusOK || bad != nil && body != "undefined" {
		b.t.Errorf("%s %s: %d %q %v", script, path, status, body, err)
	}
	return n
}

// gaps are the log's lines of how long an owner was away.
func gaps(log string) string {
	var lines []string
	for line := range strings.Lines(log) {
		if _, rest, ok := strings.Cut(line, "stopped_ms"); ok {
			lines = append(lines, "stopped_ms"+strings.TrimSpace(rest))
		}
	}
	return strings.Join(lines, "\n")
}

// TestOwnerRenewalGivesWay plants what keeps an owner: whatever holds a lease, of whichever process, a WebSocket that hibernates among
// it, and a deployment.
func TestOwnerRenewalGivesWay(t *testing.T) {
	t.Parallel()
	b, s := renewalBed(t)
	b.deploy(bell(), ringer())
	b.ask("bell", "/count/rung")
	pid := b.pidOf("bell")
	for _, script := range []string{"bell", "ringer"} {
		lease, err := b.rt.Acquire(context.Background(), script)
		if err != nil {
			t.Fatal(err)
		}
		ws := dialWebSocket(t, lease.Addr, "/ws")
		echo(t, ws, "object:")
		if b.renewOwner() || b.pidOf("bell") != pid {
			t.Errorf("the owner was renewed under a WebSocket of %s", script)
		}
		echo(t, ws, "object:")
		_ = ws.CloseNow()
		lease.Release()
	}
	p, err := b.rt.Prepare(context.Background(), Change{})
	if err != nil {
		t.Fatal(err)
	}
	if b.renewOwner() {
		t.Error("the owner was renewed while a deployment was under way")
	}
	p.Abort()
	s.heavy.Store(true)
	b.ask("ringer", "/inc")
	if due := b.rt.due(); len(due) != 0 {
		t.Errorf("right after a request %v are due", due)
	}
	b.restLong()
	room := b.rt.units["bell"]
	room.mu.Lock()
	room.asked, room.proc.started = time.Time{}, time.Now().Add(-3*time.Hour) // asked through the other process only
	room.mu.Unlock()
	if due := b.rt.due(); !slices.Equal(due, []string{sharedUnit, "bell"}) {
		t.Errorf("at rest %v are due", due)
	}
	if !b.renewOwner() || b.pidOf("bell") == pid {
		t.Error("the owner was not renewed")
	}
	if n := b.ask("ringer", "/inc"); n != 2 {
		t.Errorf("call %d after the renewal, want 2", n)
	}
}

// TestOwnerRenewalSurvivesAKill kills the new process before it serves, the old one while it is being stopped, and cuts an alarm.
func TestOwnerRenewalSurvivesAKill(t *testing.T) {
	t.Parallel()
	b, _ := renewalBed(t)
	b.deploy(bell(), ringer())
	b.ask("bell", "/count/rung")
	for i := 1; i < 3; i++ {
		old := b.pidOf("bell")
		var killing sync.WaitGroup
		killing.Go(func() { b.killNewest(old, b.pidOf("ringer")) })
		if i == 2 {
			killing.Go(func() { b.kill("bell") })
		}
		if err := b.rt.renewOwner(context.Background(), "bell"); err != nil {
			t.Error(err)
		}
		killing.Wait()
		for _, script := range []string{"bell", "ringer"} {
			if n := b.ask(script, "/inc"); n == 0 {
				t.Errorf("%s does not count", script)
			}
		}
	}
	b.ask("ringer", "/set/700")
	eventually(t, "the alarm has begun", func() bool { return b.ask("bell", "/count/begun") == 1 })
	if !b.renewOwner() {
		t.Error("not renewed")
	}
	eventually(t, "the alarm that was cut rings", func() bool { return b.ask("ringer", "/count/rung") == 1 })
	t.Log(fmt.Sprint("begun ", b.ask("bell", "/count/begun"), " times"))
	eventually(t, "two processes are left", func() bool { return b.rt.processes() == 2 })
}
