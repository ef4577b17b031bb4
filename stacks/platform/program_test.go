package platform_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/stacks/platform"
)

// recorder stands where the engine is, and remembers what the program declares.
type recorder struct {
	mu    sync.Mutex
	made  []pulumi.MockResourceArgs
	zones []string
}

func (r *recorder) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.made = append(r.made, args)
	return "id-of-" + args.Name, args.Inputs, nil
}

func (r *recorder) Call(args pulumi.MockCallArgs) (resource.PropertyMap, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.zones = append(r.zones, args.Args["name"].StringValue())
	return resource.PropertyMap{"id": resource.NewProperty("zone-1"), "zoneId": resource.NewProperty("zone-1")}, nil
}

// of lists the inputs of every resource whose type ends so, by name.
func (r *recorder) of(suffix string) map[string]resource.PropertyMap {
	out := map[string]resource.PropertyMap{}
	for _, m := range r.made {
		if strings.HasSuffix(m.TypeToken, suffix) {
			out[m.Name] = m.Inputs
		}
	}
	return out
}

// position is when a resource was declared; the mocks see a resource only after all it depends on.
func (r *recorder) position(t *testing.T, suffix, name string) int {
	t.Helper()
	i := slices.IndexFunc(r.made, func(m pulumi.MockResourceArgs) bool { return strings.HasSuffix(m.TypeToken, suffix) && m.Name == name })
	if i < 0 {
		t.Fatalf("no %s %s is declared", suffix, name)
	}
	return i
}

func declare(t *testing.T, in platform.Inputs) (*recorder, error) {
	t.Helper()
	r := &recorder{}
	return r, pulumi.RunErr(platform.Program(in), pulumi.WithMocks("project", "stack", r))
}

const account = "00112233445566778899aabbccddeeff"

// fromContract is the real contract, with a bundle and a secret wherever one is wanted.
func fromContract(t *testing.T, env string) platform.Inputs {
	t.Helper()
	c, err := contract.Load()
	if err != nil {
		t.Fatal(err)
	}
	spec, err := platform.FromContract(c, env)
	if err != nil {
		t.Fatal(err)
	}
	in := platform.Inputs{AccountID: account, Spec: spec, Bundles: map[string]platform.Bundle{}, Secrets: map[string]string{}}
	for name, w := range spec.Workers {
		in.Bundles[name] = platform.Bundle{MainModule: "worker.js", Modules: map[string]platform.Module{"worker.js": {Content: "export default {}"}}}
		for _, b := range w.Bindings {
			if b.Kind == "secret" && !b.Optional {
				in.Secrets[b.Name] = "value-of-" + b.Name
			}
		}
	}
	for _, h := range spec.Hyperdrives {
		in.Secrets[h.URLSecret] = "postgres://user:password@db.example.test/ledger"
	}
	return in
}

func TestTheContractBecomesResources(t *testing.T) {
	t.Parallel()
	r, err := declare(t, fromContract(t, "production"))
	if err != nil {
		t.Fatal(err)
	}
	if got := r.of("WorkersKvNamespace")["keys"]["title"].StringValue(); got != "cognomega-keys" {
		t.Errorf("the namespace keys is titled %q", got)
	}
	if got := r.of(":Queue")["usage-events"]["name"].StringValue(); got != "cognomega-usage-events" {
		t.Errorf("the queue of usage is called %q", got)
	}
	if got := r.of("HyperdriveConfig")["neon"]["name"].StringValue(); got != "cognomega-neon" {
		t.Errorf("the ledger's Hyperdrive is called %q", got)
	}
	lifecycles := r.of("R2BucketLifecycle")
	for name, bucket := range map[string]string{"uploads": "cognomega-uploads", "artifacts": "cognomega-prod"} {
		if got := r.of(":R2Bucket")[name]["name"].StringValue(); got != bucket {
			t.Errorf("bucket %s is called %q", name, got)
		}
		if got := lifecycles[name]["bucketName"].StringValue(); got != bucket || len(lifecycles[name]["rules"].ArrayValue()) == 0 {
			t.Errorf("bucket %s: lifecycle rules of %q: %v", name, got, lifecycles[name]["rules"])
		}
	}
	route := r.of("WorkersRoute")
	if len(route) != 1 || route["cognomega-api"]["pattern"].StringValue() != "api.cognomega.com/*" || route["cognomega-api"]["scriptName"].StringValue() != "cognomega-api" {
		t.Errorf("routes: %v", route)
	}
	record := r.of(":Record")["hostname"]
	if !record["proxied"].BoolValue() || record["name"].StringValue() != "api.cognomega.com" || record["zoneId"].StringValue() != "zone-1" {
		t.Errorf("record: %v", record)
	}
	if !slices.Equal(r.zones, []string{"cognomega.com"}) {
		t.Errorf("zones looked up: %q", r.zones)
	}
	if len(r.of("WorkerScript")) != 10 {
		t.Errorf("scripts: %v", r.of("WorkerScript"))
	}
}

func TestAScriptIsBoundToWhatTheContractSays(t *testing.T) {
	t.Parallel()
	in := fromContract(t, "local")
	r, err := declare(t, in)
	if err != nil {
		t.Fatal(err)
	}
	gateway := r.of("WorkerScript")["cognomega-api"]
	var got []string
	for _, b := range gateway["bindings"].ArrayValue() {
		o := b.ObjectValue()
		for _, key := range []resource.PropertyKey{"namespaceId", "service", "text"} {
			if v, ok := o[key]; ok {
				got = append(got, fmt.Sprintf("%s %s %s", o["name"].StringValue(), o["type"].StringValue(), v.StringValue()))
			}
		}
	}
	for _, want := range []string{
		"KEYS kv_namespace id-of-keys", "AUTH service auth-svc", "ORCHESTRATOR service orchestrator-svc",
		"ISSUER plain_text https://api.cognomega.localhost",
	} {
		if !slices.Contains(got, want) {
			t.Errorf("bindings %q, want %q in them", got, want)
		}
	}
	secrets := gateway["secrets"]
	if !secrets.IsSecret() || !secrets.SecretValue().Element.ObjectValue().HasValue("ADMIN_API_KEY") {
		t.Errorf("the secrets are %v, want a secret that holds ADMIN_API_KEY", secrets)
	}
	for _, off := range []resource.PropertyKey{"workersDev", "previews"} {
		if gateway.HasValue(off) {
			t.Errorf("%s is %v", off, gateway[off])
		}
	}
	if gateway := r.position(t, "WorkerScript", "cognomega-api"); gateway < r.position(t, "WorkerScript", "auth-svc") || gateway > r.position(t, "WorkersRoute", "cognomega-api") {
		t.Error("services come before the Workers bound to them, and routes after their scripts")
	}
}

func TestOptionalSecretsAreBoundWhenTheyHaveAValue(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"", "turnstile-value"} {
		in := fromContract(t, "local")
		if value != "" {
			in.Secrets["TURNSTILE_SECRET"] = value
		}
		r, err := declare(t, in)
		if err != nil {
			t.Fatal(err)
		}
		bound := r.of("WorkerScript")["auth-svc"]["secrets"].SecretValue().Element.ObjectValue().HasValue("TURNSTILE_SECRET")
		if bound != (value != "") {
			t.Errorf("with the value %q it is bound: %t", value, bound)
		}
	}
}

func TestWhatCannotBeDeployedIsRefusedBeforeAnythingIsDeclared(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		spoil func(*platform.Inputs)
		want  string
	}{
		"no account":       {func(in *platform.Inputs) { in.AccountID = "mine" }, "32 hex digits"},
		"no bundle":        {func(in *platform.Inputs) { delete(in.Bundles, "auth-svc") }, `worker "auth-svc" has no bundle`},
		"no secret":        {func(in *platform.Inputs) { delete(in.Secrets, "PRIVATE_KEY_PEM") }, "PRIVATE_KEY_PEM"},
		"no database":      {func(in *platform.Inputs) { delete(in.Secrets, "DATABASE_URL") }, "hyperdrive \"neon\" wants the secret DATABASE_URL"},
		"no such store":    {func(in *platform.Inputs) { delete(in.Spec.Namespaces, "keys") }, `"keys", which is not declared`},
		"services in ring": {func(in *platform.Inputs) { bindService(in, "auth-svc", "cognomega-api") }, "bound to itself"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := fromContract(t, "local")
			test.spoil(&in)
			r, err := declare(t, in)
			if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want it invalid with %q", err, test.want)
			}
			if len(r.of("WorkerScript")) > 0 {
				t.Error("a script was declared all the same")
			}
		})
	}
}

// What is wrong with a connection string is said, and no part of it.
func TestAConnectionStringIsNeverQuoted(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"another database": "mysql://keep:quiet@db.test/d", "no password": "postgres://quiet@db.test/d", "no database": "postgres://keep:quiet@db.test",
		"no host": "postgres://keep:quiet@/d", "no port": "postgres://keep:quiet@db.test:99999/d", "broken": "postgres://keep:quiet%zz@db.test/d", "no URL": "quiet",
	} {
		in := fromContract(t, "local")
		in.Secrets["DATABASE_URL"] = text
		_, err := declare(t, in)
		if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "secret DATABASE_URL: a database's connection string") {
			t.Errorf("%s: %v, want it invalid", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "quiet") {
			t.Errorf("%s: the error quotes it: %v", name, err)
		}
	}
}

func bindService(in *platform.Inputs, worker, service string) {
	w := in.Spec.Workers[worker]
	w.Bindings = append(slices.Clone(w.Bindings), platform.Binding{Name: "BACK", Kind: "service", Ref: service})
	in.Spec.Workers[worker] = w
}

func TestAnUnknownEnvironmentIsRefused(t *testing.T) {
	t.Parallel()
	c, err := contract.Load()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := platform.FromContract(c, "moon"); !errors.Is(err, fault.Invalid) {
		t.Errorf("%v", err)
	}
}

// Durable Objects are in no contract yet, and what is may change; the program knows all of it.
func TestEverythingElseThatASpecCanSay(t *testing.T) {
	t.Parallel()
	in := platform.Inputs{
		AccountID: account,
		Spec: platform.Spec{
			Hostname: "api.example.test", Zone: "example.test",
			Queues:      map[string]string{"events": "events-queue", "dead": "dead-queue"},
			Hyperdrives: map[string]platform.Hyperdrive{"db": {Name: "db-config", URLSecret: "DB"}},
			Workers: map[string]platform.Worker{"writer": {
				Public: true, Crons: []string{"* * * * *"}, Consumes: []platform.Consumer{{Queue: "events", DeadLetter: "dead", Batch: 7}},
				Bindings: []platform.Binding{
					{Name: "Q", Kind: "queue", Ref: "events"}, {Name: "DB", Kind: "hyperdrive", Ref: "db"}, {Name: "DO", Kind: "durable_object", Class: "Limiter"},
				},
			}},
		},
		Bundles: map[string]platform.Bundle{"writer": {MainModule: "w.js", Modules: map[string]platform.Module{"w.js": {Path: "/w.js"}}}},
		Secrets: map[string]string{"DB": "postgresql://u:pass%2Fword@db.example.test:6432/d?sslmode=require"},
	}
	r, err := declare(t, in)
	if err != nil {
		t.Fatal(err)
	}
	consumer := r.of("QueueConsumer")["events"]
	if consumer["queueId"].StringValue() != "id-of-events" || consumer["scriptName"].StringValue() != "writer" || consumer["deadLetterQueue"].StringValue() != "dead-queue" || consumer["batchSize"].NumberValue() != 7 {
		t.Errorf("consumer: %v", consumer)
	}
	if r.position(t, "QueueConsumer", "events") < r.position(t, "WorkerScript", "writer") {
		t.Error("a consumer is declared after its script, and so deleted before it")
	}
	if crons := r.of("WorkersCronTrigger")["writer"]["schedules"].ArrayValue(); len(crons) != 1 {
		t.Errorf("crons: %v", crons)
	}
	db := r.of("HyperdriveConfig")["db"]
	origin := db["origin"].ObjectValue()
	password := origin["password"]
	if !password.IsSecret() || password.SecretValue().Element.StringValue() != "pass/word" {
		t.Errorf("the password is %v, want a secret", password)
	}
	delete(origin, "password")
	if got := fmt.Sprint(origin["scheme"].V, origin["host"].V, origin["port"].V, origin["database"].V, origin["user"].V); got != "postgresdb.example.test6432du" {
		t.Errorf("the origin is %s", got)
	}
	if !db["caching"].ObjectValue()["disabled"].BoolValue() {
		t.Error("answers of the ledger are cached")
	}
}
