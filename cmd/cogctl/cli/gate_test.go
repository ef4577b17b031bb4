package cli_test

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/oidc/oidctest"
	"github.com/cognomega/edge/internal/term"
)

func TestGateOnATerminalAndOffIt(t *testing.T) {
	t.Parallel()
	for name, fake := range map[string]term.Fake{
		"wide": {TTY: true, NoColor: true, Width: 120}, "narrow": {TTY: true, NoColor: true, Width: 50}, "colour": {TTY: true}, "no terminal": {},
	} {
		b := newBench(t, fake)
		if code := b.run("gate", "phase0"); code != fault.ExitRefused || !strings.Contains(b.out.String(), "gate phase0 of production is shut") ||
			!strings.Contains(b.out.String(), "cogctl prove phase0 --env production") {
			t.Errorf("%s: exit %d: %s%s", name, code, b.out, b.err)
		}
		if code := b.run("prove", "phase0"); code != fault.ExitOK {
			t.Fatalf("exit %d: %s", code, b.err)
		}
		if code := b.run("gate", "phase0", "--explain"); code != fault.ExitOK || !strings.Contains(b.out.String(), "gate phase0 of production is open") || !strings.Contains(b.out.String(), "sha256") {
			t.Errorf("%s: exit %d: %s%s", name, code, b.out, b.err)
		}
		if colour := strings.Contains(b.out.String(), "\x1b["); colour != (name == "colour") {
			t.Errorf("%s: colour %v", name, colour)
		}
	}
}

// What was proven yesterday opens no gate today, and what failed just now shuts one that was open.
func TestGateFollowsTheClockAndTheNewestProof(t *testing.T) {
	t.Parallel()
	b := newBench(t, term.Fake{})
	b.run("prove", "phase0")
	b.deps.Now = func() time.Time { return now().Add(24*time.Hour + time.Second) }
	if code := b.run("gate", "phase0"); code != fault.ExitRefused || strings.Count(b.out.String(), "✗ stale") != 4 {
		t.Errorf("exit %d: %s", code, b.out)
	}
	b.deps.Now = now
	if code := b.run("gate", "phase0"); code != fault.ExitOK {
		t.Errorf("exit %d: %s", code, b.out)
	}
	b.broken = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/api/ai/binding" && r.Method == http.MethodGet {
			w.WriteHeader(http.StatusInternalServerError)
			return true
		}
		return false
	}
	b.deps.Now = func() time.Time { return now().Add(time.Minute) }
	b.run("prove", "phase0")
	if code := b.run("gate", "phase0"); code != fault.ExitRefused || !strings.Contains(b.out.String(), "✗ failed") {
		t.Errorf("exit %d: %s", code, b.out)
	}
}

// The evidence of one environment is not that of another.
func TestGateOfAnotherEnvironment(t *testing.T) {
	t.Parallel()
	b := newBench(t, term.Fake{})
	b.run("prove", "phase0")
	if code := b.run("gate", "promote", "-o", "json"); code != fault.ExitRefused {
		t.Errorf("exit %d: %s", code, b.out)
	}
	var got struct {
		Schema string
		Open   bool
		Chain  []struct{ Check, State, Because string }
	}
	if err := json.Unmarshal(b.out.Bytes(), &got); err != nil || got.Open || len(got.Chain) != 5 || got.Chain[0].State != "foreign" || !strings.Contains(got.Chain[0].Because, "environment production") {
		t.Errorf("%v: %+v", err, got)
	}
	if code := b.run("gate", "nowhere"); code != fault.ExitAPI || !strings.Contains(b.err.String(), "one of: phase0, phase1, phase2, promote") {
		t.Errorf("exit %d: %s", code, b.err)
	}
}

// A promotion asks nothing of anybody while its gate is shut, and nothing of the account outside a run of the workflow.
func TestPromoteRefusesBeforeItLooks(t *testing.T) {
	t.Parallel()
	b := newBench(t, term.Fake{})
	issuer := oidctest.New(t, nil)
	b.deps.Outside = issuer.Client
	b.deps.WorkDir = filepath.Join("..", "..", "..")
	if code := b.run("promote", "--proofs", b.dir); code != fault.ExitRefused || !strings.Contains(b.out.String(), "nothing was promoted to production") || issuer.Asked() != 0 {
		t.Errorf("exit %d, %d tokens asked for: %s%s", code, issuer.Asked(), b.out, b.err)
	}
	if code := b.run("promote", "--rollback", "--proofs", b.dir); code != fault.ExitRefused || !strings.Contains(b.err.String(), "no run of GitHub Actions") {
		t.Errorf("exit %d: %s%s", code, b.out, b.err)
	}
	if code := b.run("promote", "--release", "abc"); code != fault.ExitUsage {
		t.Errorf("exit %d: %s%s", code, b.out, b.err)
	}
	if code := b.run("up"); code != fault.ExitRefused || !strings.Contains(b.err.String(), "cogctl promote") {
		t.Errorf("exit %d: %s%s", code, b.out, b.err)
	}
}
