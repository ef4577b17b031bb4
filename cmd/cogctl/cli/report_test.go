package cli_test

import (
	"bytes"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/joshdk/go-junit"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/term"
)

// reportChecks are the checks of a printed report by name.
func (b *bench) reportChecks() map[string]map[string]any {
	b.t.Helper()
	out := map[string]map[string]any{}
	for _, c := range b.json()["checks"].([]any) {
		one := c.(map[string]any)
		out[one["name"].(string)] = one
	}
	return out
}

func TestReport(t *testing.T) {
	t.Parallel()
	b, _ := sloBench(t, term.Fake{})
	if code := b.run("report", "-o", "json", "--max-age", "1h"); code != fault.ExitInconclusive || b.json()["verdict"] != "inconclusive" {
		t.Fatalf("nothing is known, exit %d: %s%s", code, b.out, b.err)
	}
	if todo := b.json()["todo"].(map[string]any); todo["command"] != "cogctl report --run --env production" {
		t.Errorf("to do: %v", todo)
	}
	b.run(quick...)
	xml := filepath.Join(b.dir, "report.xml")
	if code := b.run("report", "--run", "-o", "json", "--junit", xml); code != fault.ExitFinding {
		t.Fatalf("the account holds next to nothing of what is declared, exit %d: %s%s", code, b.out, b.err)
	}
	doc := b.json()
	if got := strings.Join(slices.Sorted(maps.Keys(doc)), " "); doc["schema"] != "cogctl/report/v1" ||
		got != "at checks contract_sha256 cors drift env gates headline hostname junit keys max_age_s not_believed objectives page routes schema todo tool verdict" {
		t.Errorf("%s has %s", doc["schema"], got)
	}
	checks := b.reportChecks()
	for _, name := range []string{"preflight", "ai-binding", "jwks", "routes", "slo-patient"} {
		if c := checks[name]; c["verdict"] != "pass" || c["state"] != "proven" || c["proof"] == nil {
			t.Errorf("%s: %v", name, c)
		}
	}
	if c := checks["slo-later"]; c["state"] != "not looked" {
		t.Errorf("what cannot be measured yet is not required: %v", c)
	}
	gates := map[any]any{}
	for _, g := range doc["gates"].([]any) {
		gates[g.(map[string]any)["name"]] = g.(map[string]any)["verdict"]
	}
	// No Worker of the money path runs in this account, so nothing of it is proven here.
	if want := map[any]any{"phase0": "pass", "phase1": "inconclusive", "phase2": "inconclusive"}; !maps.Equal(gates, want) {
		t.Errorf("gates: %v, not %v", gates, want)
	}
	if doc["drift"].(map[string]any)["verdict"] != "fail" || doc["todo"].(map[string]any)["command"] != "cogctl preview --refresh --env production" {
		t.Errorf("%v", doc["todo"])
	}
	page := read(t, filepath.Join(b.dir, "reports", "production.html"))
	for _, want := range []string{"promise does not hold", "cognomega-api", "/api/ai/binding", "limit 5000 ms", "kv_namespaces.cognomega-keys", "k1"} {
		if !bytes.Contains(page, []byte(want)) {
			t.Errorf("the page does not say %q", want)
		}
	}
	suites, err := junit.Ingest(read(t, xml))
	if err != nil || len(suites) != 1 || suites[0].Totals.Failed != 1 || suites[0].Totals.Error != 1 || suites[0].Totals.Skipped < 1 || suites[0].Totals.Passed < 5 {
		t.Errorf("%v: %+v", err, suites[0].Totals)
	}
}

func TestReportForPeople(t *testing.T) {
	t.Parallel()
	for _, fake := range []term.Fake{{TTY: true, NoColor: true, Width: 120}, {TTY: true, NoColor: true, Width: 50}, {}} {
		b := newBench(t, fake)
		b.prove(fault.ExitOK)
		if code := b.run("report"); code != fault.ExitInconclusive || !strings.Contains(b.out.String(), "? Nothing is known to be wrong") || !strings.Contains(b.out.String(), "✓ cognomega-api") {
			t.Errorf("exit %d: %s%s", code, b.out, b.err)
		}
	}
	b := newBench(t, term.Fake{})
	b.prove(fault.ExitOK)
	if code := b.run("report", "-o", "markdown"); code != fault.ExitInconclusive || !strings.Contains(b.out.String(), "| one Worker owns the hostname | ✓ pass |") || !strings.Contains(b.out.String(), "- **do**: ") ||
		!strings.Contains(b.out.String(), "| phase0 | ✓ open |") || !strings.Contains(b.out.String(), "| phase1 | ? shut |") {
		t.Errorf("exit %d: %s%s", code, b.out, b.err)
	}
	if code := b.run("report", "--html", "-"); code != fault.ExitInconclusive || !strings.HasPrefix(b.out.String(), "<!doctype html>") || !strings.HasSuffix(b.out.String(), "</html>\n") {
		t.Errorf("exit %d: %.100s", code, b.out)
	}
	if code := b.run("report", "--html", filepath.Join(b.dir, "dry.html"), "--junit", filepath.Join(b.dir, "dry.xml"), "--dry-run"); code != fault.ExitInconclusive {
		t.Errorf("exit %d: %s", code, b.err)
	}
	if left, _ := filepath.Glob(filepath.Join(b.dir, "dry.*")); len(left) > 0 {
		t.Errorf("a dry run wrote %q", left)
	}
	for _, args := range [][]string{{"report", "--run", "--dry-run"}, {"report", "--max-age", "-1h"}} {
		if code := b.run(args...); code != fault.ExitUsage {
			t.Errorf("%q: exit %d", args, code)
		}
	}
}

// TestAReportBelievesNothingUnverified spoils evidence in every way that comes to mind; none of them may leave a pass.
func TestAReportBelievesNothingUnverified(t *testing.T) {
	t.Parallel()
	routesProof := func(b *bench) string {
		found, _ := filepath.Glob(filepath.Join(b.dir, "proofs", "*-routes.json"))
		return found[0]
	}
	newer := func(b *bench) string {
		return filepath.Join(b.dir, "proofs", now().Add(time.Minute).Format("2006-01-02T15-04-05Z")+"-production-routes.json")
	}
	for name, tt := range map[string]struct {
		spoil    func(b *bench)
		args     []string
		state    string
		believed bool // the file is not listed as spoiled
	}{
		"a bit changed": {func(b *bench) {
			raw := read(t, routesProof(b))
			raw[len(raw)/2] ^= 1
			must(t, os.WriteFile(routesProof(b), raw, 0o600))
		}, nil, "rejected", false},
		"cut short":                {func(b *bench) { must(t, os.Truncate(routesProof(b), 900)) }, nil, "rejected", false},
		"a newer file of garbage":  {func(b *bench) { must(t, os.WriteFile(newer(b), []byte("{}"), 0o600)) }, nil, "rejected", false},
		"an old one made to count": {func(b *bench) { must(t, os.Rename(routesProof(b), newer(b))) }, nil, "rejected", false},
		"another check's": {func(b *bench) {
			must(t, os.Rename(strings.Replace(routesProof(b), "routes", "ai-binding", 1), routesProof(b)))
		}, nil, "rejected", false},
		"an unknown key":  {func(b *bench) { must(t, os.RemoveAll(filepath.Join(b.dir, ".local"))) }, nil, "rejected", false},
		"gone":            {func(b *bench) { must(t, os.Remove(routesProof(b))) }, nil, "missing", true},
		"too old":         {func(b *bench) { b.deps.Now = func() time.Time { return now().Add(25 * time.Hour) } }, nil, "stale", true},
		"older than said": {func(b *bench) { b.deps.Now = func() time.Time { return now().Add(2 * time.Hour) } }, []string{"--max-age", "1h"}, "stale", true},
		"of the future":   {func(b *bench) { b.deps.Now = func() time.Time { return now().Add(-time.Hour) } }, nil, "stale", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, term.Fake{})
			b.prove(fault.ExitOK)
			tt.spoil(b)
			if code := b.run(append([]string{"report", "-o", "json"}, tt.args...)...); code != fault.ExitInconclusive {
				t.Errorf("exit %d: %s", code, b.err)
			}
			c := b.reportChecks()["routes"]
			if c["verdict"] != "inconclusive" || c["state"] != tt.state || (len(b.json()["not_believed"].([]any)) == 0) != tt.believed {
				t.Errorf("%v; not believed %v", c, b.json()["not_believed"])
			}
		})
	}
}

func TestAReportLeadsWithWhatIsWrong(t *testing.T) {
	t.Parallel()
	b := newBench(t, term.Fake{})
	b.prove(fault.ExitOK)
	b.deps.Now = func() time.Time { return now().Add(time.Minute) }
	b.broken = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/api/ai/binding" && r.Method == http.MethodGet {
			w.WriteHeader(http.StatusInternalServerError)
			return true
		}
		return false
	}
	if code := b.run("report", "--run", "-o", "json"); code != fault.ExitFinding {
		t.Fatalf("exit %d: %s", code, b.err)
	}
	todo := b.json()["todo"].(map[string]any)
	if c := b.reportChecks()["ai-binding"]; c["verdict"] != "fail" || !strings.Contains(todo["why"].(string), "/api/ai/binding") && !strings.Contains(todo["why"].(string), "CORS") && !strings.Contains(todo["why"].(string), "Access-Control") {
		t.Errorf("%v, to do %v", c, todo)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
