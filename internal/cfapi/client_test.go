package cfapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/fault"
)

const (
	account = "fedcba9876543210fedcba9876543210"
	zone    = "0123456789abcdef0123456789abcdef"
	secret  = "s3cr3t-s3cr3t-s3cr3t-s3cr3t-s3cr3t-s3cr3t"
)

// flaky answers each path with its list of answers in turn, the last one for ever, and remembers what was asked.
type flaky struct {
	mu      sync.Mutex
	answers map[string][]answer
	asked   []string
	bodies  []string
}

type answer struct {
	status int
	header http.Header
	body   string
}

func ok(result string) answer {
	return answer{status: 200, body: `{"success":true,"errors":[],"messages":[],"result":` + result + `}`}
}

func refusal(status, code int, message string) answer {
	return answer{status: status, body: fmt.Sprintf(`{"success":false,"errors":[{"code":%d,"message":%q}],"messages":[],"result":null}`, code, message)}
}

func (f *flaky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	f.asked, f.bodies = append(f.asked, r.Method+" "+r.URL.Path), append(f.bodies, string(body))
	key := r.Method + " " + r.URL.Path
	list := f.answers[key]
	if len(list) == 0 {
		w.WriteHeader(http.StatusNotImplemented)
		fmt.Fprintf(w, "no answer is prepared for %s", key)
		return
	}
	a := list[0]
	if len(list) > 1 {
		f.answers[key] = list[1:]
	}
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.body)
}

// bed is a client of a flaky server whose waits are recorded instead of waited.
type bed struct {
	*cfapi.Client
	server *flaky
	waits  []time.Duration
}

func newBed(t *testing.T, answers map[string][]answer) *bed {
	t.Helper()
	b := &bed{server: &flaky{answers: answers}}
	s := httptest.NewServer(b.server)
	t.Cleanup(s.Close)
	c, err := cfapi.New(cfapi.Config{BaseURL: s.URL, Token: secret, AccountID: account, Sleep: func(_ context.Context, d time.Duration) error {
		b.waits = append(b.waits, d)
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	b.Client = c
	return b
}

const routesPath = "/zones/" + zone + "/workers/routes"

func TestAReadIsRepeatedUntilItAnswers(t *testing.T) {
	t.Parallel()
	b := newBed(t, map[string][]answer{"GET " + routesPath: {
		{status: 502, body: "<html><title>502 Bad Gateway</title></html>"}, {status: 503}, ok(`[{"id":"r","pattern":"a.test/*","script":"w"}]`),
	}})
	routes, err := b.Routes(t.Context(), zone)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]cfapi.Route{{ID: "r", Pattern: "a.test/*", Script: "w"}}, routes); diff != "" {
		t.Error(diff)
	}
	if len(b.waits) != 2 || b.waits[0] < 125*time.Millisecond || b.waits[1] > time.Second || len(b.server.asked) != 3 {
		t.Errorf("waited %v for %v", b.waits, b.server.asked)
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	t.Parallel()
	b := newBed(t, map[string][]answer{"GET " + routesPath: {
		{status: 429, header: http.Header{"Retry-After": {"7"}}, body: `{"success":false,"errors":[{"code":971,"message":"Please wait"}]}`}, ok(`[]`),
	}})
	said := ""
	ctx := cfapi.WithWaiting(t.Context(), func(wait time.Duration, because error) { said += wait.String() + " " + because.Error() })
	if _, err := b.Routes(ctx, zone); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]time.Duration{7 * time.Second}, b.waits); diff != "" {
		t.Error(diff)
	}
	if said != "7s Cloudflare says 971 Please wait" {
		t.Errorf("it said %q", said)
	}
}

func TestALongRetryAfterEndsTheCall(t *testing.T) {
	t.Parallel()
	b := newBed(t, map[string][]answer{"GET " + routesPath: {
		{status: 429, header: http.Header{"Retry-After": {"300"}}, body: `{"success":false,"errors":[{"code":971,"message":"Please wait and consider throttling your request speed"}]}`},
	}})
	_, err := b.Routes(t.Context(), zone)
	if !errors.Is(err, fault.Unavailable) || cfapi.Code(err) != 971 || !strings.Contains(fault.HintOf(err), "5m0s") || len(b.waits) != 0 {
		t.Errorf("%v (code %d, hint %q) after %v", err, cfapi.Code(err), fault.HintOf(err), b.waits)
	}
}

func TestAWriteThatMayHaveHappenedIsNotRepeated(t *testing.T) {
	t.Parallel()
	for _, status := range []int{429, 500, 503} {
		b := newBed(t, map[string][]answer{"POST " + routesPath: {refusal(status, 1, "no")}})
		_, err := b.CF().Raw(t.Context(), http.MethodPost, routesPath, map[string]string{"pattern": "a.test/*"}, nil)
		if err == nil || len(b.server.asked) != 1 {
			t.Errorf("%d: asked %v, error %v", status, b.server.asked, err)
		}
	}
}

func TestAPutIsRepeatedWithItsBody(t *testing.T) {
	t.Parallel()
	path := "/accounts/" + account + "/storage/kv/namespaces/ns/values/a/b"
	b := newBed(t, map[string][]answer{"PUT " + path: {{status: 500}, ok("{}")}})
	if err := b.KVPut(t.Context(), "ns", "a/b", []byte("value")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"value", "value"}, b.server.bodies); diff != "" {
		t.Error(diff)
	}
}

func TestErrorsKeepTheAPIsCodeAndNameThePermission(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		answer answer
		kind   fault.Kind
		code   int
		text   string
		hint   string
	}{
		"10000":             {refusal(403, 10000, "Authentication error"), fault.Denied, 10000, "10000 Authentication error", "'Zone: Workers Routes: Read'"},
		"9109":              {refusal(403, 9109, "Unauthorized to access requested resource"), fault.Denied, 9109, "9109 Unauthorized", "'Zone: Workers Routes: Read'"},
		"bad token":         {refusal(400, 6003, "Invalid request headers"), fault.Unauthenticated, 6003, "6003 Invalid request headers", "CLOUDFLARE_API_TOKEN"},
		"not there":         {refusal(404, 10009, "route not found"), fault.NotFound, 10009, "10009 route not found", ""},
		"taken":             {refusal(400, 10020, "duplicate"), fault.Conflict, 10020, "10020 duplicate", ""},
		"refused pattern":   {refusal(400, 10022, "invalid pattern"), fault.Invalid, 10022, "10022 invalid pattern", ""},
		"no code":           {answer{status: 403, body: `{"success":false,"errors":[{"code":null,"message":"Forbidden"}]}`}, fault.Denied, 0, "Forbidden", "Workers Routes"},
		"a bare string":     {answer{status: 400, body: `{"success":false,"errors":["quota exceeded"]}`}, fault.Invalid, 0, "quota exceeded", ""},
		"a page of a proxy": {answer{status: 403, body: "<html><head><title>Access denied |\n example</title></head><body>x</body></html>"}, fault.Denied, 0, "Access denied | example", ""},
		"nothing at all":    {answer{status: 418}, fault.Invalid, 0, "HTTP 418 I'm a teapot", ""},
		"not offered":       {answer{status: 501, body: "x"}, fault.Unsupported, 0, "x", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t, map[string][]answer{"GET " + routesPath: {tt.answer}})
			_, err := b.Routes(t.Context(), zone)
			if !errors.Is(err, tt.kind) || cfapi.Code(err) != tt.code || !cfapi.HasCode(err, tt.code) && tt.code != 0 {
				t.Errorf("kind %s, code %d: %v", fault.KindOf(err), cfapi.Code(err), err)
			}
			if want := "read Worker routes of zone " + zone + ": Cloudflare says " + tt.text; !strings.HasPrefix(err.Error(), want) {
				t.Errorf("says %q, want %q", err, want)
			}
			if !strings.Contains(fault.HintOf(err), tt.hint) {
				t.Errorf("hint %q, want %q", fault.HintOf(err), tt.hint)
			}
			if strings.Contains(err.Error()+fault.HintOf(err), secret) {
				t.Error("the token is in the error")
			}
		})
	}
}

func TestListsAreReadToTheEnd(t *testing.T) {
	t.Parallel()
	tests := map[string]bool{"with totals": true, "without totals": false}
	for name, totals := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const total = 23
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				page, _ := strconv.Atoi(r.URL.Query().Get("page"))
				per, _ := strconv.Atoi(r.URL.Query().Get("per_page"))
				items := []map[string]string{}
				for i := (page - 1) * per; i < min(page*per, total); i++ {
					items = append(items, map[string]string{"name": fmt.Sprint("p", i)})
				}
				doc := map[string]any{"success": true, "result": items}
				if totals {
					doc["result_info"] = map[string]int{"page": page, "per_page": per, "total_count": total, "total_pages": (total + per - 1) / per}
				}
				_ = json.NewEncoder(w).Encode(doc)
			}))
			t.Cleanup(s.Close)
			c, err := cfapi.New(cfapi.Config{BaseURL: s.URL, Token: secret, AccountID: account})
			if err != nil {
				t.Fatal(err)
			}
			found, err := c.PagesProjects(t.Context())
			if err != nil || len(found) != total || found[22].Name != "p22" {
				t.Errorf("%d projects, %v", len(found), err)
			}
		})
	}
}

func TestAListThatNeverEndsIsAnError(t *testing.T) {
	t.Parallel()
	b := newBed(t, map[string][]answer{"GET /accounts/" + account + "/pages/projects": {ok(`[{"name":"p"}]`)}})
	if _, err := b.PagesProjects(t.Context()); !errors.Is(err, fault.Unavailable) {
		t.Errorf("got %v", err)
	}
}

func TestAnAbsentRulesetIsNoRules(t *testing.T) {
	t.Parallel()
	b := newBed(t, map[string][]answer{
		"GET /zones/" + zone + "/rulesets/phases/" + cfapi.PhaseDynamicRedirect + "/entrypoint": {refusal(404, 10003, "could not find entrypoint ruleset")},
	})
	if rules, err := b.ZoneRules(t.Context(), zone, cfapi.PhaseDynamicRedirect); err != nil || len(rules) != 0 {
		t.Errorf("%v %v", rules, err)
	}
}

func TestVerifyToken(t *testing.T) {
	t.Parallel()
	own := "/accounts/" + account + "/tokens/verify"
	tests := map[string]struct {
		user, account answer
		kind          fault.Kind
	}{
		"a user's":         {ok(`{"id":"t","status":"active"}`), refusal(500, 1, "not asked"), ""},
		"an account's":     {refusal(401, 1000, "Invalid API Token"), ok(`{"id":"t","status":"active"}`), ""},
		"nobody's":         {refusal(401, 1000, "Invalid API Token"), refusal(401, 1000, "Invalid API Token"), fault.Unauthenticated},
		"one switched off": {ok(`{"id":"t","status":"disabled"}`), refusal(500, 1, "not asked"), fault.Unauthenticated},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t, map[string][]answer{"GET /user/tokens/verify": {tt.user}, "GET " + own: {tt.account}})
			if _, err := b.VerifyToken(t.Context()); fault.KindOf(err) != tt.kind {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestNewRefusesWhatWouldLeakTheToken(t *testing.T) {
	t.Parallel()
	for _, c := range []cfapi.Config{{Token: secret, BaseURL: "http://api.example.com"}, {Token: secret, BaseURL: "ftp://127.0.0.1"}, {Token: secret, BaseURL: "::"}, {BaseURL: "https://api.example.com"}} {
		if _, err := cfapi.New(c); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", c.BaseURL, err)
		}
	}
	for _, base := range []string{"", "http://127.0.0.1:1/client/v4/", "http://localhost:1", "http://api.localhost", "http://[::1]:1", "https://api.example.com"} {
		if c, err := cfapi.New(cfapi.Config{Token: secret, BaseURL: base}); err != nil || strings.HasSuffix(c.BaseURL(), "/") {
			t.Errorf("%s: %v", base, err)
		}
	}
}

func TestCancellingEndsTheWait(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(&flaky{answers: map[string][]answer{"GET " + routesPath: {{status: 503}}}})
	t.Cleanup(s.Close)
	ctx, cancel := context.WithCancel(t.Context())
	c, err := cfapi.New(cfapi.Config{BaseURL: s.URL, Token: secret, Sleep: func(ctx context.Context, _ time.Duration) error {
		cancel()
		return ctx.Err()
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Routes(ctx, zone); !errors.Is(err, fault.Unavailable) {
		t.Errorf("got %v", err)
	}
}
