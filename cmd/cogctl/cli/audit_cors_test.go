package cli_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/term"
)

// errs answers as the gateway does where the small platform of the bench would not, and lets plant change the headers.
func errs(c *contract.Contract, plant func(http.Header, int)) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		status := errorFor(c, r)
		if status == 0 {
			return false
		}
		allow(w.Header(), c, r)
		if plant != nil {
			plant(w.Header(), status)
		}
		w.WriteHeader(status)
		return true
	}
}

func errorFor(c *contract.Contract, r *http.Request) int {
	var methods []string
	for own, p := range c.HTTP.Paths {
		if slices.Contains(p.All(own), r.URL.Path) {
			methods = p.Methods
		}
	}
	switch {
	case len(r.URL.RawQuery) > c.HTTP.Limits.MaxURLBytes:
		return http.StatusRequestURITooLong
	case methods == nil:
		return http.StatusNotFound
	case r.Method == http.MethodOptions:
		return 0
	case !slices.Contains(methods, strings.Replace(r.Method, http.MethodHead, http.MethodGet, 1)):
		return http.StatusMethodNotAllowed
	case r.Method == http.MethodPost:
		return http.StatusRequestEntityTooLarge
	case r.Header.Get("Authorization") != "":
		return http.StatusUnauthorized
	case r.URL.RawQuery != "":
		return http.StatusForbidden
	case r.URL.Path != "/.well-known/jwks.json":
		return http.StatusOK
	}
	return 0
}

func TestServicesThatPeopleUseAreNotBroken(t *testing.T) {
	t.Parallel()
	b := newBench(t, term.Fake{})
	if code := b.run("audit", "cors", "--break"); code != fault.ExitRefused || !strings.Contains(b.err.String(), "people use them") {
		t.Errorf("exit %d: %s%s", code, b.out, b.err)
	}
}

func TestAuditCors(t *testing.T) {
	t.Parallel()
	c := mustLoad(t)
	tests := map[string]struct {
		plant func(http.Header, int)
		args  []string
		code  int
		says  []string
	}{
		"healthy": {nil, nil, fault.ExitOK, []string{"✓ one CORS layer on every answer of api.cognomega.com: ", "/auth/guest", "413 ", "✓ covered", "429 ", "- not covered", "unknown paths"}},
		"errors that cannot be read": {func(h http.Header, status int) {
			if status == http.StatusUnauthorized {
				h.Del("Access-Control-Allow-Origin")
			}
		}, nil, fault.ExitFinding, []string{
			"✗ 1 finding in the CORS of api.cognomega.com", "✗ fail", "cors_error_unreadable  curl -sS -D - -o /dev/null -H 'Authorization: Bearer cogctl.not-a.token' -H 'Origin: https://",
			"'https://api.cognomega.com/api/ai/binding'", "hint  the page cannot tell",
		}},
		"too many requests":     {nil, []string{"--max-requests", "10"}, fault.ExitUsage, []string{"nothing was sent", "hint  --max-requests 1"}},
		"a limit of nothing":    {nil, []string{"--max-requests", "0"}, fault.ExitUsage, []string{"would send nothing"}},
		"a plan":                {nil, []string{"--plan"}, fault.ExitOK, []string{"none was sent", "oversized body", "PROPFIND"}},
		"markdown, for reviews": {nil, []string{"-o", "markdown"}, fault.ExitOK, []string{"| path | names |", "| 429 | - not covered |"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, fake := range []term.Fake{{}, {TTY: true, NoColor: true, Width: 400}} {
				b := newBench(t, fake)
				b.broken = errs(c, tt.plant)
				code := b.run(append([]string{"audit", "cors"}, tt.args...)...)
				if code != tt.code {
					t.Errorf("exit %d, want %d", code, tt.code)
				}
				for _, want := range tt.says {
					if !strings.Contains(b.out.String()+b.err.String(), want) {
						t.Errorf("%q is not in\n%s%s", want, b.out, b.err)
					}
				}
			}
		})
	}
}

// What was to be provoked and did not come is no pass; what does not answer at all is no verdict.
func TestAuditCorsThatSeesTooLittle(t *testing.T) {
	t.Parallel()
	b := newBench(t, term.Fake{})
	if code := b.run("audit", "cors"); code != fault.ExitInconclusive || !strings.Contains(b.out.String(), "? not covered") || !strings.HasPrefix(b.out.String(), "? CORS of api.cognomega.com") {
		t.Errorf("exit %d: %s%s", code, b.out, b.err)
	}
	b.broken = func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }
	if code := b.run("audit", "cors"); code != fault.ExitAPI || b.out.Len() != 0 {
		t.Errorf("exit %d: %s%s", code, b.out, b.err)
	}
}

// corsDocument is cogctl/audit.cors/v1, written out: a key that is added, renamed or retyped is seen here.
type corsDocument struct {
	Schema   string `json:"schema"`
	Env      string `json:"env"`
	Hostname string `json:"hostname"`
	Verdict  string `json:"verdict"`
	Summary  string `json:"summary"`
	Requests int    `json:"requests"`
	TookMS   int    `json:"took_ms"`
	Groups   []struct {
		Path     string         `json:"path"`
		Aliases  []string       `json:"aliases"`
		Requests int            `json:"requests"`
		Allowed  int            `json:"allowed"`
		Foreign  int            `json:"foreign"`
		Statuses map[string]int `json:"statuses"`
		Faults   int            `json:"faulty_answers"`
	} `json:"groups"`
	Coverage []struct {
		Status  string `json:"status"`
		How     string `json:"how"`
		Asked   int    `json:"asked"`
		Allowed int    `json:"allowed"`
		Foreign int    `json:"foreign"`
		Covered bool   `json:"covered"`
		Why     string `json:"why"`
	} `json:"coverage"`
	Findings []struct {
		Severity string `json:"severity"`
		Code     string `json:"code"`
		Message  string `json:"message"`
		URL      string `json:"url"`
		Got      string `json:"got"`
		Want     string `json:"want"`
		Resource struct {
			Kind string `json:"kind"`
			Name string `json:"name"`
		} `json:"resource"`
		Hint string `json:"hint"`
		Curl string `json:"curl"`
	} `json:"findings"`
	Evidence struct {
		Exchanges []struct {
			Probe      string              `json:"probe"`
			Method     string              `json:"method"`
			Path       string              `json:"path"`
			Origin     string              `json:"origin"`
			Kind       string              `json:"origin_kind"`
			Allowed    bool                `json:"origin_allowed"`
			AskMethod  string              `json:"request_method"`
			AskHeaders string              `json:"request_headers"`
			Status     int                 `json:"status"`
			Body       int                 `json:"body_bytes"`
			Headers    map[string][]string `json:"headers"`
		} `json:"exchanges"`
	} `json:"evidence"`
}

func TestAuditCorsDocument(t *testing.T) {
	t.Parallel()
	b := newBench(t, term.Fake{})
	b.broken = errs(mustLoad(t), func(h http.Header, _ int) { h.Set("Vary", "Origin") })
	if code := b.run("audit", "cors", "-o", "json"); code != fault.ExitFinding {
		t.Fatalf("exit %d: %s", code, b.err)
	}
	var d corsDocument
	dec := json.NewDecoder(bytes.NewReader(b.out.Bytes()))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil || dec.More() {
		t.Fatal(err)
	}
	if d.Schema != "cogctl/audit.cors/v1" || d.Verdict != "fail" || d.Requests != len(d.Evidence.Exchanges) || len(d.Groups) < 20 || len(d.Coverage) != 10 {
		t.Errorf("%s %s, %d requests, %d groups, %d lines", d.Schema, d.Verdict, d.Requests, len(d.Groups), len(d.Coverage))
	}
	if len(d.Findings) == 0 || d.Findings[0].Code != "cors_vary" || d.Findings[0].Got != "Origin" || !strings.HasPrefix(d.Findings[0].Curl, "curl ") {
		t.Errorf("%+v", d.Findings)
	}
}
