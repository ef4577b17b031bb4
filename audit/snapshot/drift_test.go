package snapshot_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/snapshot"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/localcloud/api/apitest"
)

// lines are the changes as a reader takes them in.
func lines(changes []snapshot.Change) []string {
	var out []string
	for _, c := range changes {
		line := c.Op + " " + c.Path
		switch {
		case c.Op == "changed", c.Op == "renamed":
			line += fmt.Sprintf(": %v, %v", c.Was, c.Is)
		}
		out = append(out, line)
	}
	return out
}

func TestAnUntouchedPlatformShowsNoDrift(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	declared := b.declared()
	for range 20 {
		if d := snapshot.Diff(declared, b.collect(), nil); d.Verdict != audit.Pass || len(d.Changes) != 0 {
			t.Fatalf("%s %q", d.Verdict, lines(d.Changes))
		}
	}
}

// TestDriftFromTheContract plants what a refresh of the engine finds and what it cannot, and sees each named by its path.
func TestDriftFromTheContract(t *testing.T) {
	t.Parallel()
	const ns = "/storage/kv/namespaces/"
	tests := map[string]struct {
		plant func(b *bed)
		want  []string
	}{
		"a renamed KV namespace": {func(b *bed) { b.account("PUT", ns+b.ids["kv"], object{"title": "other"}) }, []string{
			"removed kv_namespaces.cognomega-keys", "added kv_namespaces.other",
			"changed workers.auth-svc.bindings.KEYS.namespace: cognomega-keys, other", "changed workers.cognomega-api.bindings.KEYS.namespace: cognomega-keys, other",
		}},
		"a deleted KV namespace": {func(b *bed) { b.account("DELETE", ns+b.ids["kv"], nil) }, []string{
			"removed kv_namespaces.cognomega-keys", "removed workers.auth-svc.bindings.KEYS.namespace", "removed workers.cognomega-api.bindings.KEYS.namespace",
		}},
		"a deleted bucket":         {func(b *bed) { b.account("DELETE", "/r2/buckets/cognomega-uploads", nil) }, []string{"removed r2_buckets.cognomega-uploads"}},
		"a bucket nobody declared": {func(b *bed) { b.account("POST", "/r2/buckets", object{"name": "stray"}) }, []string{"added r2_buckets.stray"}},
		"a lifecycle rule that is gone": {func(b *bed) {
			b.account("PUT", "/r2/buckets/cognomega-uploads/lifecycle", object{"rules": declaredLifecycle()["cognomega-uploads"][:1]})
		}, []string{"removed r2_buckets.cognomega-uploads.lifecycle.expire-tmp"}},
		"a route nobody declared": {func(b *bed) {
			b.zone("POST", "/workers/routes", object{"pattern": "api.cognomega.localhost/auth/*"})
		}, []string{`added routes["api.cognomega.localhost/auth/*"]`}},
		"a route of another Worker": {func(b *bed) {
			b.zone("PUT", "/workers/routes/"+b.ids["route"], object{"pattern": "api.cognomega.localhost/*", "script": "auth-svc"})
		}, []string{`changed routes["api.cognomega.localhost/*"].worker: cognomega-api, auth-svc`}},
		"a record that is not proxied": {func(b *bed) { b.zone("PATCH", "/dns_records/"+b.ids["dns"], object{"proxied": false}) }, []string{
			`changed dns["AAAA api.cognomega.localhost"]["100::"].proxied: true, false`,
		}},
		"a workers.dev name": {func(b *bed) {
			b.account("POST", "/workers/scripts/auth-svc/subdomain", object{"enabled": true, "previews_enabled": false})
		}, []string{"changed workers.auth-svc.workers_dev: false, true"}},
		"preview URLs": {func(b *bed) {
			b.account("POST", "/workers/scripts/auth-svc/subdomain", object{"enabled": false, "previews_enabled": true})
		}, []string{"changed workers.auth-svc.preview_urls: false, true"}},
		"a secret that is gone": {func(b *bed) { b.account("DELETE", "/workers/scripts/cognomega-api/secrets/ADMIN_API_KEY", nil) }, []string{"removed workers.cognomega-api.secrets.ADMIN_API_KEY"}},
		"a secret that is left open": {func(b *bed) {
			b.account("PUT", "/workers/scripts/auth-svc/secrets", object{"name": "TURNSTILE_SECRET", "text": plantedSecret, "type": "secret_text"})
		}, nil},
		"a secret nobody declared": {func(b *bed) {
			b.account("PUT", "/workers/scripts/auth-svc/secrets", object{"name": "STRAY", "text": plantedSecret, "type": "secret_text"})
		}, []string{"added workers.auth-svc.secrets.STRAY"}},
		"a key rotation's slots and ticket": {func(b *bed) {
			for _, name := range []string{"KID_B", "PRIVATE_KEY_PEM_B", "SIGNING_SLOT"} {
				b.account("PUT", "/workers/scripts/auth-svc/secrets", object{"name": name, "text": plantedSecret, "type": "secret_text"})
			}
			b.account("POST", "/storage/kv/namespaces", object{"title": "cognomega-keys.rotation.12"})
		}, nil},
		"a namespace that is like a ticket": {func(b *bed) {
			b.account("POST", "/storage/kv/namespaces", object{"title": "others.rotation.12"})
			b.account("POST", "/storage/kv/namespaces", object{"title": "cognomega-keys.rotation.x"})
		}, []string{`added kv_namespaces["cognomega-keys.rotation.x"]`, `added kv_namespaces["others.rotation.12"]`}},
		"a changed variable": {func(b *bed) {
			b.upload("cognomega-api", func(u *cfapi.ScriptUpload) { u.Bindings[0] = text("ISSUER", "https://evil.example") })
		}, []string{"changed workers.cognomega-api.bindings.ISSUER.text: https://api.cognomega.localhost, https://evil.example"}},
		"a binding to another Worker": {func(b *bed) {
			b.upload("cognomega-api", func(u *cfapi.ScriptUpload) { u.Bindings[4].Service = "orchestrator-svc" })
		}, []string{"changed workers.cognomega-api.bindings.AUTH.service: auth-svc, orchestrator-svc"}},
		"a ledger that is cached": {func(b *bed) {
			b.account("PATCH", "/hyperdrive/configs/"+b.ids["ledger"], object{"caching": object{"disabled": false}})
		}, []string{"changed hyperdrives.cognomega-neon.caching.disabled: true, false"}},
		"a ledger that is gone": {func(b *bed) { b.account("DELETE", "/hyperdrive/configs/"+b.ids["ledger"], nil) }, []string{
			"removed hyperdrives.cognomega-neon", "removed workers.admin-svc.bindings.DB.config", "removed workers.auth-svc.bindings.DB.config", "removed workers.billing-svc.bindings.DB.config", "removed workers.rate-limiter-do.bindings.DB.config", "removed workers.reconciler.bindings.DB.config",
			"removed workers.usage-writer.bindings.DB.config",
		}},
		"a queue that is gone": {func(b *bed) { b.account("DELETE", "/queues/"+b.ids["usage-dlq"], nil) }, []string{"removed queues.cognomega-usage-events-dlq"}},
		"a queue that forgets earlier": {func(b *bed) {
			b.account("PATCH", "/queues/"+b.ids["usage"], object{"settings": object{"message_retention_period": 60}})
		}, []string{"changed queues.cognomega-usage-events.message_retention_s: 345600, 60"}},
		"a queue that stands still": {func(b *bed) {
			b.account("PATCH", "/queues/"+b.ids["usage"], object{"settings": object{"delivery_paused": true}})
		}, []string{"changed queues.cognomega-usage-events.delivery_paused: false, true"}},
		"a consumer nobody declared": {func(b *bed) {
			b.account("DELETE", "/queues/"+b.ids["usage-dlq"]+"/consumers/"+b.ids["consumer-usage-dlq"], nil)
			b.account("POST", "/queues/"+b.ids["usage-dlq"]+"/consumers", object{"type": "http_pull"})
		}, []string{"added queues.cognomega-usage-events-dlq.consumers.http_pull", "removed queues.cognomega-usage-events-dlq.consumers.usage-writer"}},
		"a Worker nobody declared": {func(b *bed) { b.upload("stray", nil) }, []string{"added workers.stray"}},
		"a Worker that is gone": {func(b *bed) { b.account("DELETE", "/workers/scripts/cognomega-api?force=true", nil) }, []string{
			`removed routes["api.cognomega.localhost/*"]`, "removed workers.cognomega-api",
		}},
		"an older compatibility date": {func(b *bed) {
			b.upload("auth-svc", func(u *cfapi.ScriptUpload) { u.CompatibilityDate = "2025-01-01" })
		}, []string{"changed workers.auth-svc.compatibility_date: 2026-11-01, 2025-01-01"}},
		"logs that are off": {func(b *bed) {
			b.upload("auth-svc", func(u *cfapi.ScriptUpload) { u.Observability = &cfapi.Observability{} })
		}, []string{"removed workers.auth-svc.observability"}},
		"everything nobody declared": {func(b *bed) { b.enrich() }, []string{
			`added custom_domains["jobs.cognomega.localhost"]`, "added hyperdrives.neon", "added queues.jobs", "added queues.jobs-dlq", "added workers.jobs-svc",
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t)
			tt.plant(b)
			got := lines(snapshot.Diff(b.declared(), b.collect(), nil).Changes)
			slices.Sort(got)
			slices.Sort(tt.want)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What takes messages and what is called by the clock is held against an account that has just that, and then without.
func TestDriftOfWhatTakesMessages(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	w := b.contract.Workers["orchestrator-svc"]
	w.Bindings["VERSION"] = contract.Binding{Version: true}
	b.upload("orchestrator-svc", func(u *cfapi.ScriptUpload) {
		u.Bindings = append(u.Bindings, cfapi.Binding{Name: "VERSION", Type: "version_metadata"})
	})
	if d := snapshot.Diff(b.declared(), b.collect(), nil); d.Verdict != audit.Pass {
		t.Fatalf("as declared: %s %q", d.Verdict, lines(d.Changes))
	}
	b.account("DELETE", "/queues/"+b.ids["usage"]+"/consumers/"+b.ids["consumer-usage"], nil)
	b.account("PUT", "/workers/scripts/reconciler/schedules", []object{})
	want := []string{"removed queues.cognomega-usage-events.consumers", "removed workers.reconciler.crons"}
	if diff := cmp.Diff(want, lines(snapshot.Diff(b.declared(), b.collect(), nil).Changes)); diff != "" {
		t.Error(diff)
	}
}

// TestDriftBetweenTwoTimes plants a change of each field of each product behind the back, and sees it named.
func TestDriftBetweenTwoTimes(t *testing.T) {
	t.Parallel()
	const jobs = "/workers/scripts/jobs-svc"
	change := func(f func(u *cfapi.ScriptUpload)) func(*bed) {
		return func(b *bed) { b.upload("jobs-svc", f) }
	}
	consumer := func(settings object, dlq string) func(*bed) {
		return func(b *bed) {
			b.account("PUT", "/queues/"+b.ids["queue"]+"/consumers/"+b.ids["consumer"], object{
				"type": "worker", "script_name": "jobs-svc", "dead_letter_queue": dlq, "settings": settings,
			})
		}
	}
	lifecycle := func(rule object) func(*bed) {
		return func(b *bed) {
			b.account("PUT", "/r2/buckets/cognomega-uploads/lifecycle", object{"rules": []object{declaredLifecycle()["cognomega-uploads"][0], rule}})
		}
	}
	age := func(seconds int) object { return object{"condition": object{"type": "Age", "maxAge": seconds}} }
	origin := func(field string, value any) func(*bed) {
		return func(b *bed) {
			o := object{"scheme": "postgres", "host": "db.example.test", "port": 5432, "database": "main", "user": "edge", "password": plantedPassword}
			o[field] = value
			b.account("PATCH", "/hyperdrive/configs/"+b.ids["hyperdrive"], object{"origin": o})
		}
	}
	tests := map[string]struct {
		plant func(*bed)
		want  string
	}{
		"code":          {change(func(u *cfapi.ScriptUpload) { u.Modules[0].Content = []byte(source + "\n// changed") }), "changed workers.jobs-svc.serving[0].etag"},
		"bundle tag":    {change(func(u *cfapi.ScriptUpload) { u.Annotations = map[string]string{"workers/tag": "bundle-ffff"} }), "changed workers.jobs-svc.serving[0].bundle: 0011223344556677, ffff"},
		"version":       {change(nil), "changed workers.jobs-svc.serving[0].number: 1, 2"},
		"variable":      {change(func(u *cfapi.ScriptUpload) { u.Bindings = append(u.Bindings, text("NEW", "1")) }), "added workers.jobs-svc.bindings.NEW"},
		"JSON variable": {change(func(u *cfapi.ScriptUpload) { u.Bindings[4].JSON = []byte(`{"id":8,"burst":[1,2]}`) }), "changed workers.jobs-svc.bindings.LIMITS.json.id: 7, 8"},
		"JSON list":     {change(func(u *cfapi.ScriptUpload) { u.Bindings[4].JSON = []byte(`{"id":7,"burst":[2,1]}`) }), "changed workers.jobs-svc.bindings.LIMITS.json.burst[0]: 1, 2"},
		"bucket bound":  {change(func(u *cfapi.ScriptUpload) { u.Bindings[3].BucketName = "cognomega-uploads" }), "changed workers.jobs-svc.bindings.FILES.bucket_name: cognomega-prod, cognomega-uploads"},
		"queue bound":   {change(func(u *cfapi.ScriptUpload) { u.Bindings[2].QueueName = "jobs-dlq" }), "changed workers.jobs-svc.bindings.JOBS.queue_name: jobs, jobs-dlq"},
		"binding gone":  {change(func(u *cfapi.ScriptUpload) { u.Bindings = u.Bindings[1:] }), "removed workers.jobs-svc.bindings.ROOMS"},
		"date":          {change(func(u *cfapi.ScriptUpload) { u.CompatibilityDate = "2026-01-01" }), "changed workers.jobs-svc.compatibility_date: 2026-11-01, 2026-01-01"},
		"flag":          {change(func(u *cfapi.ScriptUpload) { u.CompatibilityFlags = nil }), "removed workers.jobs-svc.compatibility_flags"},
		"flags":         {change(func(u *cfapi.ScriptUpload) { u.CompatibilityFlags = []string{"nodejs_compat", "no_global_navigator"} }), "added workers.jobs-svc.compatibility_flags.no_global_navigator"},
		"placement":     {change(func(u *cfapi.ScriptUpload) { u.Placement = nil }), "removed workers.jobs-svc.placement"},
		"limits":        {change(func(u *cfapi.ScriptUpload) { u.Limits = &cfapi.Limits{CPUMS: 60} }), "changed workers.jobs-svc.limits.cpu_ms: 50, 60"},
		"logpush":       {change(func(u *cfapi.ScriptUpload) { u.Logpush = true }), "changed workers.jobs-svc.logpush: false, true"},
		"tags":          {change(func(u *cfapi.ScriptUpload) { u.Tags = []string{"team-a", "team-b"} }), "added workers.jobs-svc.tags.team-b"},
		"sampling": {change(func(u *cfapi.ScriptUpload) {
			half := 0.5
			u.Observability = &cfapi.Observability{Enabled: true, HeadSamplingRate: &half, Logs: u.Observability.Logs}
		}), "added workers.jobs-svc.observability.head_sampling_rate"},
		"tail consumer": {change(func(u *cfapi.ScriptUpload) { u.TailConsumers = []cfapi.TailConsumer{{Service: "auth-svc"}} }), "added workers.jobs-svc.tail_consumers"},
		"class": {change(func(u *cfapi.ScriptUpload) {
			u.Migrations = &cfapi.Migrations{OldTag: "v1", NewTag: "v2", Steps: []cfapi.MigrationStep{{NewSQLiteClasses: []string{"Hall"}}}}
		}), "added workers.jobs-svc.durable_objects.Hall"},
		"migration tag": {change(func(u *cfapi.ScriptUpload) {
			u.Migrations = &cfapi.Migrations{OldTag: "v1", NewTag: "v2", Steps: []cfapi.MigrationStep{{NewSQLiteClasses: []string{"Hall"}}}}
		}), "changed workers.jobs-svc.migration_tag: v1, v2"},
		"setting of the dashboard": {func(b *bed) { b.settings("jobs-svc", object{"compatibility_date": "2026-10-10"}) }, "changed workers.jobs-svc.compatibility_date: 2026-11-01, 2026-10-10"},
		"cron added": {func(b *bed) {
			b.account("PUT", jobs+"/schedules", []object{{"cron": "0 * * * *"}, {"cron": "*/5 * * * *"}, {"cron": "1 1 * * *"}})
		}, `added workers.jobs-svc.crons["1 1 * * *"]`},
		"cron gone":   {func(b *bed) { b.account("PUT", jobs+"/schedules", []object{{"cron": "0 * * * *"}}) }, `removed workers.jobs-svc.crons["*/5 * * * *"]`},
		"workers.dev": {func(b *bed) { b.account("POST", jobs+"/subdomain", object{"enabled": true, "previews_enabled": true}) }, "changed workers.jobs-svc.workers_dev: false, true"},
		"route renamed": {func(b *bed) {
			b.zone("PUT", "/workers/routes/"+b.ids["route"], object{"pattern": "www.cognomega.localhost/*", "script": "cognomega-api"})
		}, "renamed routes: api.cognomega.localhost/*, www.cognomega.localhost/*"},
		"route made again": {func(b *bed) {
			b.zone("DELETE", "/workers/routes/"+b.ids["route"], nil)
			b.zone("POST", "/workers/routes", object{"pattern": "api.cognomega.localhost/*", "script": "cognomega-api"})
		}, `changed routes["api.cognomega.localhost/*"].id`},
		"custom domain gone": {func(b *bed) { b.account("DELETE", "/workers/domains/"+b.ids["domain"], nil) }, `removed custom_domains["jobs.cognomega.localhost"]`},
		"record of the host": {func(b *bed) {
			b.zone("POST", "/dns_records", object{"type": "A", "name": "api.cognomega.localhost", "content": "192.0.2.1"})
		}, `added dns["A api.cognomega.localhost"]`},
		"record moved": {func(b *bed) { b.zone("PATCH", "/dns_records/"+b.ids["dns"], object{"content": "2001:db8::1"}) }, `renamed dns["AAAA api.cognomega.localhost"]: 100::, 2001:db8::1`},
		"wildcard above": {func(b *bed) {
			b.zone("POST", "/dns_records", object{"type": "A", "name": "*.cognomega.localhost", "content": "192.0.2.1"})
		}, `added dns["A *.cognomega.localhost"]`},
		"time to live":  {func(b *bed) { b.zone("PATCH", "/dns_records/"+b.ids["dns"], object{"proxied": false, "ttl": 300}) }, `changed dns["AAAA api.cognomega.localhost"]["100::"].ttl: 1, 300`},
		"KV title":      {func(b *bed) { b.account("PUT", "/storage/kv/namespaces/"+b.ids["kv"], object{"title": "other"}) }, "renamed kv_namespaces: cognomega-keys, other"},
		"queue renamed": {func(b *bed) { b.account("PATCH", "/queues/"+b.ids["dlq"], object{"queue_name": "dead"}) }, "renamed queues: jobs-dlq, dead"},
		"queue delay": {func(b *bed) {
			b.account("PATCH", "/queues/"+b.ids["queue"], object{"settings": object{"delivery_delay": 7}})
		}, "changed queues.jobs.delivery_delay_s: 0, 7"},
		"queue paused": {func(b *bed) {
			b.account("PATCH", "/queues/"+b.ids["queue"], object{"settings": object{"delivery_paused": true}})
		}, "changed queues.jobs.delivery_paused: false, true"},
		"queue retention": {func(b *bed) {
			b.account("PATCH", "/queues/"+b.ids["queue"], object{"settings": object{"message_retention_period": 86400}})
		}, "changed queues.jobs.message_retention_s: 345600, 86400"},
		"consumer gone":    {func(b *bed) { b.account("DELETE", "/queues/"+b.ids["queue"]+"/consumers/"+b.ids["consumer"], nil) }, "removed queues.jobs.consumers"},
		"consumer batch":   {consumer(object{"batch_size": 20, "max_retries": 3, "max_wait_time_ms": 2000}, "jobs-dlq"), "changed queues.jobs.consumers.jobs-svc.settings.batch_size: 10, 20"},
		"consumer retries": {consumer(object{"batch_size": 10, "max_retries": 4, "max_wait_time_ms": 2000}, "jobs-dlq"), "changed queues.jobs.consumers.jobs-svc.settings.max_retries: 3, 4"},
		"consumer wait":    {consumer(object{"batch_size": 10, "max_retries": 3, "max_wait_time_ms": 3000}, "jobs-dlq"), "changed queues.jobs.consumers.jobs-svc.settings.max_wait_time_ms: 2000, 3000"},
		"consumer at once": {consumer(object{"batch_size": 10, "max_retries": 3, "max_wait_time_ms": 2000, "max_concurrency": 2}, "jobs-dlq"), "added queues.jobs.consumers.jobs-svc.settings.max_concurrency"},
		"dead letters":     {consumer(object{"batch_size": 10, "max_retries": 3, "max_wait_time_ms": 2000}, "jobs"), "changed queues.jobs.consumers.jobs-svc.dead_letter_queue: jobs-dlq, jobs"},
		"bucket class": {func(b *bed) {
			if a := b.Account(b.t, "PATCH", "/r2/buckets/cognomega-prod", nil, "cf-r2-storage-class", "InfrequentAccess"); a.Status != 200 {
				b.t.Fatalf("%s", a.Body)
			}
		}, "added r2_buckets.cognomega-prod.storage_class"},
		"lifecycle age":       {lifecycle(object{"id": "expire-tmp", "enabled": true, "conditions": object{"prefix": "tmp/"}, "deleteObjectsTransition": age(60)}), "changed r2_buckets.cognomega-uploads.lifecycle.expire-tmp.delete.after_s: 259200, 60"},
		"lifecycle prefix":    {lifecycle(object{"id": "expire-tmp", "enabled": true, "conditions": object{"prefix": ""}, "deleteObjectsTransition": age(259200)}), "changed r2_buckets.cognomega-uploads.lifecycle.expire-tmp.prefix: tmp/, "},
		"lifecycle off":       {lifecycle(object{"id": "expire-tmp", "enabled": false, "conditions": object{"prefix": "tmp/"}, "deleteObjectsTransition": age(259200)}), "changed r2_buckets.cognomega-uploads.lifecycle.expire-tmp.enabled: true, false"},
		"lifecycle abort":     {lifecycle(object{"id": "expire-tmp", "enabled": true, "conditions": object{"prefix": "tmp/"}, "deleteObjectsTransition": age(259200), "abortMultipartUploadsTransition": age(60)}), "added r2_buckets.cognomega-uploads.lifecycle.expire-tmp.abort_multipart"},
		"hyperdrive host":     {origin("host", "evil.example.test"), "changed hyperdrives.neon.origin.host: db.example.test, evil.example.test"},
		"hyperdrive port":     {origin("port", 6432), "changed hyperdrives.neon.origin.port: 5432, 6432"},
		"hyperdrive user":     {origin("user", "root"), "changed hyperdrives.neon.origin.user: edge, root"},
		"hyperdrive database": {origin("database", "other"), "changed hyperdrives.neon.origin.database: main, other"},
		"hyperdrive caching": {func(b *bed) {
			b.account("PATCH", "/hyperdrive/configs/"+b.ids["hyperdrive"], object{"caching": object{"disabled": true}})
		}, "changed hyperdrives.neon.caching.disabled: false, true"},
		"hyperdrive limit": {func(b *bed) {
			b.account("PATCH", "/hyperdrive/configs/"+b.ids["hyperdrive"], object{"origin_connection_limit": 9})
		}, "added hyperdrives.neon.origin_connection_limit"},
		"hyperdrive name":    {func(b *bed) { b.account("PATCH", "/hyperdrive/configs/"+b.ids["hyperdrive"], object{"name": "other"}) }, "renamed hyperdrives: neon, other"},
		"gradual deployment": {func(b *bed) { b.split("jobs-svc") }, "added workers.jobs-svc.serving[1]"},
		"secret added": {func(b *bed) {
			b.account("PUT", jobs+"/secrets", object{"name": "NEW_SECRET", "text": plantedSecret, "type": "secret_text"})
		}, "added workers.jobs-svc.secrets.NEW_SECRET"},
		"secret gone":    {func(b *bed) { b.account("DELETE", "/workers/scripts/auth-svc/secrets/KID", nil) }, "removed workers.auth-svc.secrets.KID"},
		"previews alone": {func(b *bed) { b.account("POST", jobs+"/subdomain", object{"enabled": false, "previews_enabled": true}) }, "changed workers.jobs-svc.preview_urls: false, true"},
		"route re-pointed": {func(b *bed) {
			b.zone("PUT", "/workers/routes/"+b.ids["route"], object{"pattern": "api.cognomega.localhost/*", "script": "auth-svc"})
		}, `changed routes["api.cognomega.localhost/*"].worker: cognomega-api, auth-svc`},
		"domain re-pointed": {func(b *bed) {
			b.id("domain", "PUT", "/workers/domains", object{"hostname": "jobs.cognomega.localhost", "service": "auth-svc", "zone_id": apitest.ZoneID, "override_existing_origin": true})
		}, `changed custom_domains["jobs.cognomega.localhost"].worker: jobs-svc, auth-svc`},
		"record unproxied": {func(b *bed) { b.zone("PATCH", "/dns_records/"+b.ids["dns"], object{"proxied": false}) }, `changed dns["AAAA api.cognomega.localhost"]["100::"].proxied: true, false`},
		"lifecycle date":   {lifecycle(object{"id": "expire-tmp", "enabled": true, "conditions": object{"prefix": "tmp/"}, "deleteObjectsTransition": object{"condition": object{"type": "Date", "date": "2027-01-01T00:00:00Z"}}}), "added r2_buckets.cognomega-uploads.lifecycle.expire-tmp.delete.date"},
		"lifecycle transition": {lifecycle(object{"id": "expire-tmp", "enabled": true, "conditions": object{"prefix": "tmp/"}, "deleteObjectsTransition": age(259200), "storageClassTransitions": []object{{"condition": object{"type": "Age", "maxAge": 60}, "storageClass": "InfrequentAccess"}}}),
			"added r2_buckets.cognomega-uploads.lifecycle.expire-tmp.transitions"},
		"hyperdrive scheme": {origin("scheme", "mysql"), "changed hyperdrives.neon.origin.scheme: postgres, mysql"},
		"consumer pulls": {func(b *bed) {
			b.account("DELETE", "/queues/"+b.ids["queue"]+"/consumers/"+b.ids["consumer"], nil)
			b.account("POST", "/queues/"+b.ids["queue"]+"/consumers", object{"type": "http_pull", "settings": object{"batch_size": 5}})
		}, "added queues.jobs.consumers.http_pull"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t).enrich()
			before := b.collect()
			tt.plant(b)
			after := b.collect()
			d := snapshot.Diff(before, after, nil)
			got := lines(d.Changes)
			if !slices.ContainsFunc(got, func(line string) bool { return line == tt.want || strings.HasPrefix(line, tt.want+":") }) {
				t.Errorf("want %q among\n%s", tt.want, strings.Join(got, "\n"))
			}
			if before.Digest == after.Digest {
				t.Error("the digest did not change")
			}
			mirrored(t, before, after)
		})
	}
}

// split deploys a second version to a tenth of the traffic.
func (b *bed) split(script string) {
	b.t.Helper()
	now, err := b.api.Deployments(b.t.Context(), script)
	if err != nil {
		b.t.Fatal(err)
	}
	b.upload(script, func(u *cfapi.ScriptUpload) { u.Modules[0].Content = []byte(source + "\n// second") })
	next, err := b.api.Deployments(b.t.Context(), script)
	if err != nil {
		b.t.Fatal(err)
	}
	b.account("POST", "/workers/scripts/"+script+"/deployments", object{"strategy": "percentage", "versions": []object{
		{"version_id": now[0].Versions[0].VersionID, "percentage": 90}, {"version_id": next[0].Versions[0].VersionID, "percentage": 10},
	}})
}

// mirrored sees that two snapshots differ in the same way from either side.
func mirrored(t *testing.T, a, b *snapshot.Snapshot) {
	t.Helper()
	there, back := snapshot.Diff(a, b, nil), snapshot.Diff(b, a, nil)
	turn := func(changes []snapshot.Change) []snapshot.Change {
		out := []snapshot.Change{}
		for _, c := range changes {
			c.Was, c.Is = c.Is, c.Was
			c.Op = map[string]string{"added": "removed", "removed": "added", "changed": "changed", "renamed": "renamed"}[c.Op]
			out = append(out, c)
		}
		slices.SortStableFunc(out, func(x, y snapshot.Change) int { return strings.Compare(x.Path+" "+x.Op, y.Path+" "+y.Op) })
		return out
	}
	if diff := cmp.Diff(there.Changes, turn(back.Changes)); diff != "" {
		t.Error("changes: " + diff)
	}
	if diff := cmp.Diff(there.Expected, turn(back.Expected)); diff != "" {
		t.Error("expected: " + diff)
	}
	for _, s := range []*snapshot.Snapshot{a, b} {
		if d := snapshot.Diff(s, s, nil); len(d.Changes)+len(d.Expected) != 0 {
			t.Errorf("a snapshot differs from itself: %q %q", lines(d.Changes), lines(d.Expected))
		}
	}
}
