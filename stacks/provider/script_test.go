package provider_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
)

func sortedStrings(in []string) []string {
	slices.Sort(in)
	return in
}

const code = "export default { fetch() {}, queue() {} }"

// worker is the inputs of a script that has one of everything; edits are applied on top.
func worker(t *testing.T, edits ...func(object)) property.Map {
	in := object{
		"name": "api", "mainModule": "worker.js", "compatibilityDate": "2026-11-01",
		"modules": object{
			"worker.js":     object{"path": writeFile(t, "worker.js", code)},
			"worker.js.map": object{"content": "{}"},
		},
		"bindings": []any{
			object{"name": "KEYS", "type": "kv_namespace", "namespaceId": "kv1"},
			object{"name": "UPLOADS", "type": "r2_bucket", "bucketName": "uploads"},
			object{"name": "EVENTS", "type": "queue", "queueName": "events"},
			object{"name": "SELF", "type": "service", "service": "api", "entrypoint": "Rpc"},
			object{"name": "LIMITS", "type": "durable_object_namespace", "className": "Limiter"},
			object{"name": "AI", "type": "ai"},
			object{"name": "ISSUER", "type": "plain_text", "text": "https://api.test"},
			object{"name": "ORIGINS", "type": "json", "json": `[ "https://a.test" ]`},
			object{"name": "VERSION", "type": "version_metadata"},
			object{"name": "DB", "type": "hyperdrive", "id": "hd1"},
			object{"name": "BURST", "type": "ratelimit", "namespaceId": "1001", "limit": 5, "period": 10},
			object{"name": "STATS", "type": "analytics_engine", "dataset": "stats"},
		},
		"secrets":            secretly{object{"ADMIN_API_KEY": "hunter22hunter22"}},
		"compatibilityFlags": []any{"nodejs_compat"},
		"durableObjects":     []any{object{"class": "Limiter", "sqlite": true}},
		"observability":      object{"enabled": true, "invocationLogs": true},
		"placement":          "smart", "cpuMs": 50, "logpush": true, "message": "first",
		"tailConsumers": []any{"tail"}, "tags": []any{"phase0"},
	}
	for _, edit := range edits {
		edit(in)
	}
	return props(in)
}

func created(t *testing.T) (*engine, property.Map) {
	t.Helper()
	e := newEngine(t, newCloud(t), "WorkerScript")
	in := worker(t)
	e.mustUp(in)
	return e, in
}

func TestScriptWithEverythingIsCreatedOnceAndStaysTheSame(t *testing.T) {
	t.Parallel()
	e, in := created(t)
	s := e.cloud.scripts["api"]
	if s.modules["worker.js"] != code || len(s.bindings) != 13 || s.tag != "v1" || !s.classes["Limiter"] || s.enabled || s.previews {
		t.Fatalf("uploaded: %+v", s)
	}
	for name, want := range map[string]string{"versionId": s.version, "etag": s.etag, "migrationTag": "v1"} {
		if got := e.state.Get(name).AsString(); got != want {
			t.Errorf("output %s is %q, want %q", name, got, want)
		}
	}
	if got := e.state.Get("startupMs").AsNumber(); got != 7 {
		t.Errorf("startupMs is %v", got)
	}
	if changed := e.mustUp(in); changed != nil {
		t.Errorf("again: %v", changed)
	}
	e.refresh()
	if changed := e.mustUp(in); changed != nil {
		t.Errorf("after a refresh: %v", changed)
	}
	if writes := e.cloud.takeWrites(); !slices.Equal(writes, []string{"PUT /workers/scripts/api"}) {
		t.Errorf("writes: %v", writes)
	}
}

func TestPreviewWritesNothing(t *testing.T) {
	t.Parallel()
	e := newEngine(t, newCloud(t), "WorkerScript")
	unknown := property.New(property.Computed)
	in := e.mustCheck(worker(t, func(o object) {
		o["bindings"].([]any)[0].(object)["namespaceId"] = unknown
	}))
	out, err := e.server.Create(p.CreateRequest{Urn: e.urn(), Properties: in, DryRun: true})
	if err != nil {
		t.Fatal(err)
	}
	if writes := e.cloud.takeWrites(); len(writes) > 0 {
		t.Errorf("a preview of a new script wrote: %v", writes)
	}
	if got := out.Properties.Get("name"); !got.IsString() { // so that what is bound to it does not look changed
		t.Errorf("name in a preview is %v", got)
	}
	if got := out.Properties.Get("versionId"); !got.IsComputed() {
		t.Errorf("versionId in a preview is %v", got)
	}
	if got := out.Properties.Get("bindings").AsArray().Get(0).AsMap().Get("namespaceId"); !got.IsComputed() {
		t.Errorf("an unknown namespace became %v", got)
	}
	e, _ = created(t)
	e.cloud.takeWrites()
	changed := e.mustCheck(worker(t, func(o object) { o["workersDev"] = true }))
	if _, err := e.server.Update(p.UpdateRequest{ID: e.id, Urn: e.urn(), State: e.state, OldInputs: e.inputs, Inputs: changed, DryRun: true}); err != nil {
		t.Fatal(err)
	}
	if writes := e.cloud.takeWrites(); len(writes) > 0 {
		t.Errorf("a preview wrote: %v", writes)
	}
}

func TestPreviewOfStoresWritesNothing(t *testing.T) {
	t.Parallel()
	previews := map[string]struct {
		engine       *engine
		first, other property.Map
	}{
		"consumer":  {consuming(t), consumer(nil), consumer(object{"batchSize": 1})},
		"lifecycle": {withBucket(t), bucketRules(), bucketRules(func(o object) { o["rules"] = []any{} })},
	}
	for name, tt := range previews {
		e := tt.engine
		if _, err := e.server.Create(p.CreateRequest{Urn: e.urn(), Properties: e.mustCheck(tt.first), DryRun: true}); err != nil {
			t.Fatal(err)
		}
		if writes := e.cloud.takeWrites(); len(writes) > 0 {
			t.Errorf("%s: a preview of a new one wrote: %v", name, writes)
		}
		e.mustUp(tt.first)
		e.cloud.takeWrites()
		_, err := e.server.Update(p.UpdateRequest{ID: e.id, Urn: e.urn(), State: e.state, OldInputs: e.inputs, Inputs: e.mustCheck(tt.other), DryRun: true})
		if writes := e.cloud.takeWrites(); err != nil || len(writes) > 0 {
			t.Errorf("%s: a preview of a change wrote: %v %v", name, writes, err)
		}
	}
}

// Every way to edit a script behind the program's back has to show as the field it is, and to be repaired by the next up.
func TestDriftOfAScriptIsFoundByFieldAndRepaired(t *testing.T) {
	t.Parallel()
	binding := func(s *script, name string) object {
		i := slices.IndexFunc(s.bindings, func(b object) bool { return b["name"] == name })
		return s.bindings[i]
	}
	remove := func(name string) func(*script) {
		return func(s *script) {
			s.bindings = slices.DeleteFunc(s.bindings, func(b object) bool { return b["name"] == name })
		}
	}
	add := func(b object) func(*script) { return func(s *script) { s.bindings = append(s.bindings, b) } }
	set := func(field string, v any) func(*script) { return func(s *script) { s.metadata[field] = v } }
	tests := map[string]struct {
		edit func(*script)
		want []string
	}{
		"a variable":           {func(s *script) { binding(s, "ISSUER")["text"] = "https://evil.test" }, []string{"bindings[6].text"}},
		"a namespace":          {func(s *script) { binding(s, "KEYS")["namespace_id"] = "kv2" }, []string{"bindings[0].namespaceId"}},
		"an entrypoint":        {func(s *script) { delete(binding(s, "SELF"), "entrypoint") }, []string{"bindings[3].entrypoint"}},
		"a limit":              {func(s *script) { binding(s, "BURST")["simple"] = object{"limit": 9, "period": 10} }, []string{"bindings[10].limit"}},
		"json":                 {func(s *script) { binding(s, "ORIGINS")["json"] = []any{"https://b.test"} }, []string{"bindings[7].json"}},
		"a type":               {func(s *script) { binding(s, "AI")["type"] = "version_metadata" }, []string{"bindings[5].type"}},
		"a binding removed":    {remove("AI"), []string{"bindings[5]"}},
		"a binding added":      {add(object{"name": "BROWSER", "type": "browser"}), []string{"bindings[12]"}},
		"a secret removed":     {remove("ADMIN_API_KEY"), []string{"secrets.ADMIN_API_KEY"}},
		"a secret added":       {add(object{"name": "EXTRA", "type": "secret_text"}), []string{"secrets.EXTRA"}},
		"a secret's value":     {func(s *script) { s.version = "version-of-dashboard" }, []string{"secrets.ADMIN_API_KEY"}},
		"compatibility date":   {set("compatibility_date", "2024-01-01"), []string{"compatibilityDate"}},
		"compatibility flags":  {set("compatibility_flags", []string{"a"}), []string{"compatibilityFlags"}},
		"workers.dev":          {func(s *script) { s.enabled = true }, []string{"workersDev"}},
		"previews":             {func(s *script) { s.previews = true }, []string{"previews"}},
		"observability":        {set("observability", object{"enabled": false}), []string{"observability"}},
		"sampling":             {set("observability", object{"enabled": true, "head_sampling_rate": 0.1, "logs": object{"enabled": true, "invocation_logs": true}}), []string{"observability.headSamplingRate"}},
		"placement":            {set("placement", object{}), []string{"placement"}},
		"limits":               {set("limits", object{"cpu_ms": 10}), []string{"cpuMs"}},
		"logpush":              {set("logpush", false), []string{"logpush"}},
		"tail consumers":       {set("tail_consumers", []object{}), []string{"tailConsumers"}},
		"tags":                 {set("tags", []string{"phase0", "other"}), []string{"tags"}},
		"Cloudflare's own tag": {set("tags", []string{"phase0", "cf:service=api"}), []string{}},
		"code":                 {func(s *script) { s.etag = "edited" }, []string{`modules["worker.js"].digest`}},
		"a traffic split": {func(s *script) {
			s.split = []object{{"version_id": s.version, "percentage": 90}, {"version_id": "old", "percentage": 10}}
		}, []string{`modules["worker.js"].digest`}},
		"a class added":   {func(s *script) { s.classes["Other"] = true }, []string{"durableObjects[1]"}},
		"a class removed": {func(s *script) { delete(s.classes, "Limiter") }, []string{"durableObjects[0]"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, in := created(t)
			e.cloud.change(func(c *cloud) { tt.edit(c.scripts["api"]) })
			e.refresh()
			if diff := cmp.Diff(tt.want, paths(e.diff(e.mustCheck(in)))); diff != "" {
				t.Fatalf("drift (-want +got):\n%s", diff)
			}
			if name == "a class added" { // data may be in it: it has to be named before it goes
				if _, err := e.up(in); err == nil || !strings.Contains(err.Error(), "deletedClasses") {
					t.Fatalf("an undeclared class: %v", err)
				}
				in = worker(t, func(o object) { o["deletedClasses"] = []any{"Other"} })
			}
			e.mustUp(in)
			e.refresh()
			if changed := e.mustUp(in); changed != nil {
				t.Errorf("after the repair: %v", changed)
			}
		})
	}
}

func TestDeletedScriptIsFoundAndMadeAgain(t *testing.T) {
	t.Parallel()
	e, in := created(t)
	e.cloud.change(func(c *cloud) { delete(c.scripts, "api") })
	e.refresh()
	if e.id != "" {
		t.Fatalf("a deleted script still has id %q", e.id)
	}
	e.mustUp(in)
	if e.cloud.scripts["api"] == nil {
		t.Fatal("not made again")
	}
}

// kill -9 between the upload and the engine's saving: the next run creates what exists.
func TestCreateConvergesOnWhatExists(t *testing.T) {
	t.Parallel()
	e, in := created(t)
	again := newEngine(t, e.cloud, "WorkerScript")
	again.mustUp(in)
	if s := e.cloud.scripts["api"]; s.number != 2 || s.tag != "v1" {
		t.Fatalf("after a second create: number %d, tag %s", s.number, s.tag)
	}
	if changed := again.mustUp(in); changed != nil {
		t.Errorf("then: %v", changed)
	}
}

func TestEditsOfTheProgram(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		edit func(object)
		want []string
	}{
		"code": {
			func(o object) { o["modules"].(object)["worker.js"] = object{"content": code + "//"} },
			[]string{`modules["worker.js"].digest`},
		},
		"a module less":      {func(o object) { delete(o["modules"].(object), "worker.js.map") }, []string{`modules["worker.js.map"]`}},
		"a message alone":    {func(o object) { o["message"] = "second" }, []string{}},
		"another path":       {func(o object) {}, []string{}}, // each call of worker writes a fresh file
		"a secret's value":   {func(o object) { o["secrets"] = secretly{object{"ADMIN_API_KEY": "changed-changed"}} }, []string{"secrets.ADMIN_API_KEY"}},
		"another name":       {func(o object) { o["name"] = "api2" }, []string{"name"}},
		"bindings reordered": {func(o object) { slices.Reverse(o["bindings"].([]any)) }, []string{}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, _ := created(t)
			diff := e.diff(e.mustCheck(worker(t, tt.edit)))
			if d := cmp.Diff(tt.want, paths(diff)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if name == "another name" && diff.DetailedDiff["name"].Kind != p.UpdateReplace {
				t.Errorf("a new name is %v", diff.DetailedDiff["name"])
			}
		})
	}
}

func TestSecretsThatTheProgramDoesNotKnow(t *testing.T) {
	t.Parallel()
	e := newEngine(t, newCloud(t), "WorkerScript")
	in := worker(t, func(o object) { o["keepSecrets"] = true })
	e.mustUp(in)
	e.cloud.change(func(c *cloud) {
		s := c.scripts["api"]
		s.bindings = append(s.bindings, object{"name": "THEIRS", "type": "secret_text", "text": "x"})
	})
	e.refresh()
	if changed := e.mustUp(in); changed != nil {
		t.Errorf("keepSecrets: %v", changed)
	}
	edited := worker(t, func(o object) { o["keepSecrets"], o["workersDev"] = true, true })
	e.mustUp(edited)
	kept := slices.ContainsFunc(e.cloud.scripts["api"].bindings, func(b object) bool { return b["name"] == "THEIRS" })
	if !kept {
		t.Error("keepSecrets lost a secret")
	}
}

func TestDeleteOfAScript(t *testing.T) {
	t.Parallel()
	e, _ := created(t)
	e.cloud.change(func(c *cloud) {
		c.queues["q1"] = []object{{"consumer_id": "c1", "type": "worker", "script_name": "api"}}
	})
	if err := e.destroy(); err == nil || !strings.Contains(err.Error(), "10064") || !strings.Contains(err.Error(), "QueueConsumer") {
		t.Errorf("with a consumer: %v", err)
	}
	e.cloud.change(func(c *cloud) { c.queues["q1"] = nil })
	for range 2 { // the second finds nothing
		if err := e.destroy(); err != nil {
			t.Fatal(err)
		}
	}
	if len(e.cloud.scripts) > 0 {
		t.Error("still there")
	}
}

// An upload whose switches cannot be set is in the state all the same, so that the next run goes on from it.
func TestHalfDoneUploadIsKeptAndFinished(t *testing.T) {
	t.Parallel()
	e := newEngine(t, newCloud(t), "WorkerScript")
	in := worker(t, func(o object) { o["previews"] = true })
	e.cloud.before = func(method, path string) (int, int) {
		if method == "POST" && strings.HasSuffix(path, "/subdomain") {
			return 10001, 400
		}
		return 0, 0
	}
	_, err := e.up(in)
	if err == nil || !strings.Contains(err.Error(), "api is uploaded, and then") || e.id == "" {
		t.Fatalf("id %q, error %v", e.id, err)
	}
	e.cloud.before = nil
	e.refresh()
	if changed := e.mustUp(in); !slices.Contains(changed, "previews") || !e.cloud.scripts["api"].previews {
		t.Errorf("finished by %v", changed)
	}
	if changed := e.mustUp(in); changed != nil {
		t.Errorf("then %v", changed)
	}
}

// An account that stores something else than it was given must not pass for done.
func TestReadBackThatDiffersIsAnError(t *testing.T) {
	t.Parallel()
	e := newEngine(t, newCloud(t), "WorkerScript")
	e.cloud.before = func(method, _ string) (int, int) {
		if s := e.cloud.scripts["api"]; s != nil && method == "GET" {
			s.metadata["logpush"] = false
		}
		return 0, 0
	}
	_, err := e.up(worker(t))
	if err == nil || !strings.Contains(err.Error(), "reads back different from what was declared: logpush") {
		t.Errorf("error: %v", err)
	}
}

// A bundle that changes between the plan and the upload was not what was judged.
func TestBundleThatChangesMeanwhileIsRefused(t *testing.T) {
	t.Parallel()
	e := newEngine(t, newCloud(t), "WorkerScript")
	path := writeFile(t, "worker.js", code)
	checked := e.mustCheck(worker(t, func(o object) { o["modules"].(object)["worker.js"] = object{"path": path} }))
	if err := os.WriteFile(path, []byte("export default {}"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := e.server.Create(p.CreateRequest{Urn: e.urn(), Properties: checked})
	if err == nil || !strings.Contains(err.Error(), "changed while it was being deployed") || len(e.cloud.takeWrites()) > 0 {
		t.Errorf("error: %v", err)
	}
}
