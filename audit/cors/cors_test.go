package cors_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/audittest"
	"github.com/cognomega/edge/audit/cors"
	"github.com/cognomega/edge/contract"
)

var origins = []string{"https://app.example.test", "http://localhost:5173"}

// gateway answers CORS as the contract says; a fault changes the answer afterwards.
func gateway(c *contract.Contract, fault func(http.Header, *http.Request) int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, cc, status := w.Header(), c.HTTP.CORS, http.StatusOK
		h.Set("Vary", strings.Join(cc.Vary, ", "))
		if origin := r.Header.Get("Origin"); slices.Contains(origins, origin) {
			h.Set("Access-Control-Allow-Origin", origin)
			h.Set("Access-Control-Allow-Credentials", "true")
			h.Set("Access-Control-Expose-Headers", strings.Join(cc.ExposeHeaders, ", "))
			if r.Method == http.MethodOptions {
				h.Set("Access-Control-Allow-Methods", strings.Join(cc.Methods, ","))
				h.Set("Access-Control-Allow-Headers", strings.Join(cc.AllowHeaders, ", "))
				h.Set("Access-Control-Max-Age", strconv.Itoa(cc.MaxAgeS))
			}
		}
		if r.Method == http.MethodOptions {
			status = http.StatusNoContent
		}
		if fault != nil {
			if s := fault(h, r); s != 0 {
				status = s
			}
		}
		w.WriteHeader(status)
	})
}

func check(t *testing.T, fault func(http.Header, *http.Request) int) audit.Result {
	t.Helper()
	c, err := contract.Load()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(gateway(c, fault))
	t.Cleanup(server.Close)
	base, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	target := &audit.Target{Env: "test", Hostname: "api.example.test", Origins: origins, BaseURL: base, HTTP: server.Client(), Contract: c}
	result, err := cors.Check().Run(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	audittest.Rejudge(t, cors.Check(), target, result)
	return result
}

func TestHealthy(t *testing.T) {
	t.Parallel()
	r := check(t, nil)
	if r.Verdict != audit.Pass || len(r.Findings) != 0 {
		t.Fatalf("%s: %+v", r.Summary, r.Findings)
	}
	seen := r.Evidence.(cors.Evidence)
	foreign := []string{"null", "https://evil.example", "https://app.example.test.evil.example", "https://evil-app.example.test", "http://app.example.test", "https://app.example.test:8443"}
	for _, origin := range append(foreign, origins...) {
		if !slices.ContainsFunc(seen.Exchanges, func(x cors.Exchange) bool { return x.Origin == origin && x.Path == "/healthz" }) {
			t.Errorf("/healthz was not asked from %s", origin)
		}
	}
	if n := len(seen.Exchanges); n < seen.Paths*seen.Origins {
		t.Errorf("%d exchanges for %d paths and %d origins", n, seen.Paths, seen.Origins)
	}
}

func TestPlantedFaultsAreFound(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		fault func(http.Header, *http.Request) int
		code  string
		got   string
		path  string // that the finding must name; any when empty
	}{
		"an extra layer doubles the header": {func(h http.Header, r *http.Request) int {
			h.Add("Access-Control-Allow-Origin", r.Header.Get("Origin"))
			return 0
		}, "cors_doubled", "http://localhost:5173, http://localhost:5173", ""},
		"an extra layer on one service": {func(h http.Header, r *http.Request) int {
			if r.URL.Path == "/api/ai/binding" && r.Method == http.MethodGet {
				h.Add("Access-Control-Expose-Headers", "X-Request-Id")
			}
			return 0
		}, "cors_doubled", "", "/api/ai/binding"},
		"wildcard": {func(h http.Header, _ *http.Request) int { h.Set("Access-Control-Allow-Origin", "*"); return 0 }, "cors_wildcard", "*", ""},
		"reflected origin": {func(h http.Header, r *http.Request) int {
			h.Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
			return 0
		}, "cors_reflected", "http://app.example.test", ""},
		"null is let in": {func(h http.Header, r *http.Request) int {
			if r.Header.Get("Origin") == "null" {
				h.Set("Access-Control-Allow-Origin", "null")
			}
			return 0
		}, "cors_reflected", "null", ""},
		"compared by suffix": {func(h http.Header, r *http.Request) int {
			if strings.HasSuffix(r.Header.Get("Origin"), "app.example.test") {
				h.Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
			}
			return 0
		}, "cors_reflected", "", ""},
		"compared by prefix": {func(h http.Header, r *http.Request) int {
			if strings.HasPrefix(r.Header.Get("Origin"), origins[0]) {
				h.Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
			}
			return 0
		}, "cors_reflected", "", ""},
		"requested headers are echoed": {func(h http.Header, r *http.Request) int {
			h.Set("Access-Control-Allow-Headers", r.Header.Get("Access-Control-Request-Headers"))
			return 0
		}, "cors_allow_headers", "", ""},
		"no Vary": {func(h http.Header, _ *http.Request) int { h.Set("Vary", "Accept-Encoding"); return 0 }, "cors_vary", "Accept-Encoding", ""},
		"one exposed less": {func(h http.Header, _ *http.Request) int {
			h.Set("Access-Control-Expose-Headers", "X-Request-Id")
			return 0
		}, "cors_expose_headers", "X-Request-Id", ""},
		"a promise to a stranger": {func(h http.Header, r *http.Request) int {
			if h.Get("Access-Control-Allow-Origin") == "" && r.URL.Path == "/ready" {
				h.Set("Access-Control-Allow-Origin", "")
			}
			return 0
		}, "cors_allowed", "empty", "/ready"},
		"no credentials":       {func(h http.Header, _ *http.Request) int { h.Del("Access-Control-Allow-Credentials"); return 0 }, "cors_credentials", "none", ""},
		"a path answers 404":   {func(_ http.Header, r *http.Request) int { return map[string]int{"/healthz": 404}[r.URL.Path] }, "preflight_status", "404 with 0 bytes", "/healthz"},
		"an alias answers 200": {func(_ http.Header, r *http.Request) int { return map[string]int{"/api/auth/guest": 200}[r.URL.Path] }, "preflight_status", "200 with 0 bytes", "/api/auth/guest"},
		"one path lacks an age": {func(h http.Header, r *http.Request) int {
			if r.URL.Path == "/ready" {
				h.Del("Access-Control-Max-Age")
			}
			return 0
		}, "cors_max_age", "none", "/ready"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := check(t, tt.fault)
			i := slices.IndexFunc(r.Findings, func(f audit.Finding) bool { return f.Code == tt.code })
			if i < 0 || r.Verdict != audit.Fail {
				t.Fatalf("no %s among %+v", tt.code, r.Findings)
			}
			f := r.Findings[i]
			if tt.path != "" && f.URL != "https://api.example.test"+tt.path || !strings.HasPrefix(f.URL, "https://api.example.test/") {
				t.Errorf("names %s", f.URL)
			}
			if tt.got != "" && f.Got != tt.got {
				t.Errorf("got %q, want %q", f.Got, tt.got)
			}
		})
	}
}

func TestAFaultEverywhereIsOneFinding(t *testing.T) {
	t.Parallel()
	r := check(t, func(h http.Header, _ *http.Request) int { h.Del("Vary"); return 0 })
	if len(r.Findings) > 4 || !strings.Contains(r.Findings[0].Message, "more paths") {
		t.Errorf("%d findings: %+v", len(r.Findings), r.Findings)
	}
}
