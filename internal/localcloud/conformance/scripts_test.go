package conformance

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/cloudflare/cloudflare-go"
)

func (b *bed) script(name string) string {
	return "/accounts/" + b.AccountID + "/workers/scripts/" + name
}

// raw is a call the client has no method for.
func (b *bed) raw(t *testing.T, method, path string, body any, into any) {
	t.Helper()
	r := must(b.Raw(t.Context(), method, path, body, nil))(t, method+" "+path)
	if into != nil {
		if err := json.Unmarshal(r.Result, into); err != nil {
			t.Fatalf("%s %s: %s: %v", method, path, r.Result, err)
		}
	}
}

func TestScripts(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	ctx := t.Context()
	target := b.upload(t, hello, nil)
	script := b.upload(t, hello, map[string]cloudflare.WorkerBinding{
		"TEXT":   cloudflare.WorkerPlainTextBinding{Text: "plain"},
		"SECRET": cloudflare.WorkerSecretTextBinding{Text: "never given back"},
		"SELF":   cloudflare.WorkerServiceBinding{Service: target},
		"AI":     cloudflare.UnsafeBinding{"type": "ai"},
		"SETUP":  cloudflare.UnsafeBinding{"type": "json", "json": map[string]any{"a": []int{1, 2}}},
		"VER":    cloudflare.UnsafeBinding{"type": "version_metadata"},
		"LIMIT":  cloudflare.UnsafeBinding{"type": "ratelimit", "namespace_id": "1001", "simple": map[string]int{"limit": 5, "period": 60}},
	})
	listed, _, err := b.ListWorkers(ctx, b.account, cloudflare.ListWorkersParams{})
	ok(t, "list", err)
	if !slices.ContainsFunc(listed.WorkerList, func(w cloudflare.WorkerMetaData) bool { return w.ID == script && w.ETAG != "" }) {
		t.Errorf("list does not have %s: %+v", script, listed.WorkerList)
	}
	if got := must(b.GetWorker(ctx, b.account, script))(t, "download"); got.Script != hello || !got.Module {
		t.Errorf("downloaded %q (module %v)", got.Script, got.Module)
	}
	if content := must(b.GetWorkersScriptContent(ctx, b.account, script))(t, "content"); !strings.Contains(content, hello) {
		t.Errorf("content %q", content)
	}
	bindings := must(b.ListWorkerBindings(ctx, b.account, cloudflare.ListWorkerBindingsParams{ScriptName: script}))(t, "bindings")
	if len(bindings.BindingList) != 7 {
		t.Errorf("bindings %+v", bindings.BindingList)
	}
	raw := must(b.Raw(ctx, http.MethodGet, b.script(script)+"/settings", nil, nil))(t, "settings")
	if strings.Contains(string(raw.Result), "never given back") {
		t.Errorf("settings give a secret: %s", raw.Result)
	}
	if !strings.Contains(string(raw.Result), `"compatibility_date":"2025-01-01"`) {
		t.Errorf("settings lack the compatibility date: %s", raw.Result)
	}
	_, err = b.UpdateWorkersScriptSettings(ctx, b.account, cloudflare.UpdateWorkersScriptSettingsParams{ScriptName: script})
	wantCode(t, "settings as JSON", err, 10001)
	_, err = b.GetWorker(ctx, b.account, b.name)
	wantCode(t, "get no script", err, 10007)
}

func TestScriptRefusals(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	tests := map[string]struct {
		source  string
		binding cloudflare.WorkerBinding
		code    int
	}{
		"syntax error":  {"export default {", nil, 10021},
		"no namespace":  {hello, cloudflare.WorkerKvNamespaceBinding{NamespaceID: "00000000000000000000000000000000"}, 10041},
		"no bucket":     {hello, cloudflare.WorkerR2BucketBinding{BucketName: "conformance-none"}, 10085},
		"no queue":      {hello, cloudflare.WorkerQueueBinding{Binding: "B", Queue: "conformance-none"}, 11000},
		"no service":    {hello, cloudflare.WorkerServiceBinding{Service: "conformance-none"}, 10144},
		"no hyperdrive": {hello, cloudflare.WorkerHyperdriveBinding{Binding: "B", ConfigID: "00000000000000000000000000000000"}, 10157},
		"no class":      {hello, cloudflare.WorkerDurableObjectBinding{ClassName: "Nobody"}, 10061},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			params := cloudflare.CreateWorkerParams{ScriptName: unique(), Script: test.source, Module: true, CompatibilityDate: "2025-01-01"}
			if test.binding != nil {
				params.Bindings = map[string]cloudflare.WorkerBinding{"B": test.binding}
			}
			_, err := b.UploadWorker(t.Context(), b.account, params)
			wantCode(t, name, err, test.code)
			_, err = b.GetWorker(t.Context(), b.account, params.ScriptName)
			wantCode(t, "a refused upload leaves nothing", err, 10007)
		})
	}
}

func TestSecretsSchedulesAndSubdomain(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	ctx := t.Context()
	script := b.upload(t, `export default { async fetch() { return new Response("x"); }, async scheduled() {} };`, nil)
	_ = must(b.SetWorkersSecret(ctx, b.account, cloudflare.SetWorkersSecretParams{ScriptName: script,
		Secret: &cloudflare.WorkersPutSecretRequest{Name: "KEY", Text: "value", Type: "secret_text"}}))(t, "set secret")
	secrets := must(b.ListWorkersSecrets(ctx, b.account, cloudflare.ListWorkersSecretsParams{ScriptName: script}))(t, "list secrets")
	if len(secrets.Result) != 1 || secrets.Result[0].Name != "KEY" {
		t.Errorf("secrets %+v", secrets.Result)
	}
	_ = must(b.DeleteWorkersSecret(ctx, b.account, cloudflare.DeleteWorkersSecretParams{ScriptName: script, SecretName: "KEY"}))(t, "delete secret")
	_, err := b.DeleteWorkersSecret(ctx, b.account, cloudflare.DeleteWorkersSecretParams{ScriptName: script, SecretName: "KEY"})
	wantCode(t, "delete no secret", err, 10056)
	crons := must(b.UpdateWorkerCronTriggers(ctx, b.account, cloudflare.UpdateWorkerCronTriggersParams{ScriptName: script,
		Crons: []cloudflare.WorkerCronTrigger{{Cron: "*/5 * * * *"}, {Cron: "0 3 * * MON"}}}))(t, "set schedules")
	if len(crons) != 2 {
		t.Errorf("schedules %+v", crons)
	}
	crons = must(b.UpdateWorkerCronTriggers(ctx, b.account, cloudflare.UpdateWorkerCronTriggersParams{ScriptName: script, Crons: []cloudflare.WorkerCronTrigger{}}))(t, "clear schedules")
	if len(crons) != 0 {
		t.Errorf("schedules after clearing %+v", crons)
	}
	var flags struct {
		Enabled  bool `json:"enabled"`
		Previews bool `json:"previews_enabled"`
	}
	b.raw(t, http.MethodPost, b.script(script)+"/subdomain", map[string]bool{"enabled": false, "previews_enabled": false}, &flags)
	if flags.Enabled || flags.Previews {
		t.Errorf("subdomain after switching it off: %+v", flags)
	}
	b.raw(t, http.MethodGet, b.script(script)+"/subdomain", nil, &flags)
}

func TestVersionsAndDeployments(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	script := b.upload(t, hello, nil)
	upload := cloudflare.CreateWorkerParams{ScriptName: script, Script: strings.Replace(hello, "hello", "again", 1), Module: true, CompatibilityDate: "2025-01-01"}
	_ = must(b.UploadWorker(t.Context(), b.account, upload))(t, "second upload")
	var versions struct {
		Items []struct {
			ID     string `json:"id"`
			Number int    `json:"number"`
		} `json:"items"`
	}
	b.raw(t, http.MethodGet, b.script(script)+"/versions", nil, &versions)
	if len(versions.Items) != 2 || versions.Items[0].Number <= versions.Items[1].Number {
		t.Fatalf("versions, newest first: %+v", versions.Items)
	}
	var version struct {
		Resources struct {
			Bindings []any `json:"bindings"`
			Script   struct {
				ETag     string   `json:"etag"`
				Handlers []string `json:"handlers"`
			} `json:"script"`
		} `json:"resources"`
	}
	b.raw(t, http.MethodGet, b.script(script)+"/versions/"+versions.Items[1].ID, nil, &version)
	if version.Resources.Script.ETag == "" || !slices.Contains(version.Resources.Script.Handlers, "fetch") {
		t.Errorf("version %+v", version)
	}
	split := map[string]any{"strategy": "percentage", "versions": []map[string]any{
		{"version_id": versions.Items[0].ID, "percentage": 90}, {"version_id": versions.Items[1].ID, "percentage": 10},
	}}
	b.raw(t, http.MethodPost, b.script(script)+"/deployments", split, nil)
	var deployments struct {
		Deployments []struct {
			Strategy string `json:"strategy"`
			Versions []struct {
				ID         string  `json:"version_id"`
				Percentage float64 `json:"percentage"`
			} `json:"versions"`
		} `json:"deployments"`
	}
	b.raw(t, http.MethodGet, b.script(script)+"/deployments", nil, &deployments)
	if len(deployments.Deployments) != 3 || len(deployments.Deployments[0].Versions) != 2 {
		t.Errorf("deployments, newest first: %+v", deployments.Deployments)
	}
	_, err := b.SetWorkersSecret(t.Context(), b.account, cloudflare.SetWorkersSecretParams{ScriptName: script,
		Secret: &cloudflare.WorkersPutSecretRequest{Name: "KEY", Text: "value", Type: "secret_text"}})
	wantCode(t, "a secret during a split", err, 10215)
}
