package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cognomega/edge/internal/localcloud/api/apitest"
)

func TestAuthentication(t *testing.T) {
	t.Parallel()
	b := apitest.New(t)
	tests := map[string]struct {
		header, path string
		status, code int
	}{
		"no token":                {"", "/zones", 400, 9106},
		"basic":                   {"Basic eDp5", "/zones", 400, 6003},
		"empty bearer":            {"Bearer ", "/zones", 400, 6003},
		"unknown token":           {"Bearer nobody", "/zones", 403, 9109},
		"unknown token, verify":   {"Bearer nobody", "/user/tokens/verify", 401, 1000},
		"prefix of the token":     {"Bearer " + apitest.Token[:39], "/zones", 403, 9109},
		"hash as the token":       {"Bearer " + strings.Repeat("0", 64), "/zones", 403, 9109},
		"stranger, unknown path":  {"Bearer nobody", "/nothing/here", 403, 9109},
		"the operator":            {"Bearer " + apitest.Token, "/zones", 200, 0},
		"the operator's own hash": {"bearer " + apitest.Token, "/zones", 400, 6003},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			want(t, name, b.Call(t, "GET", test.path, nil, "Authorization", test.header), test.status, test.code)
		})
	}
	a := b.Call(t, "GET", "/user/tokens/verify", nil)
	if a.Header.Get("Ratelimit") == "" || a.Header.Get("Ratelimit-Policy") == "" {
		t.Errorf("no rate limit headers: %v", a.Header)
	}
}

func mint(t *testing.T, b *apitest.Bed, permissions ...string) string {
	t.Helper()
	groups := []object{}
	for _, p := range permissions {
		groups = append(groups, object{"name": p})
	}
	a := b.Call(t, "POST", "/user/tokens", object{"name": "narrow", "policies": []object{{
		"effect": "allow", "resources": object{"com.cloudflare.api.account." + apitest.AccountID: "*"}, "permission_groups": groups,
	}}})
	want(t, "mint", a, 200, 0)
	var made struct {
		ID    string `json:"id"`
		Value string `json:"value"`
	}
	a.Into(t, &made)
	if len(made.Value) != 40 {
		t.Fatalf("token value %q is not 40 characters", made.Value)
	}
	return made.Value
}

func TestReadTokensCannotWrite(t *testing.T) {
	t.Parallel()
	b := apitest.New(t)
	deployed(t, b, "worker", hello, nil)
	account, zone := "/accounts/"+apitest.AccountID, "/zones/"+apitest.ZoneID
	secret := mint(t, b, "Workers Scripts Read", "Workers KV Storage Read", "Workers R2 Storage Read", "Queues Read", "Workers Routes Read",
		"DNS Read", "Zone Read", "Hyperdrive Read", "Pages Read", "Account Settings Read", "Account Analytics Read")
	reads := []string{account + "/workers/scripts", account + "/storage/kv/namespaces", account + "/r2/buckets", account + "/queues",
		account + "/workers/queues", zone + "/workers/routes", zone + "/dns_records", "/zones", account + "/hyperdrive/configs", account + "/pages/projects"}
	for _, path := range reads {
		want(t, "read "+path, b.Call(t, "GET", path, nil, "Authorization", "Bearer "+secret), 200, 0)
	}
	writes := map[string]string{
		"PUT " + account + "/workers/scripts/worker":            "",
		"DELETE " + account + "/workers/scripts/worker":         "",
		"PUT " + account + "/workers/scripts/worker/schedules":  "[]",
		"POST " + account + "/storage/kv/namespaces":            `{"title":"x"}`,
		"POST " + account + "/r2/buckets":                       `{"name":"bucket"}`,
		"POST " + account + "/queues":                           `{"queue_name":"q"}`,
		"POST " + account + "/workers/queues":                   `{"queue_name":"q"}`,
		"POST " + zone + "/workers/routes":                      `{"pattern":"cognomega.localhost/*"}`,
		"POST " + zone + "/dns_records":                         `{"type":"A","name":"x","content":"192.0.2.1"}`,
		"POST " + account + "/hyperdrive/configs":               `{}`,
		"POST " + account + "/pages/projects":                   `{"name":"p"}`,
		"PUT " + account + "/workers/domains":                   `{}`,
		"PUT " + account + "/workers/scripts/worker/routes":     `[]`,
		"PUT " + account + "/workers/scripts/worker/secrets":    `{"name":"A","text":"b"}`,
		"POST " + account + "/workers/scripts/worker/subdomain": `{"enabled":true}`,
	}
	for call, body := range writes {
		method, path, _ := strings.Cut(call, " ")
		want(t, call, b.Call(t, method, path, body, "Authorization", "Bearer "+secret), 403, 10000)
	}
	want(t, "mint with a narrow token", b.Call(t, "POST", "/user/tokens", object{"name": "x"}, "Authorization", "Bearer "+secret), 403, 9109)
	want(t, "the script is still there", b.Account(t, "GET", "/workers/scripts/worker/settings", nil), 200, 0)
}

func TestMintedTokens(t *testing.T) {
	t.Parallel()
	b := apitest.New(t)
	minter := mint(t, b, "API Tokens Write", "DNS Read")
	body := func(permission, resource string) object {
		return object{"name": "n", "policies": []object{{"effect": "allow", "resources": object{resource: "*"}, "permission_groups": []object{{"name": permission}}}}}
	}
	all := "com.cloudflare.api.account.*"
	as := []string{"Authorization", "Bearer " + minter}
	want(t, "no more than itself", b.Call(t, "POST", "/user/tokens", body("DNS Write", all), as...), 403, 9109)
	want(t, "as much as itself", b.Call(t, "POST", "/user/tokens", body("DNS Read", all), as...), 200, 0)
	want(t, "a group nobody has", b.Call(t, "POST", "/user/tokens", body("Everything", all)), 400, 1001)
	want(t, "one zone alone", b.Call(t, "POST", "/user/tokens", body("DNS Read", "com.cloudflare.api.account.zone."+apitest.ZoneID)), 501, 501)
	list := b.Call(t, "GET", "/user/tokens", nil)
	want(t, "list", list, 200, 0)
	if strings.Contains(string(list.Body), minter) || strings.Contains(string(list.Body), apitest.Token) {
		t.Error("the list gives a token's secret")
	}
	var tokens []struct {
		ID string `json:"id"`
	}
	list.Into(t, &tokens)
	verify := b.Call(t, "GET", "/user/tokens/verify", nil, as...)
	var me struct {
		ID string `json:"id"`
	}
	verify.Into(t, &me)
	want(t, "revoke", b.Call(t, "DELETE", "/user/tokens/"+me.ID, nil), 200, 0)
	want(t, "revoked", b.Call(t, "GET", "/user/tokens/verify", nil, as...), 401, 1000)
}

func TestPathsAndMethods(t *testing.T) {
	t.Parallel()
	b := apitest.New(t)
	account := "/accounts/" + apitest.AccountID
	tests := map[string]struct {
		method, path string
		status, code int
	}{
		"no family":               {"GET", "/nothing", 404, 7003},
		"malformed account":       {"GET", "/accounts/xyz/workers/scripts", 404, 7003},
		"malformed zone":          {"GET", "/zones/xyz/dns_records", 404, 7003},
		"malformed namespace":     {"GET", account + "/storage/kv/namespaces/xyz/keys", 404, 7003},
		"another account":         {"GET", "/accounts/" + strings.Repeat("1", 32) + "/workers/scripts", 403, 10000},
		"another zone":            {"GET", "/zones/" + strings.Repeat("1", 32) + "/dns_records", 403, 9109},
		"not emulated":            {"GET", account + "/stream", 501, 501},
		"not emulated, of a zone": {"GET", "/zones/" + apitest.ZoneID + "/firewall/rules", 501, 501},
		"method, workers":         {"POST", account + "/workers/scripts", 405, 10405},
		"method, kv":              {"PATCH", account + "/storage/kv/namespaces", 405, 10000},
		"method, zones":           {"DELETE", "/zones/" + apitest.ZoneID, 405, 7001},
		"trailing slash":          {"GET", account + "/workers/scripts/", 200, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := b.Call(t, test.method, test.path, nil)
			want(t, name, a, test.status, test.code)
			if test.status == 501 && !strings.Contains(string(a.Body), test.path) {
				t.Errorf("a path that is not emulated names itself: %s", a.Body)
			}
		})
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	b := apitest.New(t)
	b.Faults.Throttle(2, 7*time.Second)
	for range 2 {
		a := b.Call(t, "GET", "/zones", nil)
		want(t, "throttled", a, http.StatusTooManyRequests, 971)
		if a.Header.Get("Retry-After") != "7" {
			t.Errorf("Retry-After: %q", a.Header.Get("Retry-After"))
		}
	}
	want(t, "afterwards", b.Call(t, "GET", "/zones", nil), 200, 0)
	b.Faults.Fail(1, 502)
	a := b.Call(t, "GET", "/zones", nil)
	if a.Status != 502 || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") {
		t.Errorf("failure: %d %s", a.Status, a.Header.Get("Content-Type"))
	}
	want(t, "after the failure", b.Call(t, "GET", "/zones", nil), 200, 0)
}

func TestBodyLimits(t *testing.T) {
	t.Parallel()
	b := apitest.New(t)
	want(t, "oversized JSON", b.Account(t, "POST", "/queues", strings.Repeat(" ", 5<<20)), 413, 10027)
	want(t, "empty JSON", b.Account(t, "POST", "/queues", ""), 400, 10026)
	want(t, "broken JSON", b.Account(t, "POST", "/queues", "{"), 400, 10026)
	want(t, "two values", b.Account(t, "POST", "/queues", `{"queue_name":"a"}{}`), 400, 10026)
	want(t, "JSON as text", b.Account(t, "POST", "/queues", `{"queue_name":"a"}`, "Content-Type", "text/plain;charset=UTF-8"), 200, 0)
}
