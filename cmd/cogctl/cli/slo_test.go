package cli_test

import (
	"context"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/term"
)

// sloBench is a bench whose objectives are far from what its platform does, so that a loaded machine changes nothing:
// patient is kept, hasty is missed when the platform is broken, later probes what does not exist yet.
func sloBench(t *testing.T, fake term.Fake) (*bench, *atomic.Int64) {
	t.Helper()
	b := newBench(t, fake)
	loaded, err := contract.Load()
	if err != nil {
		t.Fatal(err)
	}
	c := *loaded
	probe := contract.Probe{Path: "/api/ai/binding", Method: "GET"}
	c.SLO = map[string]contract.Objective{
		"patient": {Quantile: 0.9, MaxMS: 5000, Confidence: 0.95, Probe: probe},
		"later":   {Quantile: 0.9, MaxMS: 150, Confidence: 0.95, Probe: contract.Probe{Path: "/api/undeclared", Method: "GET"}},
	}
	b.deps.Contract = func() (*contract.Contract, error) { return &c, nil }
	resolve := b.deps.Target
	b.deps.Target = func(ctx context.Context, env string) (*audit.Target, error) {
		target, err := resolve(ctx, env)
		target.Contract = &c
		return target, err
	}
	asked := &atomic.Int64{}
	b.broken = func(http.ResponseWriter, *http.Request) bool {
		asked.Add(1)
		return false
	}
	return b, asked
}

// quick is the load of these tests: half a second at most.
var quick = []string{"slo", "prove", "patient", "--rate", "200", "--duration", "500ms", "--warm-up", "2", "--yes"}

func TestSLOProve(t *testing.T) {
	t.Parallel()
	b, asked := sloBench(t, term.Fake{})
	if code := b.run(append(quick, "-o", "json")...); code != fault.ExitOK {
		t.Fatalf("exit %d: %s%s", code, b.out, b.err)
	}
	if n := asked.Load(); n > 102 || n < 30 {
		t.Errorf("%d requests were sent", n)
	}
	doc := b.json()
	if got := slices.Sorted(maps.Keys(doc)); strings.Join(got, " ") != "env estimated_cost_usd hostname objectives requests_at_most schema verdict" || doc["schema"] != "cogctl/slo.prove/v1" || doc["verdict"] != "pass" {
		t.Errorf("got %v: %s", got, b.out)
	}
	one := doc["objectives"].([]any)[0].(map[string]any)
	if got := strings.Join(slices.Sorted(maps.Keys(one)), " "); got != "findings histogram lasted_ms limit_ms measured objective plan proof quantile requests_sent summary title verdict" {
		t.Errorf("an objective has %s", got)
	}
	measured := one["measured"].(map[string]any)
	if got := strings.Join(slices.Sorted(maps.Keys(measured)), " "); got != "bound_lower_ms bound_upper_ms errors late_sends least_requests_to_pass p50_ms p99_ms point_estimate_verdict quantile_ms requests_judged requests_over_limit verdict verdict_error_at_most worst_late_ms" {
		t.Errorf("a measurement has %s", got)
	}
	if measured["bound_upper_ms"].(float64) > 5000 || measured["verdict_error_at_most"] != 0.05 || measured["errors"] != 0.0 {
		t.Errorf("got %v", measured)
	}
	if !strings.Contains(b.err.String(), "at most 102 requests to api.cognomega.com") {
		t.Errorf("it does not say beforehand what it sends: %s", b.err)
	}
}

// TestSLOProofIsReDerived makes a proof, has it verified and reported, and then changes what it says.
func TestSLOProofIsReDerived(t *testing.T) {
	t.Parallel()
	b, _ := sloBench(t, term.Fake{})
	if code := b.run("slo", "report"); code != fault.ExitInconclusive || strings.Count(b.out.String(), "not proven yet") != 2 {
		t.Errorf("without proofs: exit %d: %s%s", code, b.out, b.err)
	}
	if code := b.run(quick...); code != fault.ExitOK {
		t.Fatalf("exit %d: %s%s", code, b.out, b.err)
	}
	for _, want := range []string{"P90 of GET /api/ai/binding ≤ 5000 ms", "open loop", "95 % bounds [", "·│ 5000 ms", "✓ pass", "P(false pass) ≤ 0.05", "cogctl verify re-derives this"} {
		if !strings.Contains(b.out.String(), want) {
			t.Errorf("%q is not in\n%s", want, b.out)
		}
	}
	file := filepath.Join(b.dir, "proofs", "2026-11-22T18-40-11Z-production-slo-patient.json")
	if code := b.run("verify", file); code != fault.ExitOK || !strings.Contains(b.out.String(), "✓ verified") {
		t.Errorf("exit %d: %s%s", code, b.out, b.err)
	}
	if code := b.run("slo", "report", "-o", "json"); code != fault.ExitInconclusive {
		t.Errorf("one of two is proven: exit %d: %s%s", code, b.out, b.err)
	}
	doc := b.json()
	all := doc["objectives"].([]any)
	if later, patient := all[0].(map[string]any), all[1].(map[string]any); doc["schema"] != "cogctl/slo.report/v1" || later["verdict"] != "inconclusive" || later["measured"] != nil ||
		patient["verdict"] != "pass" || patient["proofs"].(map[string]any)["pass"] != 1.0 || len(doc["uncounted"].([]any)) != 0 {
		t.Errorf("got %s", b.out)
	}
	raw := read(t, file)
	raw[len(raw)/2] ^= 1
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if code := b.run("slo", "report", "-o", "json"); code != fault.ExitInconclusive {
		t.Errorf("exit %d: %s%s", code, b.out, b.err)
	}
	if doc := b.json(); len(doc["uncounted"].([]any)) != 1 || doc["objectives"].([]any)[1].(map[string]any)["verdict"] != "inconclusive" {
		t.Errorf("a changed proof counts: %s", b.out)
	}
}

func TestSLOProveFails(t *testing.T) {
	t.Parallel()
	b, _ := sloBench(t, term.Fake{})
	b.broken = func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	}
	if code := b.run(append(quick, "later")...); code != fault.ExitFinding {
		t.Fatalf("exit %d: %s%s", code, b.out, b.err)
	}
	for _, want := range []string{"2 objectives on api.cognomega.com", "✗ fail", "× 503", "not declared yet: the contract has no path /api/undeclared", "-slo-patient.json"} {
		if !strings.Contains(b.out.String(), want) {
			t.Errorf("%q is not in\n%s", want, b.out)
		}
	}
}

func TestSLOProveTooLittle(t *testing.T) {
	t.Parallel()
	b, asked := sloBench(t, term.Fake{TTY: true})
	if code := b.run(append(quick, "--max-requests", "12", "--no-proof")...); code != fault.ExitInconclusive || asked.Load() > 12 {
		t.Fatalf("exit %d after %d requests: %s%s", code, asked.Load(), b.out, b.err)
	}
	if text := strings.Join(strings.Fields(b.out.String()), " "); !strings.Contains(text, "too few for any verdict") || !strings.Contains(text, "more than this one") {
		t.Errorf("got %s", text)
	}
	if kept, err := filepath.Glob(filepath.Join(b.dir, "proofs", "*")); err != nil || len(kept) > 0 {
		t.Errorf("kept %v", kept)
	}
	if code := b.run("slo", "prove", "later", "--yes"); code != fault.ExitInconclusive || asked.Load() > 12 || !strings.Contains(b.out.String(), "not declared yet") {
		t.Errorf("exit %d: %s%s", code, b.out, b.err)
	}
}

func TestSLOProveSendsNothing(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		args []string
		code int
		says string
	}{
		"production without --yes": {[]string{"slo", "prove"}, fault.ExitRefused, "at most 910 requests to api.cognomega.com"},
		"a dry run":                {[]string{"slo", "prove", "--dry-run"}, fault.ExitOK, "nothing was sent"},
		"a dry run, as a document": {[]string{"slo", "prove", "--dry-run", "-o", "json"}, fault.ExitOK, `"schema": "cogctl/slo.plan/v1"`},
		"an unknown objective":     {[]string{"slo", "prove", "credits-kv", "--yes"}, fault.ExitAPI, `objective "credits-kv" is not declared yet`},
		"no rate":                  {[]string{"slo", "prove", "--rate", "0", "--yes"}, fault.ExitUsage, "sends nothing"},
		"too high a rate":          {[]string{"slo", "prove", "--rate", "1e9", "--yes"}, fault.ExitUsage, "cannot be kept"},
		"no budget":                {[]string{"slo", "prove", "--max-requests", "5", "--yes"}, fault.ExitUsage, "leaves nothing to judge"},
		"too long":                 {[]string{"slo", "prove", "--max-requests", "1000000", "--rate", "1000", "--duration", "1h", "--yes"}, fault.ExitUsage, "not possible"},
		"no warm-up":               {[]string{"slo", "prove", "--warm-up", "0", "--yes"}, fault.ExitUsage, "warm-up of 0"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, asked := sloBench(t, term.Fake{})
			if code := b.run(tt.args...); code != tt.code || !strings.Contains(b.out.String()+b.err.String(), tt.says) || asked.Load() != 0 {
				t.Errorf("exit %d after %d requests, want %d: %s%s", code, asked.Load(), tt.code, b.out, b.err)
			}
			if tt.code != fault.ExitOK && b.out.Len() > 0 {
				t.Errorf("stdout has %s", b.out)
			}
		})
	}
}

// TestSLOPromisesThatNoLoadProves are sent on to the command that does.
func TestSLOPromisesThatNoLoadProves(t *testing.T) {
	t.Parallel()
	b, asked := sloBench(t, term.Fake{})
	if code := b.run("slo", "prove", "usage-drain"); code != 2 || !strings.Contains(b.err.String(), "cogctl prove phase1") || asked.Load() > 0 {
		t.Errorf("exit %d after %d requests: %s", code, asked.Load(), b.err)
	}
	b.run("slo", "report")
	if got := strings.Join(strings.Fields(b.out.String()), " "); !strings.Contains(got, "usage-drain cogctl prove phase1 --env production") {
		t.Errorf("the report does not say where usage-drain is proven:\n%s", b.out)
	}
}
