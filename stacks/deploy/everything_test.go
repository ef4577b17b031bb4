package deploy_test

import (
	"github.com/cognomega/edge/internal/localcloud/api/apitest"
	"github.com/cognomega/edge/stacks/platform"
	"github.com/cognomega/edge/stacks/provider/sdk"
)

// everything has one of each type of resource that the program can declare.
func everything() platform.Spec {
	return platform.Spec{
		Hostname: hostname, Zone: apitest.ZoneName,
		Namespaces:  map[string]string{"keys": "test-keys"},
		Buckets:     map[string]platform.Bucket{"uploads": {Name: "test-uploads", Rules: []sdk.LifecycleRule{{ID: "tmp", Prefix: "tmp/", ExpireDays: 3}}}},
		Queues:      map[string]string{"events": "test-events", "dead": "test-dead"},
		Hyperdrives: map[string]platform.Hyperdrive{"db": {Name: "test-db", URLSecret: "DATABASE_URL"}},
		Workers: map[string]platform.Worker{
			"gateway": {Public: true, CompatibilityDate: "2026-11-01", Bindings: []platform.Binding{
				{Name: "KEYS", Kind: "kv", Ref: "keys"}, {Name: "WRITER", Kind: "service", Ref: "writer"},
				{Name: "ISSUER", Kind: "var", Ref: "https://" + hostname}, {Name: "ADMIN_API_KEY", Kind: "secret"}, {Name: "AI", Kind: "ai"},
			}},
			"writer": {
				CompatibilityDate: "2026-11-01", Crons: []string{"*/5 * * * *"},
				DurableObjects: []sdk.DurableObject{{Class: "Limiter", SQLite: true}},
				Consumes:       []platform.Consumer{{Queue: "events", DeadLetter: "dead", Batch: 50, Retries: 5}},
				Bindings: []platform.Binding{
					{Name: "DB", Kind: "hyperdrive", Ref: "db"}, {Name: "EVENTS", Kind: "queue", Ref: "events"}, {Name: "FILES", Kind: "r2", Ref: "uploads"},
					{Name: "LIMITS", Kind: "durable_object", Class: "Limiter"},
				},
			},
		},
	}
}

const code = "export class Limiter {}\nexport default { fetch() {}, queue() {}, scheduled() {} };\n// "

// inputs are the program's inputs for a spec; every Worker gets the same small bundle.
func inputs(spec platform.Spec) platform.Inputs {
	bundles := map[string]platform.Bundle{}
	for name := range spec.Workers {
		bundles[name] = platform.Bundle{MainModule: "worker.js", Modules: map[string]platform.Module{"worker.js": {Content: code + name}}}
	}
	return platform.Inputs{AccountID: account, Spec: spec, Bundles: bundles, Secrets: map[string]string{
		"ADMIN_API_KEY": "correct-horse-battery", "DATABASE_URL": "postgres://app:hunter2-hunter2@db.example.test/app",
	}}
}
