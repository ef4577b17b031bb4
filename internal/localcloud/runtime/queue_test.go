package runtime

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cognomega/edge/internal/localcloud/store"
)

// consumerSource records what it gets in KV, and does with a message what its body says.
const consumerSource = `export default {
  async queue(batch, env) {
    for (const m of batch.messages) {
      const body = m.body instanceof Uint8Array ? "bytes " + [...m.body] : m.body instanceof Date ? "date " + m.body.getTime() : typeof m.body === "string" ? m.body : JSON.stringify(m.body);
      await env.KV.put("got:" + body + ":" + m.attempts, batch.queue + " " + batch.messages.length);
      if (body.startsWith("ack")) m.ack();
      if (body.startsWith("retry")) m.retry({ delaySeconds: 0 });
    }
    if (batch.messages.some((m) => typeof m.body === "string" && m.body.endsWith("throw") && m.attempts === 1)) throw new Error("thrown");
  },
  async fetch(request, env) {
    if (request.method === "POST") { await env.Q.sendBatch(await request.json()); return new Response("sent"); }
    const list = await env.KV.list({ prefix: "got:" });
    return Response.json(list.keys.map((k) => k.name.slice(4)));
  },
};`

func (b *bed) queueApp(c store.Consumer) {
	b.put(store.Namespaces, "ns", store.KVNamespace{ID: "ns"})
	b.deploy(upload{name: "consumer", js: consumerSource, bindings: []store.Binding{
		{Name: "KV", Type: "kv_namespace", NamespaceID: "ns"}, {Name: "Q", Type: "queue", QueueName: "jobs"},
	}})
	c.Type, c.Script = "worker", "consumer"
	b.put(store.Queues, "dlq-id", store.Queue{ID: "dlq-id", Name: "dead"})
	b.put(store.Queues, "q-id", store.Queue{ID: "q-id", Name: "jobs", Consumers: []store.Consumer{c}})
}

func (b *bed) got(script string) []string {
	b.t.Helper()
	var got []string
	if err := json.Unmarshal([]byte(b.get(script, "/")), &got); err != nil {
		b.t.Fatal(err)
	}
	slices.Sort(got)
	return got
}

func (b *bed) wantGot(want ...string) {
	b.t.Helper()
	slices.Sort(want)
	var got []string
	eventually(b.t, "the consumer got "+strings.Join(want, ", "), func() bool {
		got = b.got("consumer")
		return slices.Equal(got, want)
	})
}

func TestQueueProducerSends(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.put(store.Queues, "q-id", store.Queue{ID: "q-id", Name: "jobs"})
	b.deploy(upload{name: "app", bindings: []store.Binding{{Name: "Q", Type: "queue", QueueName: "jobs"}, {Name: "NONE", Type: "queue", QueueName: "no-such"}}, js: `export default { async fetch(request, env) {
  await env.Q.send({ a: 1 });
  await env.Q.send("text", { contentType: "text", delaySeconds: 60 });
  await env.Q.sendBatch([{ body: new Uint8Array([1, 2]), contentType: "bytes" }, { body: new Date(5), contentType: "v8", delaySeconds: 30 }], { delaySeconds: 10 });
  const big = await env.Q.send("x".repeat(200000)).catch((e) => e.message);
  const none = await env.NONE.send(1).catch((e) => e.message);
  return Response.json([big, none, (await env.Q.metrics()).backlogCount]);
} }`})
	b.want("app", "/", `["the body is over 128000 bytes (10027)","there is no queue \"no-such\" (11000)",4]`)
	queued, err := b.store.Queues().Peek("q-id", 10)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, m := range queued {
		got[fmt.Sprintf("%s %d", m.ContentType, len(m.Body))] = int(m.VisibleAt.Sub(m.Sent).Round(time.Second).Seconds())
	}
	v8 := 0
	for key, delay := range map[string]int{"json 7": 0, "text 4": 60, "bytes 2": 10} {
		if d, ok := got[key]; !ok || d != delay {
			t.Errorf("%s has delay %d (%v), want %d; all: %v", key, d, ok, delay, got)
		}
	}
	for key, delay := range got {
		if strings.HasPrefix(key, "v8 ") && delay == 30 {
			v8++
		}
	}
	if v8 != 1 {
		t.Errorf("no v8 message with a delay of 30 s: %v", got)
	}
}

func TestQueueConsumer(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.queueApp(store.Consumer{BatchSize: 10, MaxRetries: 2, MaxWaitMS: 50, DeadLetterQueue: "dead"})
	send(t, b, `[{"body":{"k":1}},{"body":"plain","contentType":"text"},{"body":"retry me","contentType":"text"}]`)
	b.wantGot(`{"k":1}:1`, "plain:1", "retry me:1", "retry me:2", "retry me:3")
	eventually(t, "what had all its retries is in the dead letter queue", func() bool {
		dead, err := b.store.Queues().Peek("dlq-id", 10)
		return err == nil && len(dead) == 1 && string(dead[0].Body) == "retry me"
	})
	eventually(t, "the queue is empty", func() bool {
		d, err := b.store.Queues().Depth("q-id")
		return err == nil && d.Count == 0
	})
}

func TestQueueExceptionRedeliversWhatWasNotAcked(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.queueApp(store.Consumer{BatchSize: 3, MaxRetries: 5, MaxWaitMS: 60_000})
	send(t, b, `[{"body":"ack first","contentType":"text"},{"body":"not acked","contentType":"text"},{"body":"ack and throw","contentType":"text"}]`)
	b.wantGot("ack first:1", "not acked:1", "ack and throw:1")
	// The retried one waits for a full batch: two more make it three.
	send(t, b, `[{"body":"ack x","contentType":"text"},{"body":"ack y","contentType":"text"}]`)
	b.wantGot("ack first:1", "not acked:1", "ack and throw:1", "not acked:2", "ack x:1", "ack y:1")
}

func TestQueueBytesAndV8(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.queueApp(store.Consumer{BatchSize: 1, MaxRetries: 1})
	b.deploy(upload{name: "sender", bindings: []store.Binding{{Name: "Q", Type: "queue", QueueName: "jobs"}}, js: `export default { async fetch(request, env) {
  await env.Q.send(new Uint8Array([0, 200]), { contentType: "bytes" }); await env.Q.send(new Date(5), { contentType: "v8" }); return new Response("sent"); } }`})
	b.want("sender", "/", "sent")
	b.wantGot("bytes 0,200:1", "date 5:1")
}

// TestKillDuringConsumption kills workerd with -9 over and over while a backlog is consumed: every message is handled, and
// none that was acknowledged comes back.
func TestKillDuringConsumption(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.queueApp(store.Consumer{BatchSize: 5, MaxRetries: 100, MaxWaitMS: 10, MaxConcurrency: 2})
	const total = 300
	var messages []store.Message
	var want []string
	for i := range total {
		body := fmt.Sprintf("ack %03d", i)
		messages = append(messages, store.Message{Body: []byte(body), ContentType: "text"})
		want = append(want, body)
	}
	if err := b.store.Queues().Send("q-id", messages); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		before := len(b.got("consumer"))
		eventually(t, "consumption goes on", func() bool { return len(b.got("consumer")) > before+10 })
		b.kill("consumer")
	}
	eventually(t, "everything is handled", func() bool {
		d, err := b.store.Queues().Depth("q-id")
		return err == nil && d.Count == 0
	})
	first := map[string]bool{}
	redelivered := 0
	for _, got := range b.got("consumer") {
		body, attempt, _ := strings.Cut(got, ":")
		first[body] = true
		if attempt != "1" {
			redelivered++
		}
	}
	for _, body := range want {
		if !first[body] {
			t.Errorf("%s was never handled", body)
		}
	}
	t.Logf("%d messages, %d deliveries after a kill", total, redelivered)
	if redelivered == 0 {
		t.Error("no kill interrupted a batch: the test proved nothing")
	}
}

func send(t *testing.T, b *bed, batch string) {
	t.Helper()
	status, body := b.post("consumer", batch)
	if status != 200 || body != "sent" {
		t.Fatalf("%d %s", status, body)
	}
}
