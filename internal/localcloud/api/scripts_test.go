package api_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cognomega/edge/internal/localcloud/api/apitest"
)

func TestUploadAndDownload(t *testing.T) {
	t.Parallel()
	b := apitest.New(t)
	kind, body := multipartBody(t,
		form{"lib/z.js", "lib/z.js", "application/javascript+module", "export const z = 1;"},
		form{"index.js.map", "index.js.map", "application/source-map", `{"version":3}`},
		form{"index.js", "index.js", "application/javascript+module", hello},
		form{"data.bin", "data.bin", "application/octet-stream", "\x00\x01"},
		form{"metadata", "", "", `{"main_module":"index.js","compatibility_date":"2025-01-01","compatibility_flags":["nodejs_compat"],"tags":["a"],"observability":{"enabled":true},"limits":{"cpu_ms":50}}`},
	)
	a := b.Account(t, "PUT", "/workers/scripts/multi?excludeScript=true&bindings_inherit=strict", body, "Content-Type", kind)
	want(t, "upload", a, 200, 0)
	var made struct {
		ID         string   `json:"id"`
		ETag       string   `json:"etag"`
		EntryPoint string   `json:"entry_point"`
		Handlers   []string `json:"handlers"`
		HasModules bool     `json:"has_modules"`
		Startup    *int     `json:"startup_time_ms"`
		Deployment string   `json:"deployment_id"`
	}
	a.Into(t, &made)
	if made.ID != "multi" || made.EntryPoint != "index.js" || !slices.Equal(made.Handlers, []string{"fetch"}) || !made.HasModules || made.Startup == nil || len(made.ETag) != 64 || len(made.Deployment) != 32 {
		t.Errorf("upload answered %s", a.Body)
	}
	got := b.Account(t, "GET", "/workers/scripts/multi/content/v2", nil)
	if got.Header.Get("Cf-Entrypoint") != "index.js" {
		t.Errorf("cf-entrypoint %q", got.Header.Get("Cf-Entrypoint"))
	}
	names, parts := readForm(t, got)
	if !slices.Equal(names, []string{"index.js", "data.bin", "index.js.map", "lib/z.js"}) || parts["index.js"] != hello || parts["data.bin"] != "\x00\x01" {
		t.Errorf("content: %v %q", names, parts)
	}
	again := b.Account(t, "PUT", "/workers/scripts/multi", body, "Content-Type", kind)
	var second struct {
		ETag string `json:"etag"`
	}
	again.Into(t, &second)
	if second.ETag != made.ETag {
		t.Errorf("the same modules have etags %s and %s", made.ETag, second.ETag)
	}
	settings := b.Account(t, "GET", "/workers/scripts/multi/settings", nil)
	for _, piece := range []string{`"compatibility_flags":["nodejs_compat"]`, `"tags":["a"]`, `"observability":{"enabled":true}`, `"limits":{"cpu_ms":50}`} {
		if !strings.Contains(string(settings.Body), piece) {
			t.Errorf("settings lack %s: %s", piece, settings.Body)
		}
	}
}

func readForm(t *testing.T, a apitest.Answer) (names []string, parts map[string]string) {
	t.Helper()
	_, params, err := mime.ParseMediaType(a.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	parts = map[string]string{}
	for r := multipart.NewReader(bytes.NewReader(a.Body), params["boundary"]); ; {
		p, err := r.NextPart()
		if errors.Is(err, io.EOF) {
			return names, parts
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(p)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, p.FormName())
		parts[p.FormName()] = string(data)
	}
}

func TestServiceWorkers(t *testing.T) {
	t.Parallel()
	b := apitest.New(t)
	source := `addEventListener("fetch", e => e.respondWith(new Response("old")));`
	kind, body := multipartBody(t, form{"metadata", "", "application/json", `{"body_part":"script","bindings":[],"tags":null}`}, form{"script", "", "application/javascript", source})
	want(t, "body_part", b.Account(t, "PUT", "/workers/scripts/old", body, "Content-Type", kind), 200, 0)
	want(t, "bare script", b.Account(t, "PUT", "/workers/scripts/bare", source, "Content-Type", "application/javascript"), 200, 0)
	for _, name := range []string{"old", "bare"} {
		if got := b.Account(t, "GET", "/workers/scripts/"+name, nil); string(got.Body) != source || got.Header.Get("Content-Type") != "application/javascript" {
			t.Errorf("%s: downloaded %s %q", name, got.Header.Get("Content-Type"), got.Body)
		}
		if got := b.Account(t, "GET", "/workers/scripts/"+name+"/settings", nil); !strings.Contains(string(got.Body), `"compatibility_date":"2021-11-02"`) {
			t.Errorf("%s: no compatibility date means the oldest: %s", name, got.Body)
		}
	}
}

func TestMalformedUploads(t *testing.T) {
	t.Parallel()
	b := apitest.New(t)
	main := form{"index.js", "index.js", "application/javascript+module", hello}
	meta := func(text string) form { return form{"metadata", "", "", text} }
	tests := map[string]struct {
		parts        []form
		status, code int
	}{
		"no metadata":           {[]form{main}, 400, 10021},
		"metadata is no JSON":   {[]form{meta("{"), main}, 400, 10021},
		"neither main nor body": {[]form{meta("{}"), main}, 400, 10021},
		"main not uploaded":     {[]form{meta(`{"main_module":"other.js"}`), main}, 400, 10021},
		"part twice":            {[]form{meta(`{"main_module":"index.js"}`), main, main}, 400, 10021},
		"bad date":              {[]form{meta(`{"main_module":"index.js","compatibility_date":"soon"}`), main}, 400, 10021},
		"date to come":          {[]form{meta(`{"main_module":"index.js","compatibility_date":"2999-01-01"}`), main}, 400, 10021},
		"binding twice":         {[]form{meta(`{"main_module":"index.js","bindings":[{"type":"plain_text","name":"A","text":"1"},{"type":"ai","name":"A"}]}`), main}, 400, 10053},
		"binding no object":     {[]form{meta(`{"main_module":"index.js","bindings":[7]}`), main}, 400, 10021},
		"binding wrong shape":   {[]form{meta(`{"main_module":"index.js","bindings":[{"type":"plain_text","name":"A","text":{}}]}`), main}, 400, 10021},
		"assets":                {[]form{meta(`{"main_module":"index.js","assets":{}}`), main}, 501, 501},
		"does not parse":        {[]form{meta(`{"main_module":"index.js"}`), {"index.js", "index.js", "application/javascript+module", "export default {"}}, 400, 10021},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			kind, body := multipartBody(t, test.parts...)
			want(t, name, b.Account(t, "PUT", "/workers/scripts/bad", body, "Content-Type", kind), test.status, test.code)
		})
	}
	kind, body := multipartBody(t, meta(`{"main_module":"index.js"}`), main)
	want(t, "cut short", b.Account(t, "PUT", "/workers/scripts/bad", body[:len(body)-40], "Content-Type", kind), 400, 10001)
	want(t, "no boundary", b.Account(t, "PUT", "/workers/scripts/bad", body, "Content-Type", "multipart/form-data"), 400, 10001)
	want(t, "another boundary", b.Account(t, "PUT", "/workers/scripts/bad", body, "Content-Type", "multipart/form-data; boundary=other"), 400, 10001)
	want(t, "JSON", b.Account(t, "PUT", "/workers/scripts/bad", "{}", "Content-Type", "application/json"), 400, 10001)
	want(t, "bad name", b.Account(t, "PUT", "/workers/scripts/Bad.Name", body, "Content-Type", kind), 400, 10016)
	want(t, "nothing was made", b.Account(t, "GET", "/workers/scripts/bad/settings", nil), 404, 10007)
}

func TestBrokenUploadLeavesTheOldVersionServing(t *testing.T) {
	t.Parallel()
	b := apitest.New(t)
	deployed(t, b, "steady", hello, nil)
	before := b.Runtime.Serving("steady")
	a := put(t, b, "steady", "export default {", nil)
	want(t, "broken", a, 400, 10021)
	if !strings.Contains(a.Errors[0].Message, "SyntaxError") {
		t.Errorf("the runtime's own words are missing: %s", a.Body)
	}
	if after := b.Runtime.Serving("steady"); !slices.Equal(before, after) || len(after) != 1 {
		t.Errorf("serving %v before and %v after", before, after)
	}
	if got := b.Account(t, "GET", "/workers/scripts/steady/versions", nil); strings.Count(string(got.Body), `"number"`) != 1 {
		t.Errorf("a refused upload made a version: %s", got.Body)
	}
}

func TestBindingsAreKeptAndGivenBack(t *testing.T) {
	t.Parallel()
	b := apitest.New(t)
	deployed(t, b, "other", hello, nil)
	given := []object{
		{"type": "plain_text", "name": "A_TEXT", "text": ""},
		{"type": "secret_text", "name": "B_SECRET", "text": "hush"},
		{"type": "service", "name": "C_SERVICE", "service": "other", "entrypoint": "Admin"},
		{"type": "json", "name": "D_JSON", "json": []any{1.0, object{"x": nil}}},
		{"type": "analytics_engine", "name": "E_EVENTS", "dataset": "events"},
		{"type": "d1", "name": "F_DB", "id": "x", "database_id": "y"},
		{"type": "secret_key", "name": "G_KEY", "algorithm": object{"name": "HMAC"}, "format": "raw", "key_base64": "aHVzaA==", "usages": []any{"sign"}},
		{"type": "ai", "name": "H_AI"},
	}
	deployed(t, b, "kept", hello, object{"bindings": given})
	a := b.Account(t, "GET", "/workers/scripts/kept/bindings", nil)
	if strings.Contains(string(a.Body), "hush") || strings.Contains(string(a.Body), "aHVzaA") {
		t.Errorf("a secret is given back: %s", a.Body)
	}
	var got []object
	a.Into(t, &got)
	want := []object{
		{"type": "plain_text", "name": "A_TEXT", "text": ""},
		{"type": "secret_text", "name": "B_SECRET"},
		{"type": "service", "name": "C_SERVICE", "service": "other", "entrypoint": "Admin", "environment": "production"},
		{"type": "json", "name": "D_JSON", "json": []any{1.0, object{"x": nil}}},
		{"type": "analytics_engine", "name": "E_EVENTS", "dataset": "events"},
		{"type": "d1", "name": "F_DB", "id": "x", "database_id": "y"},
		{"type": "secret_key", "name": "G_KEY", "algorithm": object{"name": "HMAC"}, "format": "raw", "usages": []any{"sign"}},
		{"type": "ai", "name": "H_AI"},
	}
	wanted, _ := json.Marshal(want)
	if have, _ := json.Marshal(got); string(have) != string(wanted) {
		t.Errorf("bindings\n%s\nwant\n%s", have, wanted)
	}
}

func names(t *testing.T, b *apitest.Bed, script string) []string {
	t.Helper()
	var got []struct {
		Name string `json:"name"`
	}
	b.Account(t, "GET", "/workers/scripts/"+script+"/bindings", nil).Into(t, &got)
	var all []string
	for _, g := range got {
		all = append(all, g.Name)
	}
	return all
}

func TestInheritance(t *testing.T) {
	t.Parallel()
	b := apitest.New(t)
	deployed(t, b, "heir", hello, object{"bindings": []object{{"type": "secret_text", "name": "S", "text": "x"}, {"type": "plain_text", "name": "P", "text": "y"}}})
	deployed(t, b, "heir", hello, object{"keep_bindings": []string{"secret_text"}})
	if got := names(t, b, "heir"); !slices.Equal(got, []string{"S"}) {
		t.Errorf("keep_bindings kept %v", got)
	}
	deployed(t, b, "heir", hello, object{"bindings": []object{{"type": "inherit", "name": "T", "old_name": "S"}, {"type": "inherit", "name": "GONE"}}})
	if got := names(t, b, "heir"); !slices.Equal(got, []string{"T"}) {
		t.Errorf("inherit under a new name gave %v", got)
	}
	a := put(t, b, "heir?bindings_inherit=strict", hello, object{"bindings": []object{{"type": "inherit", "name": "GONE"}}})
	want(t, "strict", a, 400, 10057)
	earlier := newestVersion(t, b, "heir")
	deployed(t, b, "heir", hello, nil)
	if got := names(t, b, "heir"); len(got) != 0 {
		t.Errorf("an upload that keeps nothing kept %v", got)
	}
	deployed(t, b, "heir", hello, object{"bindings": []object{{"type": "inherit", "name": "S", "old_name": "T", "version_id": earlier}, {"type": "inherit", "name": "T", "version_id": "latest"}}})
	if got := names(t, b, "heir"); !slices.Equal(got, []string{"S"}) {
		t.Errorf("inherit from a version that is named gave %v", got)
	}
	a = put(t, b, "heir", hello, object{"bindings": []object{{"type": "inherit", "name": "S", "version_id": "none"}}})
	want(t, "inherit from a version that is not there", a, 404, 100146)
}

func newestVersion(t *testing.T, b *apitest.Bed, script string) string {
	t.Helper()
	var got struct {
		Items []struct {
			ID string `json:"id"`
		} `json:"items"`
	}
	b.Account(t, "GET", "/workers/scripts/"+script+"/versions", nil).Into(t, &got)
	return got.Items[0].ID
}

func TestParallelTriggers(t *testing.T) {
	t.Parallel()
	b := apitest.New(t)
	deployed(t, b, "busy", hello, nil)
	var wait sync.WaitGroup
	calls := []struct {
		method, path string
		body         any
	}{
		{"POST", "/subdomain", object{"enabled": true, "previews_enabled": true}},
		{"PUT", "/schedules", []object{{"cron": "* * * * *"}}},
		{"PUT", "/routes", []object{{"pattern": "cognomega.localhost/busy", "zone_name": apitest.ZoneName}}},
		{"PATCH", "/script-settings", object{"logpush": true, "tags": []string{"t"}}},
		{"PUT", "/secrets", object{"name": "K", "text": "v", "type": "secret_text"}},
	}
	for range 4 {
		for _, c := range calls {
			wait.Go(func() {
				want(t, c.path, b.Account(t, c.method, "/workers/scripts/busy"+c.path, c.body), 200, 0)
			})
		}
	}
	wait.Wait()
	worker := b.Account(t, "GET", "/workers/workers/busy", nil)
	for _, piece := range []string{`"enabled":true`, `"previews_enabled":true`, `"logpush":true`, `"tags":["t"]`} {
		if !strings.Contains(string(worker.Body), piece) {
			t.Errorf("a parallel call was lost, no %s in %s", piece, worker.Body)
		}
	}
	if got := b.Account(t, "GET", "/workers/scripts/busy/schedules", nil); !strings.Contains(string(got.Body), "* * * * *") {
		t.Errorf("schedules %s", got.Body)
	}
	if got := b.Zone(t, "GET", "/workers/routes", nil); strings.Count(string(got.Body), `"pattern"`) != 1 {
		t.Errorf("routes %s", got.Body)
	}
}

func TestSettingsAndSecrets(t *testing.T) {
	t.Parallel()
	b := apitest.New(t)
	deployed(t, b, "set", hello, object{"compatibility_date": "2025-01-01", "bindings": []object{{"type": "secret_text", "name": "S", "text": "x"}}})
	kind, body := multipartBody(t, form{"settings", "", "", `{"compatibility_date":"2025-02-02","bindings":[{"type":"inherit","name":"S"},{"type":"plain_text","name":"P","text":"1"}]}`})
	want(t, "patch settings", b.Account(t, "PATCH", "/workers/scripts/set/settings", body, "Content-Type", kind), 200, 0)
	want(t, "patch settings as JSON", b.Account(t, "PATCH", "/workers/scripts/set/settings", "{}", "Content-Type", "application/json"), 400, 10001)
	if got := names(t, b, "set"); !slices.Equal(got, []string{"S", "P"}) {
		t.Errorf("bindings after the patch: %v", got)
	}
	bulk := `{"secrets":{"S":null,"N":{"name":"N","text":"y","type":"secret_text"}}}`
	want(t, "bulk", b.Account(t, "PATCH", "/workers/scripts/set/secrets-bulk", bulk, "Content-Type", "application/merge-patch+json"), 200, 0)
	if got := names(t, b, "set"); !slices.Equal(got, []string{"P", "N"}) {
		t.Errorf("bindings after the bulk: %v", got)
	}
	want(t, "secret over a variable", b.Account(t, "PUT", "/workers/scripts/set/secrets", object{"name": "P", "text": "x"}), 400, 10053)
	want(t, "delete a variable as a secret", b.Account(t, "DELETE", "/workers/scripts/set/secrets/P?url_encoded=true", nil), 404, 10056)
	want(t, "delete a secret", b.Account(t, "DELETE", "/workers/scripts/set/secrets/N?url_encoded=true", nil), 200, 0)
	want(t, "a version", send(t, b, "POST", "set/versions", hello, nil), 200, 0)
	want(t, "secret while the newest is not deployed", b.Account(t, "PUT", "/workers/scripts/set/secrets", object{"name": "Z", "text": "x"}), 400, 10215)
	want(t, "settings while the newest is not deployed", b.Account(t, "PATCH", "/workers/scripts/set/settings", body, "Content-Type", kind), 400, 10214)
	want(t, "bad cron", b.Account(t, "PUT", "/workers/scripts/set/schedules", []object{{"cron": "every day"}}), 400, 10100)
}

func TestDeploymentsSayWhatMadeThem(t *testing.T) {
	t.Parallel()
	b := apitest.New(t)
	kind, body := multipartBody(t, form{"metadata", "", "", `{"main_module":"index.js"}`}, form{"index.js", "index.js", "application/javascript+module", hello})
	for agent, source := range map[string]string{"wrangler/4.156.2": "wrangler", "cloudflare-go/0.119": "api"} {
		want(t, agent, b.Account(t, "PUT", "/workers/scripts/made", body, "Content-Type", kind, "User-Agent", agent), 200, 0)
		if got := b.Account(t, "GET", "/workers/services/made", nil); !strings.Contains(string(got.Body), `"last_deployed_from":"`+source+`"`) {
			t.Errorf("%s: %s", agent, got.Body)
		}
	}
	want(t, "secret", b.Account(t, "PUT", "/workers/scripts/made/secrets", object{"name": "K", "text": "v"}), 200, 0)
	if got := b.Account(t, "GET", "/workers/scripts/made/deployments", nil); !strings.Contains(string(got.Body), `"workers/triggered_by":"secret"`) {
		t.Errorf("deployments %s", got.Body)
	}
}
