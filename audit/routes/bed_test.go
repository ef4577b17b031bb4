package routes_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/cloudflare/cloudflare-go"

	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/localcloud/api"
	"github.com/cognomega/edge/internal/localcloud/store"
)

const (
	host    = "api.example.test"
	zoneID  = "0123456789abcdef0123456789abcdef"
	account = "fedcba9876543210fedcba9876543210"
	secret  = "0123456789012345678901234567890123456789"
)

// bed is a real account: the local cloud's API over its real store. Only the code of Workers does not run.
type bed struct {
	t     *testing.T
	store *store.Store
	url   string
	api   *cfapi.Client
}

// newBed makes a healthy account: gateway and auth exist, the gateway owns the host by one route, its record is proxied.
func newBed(t *testing.T) *bed {
	t.Helper()
	s, err := store.Open(t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	b := &bed{t: t, store: s}
	b.token(secret, "*")
	b.put(store.Zones, zoneID, store.Zone{ID: zoneID, Name: "example.test", Status: "active"})
	server := httptest.NewServer(api.New(api.Config{Store: s, Runtime: starts{}, AccountID: account, AccountName: "test"}))
	t.Cleanup(server.Close)
	b.url = server.URL + api.Prefix
	b.api = b.client(secret)
	for _, name := range []string{"gateway", "auth", "voice"} {
		b.upload(name)
	}
	b.record("A", host, "192.0.2.1", true)
	b.route(host+"/*", "gateway")
	return b
}

func (b *bed) client(token string) *cfapi.Client {
	b.t.Helper()
	c, err := cfapi.New(cfapi.Config{BaseURL: b.url, Token: token, AccountID: account, HTTP: http.DefaultClient, RetryMax: -1})
	if err != nil {
		b.t.Fatal(err)
	}
	return c
}

func (b *bed) token(secret string, permissions ...string) {
	b.put(store.Tokens, api.HashToken(secret), store.Token{ID: "t", Status: "active", Permissions: permissions})
}

func (b *bed) put(c store.Collection, id string, doc any) {
	b.t.Helper()
	b.must(b.store.Update(func(tx *store.Tx) error { return tx.Put(c, id, doc) }))
}

func (b *bed) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bed) zone() *cloudflare.ResourceContainer { return cloudflare.ZoneIdentifier(zoneID) }
func (b *bed) acct() *cloudflare.ResourceContainer { return cloudflare.AccountIdentifier(account) }

func (b *bed) upload(name string) {
	b.t.Helper()
	_, err := b.api.CF().UploadWorker(b.t.Context(), b.acct(), cloudflare.CreateWorkerParams{
		ScriptName: name, Script: "export default { fetch() { return new Response('ok') } }", Module: true, CompatibilityDate: "2026-11-01",
	})
	b.must(err)
	b.switches(name, false, false)
}

func (b *bed) switches(script string, dev, previews bool) {
	b.t.Helper()
	body := map[string]bool{"enabled": dev, "previews_enabled": previews}
	_, err := b.api.CF().Raw(b.t.Context(), http.MethodPost, "/accounts/"+account+"/workers/scripts/"+script+"/subdomain", body, nil)
	b.must(err)
}

func (b *bed) record(kind, name, content string, proxied bool) string {
	b.t.Helper()
	r, err := b.api.CF().CreateDNSRecord(b.t.Context(), b.zone(), cloudflare.CreateDNSRecordParams{Type: kind, Name: name, Content: content, TTL: 1, Proxied: &proxied})
	b.must(err)
	return r.ID
}

func (b *bed) dropRecords() {
	b.t.Helper()
	found, err := b.api.DNSRecords(b.t.Context(), zoneID, host)
	b.must(err)
	for _, r := range found {
		b.must(b.api.CF().DeleteDNSRecord(b.t.Context(), b.zone(), r.ID))
	}
}

func (b *bed) route(pattern, script string) string {
	b.t.Helper()
	r, err := b.api.CF().CreateWorkerRoute(b.t.Context(), b.zone(), cloudflare.CreateWorkerRouteParams{Pattern: pattern, Script: script})
	b.must(err)
	return r.ID
}

func (b *bed) dropRoutes() {
	b.t.Helper()
	found, err := b.api.Routes(b.t.Context(), zoneID)
	b.must(err)
	for _, r := range found {
		_, err := b.api.CF().DeleteWorkerRoute(b.t.Context(), b.zone(), r.ID)
		b.must(err)
	}
}

func (b *bed) domain(hostname, script string) {
	b.t.Helper()
	_, err := b.api.CF().AttachWorkersDomain(b.t.Context(), b.acct(), cloudflare.AttachWorkersDomainParams{
		ZoneID: zoneID, Hostname: hostname, Service: script, Environment: "production",
	})
	b.must(err)
}

func (b *bed) pages(project, domain string) {
	b.t.Helper()
	root := "/accounts/" + account + "/pages/projects"
	_, err := b.api.CF().Raw(b.t.Context(), http.MethodPost, root, map[string]string{"name": project, "production_branch": "main"}, nil)
	b.must(err)
	_, err = b.api.CF().Raw(b.t.Context(), http.MethodPost, root+"/"+project+"/domains", map[string]string{"name": domain}, nil)
	b.must(err)
}

func (b *bed) redirect(expression string) {
	b.t.Helper()
	rule := map[string]any{
		"action": "redirect", "expression": expression, "enabled": true, "description": "planted",
		"action_parameters": map[string]any{"from_value": map[string]any{"status_code": 301, "target_url": map[string]string{"value": "https://elsewhere.test/"}}},
	}
	path := "/zones/" + zoneID + "/rulesets/phases/http_request_dynamic_redirect/entrypoint"
	_, err := b.api.CF().Raw(b.t.Context(), http.MethodPut, path, map[string]any{"rules": []any{rule}}, nil)
	b.must(err)
}

func (b *bed) manyRoutes(n int) {
	b.t.Helper()
	b.must(b.store.Update(func(tx *store.Tx) error {
		for i := range n {
			id := fmt.Sprintf("%032x", i+1)
			r := store.Route{ID: id, ZoneID: zoneID, Pattern: fmt.Sprintf("%s/p%d/*", host, i), Script: "gateway"}
			if err := tx.Put(store.Routes, zoneID+"/"+id, r); err != nil {
				return err
			}
		}
		return nil
	}))
}

func (b *bed) subdomain(name string) {
	b.t.Helper()
	_, err := b.api.CF().Raw(b.t.Context(), http.MethodPut, "/accounts/"+account+"/workers/subdomain", map[string]string{"subdomain": name}, nil)
	b.must(err)
}

// starts is a runtime on which every script starts and answers fetch.
type starts struct{}

func (starts) Prepare(context.Context, api.Change) (api.Prepared, error) { return started{}, nil }

type started struct{}

func (started) Exports(string) ([]string, []store.NamedHandler) { return []string{"fetch"}, nil }
func (started) StartupTime() time.Duration                      { return time.Millisecond }
func (started) Commit()                                         {}
func (started) Abort()                                          {}

func at() time.Time { return time.Date(2026, 11, 22, 18, 0, 0, 0, time.UTC) }
