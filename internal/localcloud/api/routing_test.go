package api_test

import (
	"strings"
	"testing"

	"github.com/cognomega/edge/internal/localcloud/api/apitest"
)

func TestRoutes(t *testing.T) {
	t.Parallel()
	b := apitest.New(t)
	deployed(t, b, "web", hello, nil)
	tests := []struct {
		pattern      string
		status, code int
	}{
		{"cognomega.localhost/*", 200, 0},
		{"cognomega.localhost/*", 409, 10020},
		{"cognomega.localhost", 200, 0},
		{"*cognomega.localhost/*", 200, 0},
		{"*.cognomega.localhost/*", 200, 0},
		{"https://api.cognomega.localhost/v1/*", 200, 0},
		{"API.cognomega.localhost/Case", 200, 0},
		{"ftp://cognomega.localhost/*", 400, 10022},
		{"cognomega.localhost/a*b", 400, 10022},
		{"cognomega.localhost/*/x", 400, 10022},
		{"cognomega.localhost/a?b=c", 400, 10022},
		{"api.*.cognomega.localhost/", 400, 10022},
		{"a*.cognomega.localhost/", 400, 10022},
		{"example.com/*", 400, 10022},
		{"notcognomega.localhost/*", 400, 10022},
		{"*.localhost/*", 400, 10022},
		{"*", 400, 10022},
		{"", 400, 10022},
		{"cognomega.localhost:8080/*", 400, 10022},
		{"user@cognomega.localhost/*", 400, 10022},
		{"cognomega.localhost/a b", 400, 10022},
	}
	for _, test := range tests {
		want(t, test.pattern, b.Zone(t, "POST", "/workers/routes", object{"pattern": test.pattern, "script": "web"}), test.status, test.code)
	}
	want(t, "no script", b.Zone(t, "POST", "/workers/routes", object{"pattern": "x.cognomega.localhost/*", "script": "none"}), 400, 10019)
	null := b.Zone(t, "POST", "/workers/routes", object{"pattern": "x.cognomega.localhost/*"})
	want(t, "null route", null, 200, 0)
	if strings.Contains(string(null.Body), `"script"`) {
		t.Errorf("a null route has no script key: %s", null.Body)
	}
	var made struct {
		ID string `json:"id"`
	}
	null.Into(t, &made)
	want(t, "update to a duplicate", b.Zone(t, "PUT", "/workers/routes/"+made.ID, object{"pattern": "cognomega.localhost", "script": "web"}), 409, 10020)
	want(t, "update to itself", b.Zone(t, "PUT", "/workers/routes/"+made.ID, object{"pattern": "x.cognomega.localhost/*", "script": "web"}), 200, 0)
	want(t, "delete script", b.Account(t, "DELETE", "/workers/scripts/web", nil), 200, 0)
	if got := b.Zone(t, "GET", "/workers/routes", nil); string(got.Result) != "[]" {
		t.Errorf("routes of a deleted script: %s", got.Result)
	}
	want(t, "delete a route twice", b.Zone(t, "DELETE", "/workers/routes/"+made.ID, nil), 404, 10009)
}

func TestScriptRoutesAreReplaced(t *testing.T) {
	t.Parallel()
	b := apitest.New(t)
	deployed(t, b, "web", hello, nil)
	deployed(t, b, "other", hello, nil)
	want(t, "of another", b.Zone(t, "POST", "/workers/routes", object{"pattern": "cognomega.localhost/other", "script": "other"}), 200, 0)
	replace := func(patterns ...string) apitest.Answer {
		routes := []object{}
		for _, p := range patterns {
			routes = append(routes, object{"pattern": p})
		}
		return b.Account(t, "PUT", "/workers/scripts/web/routes", routes)
	}
	first := replace("cognomega.localhost/a", "cognomega.localhost/b")
	want(t, "first", first, 200, 0)
	var before, after []struct{ ID, Pattern string }
	first.Into(t, &before)
	second := replace("cognomega.localhost/b", "cognomega.localhost/c")
	second.Into(t, &after)
	if len(after) != 2 || after[0].ID != before[1].ID {
		t.Errorf("a pattern that stays keeps its id: %v then %v", before, after)
	}
	want(t, "over another's route", replace("cognomega.localhost/other"), 409, 10020)
	want(t, "in no zone", replace("example.com/*"), 400, 10082)
	if got := b.Zone(t, "GET", "/workers/routes", nil); strings.Count(string(got.Result), `"script":"web"`) != 2 {
		t.Errorf("a refused replacement must change nothing: %s", got.Result)
	}
}

func TestDNSRefusals(t *testing.T) {
	t.Parallel()
	b := apitest.New(t)
	tests := []struct {
		name         string
		record       object
		status, code int
	}{
		{"no such type", object{"type": "Z", "name": "a", "content": "x"}, 400, 9004},
		{"no content", object{"type": "A", "name": "a"}, 400, 9009},
		{"not IPv4", object{"type": "A", "name": "a", "content": "::1"}, 400, 9005},
		{"not IPv6", object{"type": "AAAA", "name": "a", "content": "1.1.1.1"}, 400, 9006},
		{"TXT proxied", object{"type": "TXT", "name": "a", "content": "x", "proxied": true}, 400, 9004},
		{"short TTL", object{"type": "A", "name": "a", "content": "192.0.2.1", "ttl": 5}, 400, 9021},
		{"good", object{"type": "a", "name": "a", "content": "192.0.2.1", "proxied": true, "ttl": 300}, 200, 0},
		{"identical", object{"type": "A", "name": "A.cognomega.localhost", "content": "192.0.2.1"}, 400, 81058},
		{"CNAME beside it", object{"type": "CNAME", "name": "a", "content": "x.test"}, 400, 81053},
		{"second address", object{"type": "A", "name": "a", "content": "192.0.2.2"}, 200, 0},
	}
	for _, test := range tests {
		want(t, test.name, b.Zone(t, "POST", "/dns_records", test.record), test.status, test.code)
	}
	got := b.Zone(t, "GET", "/dns_records?proxied=true", nil)
	if !strings.Contains(string(got.Result), `"name":"a.cognomega.localhost"`) || !strings.Contains(string(got.Result), `"ttl":1`) || !strings.Contains(string(got.Info), `"total_count":1`) {
		t.Errorf("records %s %s", got.Result, got.Info)
	}
}

func TestCustomDomainOverrides(t *testing.T) {
	t.Parallel()
	b := apitest.New(t)
	deployed(t, b, "web", hello, nil)
	deployed(t, b, "other", hello, nil)
	want(t, "address record", b.Zone(t, "POST", "/dns_records", object{"type": "A", "name": "api", "content": "192.0.2.1"}), 200, 0)
	attach := func(fields object) apitest.Answer {
		fields["hostname"], fields["zone_id"], fields["environment"] = "api.cognomega.localhost", apitest.ZoneID, "production"
		return b.Account(t, "PUT", "/workers/domains", fields)
	}
	want(t, "over the record", attach(object{"service": "web"}), 409, 100117)
	want(t, "override the record", attach(object{"service": "web", "override_existing_dns_record": true}), 200, 0)
	want(t, "the same again", attach(object{"service": "web"}), 200, 0)
	want(t, "by another", attach(object{"service": "other"}), 409, 100116)
	want(t, "override the origin", attach(object{"service": "other", "override_existing_origin": true}), 200, 0)
	want(t, "no script", attach(object{"service": "none"}), 404, 10007)
	set := b.Account(t, "POST", "/workers/scripts/web/domains/changeset?replace_state=true", []object{{"hostname": "api.cognomega.localhost"}, {"hostname": "new.cognomega.localhost"}})
	if !strings.Contains(string(set.Result), `"added":[{"hostname":"new.cognomega.localhost"}]`) || !strings.Contains(string(set.Result), `"service":"other"`) {
		t.Errorf("changeset %s", set.Result)
	}
	want(t, "delete the script", b.Account(t, "DELETE", "/workers/scripts/other", nil), 200, 0)
	if got := b.Zone(t, "GET", "/dns_records", nil); string(got.Result) != "[]" {
		t.Errorf("the domain's record outlives its script: %s", got.Result)
	}
}

func TestShadowsAreReadable(t *testing.T) {
	t.Parallel()
	b := apitest.New(t)
	entry := "/rulesets/phases/http_request_dynamic_redirect/entrypoint"
	want(t, "absent entrypoint", b.Zone(t, "GET", entry, nil), 404, 10003)
	rule := object{"rules": []object{{"action": "redirect", "expression": `http.host eq "api.cognomega.localhost"`, "enabled": true}}}
	want(t, "put entrypoint", b.Zone(t, "PUT", entry, rule), 200, 0)
	if got := b.Zone(t, "GET", entry, nil); !strings.Contains(string(got.Result), "api.cognomega.localhost") {
		t.Errorf("entrypoint %s", got.Result)
	}
	want(t, "the account's own", b.Account(t, "GET", "/rulesets/phases/http_request_redirect/entrypoint", nil), 404, 10003)
	page := object{"targets": []object{{"target": "url"}}, "actions": []object{{"id": "forwarding_url"}}, "status": "active"}
	made := b.Zone(t, "POST", "/pagerules", page)
	want(t, "page rule", made, 200, 0)
	var id struct{ ID string }
	made.Into(t, &id)
	if got := b.Zone(t, "GET", "/pagerules", nil); !strings.Contains(string(got.Result), id.ID) {
		t.Errorf("page rules %s", got.Result)
	}
	want(t, "delete page rule", b.Zone(t, "DELETE", "/pagerules/"+id.ID, nil), 200, 0)
	want(t, "project", b.Account(t, "POST", "/pages/projects", object{"name": "site", "production_branch": "main"}), 200, 0)
	domain := object{"name": "api.cognomega.localhost"}
	want(t, "domain", b.Account(t, "POST", "/pages/projects/site/domains", domain), 200, 0)
	want(t, "domain twice", b.Account(t, "POST", "/pages/projects/site/domains", domain), 409, 8000018)
	if got := b.Account(t, "GET", "/pages/projects", nil); !strings.Contains(string(got.Result), "api.cognomega.localhost") {
		t.Errorf("projects %s", got.Result)
	}
	want(t, "no domain", b.Account(t, "DELETE", "/pages/projects/site/domains/x", nil), 404, 8000021)
}
