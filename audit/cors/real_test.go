package cors_test

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/audittest"
	"github.com/cognomega/edge/audit/cors"
	"github.com/cognomega/edge/stacks/bundle"
)

func matrix(t *testing.T, target *audit.Target) audit.Result {
	t.Helper()
	started := time.Now()
	r, err := cors.Matrix().Run(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s in %s", r.Summary, time.Since(started).Round(time.Millisecond))
	audittest.Rejudge(t, cors.Matrix(), target, r)
	return r
}

func coverage(t *testing.T, r audit.Result, status string) cors.Coverage {
	t.Helper()
	all := cors.Cover(r.Evidence.(cors.MatrixEvidence).Exchanges)
	i := slices.IndexFunc(all, func(c cors.Coverage) bool { return c.Status == status })
	if i < 0 {
		t.Fatalf("no line for %s in %+v", status, all)
	}
	return all[i]
}

// TestRealGateway runs the matrix against the Workers that are deployed, in workerd, and against faults planted before them.
func TestRealGateway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	healthy := matrix(t, w.target())
	if healthy.Verdict != audit.Pass || len(healthy.Findings) != 0 {
		t.Fatalf("%s %s: %+v", healthy.Verdict, healthy.Summary, healthy.Findings)
	}
	for _, status := range []string{"200-203", "204", "401", "403", "404", "405", "413", "414"} {
		if c := coverage(t, healthy, status); !c.Covered || c.Allowed == 0 || c.Foreign == 0 {
			t.Errorf("%+v", c)
		}
	}
	for _, status := range []string{"429", "5xx"} {
		if c := coverage(t, healthy, status); c.Covered || c.Why == "" {
			t.Errorf("%s was not provoked, so it must not count as covered: %+v", status, c)
		}
	}
	for name, tt := range planted {
		t.Run(name, func(t *testing.T) {
			target, ca := w.behind(t, tt.change)
			r := matrix(t, target)
			i := slices.IndexFunc(r.Findings, func(f audit.Finding) bool { return f.Code == tt.code })
			if i < 0 || r.Verdict != audit.Fail {
				t.Fatalf("no %s among %+v", tt.code, r.Findings)
			}
			f := r.Findings[i]
			if got := curl(t, ca, f); got != f.Got || tt.got != "" && got != tt.got || !strings.Contains(f.Message, tt.says) {
				t.Errorf("the witness shows %q; the finding is %+v", got, f)
			}
		})
	}
	t.Run("services that fail in every way", func(t *testing.T) {
		r := w.brokenRun(t, w.target())
		if r.Verdict != audit.Pass || len(r.Findings) != 0 {
			t.Errorf("%s %s: %+v", r.Verdict, r.Summary, r.Findings)
		}
		for _, status := range []string{"429", "5xx"} {
			if c := coverage(t, r, status); !c.Covered {
				t.Errorf("%+v", c)
			}
		}
		target, _ := w.behind(t, func(res *http.Response) {
			if res.StatusCode == http.StatusTooManyRequests {
				res.Header.Del(acao)
			}
			if res.StatusCode == http.StatusBadGateway {
				res.Header.Add("Access-Control-Allow-Methods", "GET")
			}
		})
		r = w.brokenRun(t, target)
		for code, says := range map[string]string{"cors_error_unreadable": "status 429", "cors_allowed": "status 502"} {
			if !slices.ContainsFunc(r.Findings, func(f audit.Finding) bool { return f.Code == code && strings.Contains(f.Message, says) }) {
				t.Errorf("no %s with %s among %+v", code, says, r.Findings)
			}
		}
	})
	t.Run("a service that fails", func(t *testing.T) {
		w.upload("auth-svc", []byte(`export default { async fetch() { throw new Error("planted"); } };`), nil)
		w.upload("orchestrator-svc", []byte(`export default { async fetch() { return new Response("{}", { status: 503, headers: { "access-control-allow-origin": "*" } }); } };`), nil)
		r := matrix(t, w.target())
		if c := coverage(t, r, "5xx"); !c.Covered || len(r.Findings) != 0 || r.Verdict != audit.Inconclusive {
			t.Errorf("no read succeeded, so nothing is concluded, and the errors are all readable: %s %+v %+v", r.Verdict, c, r.Findings)
		}
	})
}

// brokenRun breaks the services by uploading stand-ins, and puts the Workers themselves back.
func (w *world) brokenRun(t *testing.T, target *audit.Target) audit.Result {
	t.Helper()
	check := cors.Broken(func(_ context.Context, workers []string, status int) (func(context.Context) error, error) {
		for _, name := range workers {
			w.upload(name, []byte(cors.StandIn(status)), nil)
		}
		return func(context.Context) error {
			for _, name := range workers {
				b, err := bundle.Build(t.Context(), root, name)
				if err != nil {
					return err
				}
				w.upload(name, b.Code, w.bindings(name))
			}
			return nil
		}, nil
	})
	r, err := check.Run(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(r.Summary)
	audittest.Rejudge(t, check, target, r)
	return r
}

const acao = "Access-Control-Allow-Origin"

var planted = map[string]struct {
	change          func(*http.Response)
	code, got, says string
}{
	"a doubled header": {func(res *http.Response) {
		if res.Header.Get(acao) != "" {
			res.Header.Add(acao, res.Header.Get(acao))
		}
	}, "cors_doubled", "", "204, 401, 403, 404, 405, 413, 414"},
	"a reflected origin": {func(res *http.Response) {
		if o := res.Request.Header.Get("Origin"); o != "" {
			res.Header.Set(acao, o)
		}
	}, "cors_reflected", "", "case, foreign, idn, list, null, pattern, port, prefix, scheme, subdomain, suffix, trailing-dot, trailing-slash, userinfo"},
	"a wildcard with credentials": {func(res *http.Response) {
		res.Header.Set(acao, "*")
		res.Header.Set("Access-Control-Allow-Credentials", "true")
	}, "cors_wildcard_credentials", "*", ""},
	"no Vary": {func(res *http.Response) { res.Header.Del("Vary") }, "cors_vary", "none", ""},
	"no Vary on errors": {func(res *http.Response) {
		if res.StatusCode == http.StatusRequestEntityTooLarge {
			res.Header.Set("Vary", "Accept-Encoding")
		}
	}, "cors_vary", "Accept-Encoding", "status 413"},
	"an allow header on a foreign 404": {func(res *http.Response) {
		if res.StatusCode == http.StatusNotFound {
			res.Header.Set("Access-Control-Allow-Methods", "GET, POST")
		}
	}, "cors_allowed", "GET, POST", "status 404"},
	"a header only on success": {func(res *http.Response) {
		if res.StatusCode >= http.StatusBadRequest {
			res.Header.Del(acao)
		}
	}, "cors_error_unreadable", "none", "status 401, 403, 404, 405, 413, 414"},
	"names that are echoed": {func(res *http.Response) {
		if asked := res.Request.Header.Get("Access-Control-Request-Headers"); asked != "" && res.Header.Get(acao) != "" {
			res.Header.Set("Access-Control-Allow-Headers", asked)
		}
	}, "cors_allow_headers", "", "OPTIONS"},
	"an origin in another header": {func(res *http.Response) {
		res.Header.Set("X-Seen", "from "+res.Request.Header.Get("Origin"))
	}, "cors_reflected", "", "X-Seen"},
	"a private network let in": {func(res *http.Response) {
		res.Header.Set("Access-Control-Allow-Private-Network", "true")
	}, "cors_unknown", "true", ""},
}

// curl runs a finding's own line in a shell and returns what it shows of the header that is at fault.
func curl(t *testing.T, ca string, f audit.Finding) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", f.Curl)
	cmd.Env = append(os.Environ(), "CURL_CA_BUNDLE="+ca)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", f.Curl, err)
	}
	var values []string
	for line := range strings.Lines(string(out)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok && strings.EqualFold(name, f.Resource.Name) {
			values = append(values, strings.TrimSpace(value))
		}
	}
	if len(values) == 0 {
		return "none"
	}
	return strings.Join(values, ", ")
}
