package standin

import (
	"errors"
	"strings"
	"testing"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/api/apitest"
)

func TestOnlyALoopbackAPIIsSpokenTo(t *testing.T) {
	t.Parallel()
	for host, ok := range map[string]bool{
		"127.0.0.1:7443": true, "[::1]:7443": true, "localhost": true, "localhost:7443": true, "api.localhost:1": true, "127.9.9.9": true,
		"api.cloudflare.com": false, "localhost.example.com": false, "127.0.0.1.example.com:443": false, "10.0.0.1": false, "": false, "0.0.0.0:1": false,
	} {
		_, err := newClient(settings{token: apitest.Token, host: host, basePath: "/client/v4"})
		if ok != (err == nil) || err != nil && !errors.Is(err, fault.Refused) {
			t.Errorf("host %q: %v, want allowed: %t", host, err, ok)
		}
	}
	// A name may resolve to anything; what is dialled is looked at again.
	for address, ok := range map[string]bool{"127.0.0.1:1": true, "[::1]:1": true, "104.16.0.1:443": false, "[2606:4700::1]:443": false} {
		if err := onlyLoopback("tcp", address, nil); ok != (err == nil) {
			t.Errorf("dial %s: %v", address, err)
		}
	}
}

func TestConfigureRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		s    settings
		kind fault.Kind
	}{
		"no token":          {settings{host: "127.0.0.1"}, fault.Unauthenticated},
		"a short token":     {settings{host: "127.0.0.1", token: "short"}, fault.Unauthenticated},
		"no certificate":    {settings{host: "127.0.0.1", token: apitest.Token, caFile: "/nowhere/ca.pem"}, fault.Invalid},
		"not a certificate": {settings{host: "127.0.0.1", token: apitest.Token, caFile: "refuse_test.go"}, fault.Invalid},
	} {
		if _, err := newClient(test.s); !errors.Is(err, test.kind) {
			t.Errorf("%s: %v, want %s", name, err, test.kind)
		}
	}
}

func TestCheckIsAsStrictAsTheBridge(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	check := func(token string, in property.Map) string {
		r, err := b.p.Check(t.Context(), p.CheckRequest{Urn: urnOf(token), Inputs: in})
		if err != nil {
			return err.Error()
		}
		var said []string
		for _, f := range r.Failures {
			said = append(said, f.Property+": "+f.Reason)
		}
		return strings.Join(said, "; ")
	}
	for want, got := range map[string]string{
		"":                                 check(typeKV, props("accountId", "a", "title", "t")),
		"title: missing required property": check(typeKV, props("accountId", "a")),
		"titel: no such property; title: missing required property":                      check(typeKV, props("accountId", "a", "titel", "t")),
		"the stand-in Cloudflare plugin does not serve cloudflare:index/ruleset:Ruleset": check("cloudflare:index/ruleset:Ruleset", props()),
	} {
		if got != want {
			t.Errorf("check says %q, want %q", got, want)
		}
	}
}

func TestGetZone(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	got, err := b.p.Invoke(t.Context(), p.InvokeRequest{Token: getZone, Args: props("name", apitest.ZoneName, "accountId", apitest.AccountID)})
	if err != nil || got.Return.Get("zoneId").AsString() != apitest.ZoneID || got.Return.Get("accountId").AsString() != apitest.AccountID {
		t.Errorf("%v, %v", got.Return, err)
	}
	if _, err := b.p.Invoke(t.Context(), p.InvokeRequest{Token: getZone, Args: props("name", "nowhere.test")}); !errors.Is(err, fault.NotFound) {
		t.Errorf("an unknown zone: %v", err)
	}
	if _, err := b.p.Invoke(t.Context(), p.InvokeRequest{Token: "cloudflare:index/getIpRanges:getIpRanges"}); !errors.Is(err, fault.Unsupported) {
		t.Errorf("an unknown function: %v", err)
	}
}

func TestCrons(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	in := props("accountId", apitest.AccountID, "scriptName", "writer", "schedules", []string{"*/5 * * * *", "0 0 * * *"})
	if _, err := b.p.Create(t.Context(), p.CreateRequest{Urn: urnOf(typeCron), Properties: in}); !errors.Is(err, fault.NotFound) {
		t.Errorf("crons of a script that is not there: %v", err)
	}
	b.upload("writer")
	id := b.create(typeCron, in)
	turned := in.Set("schedules", toProperty([]string{"0 0 * * *", "*/5 * * * *"}))
	if d, err := b.p.Diff(t.Context(), p.DiffRequest{ID: id, Urn: urnOf(typeCron), State: in, OldInputs: in, Inputs: turned}); err != nil || d.HasChanges {
		t.Errorf("the order of crons is no change: %+v, %v", d, err)
	}
	b.Account(t, "PUT", "/workers/scripts/writer/schedules", []any{map[string]any{"cron": "1 1 * * *"}})
	if got, err := b.read(typeCron, id, in); err != nil || got.Inputs.Get("schedules").AsArray().Len() != 1 {
		t.Errorf("read after an edit: %+v, %v", got, err)
	}
	if err := b.p.Delete(t.Context(), p.DeleteRequest{ID: id, Urn: urnOf(typeCron), Properties: in}); err != nil {
		t.Fatal(err)
	}
	if got, err := b.read(typeCron, id, in); err != nil || got.Inputs.Get("schedules").AsArray().Len() != 0 {
		t.Errorf("read after delete: %+v, %v", got, err)
	}
}

func (b *bed) upload(script string) {
	b.t.Helper()
	const boundary = "a-boundary"
	part := func(name, kind, body string) string {
		return "--" + boundary + "\r\nContent-Disposition: form-data; name=\"" + name + "\"; filename=\"" + name + "\"\r\nContent-Type: " + kind + "\r\n\r\n" + body + "\r\n"
	}
	body := part("metadata", "application/json", `{"main_module":"w.js","compatibility_date":"2026-11-01"}`) +
		part("w.js", "application/javascript+module", "export default { scheduled() {} }") + "--" + boundary + "--\r\n"
	if a := b.Account(b.t, "PUT", "/workers/scripts/"+script, body, "Content-Type", "multipart/form-data; boundary="+boundary); !a.Success {
		b.t.Fatalf("upload %s: %s", script, a.Body)
	}
}

// A preview creates nothing, whatever the type.
func TestADryRunCreatesNothing(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	made, err := b.p.Create(t.Context(), p.CreateRequest{Urn: urnOf(typeKV), Properties: props("accountId", apitest.AccountID, "title", "one"), DryRun: true})
	if err != nil || made.ID != "" {
		t.Errorf("%+v, %v", made, err)
	}
	if a := b.Account(t, "GET", "/storage/kv/namespaces", nil); strings.Contains(string(a.Body), "one") {
		t.Error("a dry run created a namespace")
	}
}
