package cli_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/store"
	"github.com/cognomega/edge/internal/term"
)

// traffic puts invocations of the gateway into an account's analytics, of which every n-th fails.
func traffic(s *store.Store, requests, failing int) {
	for i := range requests {
		status := "success"
		if failing > 0 && i%failing == 0 {
			status = "scriptThrewException"
		}
		at := now().Add(-time.Duration(2+i%30) * time.Minute)
		s.Metrics().Record(store.Invocation{Script: "cognomega-api", Version: "v", Status: status, At: at, Wall: time.Duration(5+i%40) * time.Millisecond, HTTPStatus: 200})
	}
}

func TestLiveTraffic(t *testing.T) {
	t.Parallel()
	b, _, s := accountBench(t, term.Fake{}, token)
	if code := b.run("slo", "prove", "--from", "analytics", "-o", "json"); code != fault.ExitInconclusive || !strings.Contains(b.out.String(), "no data proves nothing") {
		t.Fatalf("nothing was seen, exit %d: %s%s", code, b.out, b.err)
	}
	traffic(s, 4000, 0)
	if code := b.run("slo", "prove", "gateway", "--from", "analytics"); code != fault.ExitOK || !strings.Contains(b.out.String(), "✓ pass") || !strings.Contains(b.out.String(), "4000 requests of cognomega-api in 1h0m0s, 0 of them missed it") {
		t.Errorf("exit %d: %s%s", code, b.out, b.err)
	}
	proofs, _ := filepath.Glob(filepath.Join(b.dir, "proofs", "*-live-gateway*.json"))
	if len(proofs) != 2 {
		t.Fatalf("kept %q", proofs)
	}
	if code := b.run("verify", proofs[0]); code != fault.ExitOK {
		t.Errorf("exit %d: %s%s", code, b.out, b.err)
	}
	before, _ := filepath.Glob(filepath.Join(b.dir, "proofs", "*.json"))
	if code := b.run("slo", "report", "--from", "analytics", "-o", "json"); code != fault.ExitInconclusive || b.json()["schema"] != "cogctl/slo.live/v1" || !strings.Contains(b.out.String(), "do not tell the") {
		t.Errorf("latency over many paths is not known, exit %d: %s%s", code, b.out, b.err)
	}
	traffic(s, 4000, 50)
	if code := b.run("slo", "report", "--from", "analytics"); code != fault.ExitFinding || !strings.Contains(b.out.String(), "80 of 8000 requests missed it") {
		t.Errorf("one in a hundred fails, exit %d: %s%s", code, b.out, b.err)
	}
	if kept, _ := filepath.Glob(filepath.Join(b.dir, "proofs", "*.json")); len(kept) != len(before) {
		t.Errorf("a report keeps no evidence: %q", kept)
	}
	for _, args := range [][]string{{"--from", "nowhere"}, {"--from", "analytics", "--since", "90s"}, {"--from", "analytics", "--since", "48h"}} {
		if code := b.run(append([]string{"slo", "report"}, args...)...); code != fault.ExitUsage {
			t.Errorf("%q: exit %d", args, code)
		}
	}
	if code := b.run("slo", "prove", "nothing", "--from", "analytics"); code != fault.ExitAPI || !strings.Contains(b.err.String(), "declared are:") {
		t.Errorf("exit %d: %s", code, b.err)
	}
}

func TestLiveTrafficThatMayNotBeSeen(t *testing.T) {
	t.Parallel()
	b, _, _ := accountBench(t, term.Fake{}, narrow)
	if code := b.run("slo", "report", "--from", "analytics"); code != fault.ExitAPI || !strings.Contains(b.out.String()+b.err.String(), "Account Analytics") {
		t.Errorf("exit %d: %s%s", code, b.out, b.err)
	}
}
