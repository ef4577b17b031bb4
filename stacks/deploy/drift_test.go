package deploy_test

import (
	"context"
	"net/http"
	"slices"
	"testing"

	"github.com/cloudflare/cloudflare-go"

	"github.com/cognomega/edge/internal/localcloud/store"
	"github.com/cognomega/edge/stacks/deploy"
)

// A behind is something done to the account without the stack; each must be seen by preview and undone by up.
type behind struct {
	what  string
	do    func(w *world)
	want  []string // what the plan must say for it
	fixed func(w *world)
}

// Each round does several things behind the stack's back at once, none of which hides another.
func TestWhatIsDoneBehindTheStacksBackIsSeenAndUndone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(deploy.Up)
	for _, round := range [][]behind{edits(), deletions(), deletionsBelow(), replacements()} {
		for _, b := range round {
			b.do(w)
		}
		writes := w.writes.count()
		seen := w.must(deploy.Preview, func(c *deploy.Config) { c.Refresh = true })
		if n := w.writes.count() - writes; n != 0 {
			t.Errorf("preview made %d writes", n)
		}
		if got := len(seen.of("drift")); got < len(round) {
			seen.dump()
			t.Errorf("preview reports %d drifts, want %d or more", got, len(round))
		}
		for _, b := range round {
			for _, want := range b.want {
				if !slices.Contains(seen.planned(), want) {
					seen.dump()
					t.Errorf("%s: preview plans %q, want %q in it", b.what, seen.planned(), want)
				}
			}
		}
		w.must(deploy.Up)
		for _, b := range round {
			b.fixed(w)
		}
		after := w.must(deploy.Up)
		if got := after.planned(); len(got) > 0 || len(after.of("drift")) > 0 {
			after.dump()
			t.Fatalf("the up after the repair of %q plans %q", round[0].what, got)
		}
	}
}

const (
	scripts = "/accounts/" + account + "/workers/scripts/"
	bucket  = "/accounts/" + account + "/r2/buckets/test-uploads"
	queues  = "/accounts/" + account + "/queues/"
)

func edits() []behind {
	return []behind{
		{"namespace renamed", func(w *world) { w.call(http.MethodPut, w.kvPath(), map[string]any{"title": "stolen"}) },
			[]string{"update WorkersKvNamespace keys"}, func(w *world) { w.kvPath() }},
		{"lifecycle emptied", func(w *world) { w.call(http.MethodPut, bucket+"/lifecycle", map[string]any{"rules": []any{}}) },
			[]string{"update R2BucketLifecycle uploads"}, func(w *world) { w.lifecycle() }},
		{"queue renamed", func(w *world) {
			w.call(http.MethodPatch, queues+w.queue("test-dead"), map[string]any{"queue_name": "stolen"})
		}, []string{"update Queue dead"}, func(w *world) { w.queue("test-dead") }},
		{"consumer edited", func(w *world) {
			w.call(http.MethodPut, queues+w.queue("test-events")+"/consumers/"+w.consumer(),
				map[string]any{"type": "worker", "script_name": "writer", "settings": map[string]any{"batch_size": 1}})
		}, []string{"update QueueConsumer events"}, func(w *world) { w.consumer() }},
		{"hyperdrive edited", func(w *world) {
			w.call(http.MethodPatch, w.hyperdrive(), map[string]any{"origin": map[string]any{
				"scheme": "postgres", "host": "evil.example.test", "port": 5432, "database": "app", "user": "app", "password": "x",
			}})
		}, []string{"update HyperdriveConfig db"}, func(w *world) {
			if h := w.hyperdriveDoc(); h.Origin.Host != "db.example.test" || h.Origin.Password != "hunter2-hunter2" {
				w.t.Errorf("the database is still %s", h.Origin.Host)
			}
		}},
		{"route given to another Worker", func(w *world) {
			w.call(http.MethodPut, w.route(), map[string]any{"pattern": hostname + "/*", "script": "writer"})
		}, []string{"update WorkersRoute gateway"}, func(w *world) { w.route() }},
		{"record not proxied any more", func(w *world) { w.call(http.MethodPatch, w.record(), map[string]any{"proxied": false}) },
			[]string{"update Record hostname"}, func(w *world) { w.record() }},
		{"crons edited", func(w *world) {
			w.call(http.MethodPut, scripts+"writer/schedules", []any{map[string]any{"cron": "0 0 * * *"}})
		}, []string{"update WorkersCronTrigger writer"}, func(w *world) { w.cron("*/5 * * * *") }},
		{"script switched to workers.dev", func(w *world) {
			w.call(http.MethodPost, scripts+"gateway/subdomain", map[string]any{"enabled": true, "previews_enabled": true})
		}, []string{"update WorkerScript gateway"}, func(w *world) {
			if s := w.script("gateway"); s.Subdomain || s.Previews {
				w.t.Error("the script is still at workers.dev")
			}
		}},
	}
}

func deletions() []behind {
	return []behind{
		{"namespace deleted", func(w *world) { w.call(http.MethodDelete, w.kvPath(), nil) },
			[]string{"create WorkersKvNamespace keys", "update WorkerScript gateway"}, func(w *world) { w.kvPath() }},
		{"bucket deleted", func(w *world) { w.call(http.MethodDelete, bucket, nil) },
			[]string{"create R2Bucket uploads", "create R2BucketLifecycle uploads"}, func(w *world) { w.lifecycle() }},
		{"queue deleted", func(w *world) { w.call(http.MethodDelete, queues+w.queue("test-events"), nil) },
			[]string{"create Queue events"}, func(w *world) { w.consumer() }},
		{"hyperdrive deleted", func(w *world) { w.call(http.MethodDelete, w.hyperdrive(), nil) },
			[]string{"create HyperdriveConfig db", "update WorkerScript writer"}, func(w *world) { w.hyperdrive() }},
		{"route deleted", func(w *world) { w.call(http.MethodDelete, w.route(), nil) },
			[]string{"create WorkersRoute gateway"}, func(w *world) { w.route() }},
		{"record deleted", func(w *world) { w.call(http.MethodDelete, w.record(), nil) },
			[]string{"create Record hostname"}, func(w *world) { w.record() }},
		{"crons emptied", func(w *world) { w.call(http.MethodPut, scripts+"writer/schedules", []any{}) },
			[]string{"create WorkersCronTrigger writer"}, func(w *world) { w.cron("*/5 * * * *") }},
	}
}

// deletionsBelow are those that the deletion of something else would hide.
func deletionsBelow() []behind {
	return []behind{
		{"consumer deleted", func(w *world) {
			w.call(http.MethodDelete, queues+w.queue("test-events")+"/consumers/"+w.consumer(), nil)
		}, []string{"create QueueConsumer events"}, func(w *world) { w.consumer() }},
		{"script deleted", func(w *world) { w.call(http.MethodDelete, scripts+"gateway?force=true", nil) },
			[]string{"create WorkerScript gateway"}, func(w *world) { w.script("gateway"); w.route() }},
	}
}

// replacements are deleted and made again under the same name, which gives them another id.
func replacements() []behind {
	return []behind{
		{"namespace made again", func(w *world) {
			w.call(http.MethodDelete, w.kvPath(), nil)
			w.call(http.MethodPost, "/accounts/"+account+"/storage/kv/namespaces", map[string]any{"title": "test-keys"})
		}, []string{"update WorkerScript gateway"}, func(w *world) { w.kvPath() }},
		{"secret deleted", func(w *world) { w.call(http.MethodDelete, scripts+"gateway/secrets/ADMIN_API_KEY", nil) },
			[]string{"update WorkerScript gateway"}, func(w *world) { w.script("gateway") }},
		{"route made again for another Worker", func(w *world) {
			w.call(http.MethodDelete, w.route(), nil)
			w.call(http.MethodPost, "/zones/"+zoneID+"/workers/routes", map[string]any{"pattern": hostname + "/*", "script": "writer"})
		}, []string{"update WorkersRoute gateway"}, func(w *world) { w.route() }},
	}
}

// call does something to the account with the operator's token, and fails the test when it is refused.
func (w *world) call(method, path string, body any) {
	w.t.Helper()
	if _, err := w.api.CF().Raw(context.Background(), method, path, body, nil); err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
}

// document finds the one document of a collection that pick accepts, and fails the test when there is none.
func document[T any](w *world, c store.Collection, what string, pick func(T) bool) T {
	w.t.Helper()
	var found []T
	err := w.store.View(func(tx *store.Tx) error {
		all, err := store.All[T](tx, c, "")
		for _, d := range all {
			if pick(d) {
				found = append(found, d)
			}
		}
		return err
	})
	if err != nil || len(found) != 1 {
		w.t.Fatalf("the account has %d of %s, want 1 (%v)", len(found), what, err)
	}
	return found[0]
}

func (w *world) kvPath() string {
	w.t.Helper()
	ns := document(w, store.Namespaces, "KV namespace test-keys", func(n store.KVNamespace) bool { return n.Title == "test-keys" })
	return "/accounts/" + account + "/storage/kv/namespaces/" + ns.ID
}

func (w *world) queue(name string) string {
	w.t.Helper()
	return document(w, store.Queues, "queue "+name, func(q store.Queue) bool { return q.Name == name }).ID
}

func (w *world) consumer() string {
	w.t.Helper()
	q := document(w, store.Queues, "queue test-events", func(q store.Queue) bool { return q.Name == "test-events" })
	if len(q.Consumers) != 1 || q.Consumers[0].BatchSize != 50 || q.Consumers[0].DeadLetterQueue != "test-dead" {
		w.t.Fatalf("queue test-events has the consumers %+v", q.Consumers)
	}
	return q.Consumers[0].ID
}

func (w *world) hyperdriveDoc() store.Hyperdrive {
	w.t.Helper()
	return document(w, store.Hyperdrives, "Hyperdrive test-db", func(h store.Hyperdrive) bool { return h.Name == "test-db" })
}

func (w *world) hyperdrive() string {
	w.t.Helper()
	return "/accounts/" + account + "/hyperdrive/configs/" + w.hyperdriveDoc().ID
}

func (w *world) route() string {
	w.t.Helper()
	r := document(w, store.Routes, "route to gateway", func(r store.Route) bool { return r.Pattern == hostname+"/*" && r.Script == "gateway" })
	return "/zones/" + zoneID + "/workers/routes/" + r.ID
}

func (w *world) record() string {
	w.t.Helper()
	r := document(w, store.DNSRecords, "proxied record of the hostname", func(r store.DNSRecord) bool { return r.Name == hostname && r.Proxied })
	return "/zones/" + zoneID + "/dns_records/" + r.ID
}

func (w *world) script(name string) store.Script {
	w.t.Helper()
	return document(w, store.Scripts, "script "+name, func(s store.Script) bool { return s.Name == name })
}

func (w *world) lifecycle() {
	w.t.Helper()
	b := document(w, store.Buckets, "bucket test-uploads", func(b store.Bucket) bool { return b.Name == "test-uploads" })
	if !slices.ContainsFunc(b.Lifecycle, func(r store.LifecycleRule) bool { return r.ID == "tmp" && r.Delete != nil }) {
		w.t.Errorf("bucket test-uploads has the rules %+v", b.Lifecycle)
	}
}

func (w *world) cron(want string) {
	w.t.Helper()
	found, err := w.api.CF().ListWorkerCronTriggers(context.Background(), cloudflare.AccountIdentifier(account), cloudflare.ListWorkerCronTriggersParams{ScriptName: "writer"})
	if err != nil || len(found) != 1 || found[0].Cron != want {
		w.t.Fatalf("crons of writer: %v (%v)", found, err)
	}
}
