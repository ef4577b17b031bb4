package snapshot_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/snapshot"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/localcloud/api/apitest"
)

// planted are values that no snapshot may ever hold.
const (
	plantedSecret   = "planted-secret-value-8c1f"
	plantedPassword = "planted-database-password-77aa"
)

type object = map[string]any

// bed is an account of the local cloud's own API that was provisioned as the contract says, by hand.
type bed struct {
	*apitest.Bed
	t        *testing.T
	api      *cfapi.Client
	contract *contract.Contract
	ids      map[string]string
	uploads  map[string]cfapi.ScriptUpload
}

func newBed(t *testing.T) *bed {
	t.Helper()
	c, err := contract.Load()
	if err != nil {
		t.Fatal(err)
	}
	b := &bed{Bed: apitest.New(t), t: t, contract: c, ids: map[string]string{}, uploads: map[string]cfapi.ScriptUpload{}}
	b.api, err = cfapi.New(cfapi.Config{BaseURL: b.URL, Token: apitest.Token, AccountID: apitest.AccountID, RetryMax: -1})
	if err != nil {
		t.Fatal(err)
	}
	b.id("kv", "POST", "/storage/kv/namespaces", object{"title": "cognomega-keys"})
	b.id("billing", "POST", "/storage/kv/namespaces", object{"title": "cognomega-billing"})
	b.id("orchestrator", "POST", "/storage/kv/namespaces", object{"title": "cognomega-orchestrator"})
	b.id("usage", "POST", "/queues", object{"queue_name": "cognomega-usage-events"})
	b.id("usage-dlq", "POST", "/queues", object{"queue_name": "cognomega-usage-events-dlq"})
	b.id("usage-balances", "POST", "/queues", object{"queue_name": "cognomega-usage-balances"})
	b.id("usage-feed", "POST", "/queues", object{"queue_name": "cognomega-usage-feed"})
	b.id("ledger", "POST", "/hyperdrive/configs", object{"name": "cognomega-neon", "caching": object{"disabled": true}, "origin": object{
		"scheme": "postgres", "host": "ledger.example.test", "port": 5432, "database": "ledger", "user": "edge", "password": plantedPassword,
	}})
	for bucket, rules := range declaredLifecycle() {
		b.account("POST", "/r2/buckets", object{"name": bucket})
		b.account("PUT", "/r2/buckets/"+bucket+"/lifecycle", object{"rules": rules})
	}
	b.deployMoney()
	b.deploy()
	b.id("dns", "POST", "/dns_records", object{"type": "AAAA", "name": "api.cognomega.localhost", "content": "100::", "proxied": true, "ttl": 1})
	b.id("route", "POST", "/workers/routes", object{"pattern": "api.cognomega.localhost/*", "script": "cognomega-api"})
	return b
}

// declaredLifecycle is contract/stores.json in Cloudflare's shape, written out again.
func declaredLifecycle() map[string][]object {
	age := func(days int) object { return object{"condition": object{"type": "Age", "maxAge": days * 86400}} }
	abort := object{"id": "abort-multipart", "enabled": true, "conditions": object{"prefix": ""}, "abortMultipartUploadsTransition": age(2)}
	tmp := object{"id": "expire-tmp", "enabled": true, "conditions": object{"prefix": "tmp/"}, "deleteObjectsTransition": age(3)}
	infrequent := age(60)
	infrequent["storageClass"] = "InfrequentAccess"
	return map[string][]object{
		"cognomega-uploads": {abort, tmp},
		"cognomega-prod": {
			abort, tmp,
			{"id": "expire-artifacts", "enabled": true, "conditions": object{"prefix": "jobs/"}, "deleteObjectsTransition": age(14)},
			{"id": "expire-logs", "enabled": true, "conditions": object{"prefix": "logs/"}, "deleteObjectsTransition": age(120), "storageClassTransitions": []object{infrequent}},
		},
	}
}

// deploy uploads the Workers of the contract.
func (b *bed) deploy() {
	origins := "https://app.cognomega.com,https://www.cognomega.com,https://cognomega.com,https://cognomega-frontend.pages.dev,http://localhost:5173,http://127.0.0.1:5173"
	issuer, secret := text("ISSUER", "https://api.cognomega.localhost"), func(name string) cfapi.Binding {
		value := plantedSecret
		return cfapi.Binding{Name: name, Type: "secret_text", Text: &value}
	}
	keys := cfapi.Binding{Name: "KEYS", Type: "kv_namespace", NamespaceID: b.ids["kv"]}
	db := cfapi.Binding{Name: "DB", Type: "hyperdrive", ID: b.ids["ledger"]}
	b.upload("auth-svc", nil, issuer, keys, db, text("ALLOWED_ORIGINS", origins), secret("KID"), secret("PRIVATE_KEY_PEM"),
		text("TURNSTILE_VERIFY_URL", "https://challenges.cloudflare.localhost/turnstile/v0/siteverify"))
	b.account("PUT", "/workers/scripts/auth-svc/schedules", []object{{"cron": "*/10 * * * *"}})
	b.upload("files-svc", nil, cfapi.Binding{Name: "R2_UPLOADS", Type: "r2_bucket", BucketName: "cognomega-uploads"})
	limits := cfapi.Binding{Name: "LIMITS", Type: "durable_object_namespace", ClassName: "Limiter"}
	b.upload("rate-limiter-do", func(u *cfapi.ScriptUpload) {
		u.Migrations = &cfapi.Migrations{NewTag: "v1", Steps: []cfapi.MigrationStep{{NewSQLiteClasses: []string{"Limiter"}}}}
	}, cfapi.Binding{Name: "DB", Type: "hyperdrive", ID: b.ids["ledger"]}, limits)
	b.upload("orchestrator-svc", nil, service("LIMITS", "rate-limiter-do"), service("FILES", "files-svc"), cfapi.Binding{Name: "AI", Type: "ai"}, cfapi.Binding{Name: "KV", Type: "kv_namespace", NamespaceID: b.ids["orchestrator"]},
		cfapi.Binding{Name: "KV_BILLING", Type: "kv_namespace", NamespaceID: b.ids["billing"]},
		text("GROQ_BASE", "https://api.groq.localhost/openai/v1"), text("OPENAI_BASE", "https://api.openai.localhost/v1"),
		cfapi.Binding{Name: "USAGE", Type: "queue", QueueName: "cognomega-usage-events"})
	b.upload("admin-svc", nil, service("AUTH", "auth-svc"), service("BILLING", "billing-svc"), service("FILES", "files-svc"), service("ORCHESTRATOR", "orchestrator-svc"),
		service("LIMITER", "rate-limiter-do"), service("RECONCILER", "reconciler"), service("USAGE", "usage-svc"), service("WRITER", "usage-writer"), db,
		cfapi.Binding{Name: "KV_BILLING", Type: "kv_namespace", NamespaceID: b.ids["billing"]})
	b.upload("cognomega-api", nil, issuer, keys, secret("ADMIN_API_KEY"), text("ALLOWED_ORIGINS", origins),
		service("AUTH", "auth-svc"), service("ORCHESTRATOR", "orchestrator-svc"), service("BILLING", "billing-svc"), service("USAGE", "usage-svc"),
		service("RECONCILER", "reconciler"), service("ADMIN", "admin-svc"), service("FILES", "files-svc"), service("LIMITS", "rate-limiter-do"), cfapi.Binding{Name: "KV_BILLING", Type: "kv_namespace", NamespaceID: b.ids["billing"]})
}

func service(name, worker string) cfapi.Binding {
	return cfapi.Binding{Name: name, Type: "service", Service: worker}
}

// deployMoney uploads the Workers that usage and balances pass through, and gives them the queues and the clock.
func (b *bed) deployMoney() {
	db := cfapi.Binding{Name: "DB", Type: "hyperdrive", ID: b.ids["ledger"]}
	copies := cfapi.Binding{Name: "KV_BILLING", Type: "kv_namespace", NamespaceID: b.ids["billing"]}
	queue := func(name, queue string) cfapi.Binding {
		return cfapi.Binding{Name: name, Type: "queue", QueueName: queue}
	}
	b.upload("billing-svc", nil, db, copies)
	b.upload("usage-svc", nil, copies, queue("USAGE", "cognomega-usage-events"))
	b.upload("usage-writer", func(u *cfapi.ScriptUpload) { u.CompatibilityFlags = []string{"queue_consumer_no_wait_for_wait_until"} }, db, copies, queue("DEAD_USAGE", "cognomega-usage-events-dlq"),
		queue("SHOW_BALANCES", "cognomega-usage-balances"), queue("SHOW_USES", "cognomega-usage-feed"))
	b.upload("reconciler", nil, db, copies, queue("USAGE", "cognomega-usage-events"))
	b.account("PUT", "/workers/scripts/reconciler/schedules", []object{{"cron": "* * * * *"}})
	consumer := func(queue, dead string, batch, retries, delay, concurrency int) {
		how := object{"type": "worker", "script_name": "usage-writer", "settings": object{
			"batch_size": batch, "max_retries": retries, "max_wait_time_ms": 1000, "retry_delay": delay, "max_concurrency": concurrency,
		}}
		if dead != "" {
			how["dead_letter_queue"] = dead
		}
		b.id("consumer-"+queue, "POST", "/queues/"+b.ids[queue]+"/consumers", how)
	}
	consumer("usage", "cognomega-usage-events-dlq", 100, 100, 2, 4)
	consumer("usage-dlq", "", 100, 100, 60, 1)
	consumer("usage-balances", "", 100, 100, 1, 1)
	consumer("usage-feed", "", 8, 10, 5, 2)
}

func text(name, value string) cfapi.Binding {
	return cfapi.Binding{Name: name, Type: "plain_text", Text: &value}
}

const source = `export class Room {}
export class Hall {}
export class Limiter {}
export default { async fetch() { return new Response("x"); }, async queue() {}, async scheduled() {} };`

// upload deploys a script that logs as every script of the platform does; change alters what is uploaded.
func (b *bed) upload(name string, change func(*cfapi.ScriptUpload), bindings ...cfapi.Binding) {
	b.t.Helper()
	u, again := b.uploads[name]
	if !again {
		u = cfapi.ScriptUpload{
			Modules: []cfapi.Module{{Name: "worker.js", Type: "application/javascript+module", Content: []byte(source)}}, MainModule: "worker.js",
			CompatibilityDate: "2026-11-01", Bindings: bindings, Annotations: map[string]string{"workers/tag": "bundle-0011223344556677"},
			Observability: &cfapi.Observability{Enabled: true, Logs: &cfapi.ObservabilityLogs{Enabled: true, InvocationLogs: true}},
		}
	}
	u.Bindings = append([]cfapi.Binding{}, u.Bindings...)
	if change != nil {
		change(&u)
	}
	if _, err := b.api.PutScript(b.t.Context(), name, u); err != nil {
		b.t.Fatal(err)
	}
	u.Migrations = nil
	b.uploads[name] = u
}

// enrich adds one of everything that the contract does not have yet.
func (b *bed) enrich() *bed {
	b.t.Helper()
	b.id("queue", "POST", "/queues", object{"queue_name": "jobs"})
	b.id("dlq", "POST", "/queues", object{"queue_name": "jobs-dlq"})
	b.id("hyperdrive", "POST", "/hyperdrive/configs", object{"name": "neon", "origin": object{
		"scheme": "postgres", "host": "db.example.test", "port": 5432, "database": "main", "user": "edge", "password": plantedPassword,
	}})
	b.upload("jobs-svc", func(u *cfapi.ScriptUpload) {
		u.Migrations = &cfapi.Migrations{NewTag: "v1", Steps: []cfapi.MigrationStep{{NewSQLiteClasses: []string{"Room"}}}}
		u.Placement, u.Limits, u.CompatibilityFlags, u.Tags = &cfapi.Placement{Mode: "smart"}, &cfapi.Limits{CPUMS: 50}, []string{"nodejs_compat"}, []string{"team-a"}
	}, cfapi.Binding{Name: "ROOMS", Type: "durable_object_namespace", ClassName: "Room"}, cfapi.Binding{Name: "DB", Type: "hyperdrive", ID: b.ids["hyperdrive"]},
		cfapi.Binding{Name: "JOBS", Type: "queue", QueueName: "jobs"}, cfapi.Binding{Name: "FILES", Type: "r2_bucket", BucketName: "cognomega-prod"},
		cfapi.Binding{Name: "LIMITS", Type: "json", JSON: json.RawMessage(`{"id":7,"burst":[1,2]}`)}, text("API_KEY", plantedSecret),
		text("DATABASE_URL", "postgres://edge:"+plantedPassword+"@db.example.test/main"))
	b.id("consumer", "POST", "/queues/"+b.ids["queue"]+"/consumers", object{
		"type": "worker", "script_name": "jobs-svc", "dead_letter_queue": "jobs-dlq", "settings": object{"batch_size": 10, "max_retries": 3, "max_wait_time_ms": 2000},
	})
	b.account("PUT", "/workers/scripts/jobs-svc/schedules", []object{{"cron": "0 * * * *"}, {"cron": "*/5 * * * *"}})
	b.id("domain", "PUT", "/workers/domains", object{"hostname": "jobs.cognomega.localhost", "service": "jobs-svc", "zone_id": apitest.ZoneID})
	return b
}

func (b *bed) account(method, path string, body any) apitest.Answer {
	b.t.Helper()
	a := b.Account(b.t, method, path, body)
	if a.Status >= http.StatusBadRequest {
		b.t.Fatalf("%s %s: %d %s", method, path, a.Status, a.Body)
	}
	return a
}

func (b *bed) zone(method, path string, body any) apitest.Answer {
	b.t.Helper()
	a := b.Zone(b.t, method, path, body)
	if a.Status >= http.StatusBadRequest {
		b.t.Fatalf("%s %s: %d %s", method, path, a.Status, a.Body)
	}
	return a
}

// id makes something and remembers its id by a name.
func (b *bed) id(name, method, path string, body any) {
	b.t.Helper()
	call := b.account
	if path == "/dns_records" || path == "/workers/routes" {
		call = b.zone
	}
	var made struct {
		ID       string `json:"id"`
		Queue    string `json:"queue_id"`
		Consumer string `json:"consumer_id"`
	}
	call(method, path, body).Into(b.t, &made)
	b.ids[name] = made.ID + made.Queue
	if made.Consumer != "" {
		b.ids[name] = made.Consumer
	}
}

// settings changes a script's settings as the dashboard does: a multipart PATCH of one part.
func (b *bed) settings(script string, body object) {
	b.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		b.t.Fatal(err)
	}
	form := "--x\r\nContent-Disposition: form-data; name=\"settings\"\r\n\r\n" + string(raw) + "\r\n--x--\r\n"
	a := b.Account(b.t, "PATCH", "/workers/scripts/"+script+"/settings", form, "Content-Type", "multipart/form-data; boundary=x")
	if a.Status >= http.StatusBadRequest {
		b.t.Fatalf("settings: %d %s", a.Status, a.Body)
	}
}

func at() time.Time { return time.Date(2026, 11, 22, 18, 40, 11, 0, time.UTC) }

func (b *bed) target() *audit.Target {
	return &audit.Target{
		Env: "local", Hostname: "api.cognomega.localhost", ZoneName: "cognomega.localhost", API: b.api, AccountID: apitest.AccountID, Contract: b.contract, Now: at,
	}
}

func (b *bed) collect() *snapshot.Snapshot {
	b.t.Helper()
	s, err := snapshot.Collect(b.t.Context(), b.target())
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

func (b *bed) declared() *snapshot.Snapshot {
	b.t.Helper()
	s, err := snapshot.Declared(b.contract, "local", at())
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}
