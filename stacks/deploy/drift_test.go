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
	do    func(t *testing.T, w *world)
	want  []string // what the plan must at least say
	fixed func(t *testing.T, w *world)
}

func TestWhatIsDoneBehindTheStacksBackIsSeenAndUndone(t *testing.T) {
	t.Parallel()
	for name, b := range behinds() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.must(deploy.Up)
			b.do(t, w)

			writes := w.writes.count()
			seen := w.must(deploy.Preview, func(c *deploy.Config) { c.Refresh = true })
			if n := w.writes.count() - writes; n != 0 {
				t.Errorf("preview made %d writes", n)
			}
			if len(seen.of("drift")) == 0 {
				seen.dump()
				t.Error("preview reports no drift")
			}
			for _, want := range b.want {
				if !slices.Contains(seen.planned(), want) {
					seen.dump()
					t.Errorf("preview plans %q, want %q in it", seen.planned(), want)
				}
			}
			w.must(deploy.Up)
			b.fixed(t, w)
			after := w.must(deploy.Up)
			if got := after.planned(); len(got) > 0 || len(after.of("drift")) > 0 {
				after.dump()
				t.Errorf("the up after the repair plans %q", got)
			}
		})
	}
}

func behinds() map[string]behind {
	script := "/accounts/" + account + "/workers/scripts/"
	return map[string]behind{
		"namespace deleted": {
			do:    func(t *testing.T, w *world) { w.call(http.MethodDelete, w.kvPath(), nil) },
			want:  []string{"create WorkersKvNamespace keys", "update WorkerScript gateway"},
			fixed: func(t *testing.T, w *world) { w.kvPath() },
		},
		"namespace renamed": {
			do:    func(t *testing.T, w *world) { w.call(http.MethodPut, w.kvPath(), map[string]any{"title": "stolen"}) },
			want:  []string{"update WorkersKvNamespace keys"},
			fixed: func(t *testing.T, w *world) { w.kvPath() },
		},
		"namespace deleted and made again": {
			do: func(t *testing.T, w *world) {
				w.call(http.MethodDelete, w.kvPath(), nil)
				w.call(http.MethodPost, "/accounts/"+account+"/storage/kv/namespaces", map[string]any{"title": "test-keys"})
			},
			want:  []string{"update WorkerScript gateway"},
			fixed: func(t *testing.T, w *world) { w.kvPath() },
		},
		"bucket deleted": {
			do: func(t *testing.T, w *world) {
				w.call(http.MethodDelete, "/accounts/"+account+"/r2/buckets/test-uploads", nil)
			},
			want: []string{"create R2Bucket uploads", "create R2BucketLifecycle uploads"},
			fixed: func(t *testing.T, w *world) {
				w.call(http.MethodGet, "/accounts/"+account+"/r2/buckets/test-uploads", nil)
			},
		},
		"lifecycle emptied": {
			do: func(t *testing.T, w *world) {
				w.call(http.MethodPut, "/accounts/"+account+"/r2/buckets/test-uploads/lifecycle", map[string]any{"rules": []any{}})
			},
			want:  []string{"update R2BucketLifecycle uploads"},
			fixed: func(t *testing.T, w *world) {},
		},
		"queue deleted": {
			do: func(t *testing.T, w *world) {
				w.call(http.MethodDelete, "/accounts/"+account+"/queues/"+w.queue("test-events"), nil)
			},
			want:  []string{"create Queue events"},
			fixed: func(t *testing.T, w *world) { w.queue("test-events") },
		},
		"queue renamed": {
			do: func(t *testing.T, w *world) {
				w.call(http.MethodPatch, "/accounts/"+account+"/queues/"+w.queue("test-events"), map[string]any{"queue_name": "stolen"})
			},
			want:  []string{"update Queue events"},
			fixed: func(t *testing.T, w *world) { w.queue("test-events") },
		},
		"consumer deleted": {
			do: func(t *testing.T, w *world) {
				w.call(http.MethodDelete, "/accounts/"+account+"/queues/"+w.queue("test-events")+"/consumers/"+w.consumer(), nil)
			},
			want:  []string{"create QueueConsumer events"},
			fixed: func(t *testing.T, w *world) { w.consumer() },
		},
		"consumer edited": {
			do: func(t *testing.T, w *world) {
				w.call(http.MethodPut, "/accounts/"+account+"/queues/"+w.queue("test-events")+"/consumers/"+w.consumer(),
					map[string]any{"type": "worker", "script_name": "writer", "settings": map[string]any{"batch_size": 1}})
			},
			want:  []string{"update QueueConsumer events"},
			fixed: func(t *testing.T, w *world) { w.consumer() },
		},
		"hyperdrive deleted": {
			do:    func(t *testing.T, w *world) { w.call(http.MethodDelete, w.hyperdrive(), nil) },
			want:  []string{"create HyperdriveConfig db", "update WorkerScript writer"},
			fixed: func(t *testing.T, w *world) { w.hyperdrive() },
		},
		"hyperdrive edited": {
			do: func(t *testing.T, w *world) {
				w.call(http.MethodPatch, w.hyperdrive(), map[string]any{"origin": map[string]any{
					"scheme": "postgres", "host": "evil.example.test", "port": 5432, "database": "app", "user": "app", "password": "x",
				}})
			},
			want: []string{"update HyperdriveConfig db"},
			fixed: func(t *testing.T, w *world) {
				if h := w.hyperdriveDoc(); h.Origin.Host != "db.example.test" || h.Origin.Password != "hunter2-hunter2" {
					t.Errorf("the database is still %s", h.Origin.Host)
				}
			},
		},
		"route deleted": {
			do:    func(t *testing.T, w *world) { w.call(http.MethodDelete, w.route(), nil) },
			want:  []string{"create WorkersRoute gateway"},
			fixed: func(t *testing.T, w *world) { w.route() },
		},
		"route given to another Worker": {
			do: func(t *testing.T, w *world) {
				w.call(http.MethodPut, w.route(), map[string]any{"pattern": hostname + "/*", "script": "writer"})
			},
			want:  []string{"update WorkersRoute gateway"},
			fixed: func(t *testing.T, w *world) { w.route() },
		},
		"record deleted": {
			do:    func(t *testing.T, w *world) { w.call(http.MethodDelete, w.record(), nil) },
			want:  []string{"create Record hostname"},
			fixed: func(t *testing.T, w *world) { w.record() },
		},
		"record not proxied any more": {
			do:    func(t *testing.T, w *world) { w.call(http.MethodPatch, w.record(), map[string]any{"proxied": false}) },
			want:  []string{"update Record hostname"},
			fixed: func(t *testing.T, w *world) { w.record() },
		},
		"crons emptied": {
			do:    func(t *testing.T, w *world) { w.call(http.MethodPut, script+"writer/schedules", []any{}) },
			want:  []string{"create WorkersCronTrigger writer"},
			fixed: func(t *testing.T, w *world) { w.cron("*/5 * * * *") },
		},
		"crons edited": {
			do: func(t *testing.T, w *world) {
				w.call(http.MethodPut, script+"writer/schedules", []any{map[string]any{"cron": "0 0 * * *"}})
			},
			want:  []string{"update WorkersCronTrigger writer"},
			fixed: func(t *testing.T, w *world) { w.cron("*/5 * * * *") },
		},
		"script deleted": {
			do:    func(t *testing.T, w *world) { w.call(http.MethodDelete, script+"gateway?force=true", nil) },
			want:  []string{"create WorkerScript gateway"},
			fixed: func(t *testing.T, w *world) { w.call(http.MethodGet, script+"gateway/settings", nil) },
		},
		"script switched to workers.dev": {
			do: func(t *testing.T, w *world) {
				w.call(http.MethodPost, script+"gateway/subdomain", map[string]any{"enabled": true, "previews_enabled": true})
			},
			want:  []string{"update WorkerScript gateway"},
			fixed: func(t *testing.T, w *world) {},
		},
		"script's secret deleted": {
			do:    func(t *testing.T, w *world) { w.call(http.MethodDelete, script+"gateway/secrets/ADMIN_API_KEY", nil) },
			want:  []string{"update WorkerScript gateway"},
			fixed: func(t *testing.T, w *world) {},
		},
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

func (w *world) cron(want string) {
	w.t.Helper()
	found, err := w.api.CF().ListWorkerCronTriggers(context.Background(), cloudflare.AccountIdentifier(account), cloudflare.ListWorkerCronTriggersParams{ScriptName: "writer"})
	if err != nil || len(found) != 1 || found[0].Cron != want {
		w.t.Fatalf("crons of writer: %v (%v)", found, err)
	}
}
