package provider_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/localcloud/api"
	"github.com/cognomega/edge/internal/localcloud/store"
)

// notRunning takes every bundle for one that starts and exports what these tests need: the provider speaks to the API alone.
type notRunning struct{}

func (notRunning) Prepare(context.Context, api.Change) (api.Prepared, error) {
	return notRunning{}, nil
}
func (notRunning) Commit() {}
func (notRunning) Abort()  {}

func (notRunning) StartupTime() time.Duration { return time.Millisecond }

func (notRunning) Exports(string) ([]string, []store.NamedHandler) {
	return []string{"fetch", "queue"}, []store.NamedHandler{{Name: "Limiter"}, {Name: "Rpc"}}
}

// local is the local cloud's API over an account that has what the scripts of these tests are bound to.
type local struct {
	t       *testing.T
	cloud   *cloud // where it is, for newEngine
	client  *cfapi.Client
	created map[string]string // ids by name
	store   *store.Store
}

func newLocal(t *testing.T) *local {
	t.Helper()
	s, err := store.Open(t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	sum := sha256.Sum256([]byte(token))
	err = s.Update(func(tx *store.Tx) error {
		return tx.Put(store.Tokens, hex.EncodeToString(sum[:]), store.Token{ID: "t", Name: "test", Status: "active", Permissions: []string{"*"}})
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(api.New(api.Config{Store: s, Runtime: notRunning{}, AccountID: account, AccountName: "test"}))
	t.Cleanup(server.Close)
	base := server.URL + api.Prefix
	client, err := cfapi.New(cfapi.Config{BaseURL: base, Token: token, AccountID: account})
	if err != nil {
		t.Fatal(err)
	}
	l := &local{t: t, cloud: &cloud{base: base}, client: client, created: map[string]string{}, store: s}
	l.created["kv"] = l.call("POST", "/storage/kv/namespaces", object{"title": "keys"})["id"].(string)
	l.created["queue"] = l.call("POST", "/queues", object{"queue_name": "events"})["queue_id"].(string)
	l.call("POST", "/r2/buckets", object{"name": "uploads"})
	l.created["hyperdrive"] = l.call("POST", "/hyperdrive/configs", object{"name": "db", "origin": object{
		"scheme": "postgres", "host": "db.example.com", "port": 5432, "database": "d", "user": "u", "password": "p",
	}})["id"].(string)
	if _, err := client.PutScript(t.Context(), "tail", cfapi.ScriptUpload{
		MainModule: "a.js", Modules: []cfapi.Module{{Name: "a.js", Type: "application/javascript+module", Content: []byte(code)}},
	}); err != nil {
		t.Fatal(err)
	}
	return l
}

// call is a request of somebody else.
func (l *local) call(method, path string, body object) object {
	l.t.Helper()
	encoded, err := json.Marshal(body)
	if err != nil {
		l.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(l.t.Context(), method, l.cloud.base+"/accounts/"+account+path, bytes.NewReader(encoded))
	if err != nil {
		l.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		l.t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode >= 300 {
		l.t.Fatalf("%s %s: %d %s %v", method, path, res.StatusCode, answer, err)
	}
	var out struct {
		Result object `json:"result"`
	}
	_ = json.Unmarshal(answer, &out) // some results are lists, which nobody here looks at
	return out.Result
}

func (l *local) worker() property.Map {
	return worker(l.t, func(o object) {
		b := o["bindings"].([]any)
		b[0].(object)["namespaceId"], b[9].(object)["id"] = l.created["kv"], l.created["hyperdrive"]
		o["compatibilityDate"] = "2026-06-01"
	})
}

func TestScriptOnTheLocalCloud(t *testing.T) {
	t.Parallel()
	l := newLocal(t)
	e, in := newEngine(t, l.cloud, "WorkerScript"), l.worker()
	e.mustUp(in)
	if changed := e.mustUp(in); changed != nil {
		t.Errorf("again: %v", changed)
	}
	e.refresh()
	if changed := e.mustUp(in); changed != nil {
		t.Errorf("after a refresh: %v", changed)
	}
	steps := []struct {
		name string
		edit func()
		want []string
	}{
		{"a secret's value", func() {
			l.call("PUT", "/workers/scripts/api/secrets", object{"name": "ADMIN_API_KEY", "text": "stolen", "type": "secret_text"})
		}, []string{"secrets.ADMIN_API_KEY"}},
		{"a secret more", func() {
			l.call("PUT", "/workers/scripts/api/secrets", object{"name": "EXTRA", "text": "x", "type": "secret_text"})
		}, []string{"secrets.ADMIN_API_KEY", "secrets.EXTRA"}},
		{"switches", func() {
			l.call("POST", "/workers/scripts/api/subdomain", object{"enabled": true, "previews_enabled": true})
		}, []string{"previews", "workersDev"}},
		{"script settings", func() {
			l.call("PATCH", "/workers/scripts/api/script-settings", object{"logpush": false, "tags": []string{"x"}})
		}, []string{"logpush", "tags"}},
		{"another tool's deploy", func() {
			_, err := l.client.PutScript(t.Context(), "api", cfapi.ScriptUpload{
				MainModule: "worker.js", CompatibilityDate: "2026-06-01", CompatibilityFlags: []string{"nodejs_compat"},
				Modules:      []cfapi.Module{{Name: "worker.js", Type: "application/javascript+module", Content: []byte("other")}},
				KeepBindings: []string{"secret_text"}, Bindings: []cfapi.Binding{{Name: "AI", Type: "ai"}},
			})
			if err != nil {
				t.Fatal(err)
			}
		}, []string{
			"bindings[0]", "bindings[10]", "bindings[11]", "bindings[1]", "bindings[2]", "bindings[3]", "bindings[4]", "bindings[6]", "bindings[7]",
			"bindings[8]", "bindings[9]", "cpuMs", `modules["worker.js"].digest`, "placement", "secrets.ADMIN_API_KEY",
		}},
	}
	for _, s := range steps {
		s.edit()
		e.refresh()
		got := slices.DeleteFunc(paths(e.diff(e.mustCheck(in))), func(p string) bool {
			return s.name == "another tool's deploy" && (p == "logpush" || p == "tags" || p == "tailConsumers" || p == "observability")
		})
		if diff := cmp.Diff(s.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", s.name, diff)
		}
		e.mustUp(in)
		e.refresh()
		if changed := e.mustUp(in); changed != nil {
			t.Errorf("%s, after the repair: %v", s.name, changed)
		}
	}
	if err := e.destroy(); err == nil || !strings.Contains(err.Error(), "forceDestroy") {
		t.Errorf("a script with objects was deleted: %v", err)
	}
	forced := worker(t, func(o object) { o["bindings"], o["forceDestroy"] = []any{}, true })
	e.mustUp(forced)
	if err := e.destroy(); err != nil {
		t.Fatal(err)
	}
	e.refresh()
	if e.id != "" {
		t.Error("still there")
	}
}

// secret is the value that the newest version of the script has.
func (l *local) secret(name string) string {
	l.t.Helper()
	var newest store.Version
	err := l.store.View(func(tx *store.Tx) error {
		all, err := store.All[store.Version](tx, store.Versions, "api/")
		for _, v := range all {
			if v.Number > newest.Number {
				newest = v
			}
		}
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	for _, b := range newest.Bindings {
		if b.Name == name {
			return b.Text
		}
	}
	return ""
}

// TestRotatedSecrets is a key rotation between deployments: what it wrote stays, and is no drift.
func TestRotatedSecrets(t *testing.T) {
	t.Parallel()
	l := newLocal(t)
	e := newEngine(t, l.cloud, "WorkerScript")
	in := func(edit func(object)) property.Map {
		return worker(t, func(o object) {
			b := o["bindings"].([]any)
			b[0].(object)["namespaceId"], b[9].(object)["id"] = l.created["kv"], l.created["hyperdrive"]
			o["secrets"] = secretly{object{"SLOT_A": "first-key-first-key"}}
			o["rotatedSecrets"] = []any{"POINTER", "SLOT_A", "SLOT_B"}
			edit(o)
		})
	}
	same := in(func(object) {})
	e.mustUp(same)
	if got := l.secret("SLOT_A") + l.secret("SLOT_B") + l.secret("POINTER"); got != "first-key-first-key" {
		t.Fatalf("a new script holds %q", got)
	}
	write := func(values map[string]string) {
		if err := l.client.PatchSecrets(t.Context(), "api", values); err != nil {
			t.Fatal(err)
		}
	}
	write(map[string]string{"SLOT_B": "second", "POINTER": "b"})
	write(map[string]string{"SLOT_A": "retired"})
	e.refresh()
	if changed := e.mustUp(same); changed != nil {
		t.Errorf("a rotation shows as drift: %v", changed)
	}
	changed := e.mustUp(in(func(o object) { o["cpuMs"] = 40 }))
	if diff := cmp.Diff([]string{"cpuMs"}, changed); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := l.secret("SLOT_A") + l.secret("SLOT_B") + l.secret("POINTER"); got != "retiredsecondb" {
		t.Errorf("a deployment left %q of the rotation", got)
	}
	l.call("DELETE", "/workers/scripts/api/secrets/SLOT_A", nil)
	e.refresh()
	if changed := e.mustUp(in(func(o object) { o["cpuMs"] = 40 })); len(changed) != 1 || changed[0] != "secrets.SLOT_A" || l.secret("SLOT_A") != "first-key-first-key" || l.secret("SLOT_B") != "second" {
		t.Errorf("a slot that is gone: %v, %q", changed, l.secret("SLOT_A"))
	}
}

func TestStoresOnTheLocalCloud(t *testing.T) {
	t.Parallel()
	l := newLocal(t)
	queue := l.created["queue"]
	e, in := newEngine(t, l.cloud, "QueueConsumer"), consumer(object{"queueId": queue, "scriptName": "tail", "maxConcurrency": 3})
	e.mustUp(in)
	e.refresh()
	if changed := e.mustUp(in); changed != nil {
		t.Errorf("consumer again: %v", changed)
	}
	less := consumer(object{"queueId": queue, "scriptName": "tail", "maxRetries": 0})
	if diff := cmp.Diff([]string{"maxConcurrency", "maxRetries"}, e.mustUp(less)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	e.refresh()
	if changed := e.mustUp(less); changed != nil {
		t.Errorf("consumer, settings taken back: %v", changed)
	}
	again := newEngine(t, l.cloud, "QueueConsumer")
	again.mustUp(less)
	if again.id != e.id {
		t.Errorf("adopted %s, made %s", again.id, e.id)
	}
	for range 2 {
		if err := e.destroy(); err != nil {
			t.Error(err)
		}
	}

	b, rules := newEngine(t, l.cloud, "R2BucketLifecycle"), bucketRules()
	b.mustUp(rules)
	b.refresh()
	if changed := b.mustUp(rules); changed != nil {
		t.Errorf("lifecycle again: %v", changed)
	}
	if err := l.client.PutBucketLifecycle(t.Context(), "uploads", nil); err != nil {
		t.Fatal(err)
	}
	b.refresh()
	if diff := cmp.Diff([]string{"rules[0]", "rules[1]", "rules[2]"}, b.mustUp(rules)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	l.call("DELETE", "/r2/buckets/uploads", nil)
	b.refresh()
	if b.id != "" {
		t.Error("the rules of a deleted bucket are still there")
	}
}
