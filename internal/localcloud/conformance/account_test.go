package conformance

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/cloudflare/cloudflare-go"
)

func TestIdentity(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	token := must(b.VerifyAPIToken(t.Context()))(t, "verify token")
	if token.Status != "active" || token.ID == "" {
		t.Errorf("token: got %+v, want an id and status active", token)
	}
	accounts, _, err := b.Accounts(t.Context(), cloudflare.AccountsListParams{})
	ok(t, "list accounts", err)
	found := false
	for _, a := range accounts {
		found = found || a.ID == b.AccountID
	}
	if !found {
		t.Errorf("accounts %+v do not have %s", accounts, b.AccountID)
	}
	zones := must(b.ListZonesContext(t.Context(), cloudflare.WithZoneFilters(b.zoneName, b.AccountID, "")))(t, "list zones")
	if len(zones.Result) != 1 || zones.Result[0].ID != b.ZoneID || zones.Result[0].Account.ID != b.AccountID {
		t.Errorf("zones named %s: %+v", b.zoneName, zones.Result)
	}
	if id, err := b.ZoneIDByName(b.zoneName); err != nil || id != b.ZoneID {
		t.Errorf("zone by name: %s, %v", id, err)
	}
}

func TestWrongToken(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	stranger, err := cloudflare.NewWithAPIToken("wrong_wrong_wrong_wrong_wrong_wrong_1234", cloudflare.BaseURL(b.Endpoint.BaseURL), cloudflare.UsingRetryPolicy(0, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	_, err = stranger.VerifyAPIToken(t.Context())
	wantCode(t, "verify a wrong token", err, 1000)
	if _, _, err = stranger.ListWorkers(t.Context(), b.account, cloudflare.ListWorkersParams{}); err == nil {
		t.Error("a wrong token lists scripts")
	}
}

func TestDNSRecords(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	ctx := t.Context()
	proxied := true
	params := cloudflare.CreateDNSRecordParams{Type: "A", Name: b.name + "." + b.zoneName, Content: "192.0.2.1", Proxied: &proxied, TTL: 1}
	made := must(b.CreateDNSRecord(ctx, b.zone, params))(t, "create record")
	b.cleanup(t, "delete record", func(ctx context.Context) error { return b.DeleteDNSRecord(ctx, b.zone, made.ID) })
	if made.Name != params.Name || made.Proxied == nil || !*made.Proxied {
		t.Errorf("made %+v", made)
	}
	_, err := b.CreateDNSRecord(ctx, b.zone, params)
	wantCode(t, "create it again", err, 81057, 81058)
	listed, _, err := b.ListDNSRecords(ctx, b.zone, cloudflare.ListDNSRecordsParams{Name: params.Name})
	ok(t, "list records", err)
	if len(listed) != 1 || listed[0].ID != made.ID {
		t.Errorf("listed %+v", listed)
	}
	unproxied := false
	changed := must(b.UpdateDNSRecord(ctx, b.zone, cloudflare.UpdateDNSRecordParams{ID: made.ID, Proxied: &unproxied}))(t, "update record")
	if *changed.Proxied || changed.Content != "192.0.2.1" {
		t.Errorf("changed %+v", changed)
	}
	ok(t, "delete record", b.DeleteDNSRecord(ctx, b.zone, made.ID))
	_, err = b.GetDNSRecord(ctx, b.zone, made.ID)
	wantCode(t, "get a deleted record", err, 81044)
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	ctx := t.Context()
	script := b.upload(t, hello, nil)
	pattern := b.name + "." + b.zoneName + "/api/*"
	var made cloudflare.WorkerRouteResponse
	b.eventually(t, "create route", func() (err error) { // a real account needs a moment to know a new script: 10019
		made, err = b.CreateWorkerRoute(ctx, b.zone, cloudflare.CreateWorkerRouteParams{Pattern: pattern, Script: script})
		return err
	})
	remove := func(ctx context.Context) error {
		_, err := b.DeleteWorkerRoute(ctx, b.zone, made.ID)
		return err
	}
	b.cleanup(t, "delete route", remove)
	_, err := b.CreateWorkerRoute(ctx, b.zone, cloudflare.CreateWorkerRouteParams{Pattern: pattern, Script: script})
	wantCode(t, "duplicate route", err, 10020)
	_, err = b.CreateWorkerRoute(ctx, b.zone, cloudflare.CreateWorkerRouteParams{Pattern: b.zoneName + "/a*b", Script: script})
	wantCode(t, "infix wildcard", err, 10022)
	_, err = b.CreateWorkerRoute(ctx, b.zone, cloudflare.CreateWorkerRouteParams{Pattern: b.name + "." + b.zoneName + "/x", Script: b.name})
	wantCode(t, "route to no script", err, 10019)
	got := must(b.GetWorkerRoute(ctx, b.zone, made.ID))(t, "get route")
	if got.Pattern != pattern || got.ScriptName != script {
		t.Errorf("got %+v", got.WorkerRoute)
	}
	null := must(b.UpdateWorkerRoute(ctx, b.zone, cloudflare.UpdateWorkerRouteParams{ID: made.ID, Pattern: pattern}))(t, "make it a null route")
	if null.ScriptName != "" {
		t.Errorf("null route has script %q", null.ScriptName)
	}
	listed := must(b.ListWorkerRoutes(ctx, b.zone, cloudflare.ListWorkerRoutesParams{}))(t, "list routes")
	if len(listed.Routes) == 0 {
		t.Error("no routes listed")
	}
	ok(t, "delete route", remove(ctx))
	_, err = b.GetWorkerRoute(ctx, b.zone, made.ID)
	wantCode(t, "get a deleted route", err, 10009)
}

func TestCustomDomains(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	ctx := t.Context()
	script, other := b.upload(t, hello, nil), b.upload(t, hello, nil)
	params := cloudflare.AttachWorkersDomainParams{ZoneID: b.ZoneID, Hostname: b.name + "." + b.zoneName, Service: script, Environment: "production"}
	made := must(b.AttachWorkersDomain(ctx, b.account, params))(t, "attach domain")
	b.cleanup(t, "detach domain", func(ctx context.Context) error { return b.DetachWorkersDomain(ctx, b.account, made.ID) })
	params.Service = other
	_, err := b.AttachWorkersDomain(ctx, b.account, params)
	wantCode(t, "attach to another script", err, 100116)
	listed := must(b.ListWorkersDomains(ctx, b.account, cloudflare.ListWorkersDomainParams{Hostname: params.Hostname}))(t, "list domains")
	if len(listed) != 1 || listed[0].Service != script {
		t.Errorf("listed %+v", listed)
	}
	records, _, err := b.ListDNSRecords(ctx, b.zone, cloudflare.ListDNSRecordsParams{Name: params.Hostname})
	ok(t, "list records", err)
	if len(records) != 1 || records[0].Proxied == nil || !*records[0].Proxied {
		t.Errorf("a custom domain makes one proxied record, got %+v", records)
	}
	_ = must(b.GetWorkersDomain(ctx, b.account, made.ID))(t, "get domain")
	ok(t, "detach", b.DetachWorkersDomain(ctx, b.account, made.ID))
	_, err = b.GetWorkersDomain(ctx, b.account, made.ID)
	wantCode(t, "get a detached domain", err, 100114)
	address := must(b.CreateDNSRecord(ctx, b.zone, cloudflare.CreateDNSRecordParams{Type: "A", Name: "x" + params.Hostname, Content: "192.0.2.1", TTL: 1}))(t, "create record")
	b.cleanup(t, "delete record", func(ctx context.Context) error { return b.DeleteDNSRecord(ctx, b.zone, address.ID) })
	params.Hostname = "x" + params.Hostname
	_, err = b.AttachWorkersDomain(ctx, b.account, params)
	wantCode(t, "attach over a record", err, 100117)
}

func TestRulesetsAndPages(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	ctx := t.Context()
	_, err := b.GetEntrypointRuleset(ctx, b.zone, "http_request_dynamic_redirect")
	var missing *cloudflare.NotFoundError
	if err != nil && !errors.As(err, &missing) {
		t.Errorf("an entrypoint is there or not found, got %v", err)
	}
	_ = must(b.ListRulesets(ctx, b.zone, cloudflare.ListRulesetsParams{}))(t, "list rulesets")
	_ = must(b.ListPageRules(ctx, b.ZoneID))(t, "list page rules")
	project := must(b.CreatePagesProject(ctx, b.account, cloudflare.CreatePagesProjectParams{Name: b.name, ProductionBranch: "main"}))(t, "create project")
	b.cleanup(t, "delete project", func(ctx context.Context) error { return b.DeletePagesProject(ctx, b.account, b.name) })
	_, err = b.CreatePagesProject(ctx, b.account, cloudflare.CreatePagesProjectParams{Name: b.name, ProductionBranch: "main"})
	wantCode(t, "create project again", err, 8000002)
	if project.SubDomain == "" {
		t.Errorf("project %+v has no subdomain", project)
	}
	projects, _, err := b.ListPagesProjects(ctx, b.account, cloudflare.ListPagesProjectsParams{})
	ok(t, "list projects", err)
	if len(projects) == 0 {
		t.Error("no projects listed")
	}
	domain := b.name + "." + b.zoneName
	_ = must(b.PagesAddDomain(ctx, cloudflare.PagesDomainParameters{AccountID: b.AccountID, ProjectName: b.name, DomainName: domain}))(t, "add domain")
	domains := must(b.GetPagesDomains(ctx, cloudflare.PagesDomainsParameters{AccountID: b.AccountID, ProjectName: b.name}))(t, "list domains")
	if len(domains) != 1 || domains[0].Name != domain {
		t.Errorf("domains %+v", domains)
	}
	ok(t, "delete domain", b.PagesDeleteDomain(ctx, cloudflare.PagesDomainParameters{AccountID: b.AccountID, ProjectName: b.name, DomainName: domain}))
	ok(t, "delete project", b.DeletePagesProject(ctx, b.account, b.name))
	_, err = b.GetPagesProject(ctx, b.account, b.name)
	wantCode(t, "get a deleted project", err, 8000007)
}

func TestUnknownPaths(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	_, err := b.Raw(t.Context(), http.MethodGet, "/accounts/not-an-id/workers/scripts", nil, nil)
	wantCode(t, "malformed account id", err, 7003)
}
