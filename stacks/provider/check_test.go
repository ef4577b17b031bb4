package provider_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
)

func TestCheckOfAScript(t *testing.T) {
	t.Parallel()
	bind := func(b object) func(object) {
		return func(o object) { o["bindings"] = append(o["bindings"].([]any), b) }
	}
	set := func(name string, v any) func(object) { return func(o object) { o[name] = v } }
	module := func(m object) func(object) { return func(o object) { o["modules"].(object)["worker.js"] = m } }
	tests := map[string]struct {
		edit func(object)
		want map[string]string // words of the reason, by property
	}{
		"fine":                      {func(object) {}, nil},
		"name in capitals":          {set("name", "API"), map[string]string{"name": "a-z"}},
		"account":                   {set("accountId", "mine"), map[string]string{"accountId": "32 hex"}},
		"compatibility date":        {set("compatibilityDate", "tomorrow"), map[string]string{"compatibilityDate": "a date"}},
		"main module missing":       {set("mainModule", "index.js"), map[string]string{"mainModule": "worker.js"}},
		"module of nothing":         {module(object{}), map[string]string{`modules["worker.js"]`: "path or content"}},
		"module of both":            {module(object{"path": "x", "content": "y"}), map[string]string{`modules["worker.js"]`: "path or content"}},
		"module not there":          {module(object{"path": "/nowhere/worker.js"}), map[string]string{`modules["worker.js"].path`: "no such file"}},
		"module too long for state": {module(object{"content": strings.Repeat("x", 40_000)}), map[string]string{`modules["worker.js"].content`: "give a path"}},
		"module of unknown type": {
			func(o object) { o["modules"].(object)["data"] = object{"content": "x"} }, map[string]string{"modules.data.type": "cannot be told"},
		},
		"unknown binding type":         {bind(object{"name": "X", "type": "kv"}), map[string]string{"bindings[12].type": "kv_namespace"}},
		"binding without its field":    {bind(object{"name": "X", "type": "kv_namespace"}), map[string]string{"bindings[12].namespaceId": "missing"}},
		"service without a script":     {bind(object{"name": "X", "type": "service", "service": ""}), map[string]string{"bindings[12].service": "missing"}},
		"binding with another's field": {bind(object{"name": "X", "type": "ai", "text": "x"}), map[string]string{"bindings[12].text": "means nothing"}},
		"name bound twice":             {bind(object{"name": "AI", "type": "ai"}), map[string]string{"bindings[12].name": "bindings[5]"}},
		"name of a secret":             {bind(object{"name": "ADMIN_API_KEY", "type": "ai"}), map[string]string{"bindings[12].name": "secret as well"}},
		"name that is no identifier":   {bind(object{"name": "a-b", "type": "ai"}), map[string]string{"bindings[12].name": "identifier"}},
		"secret among bindings":        {bind(object{"name": "X", "type": "secret_text", "text": "x"}), map[string]string{"bindings[12].type": "in secrets"}},
		"plain secret by name":         {bind(object{"name": "GROQ_API_KEY", "type": "plain_text", "text": "x"}), map[string]string{"bindings[12].name": "sounds like a secret"}},
		"plain secret by marking":      {bind(object{"name": "X", "type": "plain_text", "text": secretly{"x"}}), map[string]string{"bindings[12].text": "secret value"}},
		"plain secret by value":        {bind(object{"name": "X", "type": "plain_text", "text": "hunter22hunter22"}), map[string]string{"bindings[12].text": "ADMIN_API_KEY"}},
		"a count that is no secret":    {bind(object{"name": "MAX_TOKENS", "type": "plain_text", "text": "5"}), nil},
		"empty text":                   {bind(object{"name": "X", "type": "plain_text", "text": ""}), nil},
		"bad json":                     {bind(object{"name": "X", "type": "json", "json": "{"}), map[string]string{"bindings[12].json": "not JSON"}},
		"bad period":                   {bind(object{"name": "X", "type": "ratelimit", "namespaceId": "1", "limit": 1, "period": 30}), map[string]string{"bindings[12].period": "10 or 60"}},
		"class not declared":           {bind(object{"name": "X", "type": "durable_object_namespace", "className": "Other"}), map[string]string{"bindings[12].className": "durableObjects"}},
		"class of another script":      {bind(object{"name": "X", "type": "durable_object_namespace", "className": "Other", "scriptName": "do"}), nil},
		"empty secret":                 {set("secrets", secretly{object{"A": ""}}), map[string]string{"secrets.A": "empty"}},
		"class twice":                  {set("durableObjects", []any{object{"class": "Limiter"}, object{"class": "Limiter"}}), map[string]string{"durableObjects[1].class": "twice"}},
		"class also deleted":           {set("deletedClasses", []any{"Limiter"}), map[string]string{"durableObjects[0].class": "deletedClasses"}},
		"sampling rate":                {set("observability", object{"enabled": true, "headSamplingRate": 2}), map[string]string{"observability.headSamplingRate": "between 0 and 1"}},
		"placement":                    {set("placement", "near"), map[string]string{"placement": "smart"}},
		"CPU limit":                    {set("cpuMs", 400_000), map[string]string{"cpuMs": "300000"}},
		"a field that does not exist":  {set("compatabilityDate", "2026-01-01"), map[string]string{"compatabilityDate": ""}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEngine(t, newCloud(t), "WorkerScript")
			_, failures := e.check(worker(t, tt.edit))
			expectFailures(t, tt.want, failures)
		})
	}
}

func expectFailures(t *testing.T, want map[string]string, failures []p.CheckFailure) {
	t.Helper()
	got := map[string]string{}
	for _, f := range failures {
		got[f.Property] = f.Reason
	}
	for property, words := range want {
		if reason, found := got[property]; !found || !strings.Contains(reason, words) {
			t.Errorf("%s: want a failure with %q, got %v", property, words, got)
		}
	}
	if len(got) != len(want) {
		t.Errorf("want failures at %v, got %v", slices.Sorted(maps.Keys(want)), got)
	}
}

// What another resource will give is not known in a preview, and must not be called missing.
func TestCheckLeavesWhatIsNotKnownYet(t *testing.T) {
	t.Parallel()
	unknown := property.New(property.Computed)
	e := newEngine(t, newCloud(t), "WorkerScript")
	in := worker(t, func(o object) {
		bindings := o["bindings"].([]any)
		bindings[0].(object)["namespaceId"], bindings[3].(object)["service"] = unknown, unknown
		bindings[6].(object)["text"], bindings[7].(object)["json"] = unknown, unknown
		o["secrets"] = object{"ADMIN_API_KEY": unknown}
		o["modules"].(object)["worker.js"] = object{"path": unknown}
	})
	checked := e.mustCheck(in)
	for at, v := range map[string]property.Value{
		"secret":    checked.Get("secrets").AsMap().Get("ADMIN_API_KEY"),
		"namespace": checked.Get("bindings").AsArray().Get(0).AsMap().Get("namespaceId"),
		"path":      checked.Get("modules").AsMap().Get("worker.js").AsMap().Get("path"),
	} {
		if !v.IsComputed() {
			t.Errorf("%s became %v", at, v)
		}
	}
	if !checked.Get("secrets").Secret() {
		t.Error("secrets are not marked as such")
	}
}

func TestCheckCompletesTheInputs(t *testing.T) {
	t.Parallel()
	e := newEngine(t, newCloud(t), "WorkerScript")
	in := worker(t, func(o object) { o["secrets"] = object{"ADMIN_API_KEY": "given in clear"} })
	checked := e.mustCheck(in)
	if got := checked.Get("accountId").AsString(); got != account {
		t.Errorf("accountId %q", got)
	}
	const want = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a" // printf '{}' | sha256sum
	if got := checked.Get("modules").AsMap().Get("worker.js.map").AsMap().Get("digest").AsString(); got != want {
		t.Errorf("digest %q", got)
	}
	if !checked.Get("secrets").Secret() {
		t.Error("a secret given in clear stays in clear")
	}
	for _, off := range []string{"workersDev", "previews"} {
		if v := checked.Get(off); !v.IsBool() || v.AsBool() {
			t.Errorf("%s is %v, want an explicit false for policies to see", off, v)
		}
	}
}

func TestEnvironmentStaysOutOfTheState(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	e := newEngine(t, c, "WorkerScript")
	out, err := e.server.CheckConfig(p.CheckRequest{Inputs: props(object{"accountId": account})})
	if err != nil || len(out.Failures) > 0 {
		t.Fatal(err, out.Failures)
	}
	for name, v := range out.Inputs.All {
		if v.IsString() && (v.AsString() == token || v.AsString() == c.base) {
			t.Errorf("%s was taken from the environment into the state", name)
		}
	}
	out, err = e.server.CheckConfig(p.CheckRequest{Inputs: props(object{"apiToken": token})})
	if err != nil || !out.Inputs.Get("apiToken").Secret() {
		t.Errorf("an explicit token is not secret: %v, %v", out.Inputs, err)
	}
}

func TestErrorsCarryTheCodeTheWordsAndAWayOut(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		edit func(object)
		want []string
	}{
		"throws at start": {
			func(o object) { o["modules"].(object)["worker.js"] = object{"content": "throw new Error()"} },
			[]string{"10021", "Uncaught Error", "still serving", "upload script api"},
		},
		"service not there": {
			func(o object) { o["bindings"].([]any)[3].(object)["service"] = "gone" }, []string{"10144", "'gone' not found", "Name output"},
		},
		"class of another script not there": {
			func(o object) { o["bindings"].([]any)[4].(object)["scriptName"] = "gone" },
			[]string{"10061", "not currently configured", "deploy that script first"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEngine(t, newCloud(t), "WorkerScript")
			_, err := e.up(worker(t, tt.edit))
			if err == nil {
				t.Fatal("no error")
			}
			for _, words := range tt.want {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("no %q in: %v", words, err)
				}
			}
			if e.id != "" || len(e.cloud.scripts) > 0 {
				t.Error("a refused upload left something")
			}
		})
	}
}

func TestNoToken(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.before = func(_, _ string) (int, int) { return 10000, 403 }
	e := newEngine(t, c, "WorkerScript")
	_, err := e.up(worker(t))
	if err == nil || !strings.Contains(err.Error(), "Workers Scripts") {
		t.Errorf("refused token: %v", err)
	}
	if strings.Contains(err.Error(), token) {
		t.Error("the error shows the token")
	}
}

func TestImportOfAScript(t *testing.T) {
	t.Parallel()
	e, _ := created(t)
	out, err := e.server.Read(p.ReadRequest{ID: account + "/api", Urn: e.urn()})
	if err != nil {
		t.Fatal(err)
	}
	got := []string{}
	for _, b := range out.Inputs.Get("bindings").AsArray().All {
		got = append(got, b.AsMap().Get("name").AsString())
	}
	want := []string{"AI", "BURST", "DB", "EVENTS", "ISSUER", "KEYS", "LIMITS", "ORIGINS", "SELF", "STATS", "UPLOADS", "VERSION"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("bindings (-want +got):\n%s", diff)
	}
	e.id, e.inputs, e.state = out.ID, out.Inputs, out.Properties
	in := worker(t)
	e.mustUp(in)
	if changed := e.mustUp(in); changed != nil {
		t.Errorf("after the import: %v", changed)
	}
	if _, err := e.server.Read(p.ReadRequest{ID: "api", Urn: e.urn()}); err == nil || !strings.Contains(err.Error(), "<script name>") {
		t.Errorf("a bad id: %v", err)
	}
}
