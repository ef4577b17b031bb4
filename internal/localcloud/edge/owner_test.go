package edge_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/cognomega/edge/internal/localcloud/store"
)

// ownerBed is an account with every way there is to own a URL, or not to.
func ownerBed(t *testing.T) *bed {
	t.Helper()
	b := newBed(t)
	b.zone("example.com", []string{"example.com", "api.example.com", "*.wild.example.com", "deep.wild.example.com", "null.example.com", "both.example.com", "own.example.com"},
		"api.example.com/*", "api",
		"https://api.example.com/tls/*", "secure",
		"*.wild.example.com/*", "wild",
		"null.example.com/*", "api",
		"null.example.com/off/*", "",
		"both.example.com/r/*", "api",
		"both.example.com/off/*", "",
		"gone.example.com/*", "api",
		"plain.example.com/*", "api",
		"api.example.com/lost", "deleted",
	)
	b.zone("sub.example.com", []string{"x.sub.example.com"}, "x.sub.example.com/*", "sub")
	b.record("example.com", "plain.example.com", false)
	b.put(store.Domains, "1", store.CustomDomain{ID: "1", ZoneName: "example.com", Hostname: "own.example.com", Service: "domain"})
	b.put(store.Domains, "2", store.CustomDomain{ID: "2", ZoneName: "example.com", Hostname: "both.example.com", Service: "domain"})
	b.put(store.Settings, "workers-subdomain", map[string]string{"subdomain": "acme"})
	b.put(store.Domains, "3", store.CustomDomain{ID: "3", ZoneName: "example.com", Hostname: "bare.example.com", Service: "domain"})
	deployed := []store.Deployment{{Versions: []store.VersionShare{{VersionID: "0a1b2c3d-0000-4000-8000-000000000000", Percentage: 100}}}}
	b.put(store.Scripts, "api", store.Script{Name: "api", Subdomain: true, Deployments: deployed})
	b.put(store.Scripts, "quiet", store.Script{Name: "quiet", Deployments: deployed})
	b.put(store.Scripts, "shown", store.Script{Name: "shown", Previews: true, Deployments: deployed})
	b.named("api", "secure", "wild", "sub", "domain", "quiet", "shown")
	return b
}

func TestOwner(t *testing.T) {
	t.Parallel()
	b := ownerBed(t)
	tests := map[string]struct {
		url    string
		status int
		want   string // the script's answer, or a part of the page
	}{
		"route":                             {"http://api.example.com/x", 200, "api"},
		"host in capitals":                  {"http://API.Example.COM/x", 200, "api"},
		"host with a port and a dot":        {"http://api.example.com.:8443/x", 200, "api"},
		"scheme of another route":           {"http://api.example.com/tls/x", 200, "api"},
		"wildcard record and route":         {"http://a.b.wild.example.com/", 200, "wild"},
		"name below an existing one":        {"http://a.deep.wild.example.com/", 530, "1016"},
		"longest zone owns the host":        {"http://x.sub.example.com/", 200, "sub"},
		"null route":                        {"http://null.example.com/off/x", 522, "null.example.com/off/*"},
		"beside the null route":             {"http://null.example.com/on", 200, "api"},
		"custom domain":                     {"http://own.example.com/any/path?q", 200, "domain"},
		"below a custom domain":             {"http://x.own.example.com/", 530, "1016"},
		"custom domain without its record":  {"http://bare.example.com/", 530, "1016"},
		"route over custom domain":          {"http://both.example.com/r/1", 200, "api"},
		"custom domain behind a null route": {"http://both.example.com/off/1", 200, "domain"},
		"custom domain beside a route":      {"http://both.example.com/other", 200, "domain"},
		"no route":                          {"http://example.com/", 522, "No Worker route"},
		"no record":                         {"http://gone.example.com/", 530, "1016"},
		"unproxied record":                  {"http://plain.example.com/", 523, "DNS only"},
		"no zone":                           {"http://example.org/", 409, "1001"},
		"zone name as a mere suffix":        {"http://notexample.com/", 409, "1001"},
		"address":                           {"http://127.0.0.1/", 403, "1003"},
		"IPv6 address":                      {"http://[::1]:8080/", 403, "1003"},
		"route to a deleted Worker":         {"http://api.example.com/lost", 522, "deleted"},
		"workers.dev":                       {"http://api.acme.workers.dev/", 200, "api"},
		"workers.dev off":                   {"http://quiet.acme.workers.dev/", 404, "1042"},
		"workers.dev of another account":    {"http://api.other.workers.dev/", 404, "1042"},
		"workers.dev without a script":      {"http://acme.workers.dev/", 404, "1042"},
		"preview":                           {"http://0a1b2c3d-shown.acme.workers.dev/", 200, "shown"},
		"preview of another version":        {"http://ffffffff-shown.acme.workers.dev/", 404, "1042"},
		"previews off":                      {"http://0a1b2c3d-api.acme.workers.dev/", 404, "1042"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resp := b.get(tt.url)
			got := body(t, resp)
			if resp.StatusCode != tt.status || !strings.Contains(got, tt.want) {
				t.Errorf("%s: %d %s", tt.url, resp.StatusCode, got)
			}
			if tt.status == 200 && got != tt.want {
				t.Errorf("%s: served by %q, want %q", tt.url, got, tt.want)
			}
			if ray := resp.Header.Get("Cf-Ray"); len(ray) != 20 || resp.Header.Get("Server") != "cloudflare" {
				t.Errorf("cf-ray %q, server %q", ray, resp.Header.Get("Server"))
			}
		})
	}
}

func TestErrorPageAsJSON(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.zone("example.com", []string{"example.com"})
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://example.com/<script>", nil)
	req.Header.Set("Accept", "application/json, text/html;q=0.5")
	resp := b.do(req)
	var got struct {
		Status int    `json:"status"`
		Code   int    `json:"error_code"`
		Ray    string `json:"ray_id"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if got.Status != 522 || got.Code != 522 || got.Ray != resp.Header.Get("Cf-Ray") {
		t.Errorf("got %+v", got)
	}
	if ct := resp.Header.Get("Content-Type"); !strings.HasPrefix(ct, "application/problem+json") {
		t.Errorf("content type %q", ct)
	}
	req.Header.Set("Accept", "text/html,application/json")
	if ct := b.do(req).Header.Get("Content-Type"); ct != "text/html; charset=UTF-8" {
		t.Errorf("HTML asked for first, got %q", ct)
	}
}

func TestNextRequestSeesTheChange(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.zone("example.com", []string{"example.com"}, "example.com/*", "a")
	b.named("a", "b")
	for range 50 {
		b.put(store.Routes, "example.com/2", store.Route{ID: "2", ZoneID: "example.com", Pattern: "example.com/x*", Script: "b"})
		if got := body(t, b.get("http://example.com/x")); got != "b" {
			t.Fatalf("after adding: %q", got)
		}
		b.delete(store.Routes, "example.com/2")
		if got := body(t, b.get("http://example.com/x")); got != "a" {
			t.Fatalf("after deleting: %q", got)
		}
	}
}

func TestRouteThatDoesNotParseIsReportedAndOwnsNothing(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.zone("example.com", []string{"example.com"}, "example.com/*.jpg", "a", "example.com/*", "b")
	b.named("a", "b")
	if got := body(t, b.get("http://example.com/x.jpg")); got != "b" {
		t.Errorf("served by %q", got)
	}
	if !strings.Contains(b.log.String(), "route is skipped") {
		t.Errorf("log says nothing: %s", b.log.String())
	}
}

func TestTieIsReportedOnce(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.zone("example.com", []string{"example.com"}, "*example.com/*", "a", "example.com/*", "b")
	b.named("a", "b")
	for range 3 {
		if got := body(t, b.get("http://example.com/x")); got != "a" {
			t.Errorf("served by %q; miniflare picks the longer text", got)
		}
	}
	if n := strings.Count(b.log.String(), "ambiguous routes"); n != 1 {
		t.Errorf("reported %d times", n)
	}
}
