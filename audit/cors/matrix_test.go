package cors_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/cors"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
)

// erring is gateway, which also errs where it should.
func erring(c *contract.Contract) http.Handler {
	return gateway(c, func(h http.Header, r *http.Request) int {
		i := slices.IndexFunc(c.PublicPaths(), func(p string) bool { return p == r.URL.Path })
		post := slices.Contains([]string{"/api/ai/test", "/auth/token", "/auth/guest", "/api/auth/guest", "/api/v1/auth/guest"}, r.URL.Path)
		switch {
		case len(r.URL.RawQuery) > c.HTTP.Limits.MaxURLBytes:
			return http.StatusRequestURITooLong
		case i < 0:
			for _, promise := range []string{"Access-Control-Allow-Methods", "Access-Control-Allow-Headers", "Access-Control-Max-Age"} {
				h.Del(promise)
			}
			return http.StatusNotFound
		case r.Method == http.MethodOptions:
			return 0
		case post != (r.Method == http.MethodPost):
			return http.StatusMethodNotAllowed
		case post:
			return http.StatusRequestEntityTooLarge
		case r.Header.Get("Authorization") != "":
			return http.StatusUnauthorized
		case r.URL.RawQuery != "":
			return http.StatusForbidden
		}
		return 0
	})
}

func serve(t *testing.T, h http.Handler) *audit.Target {
	t.Helper()
	c, err := contract.Load()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	base, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return &audit.Target{Env: "test", Hostname: "api.example.test", Origins: origins, BaseURL: base, HTTP: server.Client(), Contract: c}
}

func loaded(t *testing.T) *contract.Contract {
	t.Helper()
	c, err := contract.Load()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestMatrixOfAHealthyGateway(t *testing.T) {
	t.Parallel()
	r := matrix(t, serve(t, erring(loaded(t))))
	if r.Verdict != audit.Pass || len(r.Findings) != 0 || !strings.HasSuffix(r.Summary, "not covered: 429, 5xx") {
		t.Errorf("%s %s: %+v", r.Verdict, r.Summary, r.Findings)
	}
}

// What would be needed to change state is never sent, whatever the contract says.
func TestNothingThatChangesStateIsSent(t *testing.T) {
	t.Parallel()
	c := loaded(t)
	var sent atomic.Int64
	r := matrix(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent.Add(1)
		switch r.Method {
		case http.MethodGet, http.MethodHead, http.MethodOptions, "PROPFIND":
			if r.ContentLength != 0 {
				t.Errorf("%s %s has a body", r.Method, r.URL.Path)
			}
		case http.MethodPost:
			var body [70000]byte
			n := 0
			for n < len(body) {
				m, err := r.Body.Read(body[n:])
				if n += m; err != nil {
					break
				}
			}
			if json.Valid(body[:n]) || n != 16385 || r.Header.Get("X-Admin-Key") != "" {
				t.Errorf("POST %s has %d bytes: %.20s", r.URL.Path, n, body[:n])
			}
		default:
			t.Errorf("%s %s was sent", r.Method, r.URL.Path)
		}
		erring(c).ServeHTTP(w, r)
	})))
	if n := len(r.Evidence.(cors.MatrixEvidence).Exchanges); int64(n) != sent.Load() || n < 200 {
		t.Errorf("%d exchanges, %d requests", n, sent.Load())
	}
}

func TestEveryPathMeetsEveryKindOfOrigin(t *testing.T) {
	t.Parallel()
	target := serve(t, http.NotFoundHandler())
	asked := map[string]string{} // path and kind, to the last origin
	values := map[string]bool{}
	for _, r := range cors.Requests(target) {
		if r.Method == http.MethodOptions {
			asked[r.Path+" "+r.Kind] = r.Origin
		}
		values[r.Origin] = true
	}
	kinds := []string{
		"allowed", "foreign", "null", "absent", "suffix", "prefix", "subdomain", "pattern", "scheme", "port", "case", "trailing-dot", "trailing-slash", "userinfo", "idn", "list",
	}
	for _, path := range target.Contract.PublicPaths() {
		for _, kind := range kinds {
			if _, ok := asked[path+" "+kind]; !ok {
				t.Errorf("%s was not asked from kind %s", path, kind)
			}
		}
	}
	for _, origin := range []string{
		"", "null", "https://evil.example", "https://app.example.test", "http://localhost:5173",
		"https://app.example.test.evil.example", "https://evil-app.example.test", "https://evil.app.example.test", "https://appxexample.test", "http://app.example.test",
		"https://localhost:5173", "https://app.example.test:8443", "http://localhost:85173", "https://APP.EXAMPLE.TEST", "https://app.example.test.", "http://localhost.:5173",
		"https://app.example.test/", "https://app.example.test@evil.example", "https://xn--pp-6kc.example.test", "https://app.example.test, https://evil.example",
	} {
		if !values[origin] {
			t.Errorf("origin %q was never sent", origin)
		}
	}
}

func TestTheLimitSendsNothing(t *testing.T) {
	t.Parallel()
	var sent atomic.Int64
	target := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { sent.Add(1) }))
	_, err := cors.MatrixWithin(10).Run(t.Context(), target)
	if !errors.Is(err, fault.Invalid) || sent.Load() != 0 || !strings.HasPrefix(fault.HintOf(err), "--max-requests ") {
		t.Errorf("%v, after %d requests", err, sent.Load())
	}
}

// An answer that was to be provoked and did not come leaves the verdict open; it is never a pass.
func TestWhatWasNotSeenIsNotPassed(t *testing.T) {
	t.Parallel()
	healthy := erring(loaded(t))
	r := matrix(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Authorization")
		healthy.ServeHTTP(w, r)
	})))
	c := coverage(t, r, "401")
	if r.Verdict != audit.Inconclusive || c.Covered || !strings.Contains(c.Why, "answered 200") {
		t.Errorf("%s, %+v", r.Verdict, c)
	}
	target := serve(t, healthy)
	target.Origins = nil
	if r := matrix(t, target); r.Verdict != audit.Inconclusive {
		t.Errorf("without origins: %s", r.Verdict)
	}
}

func TestEvidenceOfAnotherMatrixIsRefused(t *testing.T) {
	t.Parallel()
	target := serve(t, erring(loaded(t)))
	e := matrix(t, target).Evidence.(cors.MatrixEvidence)
	for name, change := range map[string]func([]cors.Exchange) []cors.Exchange{
		"one left out":  func(xs []cors.Exchange) []cors.Exchange { return xs[1:] },
		"another probe": func(xs []cors.Exchange) []cors.Exchange { xs[0].Probe = "read"; return xs },
		"swapped":       func(xs []cors.Exchange) []cors.Exchange { xs[0], xs[1] = xs[1], xs[0]; return xs },
	} {
		raw, err := json.Marshal(cors.MatrixEvidence{Exchanges: change(slices.Clone(e.Exchanges))})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := cors.Matrix().Judge(target, raw); !errors.Is(err, fault.Denied) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
